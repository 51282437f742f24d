//! Processor time, as the system counts it, in seconds: of a process, of one of its threads, and of
//! a database's share where it runs on this machine.

use std::fs;

use anyhow::{Context, Result};
use server::db::{Db, Dialect, sql};

/// The system counts in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// What the driver calls the threads in which SQLite works.
const SQLITE_THREADS: &str = "sqlx-sqlite";

/// What a process used since it began; `self` is this one.
pub fn of_process(process: &str) -> Result<f64> {
    let file = format!("/proc/{process}/stat");
    Ok(Stat::read(&file).with_context(|| format!("cannot read {file}"))?.own)
}

/// What the calling thread used since it began.
pub fn of_this_thread() -> Result<f64> {
    of_process("thread-self")
}

/// A line of the system about a process or a thread.
#[derive(Debug, PartialEq)]
struct Stat {
    name: String,
    parent: u32,
    /// Its own time.
    own: f64,
    /// That of its children which ended.
    ended: f64,
}

impl Stat {
    fn read(file: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(file).ok()?)
    }

    /// The second field is a name in brackets that may hold anything.
    fn parse(line: &str) -> Option<Self> {
        let (start, fields) = line.rsplit_once(") ")?;
        let name = start.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok().map(f64::from);
        Some(Self {
            name,
            parent: fields.get(1)?.parse().ok()?,
            own: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
            ended: (ticks(13)? + ticks(14)?) / TICKS_PER_SECOND,
        })
    }
}

/// Every entry of a folder of the system that is about a process or a thread.
fn all(folder: &str) -> Vec<Stat> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let numbered =
        entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let files = numbered.map(|entry| entry.path().join("stat"));
    files.filter_map(|file| Stat::read(&file.to_string_lossy())).collect()
}

/// Where the database works.
pub enum Database {
    /// In threads of the product's own process.
    Inside,
    /// In the children of this process on this machine.
    Postgres(u32),
    /// On another machine.
    Elsewhere,
}

impl Database {
    /// Looks for it.
    pub async fn look(db: &Db) -> Result<Self> {
        if db.dialect() == Dialect::Sqlite {
            return Ok(Self::Inside);
        }
        let text = "select cast(pg_backend_pid() as bigint)";
        let (pid,): (i64,) = db.one(sql(text)).await?;
        let found = Stat::read(&format!("/proc/{pid}/stat"));
        let found = found.filter(|stat| stat.name.starts_with("postgres"));
        Ok(found.map_or(Self::Elsewhere, |stat| Self::Postgres(stat.parent)))
    }

    /// What it used since it began, where `product` is the process of the product; `None` where
    /// that cannot be seen.
    pub fn used(&self, product: &str) -> Option<f64> {
        match self {
            Self::Inside => {
                let threads = all(&format!("/proc/{product}/task")).into_iter();
                let own = threads.filter(|thread| thread.name.starts_with(SQLITE_THREADS));
                Some(own.map(|thread| thread.own).sum())
            }
            Self::Postgres(parent) => {
                let ended = Stat::read(&format!("/proc/{parent}/stat"))?;
                let children = all("/proc").into_iter().filter(|stat| stat.parent == *parent);
                Some(children.map(|stat| stat.own).sum::<f64>() + ended.own + ended.ended)
            }
            Self::Elsewhere => None,
        }
    }

    /// Whether its time is a part of the product's process.
    pub fn is_inside(&self) -> bool {
        matches!(self, Self::Inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_name() {
        let line = "7 (a) b) R 3 1 1 0 -1 4194304 2847 6568 4 0 51 2 7 1 20 0";
        let stat = Stat { name: "a) b".to_owned(), parent: 3, own: 0.53, ended: 0.08 };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("7"), None);
        // In this order: both go on counting.
        let (thread, process) = (of_this_thread(), of_process("self"));
        assert!(process.expect("counted") >= thread.expect("counted"));
        assert!(Database::Inside.used("self").is_some());
    }
}
