//! Search: `field:'value' AND metadata['key']:'value'`, newest first, in numbered pages.
//!
//! What was made a moment ago may stay hidden, as it does at Stripe; how long is a setting.

use serde_json::{Value, json};

use super::{Route, get};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page_sized};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/charges/search", |call| run(call, "charge", "charges")),
    get("/v1/customers/search", |call| run(call, "customer", "customers")),
    get("/v1/invoices/search", |call| run(call, "invoice", "invoices")),
    get("/v1/payment_intents/search", |call| run(call, "payment_intent", "payment_intents")),
    get("/v1/prices/search", |call| run(call, "price", "prices")),
    get("/v1/products/search", |call| run(call, "product", "products")),
    get("/v1/subscriptions/search", |call| run(call, "subscription", "subscriptions")),
];

/// The fields each kind of object can be searched by, beside its metadata.
const FIELDS: [(&str, &[&str]); 7] = [
    ("charge", &["amount", "created", "currency", "customer", "refunded", "disputed", "status"]),
    ("customer", &["created", "email", "name", "phone"]),
    ("invoice", &["created", "currency", "customer", "number", "status", "subscription", "total"]),
    ("payment_intent", &["amount", "created", "currency", "customer", "status"]),
    ("price", &["active", "currency", "lookup_key", "product", "type"]),
    ("product", &["active", "description", "name", "shippable", "url"]),
    ("subscription", &["created", "status", "canceled_at"]),
];

/// One condition of a query.
#[derive(Debug, Clone, PartialEq)]
struct Clause {
    negated: bool,
    field: Field,
    operator: char,
    value: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Plain(String),
    Metadata(String),
}

/// A query: its conditions, all or any of which must hold.
#[derive(Debug, PartialEq)]
struct Query {
    clauses: Vec<Clause>,
    any: bool,
}

fn wrong(message: impl Into<String>) -> ApiError {
    ApiError::invalid(message).with("param", "query")
}

/// Reads a query; `AND` and `OR` cannot be mixed.
fn parse(text: &str) -> Answer<Query> {
    let (mut clauses, mut words) = (Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (clause, after) = clause(rest)?;
        clauses.push(clause);
        rest = after.trim_start();
        let word = ["AND ", "and ", "OR ", "or "].into_iter().find(|word| rest.starts_with(word));
        match word {
            Some(word) => {
                words.push(word.trim().to_lowercase());
                rest = rest[word.len()..].trim_start();
            }
            // Conditions side by side belong together as if AND stood between them.
            None if !rest.is_empty() => words.push("and".to_owned()),
            None => {}
        }
    }
    if clauses.is_empty() {
        return Err(wrong("The search query is empty."));
    }
    if words.iter().any(|word| word != &words[0]) {
        return Err(wrong("You cannot combine AND and OR in one search query."));
    }
    Ok(Query { clauses, any: words.first().is_some_and(|word| word == "or") })
}

/// One condition, and what follows it.
fn clause(text: &str) -> Answer<(Clause, &str)> {
    let (negated, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = text.find([':', '~', '<', '>', '[']).unwrap_or(text.len());
    let name = text[..end].trim();
    if name.is_empty() || end == text.len() {
        return Err(wrong(format!("The search query cannot be read at '{text}'.")));
    }
    let (field, rest) = match text[end..].strip_prefix('[') {
        Some(inner) if name == "metadata" => {
            let (key, after) = quoted(inner)?;
            let after = after.strip_prefix(']');
            let after = after.ok_or_else(|| wrong("A ] is missing in the search query."))?;
            (Field::Metadata(key), after)
        }
        Some(_) => return Err(wrong(format!("Field {name} has no keys."))),
        None => (Field::Plain(name.to_owned()), &text[end..]),
    };
    let mut letters = rest.chars();
    let operator = letters.next().unwrap_or(' ');
    if !":~<>".contains(operator) {
        return Err(wrong(format!("The search query cannot be read at '{rest}'.")));
    }
    let rest = letters.as_str();
    let rest = if matches!(operator, '<' | '>') { rest.trim_start_matches('=') } else { rest };
    let (value, rest) = value(rest)?;
    Ok((Clause { negated, field, operator, value }, rest))
}

/// A text in quotes, and what follows it.
fn quoted(text: &str) -> Answer<(String, &str)> {
    let quote = text.chars().next().filter(|letter| matches!(letter, '\'' | '"'));
    let quote = quote.ok_or_else(|| wrong("Quotes are missing in the search query."))?;
    let mut out = String::new();
    let mut letters = text[1..].char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next().map(|(_, next)| next)),
            _ if letter == quote => return Ok((out, &text[index + 2..])),
            _ => out.push(letter),
        }
    }
    Err(wrong("A quote is not closed in the search query."))
}

