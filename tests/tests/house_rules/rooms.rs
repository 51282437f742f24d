//! Calls go down only: between the rooms of the engine as the table says, and between the crates.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{self, Placed, Word, none};
use super::table::{FOUNDATIONS, LAYERS, Room};

#[test]
fn the_table_has_the_rooms_of_the_engine_in_its_order() {
    let groups = groups_of_lib();
    let mut listed = vec![FOUNDATIONS.into_iter().collect::<BTreeSet<_>>()];
    listed.extend(LAYERS.iter().map(|layer| layer.iter().map(|room| room.name).collect()));
    let mut offences = Vec::new();
    for index in 0..groups.len().max(listed.len()) {
        let none_here = BTreeSet::new();
        let declared: BTreeSet<&str> =
            groups.get(index).into_iter().flatten().map(String::as_str).collect();
        let tabled = listed.get(index).unwrap_or(&none_here);
        for name in declared.symmetric_difference(tabled) {
            let place = if declared.contains(name) { "the table" } else { "server/src/lib.rs" };
            offences.push(format!("{name} is missing from group {index} of {place}"));
        }
    }
    none("The table of rooms has the groups of server/src/lib.rs, in the same order:", offences);
}

/// The modules of the engine, in the groups that empty lines make.
fn groups_of_lib() -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = vec![Vec::new()];
    for line in source::file("server/src/lib.rs").text.lines() {
        if let Some(name) = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")) {
            let name = name.trim_end_matches(';').to_owned();
            groups.last_mut().expect("never empty").push(name);
        } else if line.is_empty() {
            groups.push(Vec::new());
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

#[test]
fn the_table_points_down() {
    let order: Vec<&str> = rooms().map(|room| room.name).collect();
    let place = |name: &str| order.iter().position(|known| *known == name);
    let mut offences = Vec::new();
    for room in rooms() {
        for called in room.calls {
            match place(called) {
                None => offences.push(format!("{} calls {called}, which is no room", room.name)),
                Some(at) if Some(at) >= place(room.name) => {
                    offences.push(format!("{} calls {called} below it: say why, in up", room.name))
                }
                Some(_) => {}
            }
        }
        for (called, reason) in room.up {
            let below = place(called).is_some_and(|at| Some(at) > place(room.name));
            if !below || reason.len() < 20 {
                offences.push(format!("{}: {called} needs no exception, or a reason", room.name));
            }
        }
    }
    none("A room calls those above it in the table:", offences);
}

#[test]
fn rooms_call_only_those_the_table_allows() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = rooms()
        .map(|room| {
            let up = room.up.iter().map(|(name, _)| *name);
            (room.name, room.calls.iter().copied().chain(up).collect())
        })
        .collect();
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    let mut offences = Vec::new();
    for file in source::files("server/src", &[".rs"]) {
        let Some(room) = room_of(&file.path) else { continue };
        for (line, called) in named_rooms(&source::program(&file)) {
            if called == room || FOUNDATIONS.contains(&called.as_str()) {
                continue;
            }
            used.insert((room.to_owned(), called.clone()));
            if !allowed.get(room).is_some_and(|known| known.contains(called.as_str())) {
                offences.push(format!("{} {room} calls {called}", file.at(line)));
            }
        }
    }
    for (room, calls) in &allowed {
        for called in calls {
            if !used.contains(&((*room).to_owned(), (*called).to_owned())) {
                offences.push(format!("{room} never calls {called}: take it from the table"));
            }
        }
    }
    none(
        "Calls go down only, as tests/tests/house_rules/table.rs says. Move the function to the \
         room that owns the noun, or change the table and say why:",
        offences,
    );
}

fn rooms() -> impl Iterator<Item = &'static Room> {
    LAYERS.iter().flat_map(|layer| layer.iter())
}

/// The room that a file of the engine belongs to.
pub fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("server/src/")?;
    let name = inside.split('/').next()?.trim_end_matches(".rs");
    (name != "lib").then_some(name)
}

/// What follows `crate::`, one name or several in braces.
fn named_rooms(words: &[Placed]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for index in 0..words.len().saturating_sub(3) {
        let path = words[index].word.is("crate")
            && words[index + 1].word.sign(':')
            && words[index + 2].word.sign(':');
        if !path {
            continue;
        }
        let next = &words[index + 3];
        match &next.word {
            Word::Name(name) => found.push((next.line, name.clone())),
            Word::Sign('{') => found.extend(first_names(&words[index + 4..])),
            _ => {}
        }
    }
    found
}

