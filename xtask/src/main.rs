//! The developer's commands: `cargo dev`, `cargo verify` and `cargo xtask …`.
//!
//! Needs a Rust toolchain and nothing else. Everything a command lacks it fetches with cargo,
//! rustup or the system's packages, or says how to get it. Never part of what is deployed.

mod bench;
mod build;
mod dev;
mod postgres;
mod process;
mod report;
mod tools;
mod verify;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workspace::{Profile, Workspace};

/// The developer's commands.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the server, the browser's half and the style sheet.
    Build {
        /// Optimised, minified and compressed, as it is deployed.
        #[arg(long)]
        release: bool,
        /// Where the browser's files go (target/site, or target/site-release).
        #[arg(long, value_name = "DIR")]
        site_root: Option<PathBuf>,
    },
    /// Build, serve on http://127.0.0.1:3000, and start again on every change.
    Dev,
    /// Run what continuous integration runs, all of it or the parts named.
    Verify {
        /// The parts to run, in the order they are listed (default: all but peers and sandbox).
        parts: Vec<verify::Part>,
        /// Let what repeats repeat for long (the oracle, shuffles, kills), and ask the peers.
        #[arg(long)]
        long: bool,
    },
    /// Measure a release build on SQLite and on Postgres.
    Bench {
        /// Handed to the benchmark as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = run(Cli::parse().command);
    outcome.unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::open()?;
    match command {
        Command::Build { release, site_root } => {
            process::end_children_on_interrupt(|| ())?;
            let profile = Profile::release_if(release);
            build::everything(&workspace, profile, site_root.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Dev => dev::run(&workspace),
        Command::Verify { parts, long } => verify::run(&workspace, &parts, long),
        Command::Bench { arguments } => bench::run(&workspace, &arguments),
    }
}
