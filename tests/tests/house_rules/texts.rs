//! What the repository says in words: the settings' example, the front door, and nothing that is
//! only true on one machine.

use super::source::{self, none};

#[test]
fn the_example_of_settings_lists_every_variable_in_order() {
    let file = source::file(".env.example");
    let mut listed = Vec::new();
    for line in file.text.lines() {
        let line = line.strip_prefix('#').unwrap_or(line).trim_start();
        let Some((name, _)) = line.split_once('=') else { continue };
        if name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            listed.push(name);
        }
    }
    let mut known = server::config::VARIABLES.to_vec();
    known.push("TEST_POSTGRES_URL");
    assert_eq!(listed, known, "\n.env.example and server::config::VARIABLES list the same names\n");
}

/// The words of the project: one for each idea.
const GLOSSARY: [&str; 34] = [
    "org",
    "member",
    "role",
    "product tag",
    "tier",
    "pack",
    "add-on",
    "subscription",
    "contract",
    "entitlement",
    "source",
    "block",
    "credit",
    "grant",
    "hold",
    "captured",
    "released",
    "expired",
    "meter",
    "rate card",
    "run",
    "allowance",
    "overage",
    "cap",
    "limit",
    "decision",
    "caller",
    "inbox",
    "finding",
    "ledger",
    "wallet",
    "gate",
    "notice",
    "simulator",
];

#[test]
fn the_front_door_explains_the_words_we_use() {
    let readme = source::file("README.md");
    let explained = |word: &str| {
        let bold = format!("**{word}**");
        readme.text.lines().any(|line| line.starts_with('|') && line.contains(&bold))
    };
    let missing = GLOSSARY.into_iter().filter(|word| !explained(word));
    none("The glossary of README.md lacks a row with these words in bold:", missing.collect());
}

#[test]
fn the_front_door_names_only_files_that_exist() {
    let readme = source::file("README.md");
    let root = source::root();
    let mut lost = Vec::new();
    for (index, line) in readme.text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        let linked = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for name in quoted.chain(linked).filter(|name| is_file_name(name)) {
            if !root.join(name).exists() {
                lost.push(format!("{} {name}", readme.at(index + 1)));
            }
        }
    }
    none("README.md names what is not there:", lost);
}

/// `server/src/gate/mod.rs` or `migrations/`, but not a URL path or a pattern.
fn is_file_name(text: &str) -> bool {
    let folders = ["app/", "server/", "simulator/", "migrations/", "style/", "tests/", "xtask/"];
    let inside = folders.iter().any(|folder| text.starts_with(folder)) || text.starts_with("docs/");
    let ending = [".rs", ".toml", ".md", ".sql", ".css", ".png"].iter().any(|e| text.ends_with(e));
    let plain = !text.contains(['*', ' ', '<', ':', '…', '{']) && !text.starts_with('/');
    plain && (inside || ending)
}

/// What speaks of a machine or of how the text came about instead of the project. In two parts, so
/// that the list does not find itself.
const FOREIGN: [[&str; 2]; 13] = [
    ["/wo", "rk/"],
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["session", " ended"],
    ["this ses", "sion "],
    ["previous ses", "sion"],
    ["DESIGN", ".md"],
    ["STYLE", ".md"],
    ["SCENARIOS", ".md"],
    ["STRIPE", ".md"],
    ["TOOLCHAIN", ".md"],
    ["the shared", " folder"],
    ["as an A", "I"],
];

#[test]
fn the_repository_speaks_of_itself_alone() {
    let endings = [
        ".rs", ".toml", ".md", ".sql", ".css", ".js", ".html", ".txt", ".svg", ".example", ".yml",
        "/run", ".sh",
    ];
    let mut offences = Vec::new();
    for file in source::files("", &endings) {
        for (index, line) in file.text.lines().enumerate() {
            let mut found: Vec<String> = FOREIGN.map(|parts| parts.concat()).into_iter().collect();
            if !file.path.starts_with(".ci/") {
                found.push(["/t", "mp/"].concat());
            }
            found.retain(|text| line.contains(text.as_str()));
            if names_issue(line) {
                found.push("the number of an issue".to_owned());
            }
            for text in found {
                offences.push(format!("{} {text}", file.at(index + 1)));
            }
        }
    }
    none("Say what is so, not where or when it was written:", offences);
}

/// "issue", then a number, with or without a sign before it.
fn names_issue(line: &str) -> bool {
    let lower = line.to_lowercase();
    let mut after = lower.split("issue ").skip(1);
    after.any(|rest| {
        let rest = rest.trim_start_matches('#');
        rest.starts_with(|c: char| c.is_ascii_digit())
    })
}
