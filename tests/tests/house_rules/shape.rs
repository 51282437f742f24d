//! The shape of the Rust files: headers, lengths, nothing unfinished, nothing forgotten.

use std::collections::BTreeSet;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::source::{self, Source, none};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 100;

#[test]
fn every_rust_file_begins_by_saying_what_it_is_for() {
    let silent = source::rust().into_iter().filter(|file| !file.text.starts_with("//! "));
    none(
        "Begin each file with `//!`: what it is for, which tables it owns, what it never does.",
        silent.map(|file| file.at(1)).collect(),
    );
}

#[test]
fn no_rust_file_is_longer_than_an_evening() {
    let long = source::rust().into_iter().filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{} has {lines} lines", file.at(1)))
    });
    none("A file has at most 400 lines: split it by noun.", long.collect());
}

#[test]
fn no_line_is_wider_than_a_hundred_characters() {
    let mut wide = Vec::new();
    for file in source::rust() {
        for (index, line) in file.text.lines().enumerate() {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX {
                wide.push(format!("{} has {chars} characters", file.at(index + 1)));
            }
        }
    }
    none("A line has at most 100 characters: break it, or name a part of it.", wide);
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut long = Vec::new();
    for file in source::rust() {
        let mut functions = Functions { found: Vec::new() };
        functions.visit_file(&file.parse());
        for (name, line, lines) in functions.found {
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{} {name} has {lines} lines", file.at(line)));
            }
        }
    }
    none("A function has at most 70 lines: give its parts names.", long);
}

/// Name, first line and number of lines of each function.
struct Functions {
    found: Vec<(String, usize, usize)>,
}

impl Functions {
    fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let last = block.brace_token.span.close().end().line;
        self.found.push((signature.ident.to_string(), first, last + 1 - first));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Written in two parts, so that this list does not find itself.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|parts| parts.concat());
    let mut found = Vec::new();
    for file in source::rust() {
        for (index, line) in file.text.lines().enumerate() {
            let mut parts = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if parts.any(|part| marks.iter().any(|mark| mark == part)) {
                found.push(format!("{} {}", file.at(index + 1), line.trim()));
            }
        }
        for pair in source::words(&file).windows(2) {
            let [name, sign] = pair else { continue };
            let gap = ["todo", "unimplemented"].iter().any(|gap| name.word.is(gap));
            if gap && sign.word.sign('!') {
                found.push(format!("{} an unfinished branch", file.at(name.line)));
            }
        }
    }
    none("Finish it, or leave it out: nothing in the repository waits for later.", found);
}

#[test]
fn no_lint_is_silenced_without_a_reason_and_no_test_is_left_out() {
    let mut found = Vec::new();
    for file in source::rust() {
        let words = source::words(&file);
        for (index, name) in words.iter().enumerate().skip(2) {
            let opened = words[index - 1].word.sign('[');
            let mark = words[index - 2].word.sign('#') || words[index - 2].word.sign('!');
            if !(opened && mark) {
                continue;
            }
            if name.word.is("allow") {
                let instead = "say #[expect(lint, reason = \"…\")], which ends with its cause";
                found.push(format!("{} {instead}", file.at(name.line)));
            }
            if name.word.is("ignore") {
                let instead = "mend the test, or let TURNPIKE_LONG decide how long it runs";
                found.push(format!("{} {instead}", file.at(name.line)));
            }
        }
    }
    none("Neither lints nor tests are switched off:", found);
}

#[test]
fn every_rust_file_is_reached() {
    let files = source::rust();
    let known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut reached = BTreeSet::new();
    let roots: Vec<&str> = known.iter().copied().filter(|path| is_crate_root(path)).collect();
    for root in roots {
        reach(root, &files, &known, &mut reached);
    }
    let lost = known.iter().filter(|path| !reached.contains(**path));
    none("No `mod` names these files: declare them, or remove them.", lost.collect());
}

/// What cargo compiles by itself: libraries, programs and tests.
fn is_crate_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        [.., "src", "lib.rs" | "main.rs"]
            | [.., "build.rs"]
            | [.., "src", "bin", _]
            | [.., "src", "bin", _, "main.rs"]
            | [_, "tests", _]
            | [_, "tests", _, "main.rs"]
    )
}

fn reach(path: &str, files: &[Source], known: &BTreeSet<&str>, reached: &mut BTreeSet<String>) {
    if !reached.insert(path.to_owned()) {
        return;
    }
    let Some(file) = files.iter().find(|file| file.path == path) else { return };
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_folder = name == "mod.rs" || is_crate_root(path);
    let stem = name.trim_end_matches(".rs");
    let folder = if is_folder { folder.to_owned() } else { format!("{folder}/{stem}") };
    for module in file.parse().items {
        let syn::Item::Mod(module) = module else { continue };
        if module.content.is_some() {
            continue;
        }
        let child = format!("{folder}/{}", module.ident);
        for candidate in [format!("{child}.rs"), format!("{child}/mod.rs")] {
            if known.contains(candidate.as_str()) {
                reach(&candidate, files, known, reached);
            }
        }
    }
}
