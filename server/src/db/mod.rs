//! The database: one enum over SQLite and Postgres, and the only words that speak SQL.
//!
//! A statement is one text for both engines, made with [`sql`] and run on a [`Db`] (reads) or a
//! [`Tx`] (reads and writes). On SQLite there is one writing connection, handed out first come
//! first served, so that sessions, jobs and the gate never starve each other. Owns no tables.

mod bulk;
mod checkpoint;
mod gather;
mod statement;

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
use sqlx::sqlite::{SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{Postgres, Sqlite};

pub use bulk::{Bulk, Change};
pub use gather::Gather;
pub use statement::{Arg, Dialect, Sql, sql};

use crate::error::{Error, Result};
use statement::{postgres_query, postgres_rows, sqlite_query, sqlite_rows};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// Connections to Postgres.
const CONNECTIONS: u32 = 20;
/// Statements that a SQLite connection keeps prepared: those of the program, with the bulk ones in
/// their sizes.
const STATEMENTS: usize = 512;
/// Rows that SQLite's thread may be ahead of whoever reads them, so that it does not stop for each.
const ROWS_AHEAD: usize = 1024;
/// The writing connection never stops to bring its log into the file: somebody else does.
const NO_CHECKPOINT: &str = "0";
/// What the log keeps of the disk after a rush, in bytes.
const LOG_KEPT: &str = "67108864";
/// Pages that the writing connection keeps in memory; negative is in KiB.
const WRITER_CACHE: &str = "-32768";

/// The database of one product.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file: many readers, one writer.
    Sqlite {
        /// Connections that only read.
        readers: SqlitePool,
        /// The single connection that writes.
        writer: SqlitePool,
    },
    /// A server, shared by any number of replicas.
    Postgres(PgPool),
}

/// An open transaction that may write. Dropped without [`Tx::commit`], it is rolled back.
pub enum Tx {
    /// Begun `immediate`, so that it never fails half way for want of the write lock.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// At read committed; rows are locked where it matters.
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A row type that can be read from either engine.
pub trait Record:
    for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin
{
}
impl<T> Record for T where
    T: for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin
{
}

/// What can be read from: a [`Db`], or a [`Tx`] that sees its own writes.
pub trait Reads: Send {
    /// Which engine this is.
    fn dialect(&self) -> Dialect;

    /// Every row.
    fn all<T: Record>(&mut self, sql: Sql) -> impl Future<Output = Result<Vec<T>>> + Send;

    /// The first row, if there is one.
    fn optional<T: Record>(&mut self, sql: Sql) -> impl Future<Output = Result<Option<T>>> + Send;
}

/// Asks again where a connection turns out to be gone: a server that was restarted, or replaced by
/// its standby, leaves a pool of them. Only for what changes nothing. (D24)
macro_rules! connected {
    ($asked:expr) => {{
        let mut gone = 0;
        loop {
            match $asked.await {
                Err(sqlx::Error::Io(_)) if gone < CONNECTIONS => gone += 1,
                answered => break answered?,
            }
        }
    }};
}

impl Reads for &Db {
    fn dialect(&self) -> Dialect {
        Db::dialect(self)
    }

    async fn all<T: Record>(&mut self, sql: Sql) -> Result<Vec<T>> {
        Db::all(self, sql).await
    }

    async fn optional<T: Record>(&mut self, sql: Sql) -> Result<Option<T>> {
        Db::optional(self, sql).await
    }
}

impl Reads for Tx {
    fn dialect(&self) -> Dialect {
        Tx::dialect(self)
    }

    async fn all<T: Record>(&mut self, sql: Sql) -> Result<Vec<T>> {
        Tx::all(self, sql).await
    }

    async fn optional<T: Record>(&mut self, sql: Sql) -> Result<Option<T>> {
        Tx::optional(self, sql).await
    }
}

impl Db {
    /// Opens the database that `url` names: `sqlite://path` or `postgres://…`. A missing SQLite
    /// file and its folder are made.
    pub async fn connect(url: &str) -> Result<Self> {
        if url.starts_with("postgres") {
            let options = PgConnectOptions::from_str(url)?;
            let pool = PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(Duration::from_secs(10))
                // Asking before every use would double the way to a server that is there; one that
                // went away is found out by its first use, and then the next connection is tried.
                .test_before_acquire(false)
                .connect_with(options)
                .await?;
            return Ok(Self::Postgres(pool));
        }
        make_folder(url)?;
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(STATEMENTS)
            .row_buffer_size(ROWS_AHEAD);
        // A file does not go away as a server does: no need to ask before every use.
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(Duration::from_secs(30))
            .test_before_acquire(false);
        let writing = options
            .clone()
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", NO_CHECKPOINT)
            .pragma("journal_size_limit", LOG_KEPT);
        let writer = pool.clone().max_connections(1).connect_with(writing).await?;
        let readers = pool.max_connections(8).connect_with(options).await?;
        checkpoint::start(readers.clone(), writer.clone());
        Ok(Self::Sqlite { readers, writer })
    }

