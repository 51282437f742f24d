//! Small reading and writing helpers over `serde_json::Value`.
//!
//! The simulator keeps Stripe's objects as JSON, because the wire form is what it must get right.
//! Paths are dotted and only ever name fixed fields: metadata keys, which may contain dots, are
//! read through the map itself. It never knows what an object means.

use serde_json::{Map, Value};

static NULL: Value = Value::Null;

/// Reading and writing fields by dotted path.
pub trait Json {
    /// The value at the path, or null.
    fn at(&self, path: &str) -> &Value;
    /// The text at the path, or the empty string.
    fn text(&self, path: &str) -> &str;
    /// The text at the path, when there is any.
    fn opt_text(&self, path: &str) -> Option<&str>;
    /// The integer at the path, or zero.
    fn int(&self, path: &str) -> i64;
    /// The integer at the path, when there is one.
    fn opt_int(&self, path: &str) -> Option<i64>;
    /// Whether the value at the path is true.
    fn flag(&self, path: &str) -> bool;
    /// The array at the path, or nothing.
    fn list(&self, path: &str) -> &[Value];
    /// Writes the value at the path, making objects on the way.
    fn put(&mut self, path: &str, value: impl Into<Value>);
}

impl Json for Value {
    fn at(&self, path: &str) -> &Value {
        let mut here = self;
        for key in path.split('.') {
            let next = match here {
                Value::Object(map) => map.get(key),
                Value::Array(list) => key.parse::<usize>().ok().and_then(|n| list.get(n)),
                _ => None,
            };
            match next {
                Some(value) => here = value,
                None => return &NULL,
            }
        }
        here
    }

    fn text(&self, path: &str) -> &str {
        self.at(path).as_str().unwrap_or("")
    }

    fn opt_text(&self, path: &str) -> Option<&str> {
        self.at(path).as_str().filter(|text| !text.is_empty())
    }

    fn int(&self, path: &str) -> i64 {
        self.at(path).as_i64().unwrap_or(0)
    }

    fn opt_int(&self, path: &str) -> Option<i64> {
        self.at(path).as_i64()
    }

    fn flag(&self, path: &str) -> bool {
        self.at(path).as_bool().unwrap_or(false)
    }

    fn list(&self, path: &str) -> &[Value] {
        self.at(path).as_array().map(Vec::as_slice).unwrap_or(&[])
    }

    fn put(&mut self, path: &str, value: impl Into<Value>) {
        let mut here = self;
        for key in path.split('.') {
            here = step(here, key);
        }
        *here = value.into();
    }
}

/// One step of a writing path: into an array by number, otherwise into an object.
fn step<'a>(here: &'a mut Value, key: &str) -> &'a mut Value {
    let number = key.parse::<usize>().ok();
    let into_list = matches!((&*here, number), (Value::Array(list), Some(n)) if n < list.len());
    if into_list {
        return &mut here[number.unwrap_or(0)];
    }
    if !here.is_object() {
        *here = Value::Object(Map::new());
    }
    &mut here[key]
}

/// What `previous_attributes` of an event holds: the old values of exactly the changed keys.
pub fn difference(old: &Value, new: &Value) -> Value {
    let mut changed = Map::new();
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else {
        return old.clone();
    };
    for (key, value) in after {
        match before.get(key) {
            Some(earlier) if earlier == value => {}
            Some(earlier) if earlier.is_object() && value.is_object() => {
                changed.insert(key.clone(), difference(earlier, value));
            }
            Some(earlier) => {
                changed.insert(key.clone(), earlier.clone());
            }
            None => {
                changed.insert(key.clone(), Value::Null);
            }
        }
    }
    for (key, value) in before {
        if !after.contains_key(key) {
            changed.insert(key.clone(), value.clone());
        }
    }
    Value::Object(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_read_and_write() {
        let mut value = json!({"a": {"b": [1, {"c": "x"}]}});
        assert_eq!(value.text("a.b.1.c"), "x");
        assert_eq!(value.int("a.b.0"), 1);
        assert!(value.at("a.z.q").is_null());
        value.put("a.b.1.c", "y");
        value.put("n.m", 3);
        assert_eq!(value, json!({"a": {"b": [1, {"c": "y"}]}, "n": {"m": 3}}));
    }

    #[test]
    fn difference_holds_exactly_the_changed_keys() {
        let old = json!({"a": 1, "m": {"x": "1", "gone": "z"}, "same": [1]});
        let new = json!({"a": 2, "m": {"x": "1", "new": "n"}, "same": [1]});
        let expected = json!({"a": 1, "m": {"new": null, "gone": "z"}});
        assert_eq!(difference(&old, &new), expected);
    }
}
