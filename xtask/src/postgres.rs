//! A Postgres of our own: a cluster in a temporary folder, on a free port, gone when dropped.
//!
//! Never touches a cluster of the system's.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{process, tools};

/// Whether a commit must survive a loss of power: for measuring, yes; for testing, no.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    Real,
    /// Quick.
    None,
}

/// A running cluster, or one that is none of our business.
pub enum Postgres {
    /// The one that `TEST_POSTGRES_URL` names.
    Given(String),
    /// One of our own.
    Own(Cluster),
}

impl Postgres {
    /// The cluster named in the environment, else a new one.
    pub fn given_or_new(durability: Durability) -> Result<Self> {
        match std::env::var("TEST_POSTGRES_URL") {
            Ok(url) if !url.is_empty() => Ok(Self::Given(url)),
            _ => Cluster::start(durability).map(Self::Own),
        }
    }

    /// What a client connects to: a user who may create databases.
    pub fn url(&self) -> &str {
        match self {
            Self::Given(url) => url,
            Self::Own(cluster) => &cluster.url,
        }
    }
}

/// A cluster in a temporary folder.
pub struct Cluster {
    programs: PathBuf,
    home: TempDir,
    account: Option<process::Account>,
    url: String,
}

impl Cluster {
    fn start(durability: Durability) -> Result<Self> {
        let programs = tools::postgres()?;
        let home = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        // Postgres refuses to run as root; Debian's package brings this account.
        let account =
            process::is_root().then(|| process::Account::named("postgres")).transpose()?;
        if let Some(account) = account {
            account.owns(home.path())?;
        }
        let mut cluster = Self { programs, home, account, url: String::new() };
        let mut initdb = cluster.program("initdb");
        initdb.arg("--pgdata").arg(cluster.data());
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--no-sync").stdout(Stdio::null());
        process::run(&mut initdb)?;
        for _ in 0..3 {
            let port = free_port()?;
            if process::run(&mut cluster.start_on(port, durability)).is_ok() {
                cluster.url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
                println!("    Postgres listens on 127.0.0.1:{port}");
                return Ok(cluster);
            }
        }
        let log = fs::read_to_string(cluster.log()).unwrap_or_default();
        bail!("Postgres did not start:\n{log}");
    }

    fn start_on(&self, port: u16, durability: Durability) -> Command {
        let socket = self.home.path().display();
        let mut settings = format!(
            "-p {port} -k {socket} -c listen_addresses=127.0.0.1 -c max_connections=300 \
             -c shared_buffers=128MB"
        );
        if durability == Durability::None {
            settings += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off";
        }
        let mut command = self.program("pg_ctl");
        command.arg("start").arg("--pgdata").arg(self.data()).arg("--log").arg(self.log());
        command.args(["--wait", "--timeout=60", "--silent", "--options", &settings]);
        command
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.home.path()).stdin(Stdio::null());
        command.env("HOME", self.home.path());
        if let Some(account) = self.account {
            account.runs(&mut command);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.data().join("postmaster.pid").exists() {
            return;
        }
        let mut stop = self.program("pg_ctl");
        stop.arg("stop").arg("--pgdata").arg(self.data());
        stop.args(["--mode=immediate", "--silent"]);
        // Not through `process::run`, which starts nothing after Ctrl-C.
        if let Err(error) = process::output(&mut stop) {
            eprintln!("a Postgres may still run in {}: {error:#}", self.home.path().display());
        }
    }
}

/// A port nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_in_a_row_are_free() {
        for _ in 0..2 {
            let port = free_port().expect("a free port");
            TcpListener::bind(("127.0.0.1", port)).expect("nobody listens there");
        }
    }
}
