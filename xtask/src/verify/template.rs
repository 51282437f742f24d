//! The template: a project made with cargo-generate builds, passes its fast tests, and says its own
//! name where it must.
//!
//! The copy shares the target folder, so that its dependencies are compiled already. Its own crates
//! must not be taken for ours, though: cargo tells crates of two workspaces apart by name, version
//! and path within the workspace only, so the copy is given another version first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use walkdir::WalkDir;

use super::running::{self, Running};
use crate::report::step;
use crate::workspace::{Profile, Workspace, cargo_in};
use crate::{build, process, tools};

const NAME: &str = "my-app";
const TITLE: &str = "My App";

/// The files that bear the product's name.
const NAMED: [&str; 4] = ["Cargo.toml", "app/Cargo.toml", "README.md", ".env.example"];

/// What the files would say if they were copied rather than generated.
const TRACES: [&str; 4] = ["turnpike", "Turnpike", "{%", "{{"];

/// Makes a project and puts it to the test.
pub fn verify(ws: &Workspace) -> Result<()> {
    if !ws.root.join("cargo-generate.toml").exists() {
        println!("    nothing to verify: this project was made from a template, it is none itself");
        return Ok(());
    }
    let generator = tools::cargo_generate(ws)?;
    let place = Place::new(ws)?;
    step("generate", || place.generate(ws, &generator))?;
    check_names(&place.project())?;
    set_apart(&place.project().join("Cargo.toml"))?;
    step("build the copy", || process::run(place.cargo(ws).args(["xtask", "build"])))?;
    step("its fast tests", || {
        process::run(place.cargo(ws).args(["test", "--lib", "--no-fail-fast"]))
    })?;
    step("its name in its pages", || check_running(ws, &place))
}

/// The folder where the project is made. Removed when dropped.
struct Place(PathBuf);

impl Place {
    fn new(ws: &Workspace) -> Result<Self> {
        let key = build::short_hash(ws.root.to_string_lossy().as_bytes());
        let folder = std::env::temp_dir().join(format!("{NAME}-template-{key}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        Ok(Self(folder.canonicalize()?))
    }

    fn project(&self) -> PathBuf {
        self.0.join(NAME)
    }

    /// Cargo in the copy, with our target folder.
    fn cargo(&self, ws: &Workspace) -> Command {
        let mut cargo = cargo_in(&self.project());
        cargo.env("CARGO_TARGET_DIR", &ws.target);
        cargo
    }

    fn generate(&self, ws: &Workspace, generator: &Path) -> Result<()> {
        let source = self.0.join("source");
        for file in sources(&ws.root)? {
            let target = source.join(&file);
            fs::create_dir_all(target.parent().context("a file without a folder")?)?;
            fs::copy(ws.root.join(&file), &target)
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        let mut command = Command::new(generator);
        command.arg("generate").arg("--path").arg(&source).arg("--destination").arg(&self.0);
        command.args(["--name", NAME, "--silent", "--vcs", "none"]);
        command.current_dir(&self.0).stdin(Stdio::null());
        if std::env::var_os("USER").is_none() {
            // It asks who the author is, and will not go on without an answer.
            command.env("USER", "nobody");
        }
        process::run(&mut command)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// The files that belong to the project: those git knows or would take, else all but the remains.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    // The folder may belong to somebody else, as it does in a container.
    git.args(["-c", "safe.directory=*", "ls-files", "-z"]);
    git.args(["--cached", "--others", "--exclude-standard"]).current_dir(root);
    let listed = if root.join(".git").exists() { process::output(&mut git).ok() } else { None };
    let files: Vec<PathBuf> = match listed {
        Some(listed) => {
            listed.split('\0').filter(|name| !name.is_empty()).map(Into::into).collect()
        }
        None => {
            let left_out = ["target", "data", ".git", ".env"];
            let entries = WalkDir::new(root).into_iter().filter_entry(|entry| {
                entry.depth() != 1 || !left_out.iter().any(|name| entry.file_name() == *name)
            });
            let files = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
            files.filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.into())).collect()
        }
    };
    Ok(files.into_iter().filter(|file| root.join(file).is_file()).collect())
}

/// The files that bear the name say the new one, and have no trace of the template.
fn check_names(project: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for file in NAMED {
        let text = fs::read_to_string(project.join(file))
            .with_context(|| format!("the generated project has no {file}"))?;
        for (number, line) in text.lines().enumerate() {
            for trace in TRACES.iter().filter(|trace| line.contains(**trace)) {
                faults.push(format!("{file}:{}: still says {trace}: {line}", number + 1));
            }
        }
    }
    ensure!(faults.is_empty(), "the generated project:\n{}", faults.join("\n"));
    for file in ["target", "data", "cargo-generate.toml"] {
        ensure!(!project.join(file).exists(), "the generated project should have no {file}");
    }
    Ok(())
}

/// Gives the copy a version that no release has.
fn set_apart(manifest: &Path) -> Result<()> {
    let text = fs::read_to_string(manifest)?;
    let is_version = |line: &&str| line.starts_with("version = ");
    let version = text.lines().find(is_version).context("the workspace has no version")?;
    let apart = text.replacen(version, "version = \"0.0.0-copy\"", 1);
    Ok(fs::write(manifest, apart)?)
}

/// The executable and its pages bear the new name.
fn check_running(ws: &Workspace, place: &Place) -> Result<()> {
    let name = format!("{NAME}{}", std::env::consts::EXE_SUFFIX);
    let program = ws.executables(Profile::Debug).join(name);
    let help = process::output(Command::new(&program).arg("--help"))?;
    ensure!(help.contains(NAME), "`{NAME} --help` does not say {NAME}:\n{help}");
    let empty = place.0.join("empty");
    fs::create_dir(&empty)?;
    let address = running::free_address()?;
    let mut command = running::product(&program, &empty, address);
    command.env("SIMULATOR_ADDR", running::free_address()?.to_string());
    let page = Running::start(&mut command, address, "/")?.get("/")?;
    let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let Some((title, _)) = title else { bail!("the first page has no title:\n{page}") };
    ensure!(title.contains(TITLE), "the first page is titled \"{title}\", not \"{TITLE}\"");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("app")).expect("a folder");
        for file in NAMED {
            fs::write(folder.path().join(file), text).expect("a file");
        }
        folder
    }

    #[test]
    fn a_name_left_behind_is_found_with_its_line() {
        check_names(project("name = \"my-app\"\n").path()).expect("no trace");
        let error = check_names(project("#\nname = \"turnpike\"\n").path()).expect_err("a trace");
        assert!(error.to_string().contains("README.md:2: still says turnpike"), "{error}");
    }

    #[test]
    fn the_sources_are_without_the_remains_of_builds() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["target", "app"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
            fs::write(folder.path().join(name).join("file"), "").expect("a file");
        }
        let files = sources(folder.path()).expect("a list");
        assert_eq!(files, [PathBuf::from("app/file")]);
    }
}
