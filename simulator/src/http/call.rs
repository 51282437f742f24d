//! One endpoint's view of its request: the world, the ids from the path, the typed parameters.

use serde_json::{Map, Value};

use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// A request on its way through an endpoint.
pub struct Call<'a> {
    /// The account.
    pub world: &'a mut World,
    /// The ids in the path, in order.
    pub ids: Vec<String>,
    /// The typed parameters.
    pub params: Value,
}

impl Call<'_> {
    /// The first id in the path.
    pub fn id(&self) -> &str {
        self.ids.first().map(String::as_str).unwrap_or("")
    }

    /// The parameter's text, when it was given and is not empty.
    pub fn opt(&self, path: &str) -> Option<String> {
        self.params.opt_text(path).map(str::to_owned)
    }

    /// Whether the parameter was sent at all, even empty.
    pub fn given(&self, path: &str) -> bool {
        !self.params.at(path).is_null()
    }

    /// The parameter's text, or the error that it is missing.
    pub fn need(&self, path: &str) -> Answer<String> {
        self.opt(path).ok_or_else(|| {
            let message = format!("Missing required param: {path}.");
            ApiError::param("parameter_missing", path, message)
        })
    }

    /// Copies parameters into an object as they are; an empty text clears the field.
    pub fn copy(&self, into: &mut Value, names: &[&str]) {
        for name in names {
            let value = self.params.at(name);
            if value.is_null() {
                continue;
            }
            let empty = value.as_str().is_some_and(str::is_empty);
            into[*name] = if empty { Value::Null } else { value.clone() };
        }
    }

    /// The object's metadata after this request: keys are added, empty ones removed.
    pub fn metadata(&self, before: &Value) -> Answer {
        merged_metadata(before, self.params.at("metadata"))
    }
}

/// Metadata after a change: keys are added, those set to nothing removed, nothing clears all.
pub fn merged_metadata(before: &Value, given: &Value) -> Answer {
    let mut merged = before.as_object().cloned().unwrap_or_default();
    match given {
        Value::Object(map) => merge(&mut merged, map)?,
        Value::String(_) => merged.clear(),
        _ => {}
    }
    if merged.len() > 50 {
        let message = "Metadata can have up to 50 keys.";
        return Err(ApiError::invalid(message).with("param", "metadata"));
    }
    Ok(Value::Object(merged))
}

fn merge(into: &mut Map<String, Value>, given: &Map<String, Value>) -> Answer<()> {
    for (key, value) in given {
        let text = value.as_str().unwrap_or("");
        if key.chars().count() > 40 || text.chars().count() > 500 {
            let message = format!(
                "Metadata keys can have up to 40 characters and values up to 500; '{key}' does not \
                 fit."
            );
            return Err(ApiError::invalid(message).with("param", format!("metadata[{key}]")));
        }
        if text.is_empty() {
            into.shift_remove(key);
        } else {
            into.insert(key.clone(), value.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_merges_removes_and_clears() {
        let before = json!({"a": "1", "b": "2"});
        let merged = merged_metadata(&before, &json!({"a": "", "c.d": "3"})).expect("fits");
        assert_eq!(merged, json!({"b": "2", "c.d": "3"}));
        assert_eq!(merged_metadata(&before, &json!("")).expect("fits"), json!({}));
        assert_eq!(merged_metadata(&before, &Value::Null).expect("fits"), before);
        let long = "x".repeat(501);
        assert!(merged_metadata(&before, &json!({"k": long})).is_err());
    }
}
