//! Says where a JSON value differs from its schema: types, nullability, required fields, words.
//!
//! It knows the part of JSON schema that the description uses. Fields the schema does not have are
//! no mistake, since the served version has more of them; a few that only the real answers and the
//! SDKs have are demanded on top.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Spec, properties};

/// One difference: where it is, and what is wrong there.
pub type Mistake = (String, String);

/// More than this in one value are not listed.
const MOST: usize = 20;

/// What strict clients demand of an object beyond the description.
const DEMANDED: [(&str, &[&str]); 4] = [
    ("subscription_item", &["plan", "price", "metadata"]),
    ("product", &["type", "metadata"]),
    (
        "payment_intent",
        &[
            "amount_capturable",
            "amount_received",
            "capture_method",
            "confirmation_method",
            "metadata",
            "payment_method_types",
        ],
    ),
    ("event", &["api_version", "request"]),
];

/// Every difference between a value and its schema.
pub fn validate(spec: &Spec, schema: &Value, value: &Value) -> Vec<Mistake> {
    let mut found = Vec::new();
    check(spec, schema, value, "$", &mut found);
    found.truncate(MOST);
    found
}

/// Every difference between an object and the schema of its own kind.
pub fn validate_object(spec: &Spec, value: &Value) -> Vec<Mistake> {
    let kind = value["object"].as_str().unwrap_or("");
    let deleted = value["deleted"] == true;
    let name = if deleted { format!("deleted_{kind}") } else { kind.to_owned() };
    let schema = spec.schema(&name);
    if schema.is_object() {
        return validate(spec, schema, value);
    }
    vec![("$".to_owned(), format!("there is no schema for '{name}'"))]
}

fn note(found: &mut Vec<Mistake>, path: &str, message: impl Into<String>) {
    found.push((path.to_owned(), message.into()));
}

fn check(spec: &Spec, schema: &Value, value: &Value, path: &str, found: &mut Vec<Mistake>) {
    if found.len() > MOST {
        return;
    }
    let may_be_null = schema["nullable"] == true;
    let schema = spec.resolve(schema);
    if value.is_null() {
        if !may_be_null && schema["nullable"] != true && takes_something(schema) {
            note(found, path, "is null");
        }
        return;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(spec, part, value, path, found);
    }
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    if let Some(branches) = alternatives.and_then(Value::as_array) {
        any(spec, branches, value, path, found);
        return;
    }
    match schema["type"].as_str() {
        Some("object") => object(spec, schema, value, path, found),
        Some("array") => match value.as_array() {
            Some(list) => list.iter().enumerate().for_each(|(index, item)| {
                check(spec, &schema["items"], item, &format!("{path}[{index}]"), found);
            }),
            None => note(found, path, "is no array"),
        },
        Some("string") => text(schema, value, path, found),
        Some("integer") if !value.is_i64() && !value.is_u64() => note(found, path, "is no integer"),
        Some("number") if !value.is_number() => note(found, path, "is no number"),
        Some("boolean") if !value.is_boolean() => note(found, path, "is no boolean"),
        _ => {}
    }
}

/// Whether a schema says anything at all; an empty one takes null as well.
fn takes_something(schema: &Value) -> bool {
    schema.get("type").is_some() || schema.get("anyOf").is_some() || schema.get("enum").is_some()
}

/// One alternative must fit. What is said of a value that fits none is said of the alternative it
/// was meant for.
fn any(spec: &Spec, branches: &[Value], value: &Value, path: &str, found: &mut Vec<Mistake>) {
    let kind = value.get("object").and_then(Value::as_str);
    let deleted = value.get("deleted") == Some(&Value::Bool(true));
    let named = branches.iter().find(|branch| {
        let known = spec.resolve(branch);
        let gone = known["properties"].get("deleted").is_some();
        kind.is_some()
            && known["properties"]["object"]["enum"][0].as_str() == kind
            && gone == deleted
    });
    if let Some(branch) = named {
        return check(spec, branch, value, path, found);
    }
    let mut closest: Option<Vec<Mistake>> = None;
    for branch in branches {
        let mut mistakes = Vec::new();
        check(spec, branch, value, path, &mut mistakes);
        if mistakes.is_empty() {
            return;
        }
        if closest.as_ref().is_none_or(|known| mistakes.len() < known.len()) {
            closest = Some(mistakes);
        }
    }
    match closest {
        Some(mistakes) if branches.len() == 1 => found.extend(mistakes),
        Some(mistakes) => {
            let (at, message) = mistakes.into_iter().next().unwrap_or_default();
            note(found, &at, format!("fits no alternative: {message}"));
        }
        None => {}
    }
}

