//! Checks a decoded request against its endpoint's parameters and gives each value its type.

use serde_json::{Map, Value, json};

use super::{Spec, properties, spec};
use crate::errors::{Answer, ApiError};
use crate::form::Node;

/// What an endpoint takes, query and body together.
pub struct Operation {
    schema: Value,
}

impl Operation {
    /// Reads the parameter list of one operation of the description.
    pub fn read(operation: &Value) -> Operation {
        let content = &operation["requestBody"]["content"];
        let mut schema = content["application/x-www-form-urlencoded"]["schema"].clone();
        if !schema["properties"].is_object() {
            schema = json!({"type": "object", "properties": {}});
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in parameters.iter().filter(|p| p["in"] == "query") {
            let name = parameter["name"].as_str().unwrap_or("");
            schema["properties"][name] = parameter["schema"].clone();
        }
        Operation { schema }
    }
}

/// The typed parameters of a request, or the error Stripe answers.
pub fn check(operation: &Operation, given: &Node) -> Answer {
    typed(spec(), &operation.schema, given, "")
}

fn typed(spec: &Spec, schema: &Value, node: &Node, path: &str) -> Answer {
    let schema = spec.resolve(schema);
    if let Some(branches) = schema["anyOf"].as_array() {
        return alternatives(spec, branches, node, path);
    }
    match schema["type"].as_str() {
        Some("object") => object(spec, schema, node, path),
        Some("array") => array(spec, schema, node, path),
        kind => scalar(schema, kind, node, path),
    }
}

/// Takes the alternative whose shape fits; a text prefers a listed word to a free one.
fn alternatives(spec: &Spec, branches: &[Value], node: &Node, path: &str) -> Answer {
    let fits =
        |wanted: &'static str| branches.iter().filter(move |b| spec.resolve(b)["type"] == wanted);
    if let Node::Children(children) = node {
        let listed = !children.is_empty() && children.iter().all(|(k, _)| is_index(k));
        let order = if listed { ["array", "object"] } else { ["object", "array"] };
        let mut all = order.into_iter().flat_map(fits);
        let mut answer = Err(invalid_object(path));
        while let (Err(_), Some(branch)) = (&answer, all.next()) {
            answer = typed(spec, branch, node, path);
        }
        return answer;
    }
    let Node::Text(text) = node else {
        return Err(invalid_object(path));
    };
    let word = |b: &Value| b["enum"].as_array().is_some_and(|all| all.iter().any(|w| w == text));
    if branches.iter().any(word) {
        return Ok(json!(text));
    }
    let mut answer = Err(invalid_object(path));
    for kind in ["integer", "boolean", "number", "string"] {
        for branch in fits(kind).filter(|b| b["enum"] != json!([""])) {
            answer = typed(spec, branch, node, path);
            if answer.is_ok() {
                return answer;
            }
        }
    }
    answer
}

fn is_index(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit())
}

fn object(spec: &Spec, schema: &Value, node: &Node, path: &str) -> Answer {
    let Node::Children(children) = node else {
        let empty = matches!(node, Node::Text(text) if text.is_empty());
        return if empty { Ok(json!("")) } else { Err(invalid_object(path)) };
    };
    let known = properties(schema);
    let extra = schema.get("additionalProperties").filter(|s| s.is_object());
    let open = known.is_none_or(Map::is_empty) && extra.is_none() && !path.is_empty();
    let mut out = Map::new();
    for (key, child) in children {
        let name = join(path, key);
        let value = match known.and_then(|k| k.get(key)).or(extra) {
            Some(property) => typed(spec, property, child, &name)?,
            None if open => untyped(child),
            None => {
                let message = format!("Received unknown parameter: {name}");
                return Err(ApiError::param("parameter_unknown", &name, message));
            }
        };
        out.insert(key.clone(), value);
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        let key = required.as_str().unwrap_or("");
        if !out.contains_key(key) {
            let name = join(path, key);
            let message = format!("Missing required param: {name}.");
            return Err(ApiError::param("parameter_missing", &name, message));
        }
    }
    Ok(Value::Object(out))
}

fn untyped(node: &Node) -> Value {
    match node {
        Node::Text(text) => json!(text),
        Node::Children(all) => {
            Value::Object(all.iter().map(|(k, n)| (k.clone(), untyped(n))).collect())
        }
    }
}

