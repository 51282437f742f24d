//! The build: the server with cargo, the browser's half with cargo and wasm-bindgen, the style
//! sheet with lightningcss, and the files in `public/` as they are.
//!
//! The browser's files go into a *site root*: `/pkg/app.HASH.{js,wasm,css}` and, at its top, what
//! is in `public/`. The hash of a file's content is in its name, so a browser may keep it for ever
//! and never mixes two builds. `hash.txt`, beside the executable, is where the server finds the
//! names.
//!
//! The server looks for the site in three places: the folder that `LEPTOS_SITE_ROOT` names, else
//! `site/` beside its executable, else `target/site` of the project. A build therefore writes the
//! site twice: into the site root (`target/site`, `target/site-release`, or the folder asked for)
//! and into `site/` beside the executable. What is deployed is, from `target/release`, the
//! executable, `site/` and `hash.txt`, side by side.
//!
//! Nothing is done again whose inputs are unchanged, and a file is replaced only by another
//! content.

mod site;
mod style;
mod wasm;

use std::path::Path;

use anyhow::Result;

pub use site::short_hash;

use crate::report::step;
use crate::workspace::{Profile, Workspace};
use crate::{process, tools};

/// Server, browser's half, style sheet and public files.
pub fn everything(ws: &Workspace, profile: Profile, site_root: Option<&Path>) -> Result<()> {
    step("the browser's half (wasm)", || wasm(ws, profile))?;
    step("the server", || server(ws, profile))?;
    step("the site", || site(ws, profile, site_root))
}

/// The server's executable.
///
/// Chosen among all the default members, as the tests are, so that cargo settles on the same
/// features for the dependencies both times and compiles them once.
pub fn server(ws: &Workspace, profile: Profile) -> Result<()> {
    let mut cargo = ws.cargo();
    cargo.args(["build", "--bin", &ws.binary]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)
}

/// The browser's half, compiled and bound, kept aside until `site` puts it in place.
pub fn wasm(ws: &Workspace, profile: Profile) -> Result<()> {
    tools::wasm_target()?;
    wasm::compile(ws, profile)?;
    wasm::bind(ws, profile)
}

/// Puts the browser's files in place: what `wasm` made, the style sheet, the public files.
pub fn site(ws: &Workspace, profile: Profile, site_root: Option<&Path>) -> Result<()> {
    let mut assets = wasm::assets(ws, profile)?;
    assets.push(site::Asset::hashed("css", style::sheet(&ws.root.join("style"), profile)?));
    assets.extend(site::public(&ws.root.join("public"))?);
    let default = ws.site_root(profile);
    let executables = ws.executables(profile);
    let site = site::Site { assets, compressed: profile == Profile::Release };
    site.publish(ws, site_root.unwrap_or(&default))?;
    site.publish(ws, &executables.join("site"))?;
    // Tests run from `deps/` and look beside themselves, as every executable does.
    site.write_hashes(&executables.join("deps"))?;
    site.write_hashes(&executables)
}