/// A value: quoted, a number, a word, or `null`.
fn value(text: &str) -> Answer<(Option<String>, &str)> {
    if text.starts_with(['\'', '"']) {
        let (value, rest) = quoted(text)?;
        return Ok((Some(value), rest));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = (&text[..end], &text[end..]);
    match word {
        "" => Err(wrong("A value is missing in the search query.")),
        "null" | "NULL" => Ok((None, rest)),
        word => Ok((Some(word.to_owned()), rest)),
    }
}

/// Whether a field can be searched at all.
fn check(kind: &str, query: &Query) -> Answer<()> {
    let known = FIELDS.iter().find(|(name, _)| *name == kind).map(|(_, all)| *all);
    for clause in &query.clauses {
        if let Field::Plain(name) = &clause.field
            && !known.unwrap_or(&[]).contains(&name.as_str())
        {
            let message = format!("Field `{name}` is an unsupported search field for resource.");
            return Err(wrong(message));
        }
        if clause.operator == '~' && clause.value.as_ref().is_none_or(|v| v.chars().count() < 3) {
            return Err(wrong("Substring search needs at least three characters."));
        }
    }
    Ok(())
}

fn holds(query: &Query, object: &Value) -> bool {
    let mut all = query.clauses.iter().map(|clause| fits(clause, object) != clause.negated);
    if query.any { all.any(|fits| fits) } else { all.all(|fits| fits) }
}

fn fits(clause: &Clause, object: &Value) -> bool {
    let found = match &clause.field {
        Field::Metadata(key) => object["metadata"].get(key).unwrap_or(&Value::Null),
        Field::Plain(name) if name == "subscription" => {
            object.at("parent.subscription_details.subscription")
        }
        Field::Plain(name) => object.at(name),
    };
    let Some(wanted) = &clause.value else {
        return found.is_null();
    };
    let text = match found {
        Value::String(text) => text.to_lowercase(),
        Value::Null => return false,
        other => other.to_string(),
    };
    let wanted = wanted.to_lowercase();
    match clause.operator {
        '~' => text.contains(&wanted),
        '<' | '>' => match (text.parse::<i64>(), wanted.parse::<i64>()) {
            (Ok(left), Ok(right)) if clause.operator == '<' => left < right,
            (Ok(left), Ok(right)) => left > right,
            _ => false,
        },
        _ => text == wanted,
    }
}

fn run(call: &mut Call, kind: &str, noun: &str) -> Answer {
    let query = parse(&call.need("query")?)?;
    check(kind, &query)?;
    let limit = page_sized(call)?;
    let begin = match call.opt("page") {
        Some(page) => page
            .parse::<usize>()
            .map_err(|_| ApiError::invalid("Invalid page.").with("param", "page"))?,
        None => 0,
    };
    let visible = call.world.now() - call.world.settings.search_delay;
    let found: Vec<&Value> = call
        .world
        .store
        .newest(kind)
        .filter(|object| !object.flag("deleted") && object.int("created") <= visible)
        .filter(|object| holds(&query, object))
        .collect();
    let shown = found.iter().skip(begin).take(limit).map(|object| call.world.render(object));
    let data: Vec<Value> = shown.collect();
    let more = found.len() > begin + data.len();
    let next = more.then(|| (begin + data.len()).to_string());
    Ok(json!({"object": "search_result", "url": format!("/v1/{noun}/search"), "has_more": more,
              "data": data, "next_page": next}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_find_what_they_say() {
        let object = json!({"email": "Ada@example.com", "created": 100, "name": null,
                            "metadata": {"org id": "o'1"}});
        let table = [
            ("email:'ada@example.com'", true),
            ("email~'example'", true),
            ("-email:'ada@example.com'", false),
            ("metadata['org id']:'o\\'1'", true),
            ("metadata[\"org id\"]:\"o'1\" AND created>99", true),
            ("created<100 OR name:null", true),
            ("created<100", false),
            ("created>=5 email:'ada@example.com'", true),
            ("metadata['other']:null", true),
        ];
        for (text, expected) in table {
            let query = parse(text).expect("a query");
            check("customer", &query).expect("searchable");
            assert_eq!(holds(&query, &object), expected, "{text}");
        }
    }

    #[test]
    fn queries_that_make_no_sense_are_refused() {
        for text in ["", "email", "email:'a", "email:'a' AND name:'b' OR phone:'c'", "a['b']:'c'"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let unknown = parse("nickname:'x'").expect("a query");
        assert!(check("customer", &unknown).is_err());
    }
}
