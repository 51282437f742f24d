//! Lists: newest first, cursors by object id, `created` ranges, the right `url`.

use serde_json::{Value, json};

use super::Call;
use crate::errors::{Answer, ApiError};
use crate::json::Json;

/// One page of a kind of object, filtered, rendered.
pub fn page(call: &Call, kind: &str, url: &str, keep: impl Fn(&Value) -> bool) -> Answer {
    let created = call.params.at("created");
    let all = call.world.store.newest(kind);
    let kept = all.filter(|object| {
        !object.flag("deleted") && in_range(object.int("created"), created) && keep(object)
    });
    cut(call, kept, url)
}

/// One page of objects that are part of another object, in the order given.
pub fn page_of(call: &Call, objects: &[Value], url: &str) -> Answer {
    cut(call, objects.iter(), url)
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

fn cut<'v>(call: &Call, objects: impl Iterator<Item = &'v Value>, url: &str) -> Answer {
    let limit = page_sized(call)?;
    let all: Vec<&Value> = objects.collect();
    let place = |id: &str, param: &str| {
        let found = all.iter().position(|object| object.text("id") == id);
        found.ok_or_else(|| ApiError::missing("object", id, Some(param)))
    };
    let (slice, more) = if let Some(id) = call.params.opt_text("starting_after") {
        let rest = &all[place(id, "starting_after")? + 1..];
        (&rest[..rest.len().min(limit)], rest.len() > limit)
    } else if let Some(id) = call.params.opt_text("ending_before") {
        let rest = &all[..place(id, "ending_before")?];
        (&rest[rest.len().saturating_sub(limit)..], rest.len() > limit)
    } else {
        (&all[..all.len().min(limit)], all.len() > limit)
    };
    let data: Vec<Value> = slice.iter().map(|object| call.world.render(object)).collect();
    Ok(json!({"object": "list", "url": url, "has_more": more, "data": data}))
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