/// The first name of each part of `{a, b::c, d::{e, f}}`, whose opening brace was read already.
fn first_names(words: &[Placed]) -> Vec<(usize, String)> {
    let (mut found, mut depth, mut begins) = (Vec::new(), 1usize, true);
    for placed in words {
        match &placed.word {
            Word::Sign('{') => depth += 1,
            Word::Sign('}') if depth == 1 => break,
            Word::Sign('}') => depth -= 1,
            Word::Sign(',') if depth == 1 => begins = true,
            Word::Name(name) if begins => {
                found.push((placed.line, name.clone()));
                begins = false;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn a_room_is_named_from_the_root() {
    let mut offences = Vec::new();
    for file in source::files("server/src", &[".rs"]) {
        let inside = file.path.trim_start_matches("server/src/").trim_end_matches("/mod.rs");
        let depth = inside.split('/').count();
        let words = source::program(&file);
        let mut climbed = 0;
        for (index, placed) in words.iter().enumerate() {
            let follows = index >= 2 && words[index - 1].word.sign(':');
            let leads = words.get(index + 1).is_some_and(|next| next.word.sign(':'));
            climbed = match placed.word.is("super") && leads {
                true if follows => climbed + 1,
                true => 1,
                false if placed.word.sign(':') => climbed,
                false => 0,
            };
            if climbed >= depth {
                offences.push(format!("{} say crate::…, not super::…", file.at(placed.line)));
                climbed = 0;
            }
        }
    }
    none("Another room is named from the crate's root, so that one can search for it:", offences);
}

/// Which crates a crate must not depend on, and why. What is no dependency cannot be named.
const WALLS: [(&str, &[&str], &str); 5] = [
    ("client", &["server", "app", "simulator", "leptos"], "it serves backends that are not ours"),
    ("server", &["app", "leptos", "leptos_axum", "simulator"], "the engine knows no page"),
    ("simulator", &["server", "app"], "it stands on the other side of HTTP, as Stripe does"),
    ("app/frontend", &["server", "simulator"], "the browser's half knows no engine"),
    ("xtask", &["server", "app", "simulator"], "it must build before anything else does"),
];

#[test]
fn the_crates_keep_their_distance() {
    let mut offences = Vec::new();
    for (folder, strangers, reason) in WALLS {
        let manifest = source::file(&format!("{folder}/Cargo.toml"));
        let table: toml::Table = manifest.text.parse().expect("a manifest");
        let needs = table.get("dependencies").and_then(toml::Value::as_table);
        for stranger in strangers {
            if needs.is_some_and(|needs| needs.contains_key(*stranger)) {
                offences.push(format!("{} needs {stranger}: {reason}", manifest.path));
            }
        }
    }
    none("Each crate has its own world:", offences);
}

/// What the driver offers for statements.
const DRIVER: [&str; 7] =
    ["query", "query_as", "query_scalar", "raw_sql", "query_with", "QueryBuilder", "Executor"];

#[test]
fn statements_go_through_the_database_room() {
    let mut offences = Vec::new();
    let server = source::files("server/src", &[".rs"]);
    let app = source::files("app/src", &[".rs"]);
    for file in server.iter().chain(&app).filter(|file| room_of(&file.path) != Some("db")) {
        for four in source::words(file).windows(4) {
            let [first, second, third, last] = four else { continue };
            let path = second.word.sign(':') && third.word.sign(':');
            if path && first.word.is("sqlx") && DRIVER.iter().any(|name| last.word.is(name)) {
                offences.push(format!("{} make it with db::sql", file.at(first.line)));
            }
        }
    }
    none("Only server/src/db hands statements to the driver:", offences);
}

#[test]
fn pages_speak_no_sql() {
    let verbs = ["select ", "insert into ", "update ", "delete from "];
    let tables = super::tables::tables();
    let mut offences = Vec::new();
    for file in source::files("app/src", &[".rs"]) {
        for placed in source::words(&file) {
            let Word::Text(text) = placed.word else { continue };
            let lower = text.to_lowercase();
            let begins = verbs.iter().any(|verb| lower.starts_with(verb));
            let mut words = lower.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if begins && words.any(|word| tables.contains_key(word)) && text == lower {
                offences.push(file.at(placed.line));
            }
        }
    }
    none("A page calls a function of the room that owns the table:", offences);
}