fn object(spec: &Spec, schema: &Value, value: &Value, path: &str, found: &mut Vec<Mistake>) {
    let Some(map) = value.as_object() else {
        return note(found, path, "is no object");
    };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let kind = map.get("object").and_then(Value::as_str).filter(|_| !map.contains_key("deleted"));
    let demanded = DEMANDED.iter().filter(|(name, _)| Some(*name) == kind);
    let more = demanded.flat_map(|(_, names)| names.iter().copied());
    let needed: BTreeSet<&str> = required.chain(more).collect();
    for name in needed {
        if !map.contains_key(name) {
            note(found, &format!("{path}.{name}"), "is missing");
        }
    }
    let empty = Map::new();
    let known = properties(schema).unwrap_or(&empty);
    let extra = schema.get("additionalProperties").filter(|extra| extra.is_object());
    for (name, member) in map {
        if let Some(property) = known.get(name).or(extra) {
            check(spec, property, member, &format!("{path}.{name}"), found);
        }
    }
}

fn text(schema: &Value, value: &Value, path: &str, found: &mut Vec<Mistake>) {
    let Some(text) = value.as_str() else {
        return note(found, path, "is no text");
    };
    let open = schema["x-stripeBypassValidation"] == true;
    if let Some(words) = schema["enum"].as_array().filter(|_| !open)
        && !words.iter().any(|word| word == text)
    {
        note(found, path, format!("'{text}' is none of the words known there"));
    }
    let longest = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
    if text.chars().count() as u64 > longest {
        note(found, path, format!("is longer than {longest} characters"));
    }
    // The description's patterns are all of one form: how the text begins.
    let start = schema["pattern"].as_str().and_then(|pattern| pattern.strip_prefix('^'));
    let plain = start
        .filter(|start| start.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_".contains(&b)));
    if plain.is_some_and(|start| !text.starts_with(start)) {
        note(found, path, format!("does not begin with {}", plain.unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{complete, spec};
    use super::*;
    use serde_json::json;

    fn product() -> Value {
        complete(spec(), "product", json!({"id": "prod_1", "name": "Pro", "url": null}))
    }

    #[test]
    fn a_complete_object_has_no_mistakes() {
        assert_eq!(validate_object(spec(), &product()), []);
        let gone = json!({"id": "cus_1", "object": "customer", "deleted": true});
        assert_eq!(validate_object(spec(), &gone), []);
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        let table = [
            ("name", json!(null), "$.name", "is null"),
            ("name", json!(5), "$.name", "is no text"),
            ("active", json!("yes"), "$.active", "is no boolean"),
            ("images", json!({}), "$.images", "is no array"),
            ("metadata", json!({"a": 1}), "$.metadata.a", "is no text"),
            ("type", json!("toy"), "$.type", "'toy' is none of the words known there"),
            ("created", json!("1"), "$.created", "is no integer"),
        ];
        for (field, value, path, message) in table {
            let mut wrong = product();
            wrong[field] = value;
            let found = validate_object(spec(), &wrong);
            assert_eq!(found, [(path.to_owned(), message.to_owned())], "{field}");
        }
        let mut without = product();
        without.as_object_mut().expect("an object").shift_remove("type");
        assert_eq!(validate_object(spec(), &without)[0].1, "is missing");
        let unknown = json!({"object": "teapot"});
        assert_eq!(validate_object(spec(), &unknown)[0].1, "there is no schema for 'teapot'");
    }

    #[test]
    fn lists_and_alternatives_are_looked_into() {
        let schema = spec().response("/v1/products", "GET", 200);
        let mut broken = product();
        broken["livemode"] = json!("no");
        let list = json!({"object": "list", "url": "/v1/products", "has_more": false,
                          "data": [product(), broken]});
        let found = validate(spec(), schema, &list);
        assert_eq!(found, [("$.data[1].livemode".to_owned(), "is no boolean".to_owned())]);
        let mut price = complete(spec(), "price", json!({"id": "price_1", "currency": "usd"}));
        price["product"] = json!({"id": "prod_1", "object": "product"});
        let found = validate_object(spec(), &price);
        assert!(found.iter().any(|(path, _)| path == "$.product.name"), "{found:?}");
    }
}
