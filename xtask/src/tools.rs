//! What the commands need beyond cargo: found, or installed where that can be done without asking,
//! or named with the way to get it. Never skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::{Workspace, cargo_in};

const WASM: &str = "wasm32-unknown-unknown";
const CARGO_GENERATE: &str = "0.26.0";

/// The standard library for the browser's half.
pub fn wasm_target() -> Result<()> {
    let mut question = Command::new("rustc");
    question.args(["--print", "target-libdir", "--target", WASM]);
    let folder = process::output(&mut question).context("no rustc")?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    println!("    adding the {WASM} target to the toolchain (once)");
    process::run(Command::new("rustup").args(["target", "add", WASM])).with_context(|| {
        format!("the {WASM} target is missing: install it with rustup, or with your system's Rust")
    })
}

/// A part of the Rust toolchain that cargo calls: `fmt` or `clippy`.
pub fn component(subcommand: &str, component: &str) -> Result<()> {
    let mut question = cargo_in(Path::new("."));
    if process::output(question.args([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    println!("    adding {component} to the toolchain (once)");
    process::run(Command::new("rustup").args(["component", "add", component]))
        .with_context(|| format!("{component} is missing: rustup component add {component}"))
}

/// The folder with Postgres' own programs.
pub fn postgres() -> Result<PathBuf> {
    if let Some(folder) = find_postgres() {
        return Ok(folder);
    }
    install("postgresql", "Postgres")?;
    find_postgres().context("postgresql is installed, yet its initdb is nowhere to be found")
}

fn find_postgres() -> Option<PathBuf> {
    let roots = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"];
    let folders = roots.iter().filter_map(|root| std::fs::read_dir(root).ok()).flatten();
    let mut versions: Vec<PathBuf> = folders
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| has_postgres(folder))
        .collect();
    versions.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    let beside = process::which("initdb").and_then(|file| file.canonicalize().ok());
    let beside = beside.and_then(|file| file.parent().map(Path::to_path_buf));
    versions.into_iter().next().or(beside.filter(|folder| has_postgres(folder)))
}

fn has_postgres(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// `/usr/lib/postgresql/15/bin` is of version 15.
fn version(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// A browser of the Chromium family.
pub fn browser() -> Result<()> {
    if has_browser() {
        return Ok(());
    }
    install("chromium", "Chromium")?;
    if !has_browser() {
        bail!("chromium is installed, yet not on PATH: name it in CHROME");
    }
    Ok(())
}

fn has_browser() -> bool {
    let programs = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let named = std::env::var_os("CHROME").is_some_and(|file| Path::new(&file).is_file());
    let mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
    named || programs.iter().any(|name| process::which(name).is_some()) || Path::new(mac).is_file()
}

/// cargo-generate: the one that is there, else one of our own in the target folder.
pub fn cargo_generate(ws: &Workspace) -> Result<PathBuf> {
    let name = format!("cargo-generate{}", std::env::consts::EXE_SUFFIX);
    let root = ws.target.join("tools");
    let own = root.join("bin").join(&name);
    if own.is_file() {
        return Ok(own);
    }
    if let Some(file) = process::which(&name) {
        return Ok(file);
    }
    println!("    installing cargo-generate into {} (once, some minutes)", root.display());
    let mut cargo = ws.cargo();
    cargo.args(["install", "cargo-generate", "--version", CARGO_GENERATE, "--locked"]);
    cargo.args(["--ignore-rust-version", "--no-default-features", "--root"]).arg(&root);
    // Its own settings would optimise for many minutes what runs for a second.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    process::run(&mut cargo)?;
    Ok(own)
}

/// Installs a package of the system, if this is a Debian where we may.
fn install(package: &str, what: &str) -> Result<()> {
    if !process::is_root() || process::which("apt-get").is_none() {
        bail!(
            "{what} is missing: install it with your system's packages \
             (on Debian: sudo apt-get install {package}) and start again"
        );
    }
    println!("    installing {package} (once)");
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
        command
    };
    process::run(apt().arg("update"))?;
    process::run(apt().args(["install", "--yes", "--no-install-recommends", package]))
}