    /// Applies the migrations that are missing.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Sqlite { writer, .. } => MIGRATOR.run(writer).await,
            Self::Postgres(pool) => MIGRATOR.run(pool).await,
        }
        .map_err(|error| Error::internal(format!("migration failed: {error}")))
    }

    /// How many migrations this program knows that the database has not seen.
    pub async fn pending_migrations(&self) -> Result<usize> {
        let known = MIGRATOR.iter().count();
        let applied = self
            .optional::<(i64,)>(sql("select count(*) from _sqlx_migrations where success"))
            .await
            .ok()
            .flatten()
            .map_or(0, |row| row.0);
        Ok(known.saturating_sub(usize::try_from(applied).unwrap_or(0)))
    }

    /// Which engine this is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a transaction that may write. On SQLite this waits for its turn.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("begin immediate").await?),
            Self::Postgres(pool) => Tx::Postgres(connected!(pool.begin())),
        })
    }

    /// Every row.
    pub async fn all<T: Record>(&self, sql: Sql) -> Result<Vec<T>> {
        Ok(match self {
            Self::Sqlite { readers, .. } => sqlite_rows(sql).fetch_all(readers).await?,
            Self::Postgres(pool) => connected!(postgres_rows(sql.clone()).fetch_all(pool)),
        })
    }

    /// The first row, if there is one.
    pub async fn optional<T: Record>(&self, sql: Sql) -> Result<Option<T>> {
        Ok(match self {
            Self::Sqlite { readers, .. } => sqlite_rows(sql).fetch_optional(readers).await?,
            Self::Postgres(pool) => connected!(postgres_rows(sql.clone()).fetch_optional(pool)),
        })
    }

    /// The one row there must be.
    pub async fn one<T: Record>(&self, sql: Sql) -> Result<T> {
        self.optional(sql).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Closes every connection, after those in use were given back.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Which engine this is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Every row.
    pub async fn all<T: Record>(&mut self, sql: Sql) -> Result<Vec<T>> {
        Ok(match self {
            Self::Sqlite(tx) => sqlite_rows(sql).fetch_all(&mut **tx).await?,
            Self::Postgres(tx) => postgres_rows(sql).fetch_all(&mut **tx).await?,
        })
    }

    /// The first row, if there is one.
    pub async fn optional<T: Record>(&mut self, sql: Sql) -> Result<Option<T>> {
        Ok(match self {
            Self::Sqlite(tx) => sqlite_rows(sql).fetch_optional(&mut **tx).await?,
            Self::Postgres(tx) => postgres_rows(sql).fetch_optional(&mut **tx).await?,
        })
    }

    /// The one row there must be.
    pub async fn one<T: Record>(&mut self, sql: Sql) -> Result<T> {
        self.optional(sql).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Runs a statement and tells how many rows it changed.
    pub async fn execute(&mut self, sql: Sql) -> Result<u64> {
        Ok(match self {
            Self::Sqlite(tx) => sqlite_query(sql).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => postgres_query(sql).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// Inserts many rows in few statements.
    pub async fn insert_many(&mut self, into: &Bulk, rows: Vec<Vec<Arg>>) -> Result<()> {
        for statement in into.statements(self.dialect(), rows) {
            self.execute(statement).await?;
        }
        Ok(())
    }

    /// Changes many rows by their key in few statements.
    pub async fn update_many(&mut self, what: &Change, rows: Vec<Vec<Arg>>) -> Result<()> {
        for statement in what.statements(self.dialect(), rows) {
            self.execute(statement).await?;
        }
        Ok(())
    }

    /// Makes everything done in this transaction durable and visible, or nothing of it.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

fn make_folder(url: &str) -> Result<()> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.split('?').next().unwrap_or_default();
    let folder = std::path::Path::new(path).parent();
    let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        let shown = folder.display();
        Error::invalid("DATABASE_URL", format!("the folder {shown} cannot be made: {error}"))
    })
}
