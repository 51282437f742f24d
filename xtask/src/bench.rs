//! Measures a release build, on SQLite and on a Postgres that keeps its promises about the disk.

use std::process::ExitCode;

use anyhow::Result;

use crate::postgres::{Durability, Postgres};
use crate::report::step;
use crate::workspace::{Profile, Workspace};
use crate::{build, process};

/// Builds for release and runs the benchmark on both engines.
pub fn run(ws: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    process::end_children_on_interrupt(|| ())?;
    build::everything(ws, Profile::Release, None)?;
    step("on SQLite", || measure(ws, arguments, None))?;
    step("on Postgres", || {
        let postgres = Postgres::given_or_new(Durability::Real)?;
        measure(ws, arguments, Some(&postgres))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn measure(ws: &Workspace, arguments: &[String], postgres: Option<&Postgres>) -> Result<()> {
    let mut cargo = ws.cargo();
    cargo.args(["run", "--release", "--bin", "bench", "--"]).args(arguments);
    cargo.env("APP_BIN", ws.server(Profile::Release));
    cargo.env("LEPTOS_SITE_ROOT", ws.site_root(Profile::Release));
    match postgres {
        Some(postgres) => cargo.env("TEST_POSTGRES_URL", postgres.url()),
        None => cargo.env_remove("TEST_POSTGRES_URL"),
    };
    process::run(&mut cargo)
}
