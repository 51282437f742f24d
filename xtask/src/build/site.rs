//! The site root: files under names that carry their content's hash, compressed for release.
//!
//! Writes a file only when its content is new, and removes what an earlier build left: only files
//! it wrote itself, which it remembers in a list outside of the site.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::workspace::Workspace;

/// One file of the site.
pub struct Asset {
    path: String,
    /// The line this file has in `hash.txt`, if pages ask for it by its hash.
    hash: Option<(&'static str, String)>,
    bytes: Vec<u8>,
    brotli: OnceCell<Vec<u8>>,
    gzip: OnceCell<Vec<u8>>,
}

impl Asset {
    /// A file under a name of its own.
    pub fn named(path: String, bytes: Vec<u8>) -> Self {
        Self { path, hash: None, bytes, brotli: OnceCell::new(), gzip: OnceCell::new() }
    }

    /// One of the three files of a page, under the name Leptos gives it.
    pub fn hashed(kind: &'static str, bytes: Vec<u8>) -> Self {
        let hash = short_hash(&bytes);
        let path = format!("pkg/app.{hash}.{kind}");
        Self { hash: Some((kind, hash)), ..Self::named(path, bytes) }
    }

    fn is_text_like(&self) -> bool {
        let known = ["js", "wasm", "css", "svg", "txt", "json", "html", "xml", "webmanifest"];
        Path::new(&self.path)
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| known.contains(&extension))
    }

    fn brotli(&self) -> Result<&[u8]> {
        if self.brotli.get().is_none() {
            let mut packed = Vec::new();
            let settings = brotli::enc::BrotliEncoderParams::default();
            brotli::BrotliCompress(&mut self.bytes.as_slice(), &mut packed, &settings)?;
            drop(self.brotli.set(packed));
        }
        self.brotli.get().map(Vec::as_slice).context("nothing was compressed")
    }

    fn gzip(&self) -> Result<&[u8]> {
        if self.gzip.get().is_none() {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&self.bytes)?;
            drop(self.gzip.set(encoder.finish()?));
        }
        self.gzip.get().map(Vec::as_slice).context("nothing was compressed")
    }
}

/// All files of a build.
pub struct Site {
    /// The files.
    pub assets: Vec<Asset>,
    /// Whether each is written compressed too.
    pub compressed: bool,
}

impl Site {
    /// Makes the folder hold these files, and none that an earlier build wrote.
    pub fn publish(&self, ws: &Workspace, root: &Path) -> Result<()> {
        let mut written = Vec::new();
        for asset in &self.assets {
            let changed = write_if_new(&root.join(&asset.path), &asset.bytes)?;
            written.push(asset.path.clone());
            if self.compressed && asset.is_text_like() {
                for extension in ["br", "gz"] {
                    let path = format!("{}.{extension}", asset.path);
                    if changed || !root.join(&path).exists() {
                        let packed =
                            if extension == "br" { asset.brotli()? } else { asset.gzip()? };
                        write_if_new(&root.join(&path), packed)?;
                    }
                    written.push(path);
                }
            }
        }
        let absolute = std::path::absolute(root)?;
        let name = short_hash(absolute.to_string_lossy().as_bytes());
        let list = ws.target.join("xtask").join(format!("site-{name}.txt"));
        for path in fs::read_to_string(&list).unwrap_or_default().lines() {
            let file = root.join(path);
            if !written.iter().any(|kept| kept == path) && file.is_file() {
                fs::remove_file(file)?;
            }
        }
        write_if_new(&list, (written.join("\n") + "\n").as_bytes()).map(drop)
    }

    /// Writes `hash.txt`, from which the server learns the names.
    pub fn write_hashes(&self, folder: &Path) -> Result<()> {
        let hashes = self.assets.iter().filter_map(|asset| asset.hash.as_ref());
        let lines: BTreeMap<_, _> = hashes.map(|(kind, hash)| (kind, hash)).collect();
        let text: String = lines.iter().map(|(kind, hash)| format!("{kind}: {hash}\n")).collect();
        write_if_new(&folder.join("hash.txt"), text.as_bytes()).map(drop)
    }
}

/// The files of a folder, as they are.
pub fn public(folder: &Path) -> Result<Vec<Asset>> {
    let mut assets = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type().is_file() && !hidden {
            let name = entry.path().strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
            assets.push(Asset::named(name, fs::read(entry.path())?));
        }
    }
    Ok(assets)
}

/// Sixteen characters that stand for a content.
pub fn short_hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..8])
}

/// Replaces a file in one motion, so that nobody reads half of it. Says whether it had to.
fn write_if_new(file: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(file).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    let cannot = || format!("cannot write {}", file.display());
    let folder = file.parent().with_context(cannot)?;
    fs::create_dir_all(folder).with_context(cannot)?;
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    fs::write(&draft, bytes).with_context(cannot)?;
    fs::rename(&draft, file).with_context(cannot)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(target: &Path) -> Workspace {
        Workspace {
            root: target.to_path_buf(),
            target: target.to_path_buf(),
            binary: String::from("app"),
            tests: Vec::new(),
        }
    }

    fn names(root: &Path) -> Vec<String> {
        let assets = public(root).expect("the files of the site");
        assets.into_iter().map(|asset| asset.path).collect()
    }

    #[test]
    fn a_second_build_removes_what_the_first_wrote_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (ws, root) = (workspace(folder.path()), folder.path().join("site"));
        fs::create_dir_all(&root).expect("a site root");
        fs::write(root.join("mine.txt"), "not ours").expect("a file");
        let build = |css: &str| Site {
            assets: vec![
                Asset::hashed("css", css.into()),
                Asset::named("a.svg".into(), b"<svg/>".into()),
            ],
            compressed: true,
        };
        build("one").publish(&ws, &root).expect("a site");
        build("two").publish(&ws, &root).expect("a site");
        let css = format!("pkg/app.{}.css", short_hash(b"two"));
        let expected = ["a.svg", "a.svg.br", "a.svg.gz", "mine.txt"].map(String::from);
        let pkg = [css.clone(), format!("{css}.br"), format!("{css}.gz")];
        assert_eq!(names(&root), [expected.as_slice(), &pkg].concat());
    }

    #[test]
    fn the_hash_file_has_a_line_for_each_file_of_a_page() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kinds = ["js", "wasm", "css"].map(|kind| Asset::hashed(kind, kind.into()));
        let site = Site { assets: kinds.into(), compressed: false };
        site.write_hashes(folder.path()).expect("a hash file");
        let text = fs::read_to_string(folder.path().join("hash.txt")).expect("a hash file");
        let line = |kind: &str| format!("{kind}: {}\n", short_hash(kind.as_bytes()));
        assert_eq!(text, [line("css"), line("js"), line("wasm")].concat());
    }
}
