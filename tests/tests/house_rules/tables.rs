//! One writer per table, and SQL that both engines read alike.

use std::collections::{BTreeMap, BTreeSet};

use super::rooms::room_of;
use super::source::{self, Word, none};

#[test]
fn every_table_is_owned_by_one_room_that_says_so() {
    let owners = owners();
    let tables = tables();
    let mut offences = Vec::new();
    for (table, place) in &tables {
        let rooms = owners.get(table).cloned().unwrap_or_default();
        match rooms.len() {
            0 => offences.push(format!(
                "{place} {table} has no owner: name it in a room's header, Owns `{table}`."
            )),
            1 => {}
            _ => offences.push(format!("{place} {table} is owned by {rooms:?}: choose one")),
        }
    }
    for (table, rooms) in &owners {
        if !tables.contains_key(table) {
            offences.push(format!("{rooms:?} owns `{table}`, which no migration makes"));
        }
    }
    none("Each table belongs to one room:", offences);
}

#[test]
fn only_its_owner_writes_a_table() {
    let owners = owners();
    let mut written: BTreeSet<String> = BTreeSet::new();
    let mut offences = Vec::new();
    for file in source::files("server/src", &[".rs"]) {
        let Some(room) = room_of(&file.path) else { continue };
        for (line, table) in writes(&source::program(&file)) {
            if table.starts_with('{') {
                if room != "db" {
                    let place = file.at(line);
                    offences.push(format!("{place} name the table in the text of the statement"));
                }
                continue;
            }
            written.insert(table.clone());
            if owners.get(&table).is_some_and(|rooms| rooms.contains(room)) {
                continue;
            }
            offences.push(format!("{} {room} writes {table}: call its owner", file.at(line)));
        }
    }
    for (table, place) in tables() {
        if !written.contains(&table) {
            offences.push(format!("{place} nobody writes {table}: remove it"));
        }
    }
    none("A table is written by its owner and by nobody else:", offences);
}

#[test]
fn every_table_is_explained_above_its_first_line() {
    let mut offences = Vec::new();
    for file in source::files("migrations", &[".sql"]) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let above = index.checked_sub(1).and_then(|above| lines.get(above));
            let explained = above.is_some_and(|above| above.starts_with("-- "));
            if line.starts_with("create table ") && !explained {
                offences.push(format!("{} {line}", file.at(index + 1)));
            }
        }
    }
    none("Say above each table what one of its rows is:", offences);
}

/// Words that only one engine knows, or that take the time or chance from the database.
const DIALECT: [&str; 31] = [
    "now",
    "current_timestamp",
    "datetime",
    "strftime",
    "unixepoch",
    "to_timestamp",
    "timestamp",
    "timestamptz",
    "interval",
    "date_trunc",
    "autoincrement",
    "serial",
    "bigserial",
    "json",
    "jsonb",
    "json_extract",
    "json_each",
    "integer",
    "int",
    "real",
    "double",
    "numeric",
    "varchar",
    "uuid",
    "ilike",
    "glob",
    "pragma",
    "rowid",
    "random",
    "greatest",
    "least",
];

/// Keywords, to find those written in capitals.
const KEYWORDS: [&str; 20] = [
    "SELECT", "INSERT", "INTO", "UPDATE", "DELETE", "FROM", "WHERE", "SET", "VALUES", "AND", "OR",
    "ORDER", "BY", "LIMIT", "JOIN", "ON", "CONFLICT", "NULL", "CREATE", "TABLE",
];

#[test]
fn sql_is_one_lowercase_text_for_both_engines() {
    let tables = tables();
    let mut offences = Vec::new();
    for file in source::files("server/src", &[".rs"]) {
        if room_of(&file.path) == Some("db") {
            continue;
        }
        for placed in source::words(&file) {
            if let Word::Text(text) = placed.word
                && is_sql(&text, &tables)
            {
                faults(&text, &file.at(placed.line), &mut offences);
            }
        }
    }
    for file in source::files("migrations", &[".sql"]) {
        for (index, line) in file.text.lines().enumerate() {
            let statement = line.split("--").next().unwrap_or_default();
            faults(statement, &file.at(index + 1), &mut offences);
        }
    }
    none(
        "SQL is lowercase, its values are $1, $2, … and its words are known to SQLite and Postgres \
         alike; time and chance come in as values:",
        offences,
    );
}

