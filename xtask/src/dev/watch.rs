//! Which files matter while developing, and what must be built again when one changes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use anyhow::{Context, Result};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// What woke the loop.
pub enum Wake {
    /// A file changed.
    Changed(PathBuf),
    /// Ctrl-C.
    Stop,
}

/// What must be built again. The site (styles, public files) is put in place after every build.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stale {
    /// The server's executable.
    pub server: bool,
    /// The browser's half.
    pub wasm: bool,
    /// Styles or public files.
    pub site: bool,
}

impl Stale {
    /// Everything, as at the start.
    pub const ALL: Self = Self { server: true, wasm: true, site: true };

    /// Whether something must be built.
    pub fn any(self) -> bool {
        self.server || self.wasm || self.site
    }

    /// This and that.
    pub fn and(self, other: Self) -> Self {
        Self {
            server: self.server || other.server,
            wasm: self.wasm || other.wasm,
            site: self.site || other.site,
        }
    }

    /// What a changed file, named from the root of the project, makes stale.
    pub fn after(file: &Path) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with('~') || name.starts_with('#') {
            return Self::default();
        }
        let first = file.components().next().map(|part| part.as_os_str().to_string_lossy());
        let extension = file.extension().unwrap_or_default().to_string_lossy();
        let server = Self { server: true, ..Self::default() };
        let site = Self { site: true, ..Self::default() };
        match (first.as_deref().unwrap_or_default(), extension.as_ref()) {
            ("public", _) | ("style", "css") => site,
            ("app", "rs" | "toml") => Self { wasm: true, ..server },
            (
                "server" | "simulator" | "client",
                "rs" | "toml" | "html" | "txt" | "css" | "js" | "json",
            )
            | ("migrations", "sql") => server,
            ("catalog.toml" | "rates.toml" | ".env", _) => server,
            ("Cargo.toml" | "Cargo.lock", _) => Self::ALL,
            _ => Self::default(),
        }
    }
}

/// Watches the sources of the project until dropped.
pub fn watch(root: &Path, wake: Sender<Wake>) -> Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in event.paths {
            // Nobody listens any more when the loop has ended.
            drop(wake.send(Wake::Changed(path)));
        }
    })?;
    let cannot = |path: &Path| format!("cannot watch {}", path.display());
    for folder in ["app", "server", "simulator", "client", "style", "migrations", "public"] {
        let folder = root.join(folder);
        if folder.is_dir() {
            watcher.watch(&folder, RecursiveMode::Recursive).with_context(|| cannot(&folder))?;
        }
    }
    // The files at the top, but not `target/` and `data/` below it.
    watcher.watch(root, RecursiveMode::NonRecursive).with_context(|| cannot(root))?;
    Ok(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_stale_what_is_made_from_it() {
        let nothing = Stale::default();
        let (server, site) = (Stale { server: true, ..nothing }, Stale { site: true, ..nothing });
        for (file, stale) in [
            ("style/base.css", site),
            ("public/favicon.svg", site),
            ("app/src/pages/billing.rs", Stale { wasm: true, ..server }),
            ("app/frontend/src/lib.rs", Stale { wasm: true, ..server }),
            ("server/src/db.rs", server),
            ("migrations/0001_start.sql", server),
            ("catalog.toml", server),
            ("Cargo.toml", Stale::ALL),
            ("app/src/pages/.billing.rs.swp", nothing),
            ("server/src/db.rs~", nothing),
            ("README.md", nothing),
            ("target/debug/app", nothing),
        ] {
            assert_eq!(Stale::after(Path::new(file)), stale, "{file}");
        }
    }
}
