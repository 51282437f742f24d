//! The judge: holds every answer and every event against the vendored description.
//!
//! In debug builds it is on from the start; elsewhere it is switched on. It keeps one example of
//! each distinct answer and event, and everything that was wrong. It changes nothing it looks at.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::spec::{spec, validate, validate_object};

/// How many examples of one kind of answer are kept.
const EXAMPLES: usize = 12;
/// How many mistakes are kept.
const MISTAKES: usize = 500;

/// Looks at everything the simulator says.
pub struct Judge {
    on: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    checked: u64,
    seen: HashSet<u64>,
    wrong: BTreeSet<(String, String, String)>,
    examples: BTreeMap<String, BTreeMap<u64, Value>>,
}

impl Default for Judge {
    fn default() -> Judge {
        Judge { on: AtomicBool::new(cfg!(debug_assertions)), kept: Mutex::default() }
    }
}

impl Judge {
    /// Switches the judge on or off.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Looks at an answer of an endpoint.
    pub fn answer(&self, method: &str, pattern: &str, status: u16, body: &Value) {
        let what = format!("{method} {pattern} {status}");
        self.look(&what, body, |body| {
            let schema = spec().response(pattern, method, status);
            let found = validate(spec(), schema, body);
            match schema.is_object() {
                true => found,
                false => vec![("$".to_owned(), "no answer is described".to_owned())],
            }
        });
    }

    /// Looks at an event: its envelope and the object inside.
    pub fn event(&self, event: &Value) {
        let what = format!("event {}", event["type"].as_str().unwrap_or(""));
        self.look(&what, event, |event| {
            let mut found = validate_object(spec(), event);
            let inside = validate_object(spec(), &event["data"]["object"]);
            let at = |path: String| path.replacen('$', "$.data.object", 1);
            found.extend(inside.into_iter().map(|(path, message)| (at(path), message)));
            found
        });
    }

    fn look(&self, what: &str, body: &Value, check: impl Fn(&Value) -> Vec<(String, String)>) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let content = hash_of(&(what, body.to_string()));
        let form = shape(body);
        let known = self.with(|kept| {
            kept.checked += 1;
            !kept.seen.insert(content)
        });
        if known {
            return;
        }
        let found = check(body);
        self.with(|kept| {
            let examples = kept.examples.entry(what.to_owned()).or_default();
            if examples.len() < EXAMPLES {
                examples.entry(form).or_insert_with(|| body.clone());
            }
            for (path, message) in found {
                if kept.wrong.len() < MISTAKES {
                    kept.wrong.insert((what.to_owned(), path, message));
                }
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How much was looked at, which kinds, and what was wrong.
    pub fn verdict(&self) -> Value {
        self.with(|kept| {
            let wrong: Vec<Value> = kept
                .wrong
                .iter()
                .map(
                    |(what, path, message)| json!({"what": what, "path": path, "message": message}),
                )
                .collect();
            let kinds: Vec<&String> = kept.examples.keys().collect();
            json!({"on": self.on.load(Ordering::Relaxed), "checked": kept.checked,
                   "wrong": wrong, "kinds": kinds})
        })
    }

    /// One example of each distinct answer and event, by what it is.
    pub fn recorded(&self) -> Value {
        self.with(|kept| {
            let all = kept.examples.iter().map(|(what, examples)| {
                let bodies: Vec<&Value> = examples.values().collect();
                (what.clone(), json!(bodies))
            });
            Value::Object(all.collect())
        })
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What a body is like: its fields, their types, and the words that say which state it is in.
fn shape(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    feel(value, "", &mut hasher);
    hasher.finish()
}

fn feel(value: &Value, name: &str, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(map) => {
            // Metadata has names of somebody's choosing, which make no other kind of answer.
            for (key, member) in map.iter().filter(|_| name != "metadata") {
                key.hash(hasher);
                feel(member, key, hasher);
            }
        }
        Value::Array(list) => list.first().into_iter().for_each(|item| feel(item, "", hasher)),
        Value::String(text) if matches!(name, "status" | "object" | "type" | "code") => {
            text.hash(hasher);
        }
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(_) => 1_u8.hash(hasher),
        Value::Number(_) => 2_u8.hash(hasher),
        Value::String(_) => 3_u8.hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::complete;

    #[test]
    fn what_does_not_fit_is_told_once_and_examples_are_kept_by_shape() {
        let judge = Judge::default();
        judge.switch(true);
        let good = complete(spec(), "product", json!({"id": "prod_1", "name": "Pro"}));
        judge.answer("GET", "/v1/products/{id}", 200, &good);
        let mut other = good.clone();
        other["id"] = json!("prod_2");
        judge.answer("GET", "/v1/products/{id}", 200, &other);
        assert_eq!(judge.verdict()["wrong"], json!([]));
        let kept = &judge.recorded()["GET /v1/products/{id} 200"];
        assert_eq!(kept.as_array().map(Vec::len), Some(1), "one shape");
        other["name"] = Value::Null;
        judge.answer("GET", "/v1/products/{id}", 200, &other);
        judge.answer("GET", "/v1/products/{id}", 200, &other);
        let verdict = judge.verdict();
        assert_eq!(verdict["checked"], 4);
        assert_eq!(verdict["wrong"].as_array().map(Vec::len), Some(1));
        assert_eq!(verdict["wrong"][0]["path"], "$.name");
        judge.switch(false);
        judge.answer("GET", "/v1/products/{id}", 200, &json!({}));
        assert_eq!(judge.verdict()["checked"], 4);
    }
}
