//! Where things are: the folder of the project, its target folder, and the names in its manifests.
//!
//! The names are read, not repeated, so that a project that bears another name is built alike.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// Debug while developing and testing, release when deployed or measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Quick to build.
    Debug,
    /// Quick to run.
    Release,
}

impl Profile {
    /// Release if asked for.
    pub fn release_if(release: bool) -> Self {
        if release { Self::Release } else { Self::Debug }
    }

    /// The folder cargo puts the executables in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// The project this program was started in.
pub struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The name of the server's executable, which is the product's name.
    pub binary: String,
    /// The integration tests of the `tests` crate.
    pub tests: Vec<String>,
}

impl Workspace {
    /// Asks cargo about the project.
    pub fn open() -> Result<Self> {
        let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let here = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = here.parent().context("xtask has no parent folder")?.to_path_buf();
        let mut question = cargo_in(&root);
        question.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&process::output(&mut question)?)?;
        let target = metadata["target_directory"].as_str().context("no target directory")?;
        Ok(Self {
            root,
            target: PathBuf::from(target),
            binary: targets(&metadata, "app", "bin")
                .into_iter()
                .next()
                .context("app/Cargo.toml names no binary")?,
            tests: targets(&metadata, "tests", "test"),
        })
    }

    /// Cargo, in the folder of the project.
    pub fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// The folder with the executables of a profile.
    pub fn executables(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.folder())
    }

    /// The server's executable.
    pub fn server(&self, profile: Profile) -> PathBuf {
        let name = format!("{}{}", self.binary, std::env::consts::EXE_SUFFIX);
        self.executables(profile).join(name)
    }

    /// Where the browser's files go unless another folder is named. Debug and release have their
    /// own, so that neither takes away the files of the other.
    pub fn site_root(&self, profile: Profile) -> PathBuf {
        self.target.join(match profile {
            Profile::Debug => "site",
            Profile::Release => "site-release",
        })
    }

    /// What we keep between runs.
    pub fn cache(&self, profile: Profile) -> PathBuf {
        self.target.join("xtask").join(profile.folder())
    }
}

/// Cargo without the variables that `cargo run` gave to us: some build scripts watch them, and
/// would compile again what a cargo called by hand has compiled already.
pub fn cargo_in(folder: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || matches!(name, "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE")
        });
        if is_ours {
            command.env_remove(name);
        }
    }
    command
}

fn targets(metadata: &Value, package: &str, kind: &str) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let package = packages.filter(|candidate| candidate["name"] == package);
    let targets = package.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let of_kind = targets.filter(|target| {
        target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|known| known == kind))
    });
    of_kind.filter_map(|target| target["name"].as_str().map(String::from)).collect()
}
