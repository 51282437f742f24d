//! Fills an object with every field its schema promises, so that strict clients accept it.

use serde_json::{Map, Value, json};

use super::{Spec, properties, reference};

/// The object with id and type first, then every property of its schema: what is given, else null
/// where that is allowed, else a neutral value where the field is required.
pub fn complete(spec: &Spec, name: &str, given: Value) -> Value {
    fill(spec, spec.schema(name), given)
}

/// The alternative of an `anyOf` that an object value is meant for.
pub fn branch<'a>(spec: &'a Spec, schema: &'a Value, value: &Value) -> &'a Value {
    let Some(branches) = schema.get("anyOf").and_then(Value::as_array) else {
        return spec.resolve(schema);
    };
    let kind = value.get("object").and_then(Value::as_str);
    let mut candidates = branches.iter().filter(|b| reference(b).is_some() || is_object(b));
    let named = candidates.clone().find(|b| {
        let object = &spec.resolve(b)["properties"]["object"]["enum"][0];
        kind.is_some() && object.as_str() == kind
    });
    match named.or_else(|| candidates.next()) {
        Some(found) => spec.resolve(found),
        None => schema,
    }
}

fn is_object(schema: &Value) -> bool {
    schema["type"] == "object"
}

fn fill(spec: &Spec, schema: &Value, given: Value) -> Value {
    let schema = branch(spec, schema, &given);
    match given {
        Value::Object(map) => match properties(schema) {
            Some(known) => Value::Object(fill_object(spec, schema, known, map)),
            None => Value::Object(map),
        },
        Value::Array(list) => {
            let items = list.into_iter().map(|item| fill(spec, &schema["items"], item));
            Value::Array(items.collect())
        }
        other => other,
    }
}

fn fill_object(
    spec: &Spec,
    schema: &Value,
    known: &Map<String, Value>,
    mut given: Map<String, Value>,
) -> Map<String, Value> {
    let mut out = Map::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let first = ["id", "object"].into_iter().filter(|key| known.contains_key(*key));
    let rest = known.keys().map(String::as_str).filter(|key| *key != "id" && *key != "object");
    for key in first.chain(rest) {
        let property = &known[key];
        if let Some(value) = given.remove(key) {
            out.insert(key.to_owned(), fill(spec, property, value));
        } else if property["nullable"] == true {
            out.insert(key.to_owned(), Value::Null);
        } else if required.iter().any(|name| name == key) {
            out.insert(key.to_owned(), neutral(spec, property));
        }
    }
    out.append(&mut given);
    out
}

/// A value that says nothing, for a required field that was not given.
fn neutral(spec: &Spec, schema: &Value) -> Value {
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        return branches.first().map(|b| neutral(spec, b)).unwrap_or(Value::Null);
    }
    let schema = spec.resolve(schema);
    if let Some(choice) = schema["enum"].as_array().and_then(|all| all.first()) {
        return choice.clone();
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => json!(0),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => fill(spec, schema, json!({})),
        _ => json!(""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec;
    use super::*;

    #[test]
    fn a_product_becomes_complete() {
        let product = complete(spec(), "product", json!({"id": "prod_1", "name": "Pro"}));
        assert_eq!(product["object"], "product");
        assert_eq!(product["type"], "service");
        assert_eq!(product["images"], json!([]));
        assert!(product["description"].is_null());
        let keys: Vec<&String> = product.as_object().expect("object").keys().take(2).collect();
        assert_eq!(keys, ["id", "object"]);
    }

    #[test]
    fn nested_objects_become_complete() {
        let given = json!({"id": "cus_1", "invoice_settings": {"footer": "x"}});
        let customer = complete(spec(), "customer", given);
        assert!(customer["invoice_settings"]["default_payment_method"].is_null());
        assert_eq!(customer["invoice_settings"]["footer"], "x");
    }
}
