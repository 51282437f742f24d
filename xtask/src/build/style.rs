//! The style sheet: `main.css` and what it imports, checked, joined and (for release) minified.
//!
//! Only plain imports are joined. The browsers served know nesting, layers and `light-dark()`, so
//! nothing is rewritten for older ones.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use lightningcss::printer::PrinterOptions;
use lightningcss::rules::CssRule;
use lightningcss::rules::import::ImportRule;
use lightningcss::stylesheet::{MinifyOptions, ParserOptions, StyleSheet};
use lightningcss::targets::{Browsers, Targets};

use crate::workspace::Profile;

/// The text of the one style sheet.
pub fn sheet(folder: &Path, profile: Profile) -> Result<Vec<u8>> {
    let mut text = String::new();
    join(&folder.join("main.css"), profile, &mut text)?;
    Ok(text.into_bytes())
}

fn join(file: &Path, profile: Profile, text: &mut String) -> Result<()> {
    let source = fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    let options =
        ParserOptions { filename: file.display().to_string(), ..ParserOptions::default() };
    let mut sheet = StyleSheet::parse(&source, options).map_err(|error| anyhow!("{error}"))?;
    for rule in &sheet.rules.0 {
        if let CssRule::Import(import) = rule {
            let folder = file.parent().context("a style sheet without a folder")?;
            join(&folder.join(plain(import, file)?), profile, text)?;
        }
    }
    sheet.rules.0.retain(|rule| !matches!(rule, CssRule::Import(_)));
    let targets = modern();
    if profile == Profile::Release {
        let options = MinifyOptions { targets, ..MinifyOptions::default() };
        sheet.minify(options).map_err(|error| anyhow!("{error}"))?;
    }
    let minify = profile == Profile::Release;
    let printed = sheet
        .to_css(PrinterOptions { minify, targets, ..PrinterOptions::default() })
        .map_err(|error| anyhow!("{}: {error}", file.display()))?;
    text.push_str(&printed.code);
    if !minify {
        text.push('\n');
    }
    Ok(())
}

fn plain<'a>(import: &'a ImportRule<'_>, file: &Path) -> Result<&'a str> {
    let conditional = import.layer.is_some() || import.supports.is_some();
    if conditional || !import.media.media_queries.is_empty() || import.url.contains("//") {
        bail!("{}: only a plain import of a file is joined: {}", file.display(), import.url);
    }
    Ok(&import.url)
}

/// The first versions with `light-dark()`, the youngest feature in the style sheets.
fn modern() -> Targets {
    let version = |major: u32, minor: u32| Some((major << 16) | (minor << 8));
    Targets::from(Browsers {
        chrome: version(123, 0),
        edge: version(123, 0),
        firefox: version(120, 0),
        safari: version(17, 5),
        ios_saf: version(17, 5),
        ..Browsers::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a style sheet");
        }
        folder
    }

    fn text(folder: &tempfile::TempDir) -> String {
        let bytes = sheet(folder.path(), Profile::Release).expect("a style sheet");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn imports_are_joined_in_their_order_and_nothing_is_rewritten_for_old_browsers() {
        let folder = folder(&[
            ("main.css", "@import './a.css'; @import './b.css'; .main { margin: 0 }"),
            ("a.css", "@layer x, y; .a { color: light-dark(#fff, #000); & b { top: 0 } }"),
            ("b.css", ".b { color: red }"),
        ]);
        assert_eq!(
            text(&folder),
            "@layer x,y;.a{color:light-dark(#fff,#000);& b{top:0}}.b{color:red}.main{margin:0}"
        );
    }

    #[test]
    fn a_mistake_names_its_file() {
        let folder = folder(&[("main.css", "@import './a.css';"), ("a.css", "a {}}")]);
        let error = sheet(folder.path(), Profile::Debug).expect_err("a mistake");
        assert!(error.to_string().contains("a.css"), "{error}");
    }
}