fn is_sql(text: &str, tables: &BTreeMap<String, String>) -> bool {
    let lower = text.to_lowercase();
    let mut names = words_of(&lower);
    let verb = names.next().unwrap_or_default();
    ["select", "insert", "update", "delete", "with"].contains(&verb.as_str())
        && names.any(|name| tables.contains_key(&name))
}

fn faults(text: &str, place: &str, offences: &mut Vec<String>) {
    let plain = without_quoted(text);
    for word in plain.split(|c: char| !c.is_alphanumeric() && c != '_') {
        if KEYWORDS.contains(&word) {
            offences.push(format!("{place} {word}: write it in lowercase"));
        }
        if DIALECT.contains(&word.to_lowercase().as_str()) {
            offences.push(format!("{place} {word}: not a word of both engines"));
        }
    }
    for sign in ["::", "->", "?"] {
        if plain.contains(sign) {
            offences.push(format!("{place} {sign}: not a sign of both engines"));
        }
    }
    if plain.contains("for update") {
        let instead = "say Dialect::for_update, which SQLite leaves out";
        offences.push(format!("{place} for update: {instead}"));
    }
}

/// The statement without its quoted texts.
fn without_quoted(text: &str) -> String {
    text.split('\'').step_by(2).collect::<Vec<_>>().join(" ")
}

/// The tables that the migrations make, and where.
pub fn tables() -> BTreeMap<String, String> {
    let mut tables = BTreeMap::new();
    for file in source::files("migrations", &[".sql"]) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(rest) = line.strip_prefix("create table ") {
                // A table that takes the place of another is made beside it and renamed.
                let name = rest.split([' ', '(']).next().unwrap_or_default();
                let name = name.strip_prefix("new_").unwrap_or(name);
                tables.insert(name.to_owned(), file.at(index + 1));
            }
        }
    }
    assert!(!tables.is_empty(), "no migration makes a table");
    tables
}

/// Which rooms say in their headers that they own a table.
fn owners() -> BTreeMap<String, BTreeSet<String>> {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in source::files("server/src", &[".rs"]) {
        let Some(room) = room_of(&file.path) else { continue };
        for table in owned(&file.header()) {
            owners.entry(table).or_default().insert(room.to_owned());
        }
    }
    owners
}

/// The names in backticks between `Owns` and the end of its sentence. A name in brackets is a
/// link to code, not a table.
fn owned(header: &str) -> Vec<String> {
    let mut tables = Vec::new();
    for sentence in header.split("Owns ").skip(1) {
        let sentence = sentence.split(['.', ';', ':']).next().unwrap_or_default();
        let parts: Vec<&str> = sentence.split('`').collect();
        for pair in parts.chunks(2) {
            if let [before, name] = pair
                && !before.ends_with('[')
            {
                tables.push((*name).to_owned());
            }
        }
    }
    tables
}

/// The tables that this code writes, with their lines.
fn writes(words: &[source::Placed]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, placed) in words.iter().enumerate() {
        let Word::Text(text) = &placed.word else { continue };
        let names_table =
            index >= 2 && words[index - 1].word.sign(':') && words[index - 2].word.is("table");
        if names_table {
            found.push((placed.line, text.clone()));
        }
        found.extend(written_by(text).into_iter().map(|table| (placed.line, table)));
    }
    found
}

fn written_by(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words: Vec<String> = words_of(&lower).collect();
    let mut tables = Vec::new();
    for window in words.windows(3) {
        let [first, second, third] = window else { continue };
        match (first.as_str(), second.as_str()) {
            ("insert", "into") | ("delete", "from") => tables.push(third.clone()),
            ("update", table) if third == "set" => tables.push(table.to_owned()),
            _ => {}
        }
    }
    tables
}

fn words_of(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|c: char| !(c.is_alphanumeric() || "_{}".contains(c)));
    parts.filter(|part| !part.is_empty()).map(str::to_owned)
}

#[test]
fn the_reader_of_statements_sees_every_kind_of_write() {
    let cases = [
        ("insert into jobs (id) values ($1) on conflict do nothing", vec!["jobs"]),
        ("update orgs set name = $1", vec!["orgs"]),
        ("insert into a (x) values (1) on conflict (x) do update set x = 2", vec!["a"]),
        ("delete from sessions", vec!["sessions"]),
        ("delete from sessions where id = $1", vec!["sessions"]),
        ("select id from users", vec![]),
    ];
    for (text, tables) in cases {
        assert_eq!(written_by(text), tables, "{text}");
    }
    assert_eq!(owned("Jobs. Owns `jobs` and `runs` (in [`inbox`]). Never `x`."), ["jobs", "runs"]);
}
