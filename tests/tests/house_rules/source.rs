//! The repository as the rules read it: its files, their syntax trees and their words.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::LitStr;
use walkdir::WalkDir;

/// Folders that hold no text of ours.
const LEFT_OUT: [&str; 5] = ["target", "data", ".git", "node_modules", ".env"];

/// A file of the repository.
pub struct Source {
    /// From the repository's root, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Its syntax tree.
    pub fn parse(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// The `//!` lines at its top, as one text.
    pub fn header(&self) -> String {
        let lines = self.text.lines().take_while(|line| line.starts_with("//!"));
        lines.map(|line| line[3..].trim()).collect::<Vec<_>>().join(" ")
    }

    /// The place of something in it, to be found with one click.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().expect("the crate lies in the workspace").to_path_buf()
}

/// Every file under `folder` whose name ends with one of `endings`, in order.
pub fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = root();
    let entries = WalkDir::new(root.join(folder)).sort_by_file_name().into_iter();
    let kept = entries.filter_entry(|entry| {
        entry.depth() == 0 || !LEFT_OUT.iter().any(|name| entry.file_name() == *name)
    });
    let mut files = Vec::new();
    for entry in kept.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()) {
        let path = entry.path().strip_prefix(&root).expect("under the root");
        let path = path.to_string_lossy().replace('\\', "/");
        if endings.iter().any(|ending| path.ends_with(ending)) {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            files.push(Source { path, text });
        }
    }
    files
}

/// Every Rust file.
pub fn rust() -> Vec<Source> {
    let files = files("", &[".rs"]);
    assert!(files.len() > 50, "the repository was not found");
    files
}

/// One file.
pub fn file(path: &str) -> Source {
    let text = std::fs::read_to_string(root().join(path));
    Source { path: path.to_owned(), text: text.unwrap_or_else(|e| panic!("{path}: {e}")) }
}

/// Fails with every offence, if there is one.
pub fn none(rule: &str, offences: Vec<impl Display>) {
    let list: Vec<String> = offences.iter().map(|offence| format!("  {offence}")).collect();
    assert!(list.is_empty(), "\n{rule}\n{}\n", list.join("\n"));
}

/// What a file consists of, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A name or a keyword.
    Name(String),
    /// A sign or a bracket.
    Sign(char),
    /// A string.
    Text(String),
    /// Another literal.
    Value,
}

impl Word {
    /// Whether it is this name.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Self::Name(own) if own == name)
    }

    /// Whether it is this sign.
    pub fn sign(&self, sign: char) -> bool {
        matches!(self, Self::Sign(own) if *own == sign)
    }
}

/// A word and its line.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The word.
    pub word: Word,
    /// Where it stands.
    pub line: usize,
}

/// The words of a file, macros included, comments and documentation left out.
pub fn words(source: &Source) -> Vec<Placed> {
    let stream: TokenStream =
        source.text.parse().unwrap_or_else(|error| panic!("{}: {error}", source.path));
    let mut words = Vec::new();
    flatten(stream, &mut words);
    words
}

/// The words of a file without those that only tests compile.
pub fn program(source: &Source) -> Vec<Placed> {
    let all = words(source);
    let mut kept = Vec::new();
    let mut index = 0;
    while index < all.len() {
        if is_test_mark(&all[index..]) {
            index = end_of_item(&all, index);
        } else {
            kept.push(all[index].clone());
            index += 1;
        }
    }
    kept
}

fn flatten(stream: TokenStream, words: &mut Vec<Placed>) {
    for token in stream {
        let line = token.span().start().line;
        let word = match token {
            TokenTree::Ident(name) => Word::Name(name.to_string()),
            TokenTree::Punct(sign) => Word::Sign(sign.as_char()),
            TokenTree::Literal(literal) => match syn::parse_str::<LitStr>(&literal.to_string()) {
                Ok(text) => Word::Text(text.value()),
                Err(_) => Word::Value,
            },
            TokenTree::Group(group) => {
                flatten_group(&group, line, words);
                continue;
            }
        };
        words.push(Placed { word, line });
    }
}

fn flatten_group(group: &Group, line: usize, words: &mut Vec<Placed>) {
    let first = group.stream().into_iter().next();
    let documents = matches!(&first, Some(TokenTree::Ident(name)) if *name == "doc");
    if group.delimiter() == Delimiter::Bracket && documents {
        return;
    }
    let (open, close) = match group.delimiter() {
        Delimiter::Brace => ('{', '}'),
        Delimiter::Parenthesis => ('(', ')'),
        Delimiter::Bracket => ('[', ']'),
        Delimiter::None => (' ', ' '),
    };
    words.push(Placed { word: Word::Sign(open), line });
    flatten(group.stream(), words);
    words.push(Placed { word: Word::Sign(close), line: group.span_close().end().line });
}

/// `#[cfg(test)]`
fn is_test_mark(words: &[Placed]) -> bool {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    words.len() >= mark.len()
        && mark.iter().zip(words).all(|(text, placed)| match &placed.word {
            Word::Name(name) => name == text,
            Word::Sign(sign) => text.starts_with(*sign),
            _ => false,
        })
}

/// Where the item ends that begins at `start` with its attribute.
fn end_of_item(words: &[Placed], start: usize) -> usize {
    let mut depth = 0usize;
    for (index, placed) in words.iter().enumerate().skip(start + 2) {
        match placed.word {
            Word::Sign('{') => depth += 1,
            Word::Sign('}') if depth == 1 => return index + 1,
            Word::Sign('}') => depth = depth.saturating_sub(1),
            Word::Sign(';') if depth == 0 => return index + 1,
            _ => {}
        }
    }
    words.len()
}
