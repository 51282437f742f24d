//! Lists: newest first, cursors by object id, `created` ranges, the right `url`.

use serde_json::{Value, json};

use super::Call;
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::Naming;

/// Parameters that ask for the objects which name another one, and the field that names it; those
/// come first that leave the fewest.
const NAMING: [(&str, &str); 8] = [
    ("invoice", "invoice"),
    ("charge", "charge"),
    ("payment.payment_intent", "payment.payment_intent"),
    ("payment_intent", "payment_intent"),
    ("subscription", "subscription"),
    ("customer", "customer"),
    ("product", "product"),
    ("email", "email"),
];
/// Where an invoice names its subscription.
const BILLED: &str = "parent.subscription_details.subscription";

/// One page of a kind of object, filtered, rendered.
pub fn page(call: &Call, kind: &str, url: &str, keep: impl Fn(&Value) -> bool) -> Answer {
    cut(call, kind, url, naming(call, kind), keep)
}

/// One page of the objects of a kind with this text in this field.
pub fn page_by(
    call: &Call,
    kind: &str,
    url: &str,
    (field, text): (&str, &str),
    keep: impl Fn(&Value) -> bool,
) -> Answer {
    let fits = |object: &Value| object.text(field) == text && keep(object);
    cut(call, kind, url, Some((field, text)), fits)
}

/// What the parameters ask for by name, where they do: a part of what the filters leave.
fn naming<'c>(call: &'c Call, kind: &str) -> Naming<'c> {
    NAMING.into_iter().find_map(|(name, field)| {
        let field = if (kind, name) == ("invoice", "subscription") { BILLED } else { field };
        Some((field, call.params.opt_text(name)?))
    })
}

fn cut(
    call: &Call,
    kind: &str,
    url: &str,
    naming: Naming<'_>,
    keep: impl Fn(&Value) -> bool,
) -> Answer {
    let (limit, created) = (page_sized(call)?, call.params.at("created"));
    let store = &call.world.store;
    let fits = |object: &&Value| {
        !object.flag("deleted") && in_range(object.int("created"), created) && keep(object)
    };
    let cursor = |param: &str| -> Answer<Option<&str>> {
        let Some(id) = call.params.opt_text(param) else { return Ok(None) };
        let found = store.get(kind, id).filter(fits);
        found.map(|_| Some(id)).ok_or_else(|| ApiError::missing("object", id, Some(param)))
    };
    let after = cursor("starting_after")?;
    let before = if after.is_none() { cursor("ending_before")? } else { None };
    let mut found: Vec<&Value> = match before {
        Some(id) => store.after(kind, naming, id).filter(fits).take(limit + 1).collect(),
        None => store.before(kind, naming, after).filter(fits).take(limit + 1).collect(),
    };
    let more = found.len() > limit;
    found.truncate(limit);
    if before.is_some() {
        found.reverse();
    }
    Ok(listed(call, url, &found, more))
}

/// One page of objects that are part of another object, in the order given.
pub fn page_of(call: &Call, objects: &[Value], url: &str) -> Answer {
    let limit = page_sized(call)?;
    let place = |id: &str, param: &str| {
        let found = objects.iter().position(|object| object.text("id") == id);
        found.ok_or_else(|| ApiError::missing("object", id, Some(param)))
    };
    let (slice, more) = if let Some(id) = call.params.opt_text("starting_after") {
        let rest = &objects[place(id, "starting_after")? + 1..];
        (&rest[..rest.len().min(limit)], rest.len() > limit)
    } else if let Some(id) = call.params.opt_text("ending_before") {
        let rest = &objects[..place(id, "ending_before")?];
        (&rest[rest.len().saturating_sub(limit)..], rest.len() > limit)
    } else {
        (&objects[..objects.len().min(limit)], objects.len() > limit)
    };
    let shown: Vec<&Value> = slice.iter().collect();
    Ok(listed(call, url, &shown, more))
}

fn listed(call: &Call, url: &str, objects: &[&Value], more: bool) -> Value {
    let data: Vec<Value> = objects.iter().map(|object| call.world.render(object)).collect();
    json!({"object": "list", "url": url, "has_more": more, "data": data})
}

/// How many objects a request wants at most.
pub fn page_sized(call: &Call) -> Answer<usize> {
    let limit = call.params.opt_int("limit").unwrap_or(10);
    if !(1..=100).contains(&limit) {
        let message = "This value must be between 1 and 100 (inclusive).";
        return Err(ApiError::invalid(message).with("param", "limit"));
    }
    Ok(usize::try_from(limit).unwrap_or(10))
}

/// Whether a moment is inside a `created` filter.
fn in_range(created: i64, filter: &Value) -> bool {
    if let Some(exact) = filter.as_i64() {
        return created == exact;
    }
    let bound = |name: &str| filter.opt_int(name);
    bound("gt").is_none_or(|n| created > n)
        && bound("gte").is_none_or(|n| created >= n)
        && bound("lt").is_none_or(|n| created < n)
        && bound("lte").is_none_or(|n| created <= n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_filters() {
        let table = [
            (json!(5), true),
            (json!(6), false),
            (json!({"gte": 5}), true),
            (json!({"gt": 5}), false),
            (json!({"gt": 1, "lt": 6}), true),
            (Value::Null, true),
        ];
        for (filter, expected) in table {
            assert_eq!(in_range(5, &filter), expected, "{filter}");
        }
    }
}
