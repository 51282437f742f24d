//! Expansion: replaces an id by its object, only where the schema says that this can be done.

use serde_json::{Value, json};

use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::spec::{Spec, branch, spec};
use crate::world::World;

/// Expands one dotted path of an answer, up to four levels deep.
pub fn expand(world: &World, body: &mut Value, path: &str) -> Answer<()> {
    let keys: Vec<&str> = path.split('.').collect();
    if keys.len() > 4 {
        let message = format!("You cannot expand more than 4 levels of a property ({path}).");
        return Err(ApiError::invalid(message));
    }
    let schema = schema_of(body).cloned().unwrap_or_else(list_schema);
    walk(world, body, &schema, &keys, path)
}

/// The schema of an object by its own `object` member.
fn schema_of(value: &Value) -> Option<&'static Value> {
    let schema = spec().schema(value.opt_text("object")?);
    schema.is_object().then_some(schema)
}

fn list_schema() -> Value {
    json!({"properties": {"data": {"type": "array", "items": {}}}, "x-expandableFields": ["data"]})
}

fn walk(world: &World, value: &mut Value, schema: &Value, keys: &[&str], path: &str) -> Answer<()> {
    let Some((key, rest)) = keys.split_first() else {
        return Ok(());
    };
    let own = schema_of(value).cloned();
    let schema = own.as_ref().unwrap_or_else(|| branch(spec(), schema, value));
    let allowed = &schema["x-expandableFields"];
    let listed = allowed.as_array().is_some_and(|all| all.iter().any(|name| name == key));
    let property = &schema["properties"][*key];
    if !listed || property.is_null() {
        let message = format!("This property cannot be expanded ({path}).");
        return Err(ApiError::invalid(message));
    }
    if value[*key].is_null()
        && let Some(included) = include(world, value, key)
    {
        value[*key] = included;
    }
    visit(world, &mut value[*key], property, rest, path)
}

fn visit(
    world: &World,
    value: &mut Value,
    schema: &Value,
    rest: &[&str],
    path: &str,
) -> Answer<()> {
    match value {
        Value::String(id) => {
            if let Some(object) = look_up(world, spec(), schema, id) {
                *value = object;
            }
            if value.is_object() { walk(world, value, schema, rest, path) } else { Ok(()) }
        }
        Value::Array(list) => {
            let items = schema["items"].clone();
            list.iter_mut().try_for_each(|item| visit(world, item, &items, rest, path))
        }
        Value::Object(_) => walk(world, value, schema, rest, path),
        _ => Ok(()),
    }
}

/// The object behind an id, among the kinds the schema allows here.
fn look_up(world: &World, spec: &Spec, schema: &Value, id: &str) -> Option<Value> {
    let branches = schema.get("anyOf")?.as_array()?;
    let kinds = branches.iter().filter_map(|branch| {
        let name = spec.resolve(branch)["properties"]["object"]["enum"][0].as_str()?;
        world.get(name, id)
    });
    let found = kinds.into_iter().next()?;
    Some(world.render(found))
}

/// Fields that are only there when asked for.
fn include(world: &World, parent: &Value, key: &str) -> Option<Value> {
    let id = parent.text("id");
    let list = |data: Vec<Value>, url: String| {
        let more = false;
        json!({"object": "list", "data": data, "has_more": more, "url": url})
    };
    let of = |kind: &str, field: &str| -> Vec<Value> {
        let mine = world.store.newest_by(kind, field, id);
        mine.map(|object| world.render(object)).collect()
    };
    match (parent.text("object"), key) {
        ("checkout.session", "line_items") => {
            let raw = world.get("checkout.session", id)?;
            let items = raw.list("_sim.line_items").iter().map(|item| world.render(item));
            Some(list(items.collect(), format!("/v1/checkout/sessions/{id}/line_items")))
        }
        ("invoice", "payments") => {
            Some(list(of("invoice_payment", "invoice"), "/v1/invoice_payments".to_owned()))
        }
        ("customer", "subscriptions") => {
            let mut data = of("subscription", "customer");
            data.retain(|subscription| subscription.text("status") != "canceled");
            Some(list(data, format!("/v1/customers/{id}/subscriptions")))
        }
        ("customer", "sources" | "tax_ids") => {
            Some(list(Vec::new(), format!("/v1/customers/{id}/{key}")))
        }
        ("charge", "refunds") => {
            Some(list(of("refund", "charge"), format!("/v1/charges/{id}/refunds")))
        }
        ("price", "tiers") => world.get("price", id).map(|price| price["tiers"].clone()),
        ("price", "currency_options") => Some(json!({})),
        _ => None,
    }
}
