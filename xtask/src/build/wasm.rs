//! The browser's half: cargo compiles it, wasm-bindgen (as a library) writes the JavaScript around
//! it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use walkdir::WalkDir;
use wasm_bindgen_cli_support::Bindgen;

use super::site::Asset;
use crate::process;
use crate::workspace::{Profile, Workspace};

const TARGET: &str = "wasm32-unknown-unknown";
const CRATE: &str = "frontend";

/// Compiles the wasm crate.
pub fn compile(ws: &Workspace, profile: Profile) -> Result<()> {
    let mut cargo = ws.cargo();
    cargo.args(["build", "--package", CRATE, "--target", TARGET, "--profile", cargo_name(profile)]);
    process::run(&mut cargo)
}

/// Writes the JavaScript around the compiled crate, unless it was done for this very file.
pub fn bind(ws: &Workspace, profile: Profile) -> Result<()> {
    let folder = match profile {
        Profile::Debug => "debug",
        Profile::Release => cargo_name(profile),
    };
    let input = ws.target.join(TARGET).join(folder).join(format!("{CRATE}.wasm"));
    let output = output(ws, profile);
    let stamp_file = output.with_extension("stamp");
    let stamp = stamp(&input)?;
    if fs::read_to_string(&stamp_file).is_ok_and(|last| last == stamp) {
        return Ok(());
    }
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
    let release = profile == Profile::Release;
    Bindgen::new()
        .input_path(&input)
        .out_name("app")
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .remove_name_section(release)
        .remove_producers_section(release)
        .generate(&output)
        .context("wasm-bindgen failed")?;
    fs::write(stamp_file, stamp)?;
    Ok(())
}

/// What `bind` wrote, under the names the pages ask for.
pub fn assets(ws: &Workspace, profile: Profile) -> Result<Vec<Asset>> {
    let output = output(ws, profile);
    let mut assets = Vec::new();
    for entry in WalkDir::new(&output).sort_by_file_name() {
        let entry = entry.context("the browser's half was not built")?;
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        let name = entry.path().strip_prefix(&output)?.to_string_lossy().replace('\\', "/");
        assets.push(match name.as_str() {
            "app.js" => Asset::hashed("js", bytes),
            "app_bg.wasm" => Asset::hashed("wasm", bytes),
            // Snippets are imported by the JavaScript, by a name that carries a hash already.
            _ => Asset::named(format!("pkg/{name}"), bytes),
        });
    }
    Ok(assets)
}

fn cargo_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Debug => "dev",
        Profile::Release => "wasm-release",
    }
}

fn output(ws: &Workspace, profile: Profile) -> PathBuf {
    ws.cache(profile).join("bindgen")
}

/// Tells one compiled file from the next without reading it.
fn stamp(input: &Path) -> Result<String> {
    let known = fs::metadata(input).with_context(|| format!("no {}", input.display()))?;
    let changed_at = known.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{} {changed_at}", known.len()))
}