fn array(spec: &Spec, schema: &Value, node: &Node, path: &str) -> Answer {
    let Node::Children(children) = node else {
        let empty = matches!(node, Node::Text(text) if text.is_empty());
        let message = format!("Invalid array: {path}");
        let error = ApiError::invalid(message).with("param", path);
        return if empty { Ok(json!([])) } else { Err(error) };
    };
    let mut sorted: Vec<(u64, &Node)> = Vec::new();
    for (key, child) in children {
        let index = key.parse().map_err(|_| invalid_object(path))?;
        sorted.push((index, child));
    }
    sorted.sort_by_key(|(index, _)| *index);
    let mut out = Vec::new();
    for (index, child) in sorted {
        out.push(typed(spec, &schema["items"], child, &format!("{path}[{index}]"))?);
    }
    Ok(Value::Array(out))
}

fn scalar(schema: &Value, kind: Option<&str>, node: &Node, path: &str) -> Answer {
    let Node::Text(text) = node else {
        return Err(ApiError::invalid(format!("Invalid string: {path}")).with("param", path));
    };
    match kind {
        Some("integer") => integer(text, path),
        Some("number") => number(text, path),
        Some("boolean") => match text.as_str() {
            "true" | "1" => Ok(json!(true)),
            "false" | "0" => Ok(json!(false)),
            _ => Err(ApiError::invalid(format!("Invalid boolean: {text}")).with("param", path)),
        },
        _ => word(schema, text, path),
    }
}

fn integer(text: &str, path: &str) -> Answer {
    match text.parse::<i64>() {
        Ok(number) => Ok(json!(number)),
        Err(_) => {
            let message = format!("Invalid integer: {text}");
            Err(ApiError::param("parameter_invalid_integer", path, message))
        }
    }
}

fn number(text: &str, path: &str) -> Answer {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match plain.then(|| serde_json::from_str::<Value>(text)) {
        Some(Ok(number)) => Ok(number),
        _ => Err(ApiError::invalid(format!("Invalid decimal: {text}")).with("param", path)),
    }
}

fn word(schema: &Value, text: &str, path: &str) -> Answer {
    if let Some(words) = schema["enum"].as_array()
        && !words.iter().any(|w| w == text)
    {
        let list: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        let message = format!("Invalid {path}: must be one of {}", list.join(", "));
        return Err(ApiError::invalid(message).with("param", path));
    }
    let longest = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
    if text.chars().count() as u64 > longest {
        let message = format!("Invalid string: {path} must be at most {longest} characters");
        return Err(ApiError::param("parameter_invalid_string", path, message));
    }
    Ok(json!(text))
}

fn invalid_object(path: &str) -> ApiError {
    ApiError::invalid(format!("Invalid object: {path}")).with("param", path)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}[{key}]") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::decode;

    fn run(pattern: &str, method: &str, form: &str) -> Answer {
        let operation = spec().operation(pattern, method).expect("known operation");
        check(&operation, &decode(form))
    }

    #[test]
    fn values_get_their_types() {
        let form = "mode=payment&line_items[0][price]=price_1&line_items[0][quantity]=2\
                    &allow_promotion_codes=true&metadata[limit.seats]=5";
        let typed = run("/v1/checkout/sessions", "POST", form).expect("valid");
        assert_eq!(typed["line_items"][0]["quantity"], 2);
        assert_eq!(typed["allow_promotion_codes"], true);
        assert_eq!(typed["metadata"]["limit.seats"], "5");
        let typed = run("/v1/prices", "GET", "created[gte]=5&lookup_keys[]=a").expect("valid");
        assert_eq!(typed["created"]["gte"], 5);
        assert_eq!(typed["lookup_keys"], json!(["a"]));
    }

    #[test]
    fn mistakes_are_named() {
        let table = [
            ("/v1/customers", "nope=1", "parameter_unknown", "nope"),
            ("/v1/customers", "address[nope]=1", "parameter_unknown", "address[nope]"),
            ("/v1/products", "active=true", "parameter_missing", "name"),
            ("/v1/payment_intents", "amount=x&currency=usd", "parameter_invalid_integer", "amount"),
        ];
        for (pattern, form, code, param) in table {
            let error = run(pattern, "POST", form).expect_err("a mistake");
            assert_eq!((error.status, error.body["code"].as_str()), (400, Some(code)), "{form}");
            assert_eq!(error.body["param"], param);
        }
    }
}
