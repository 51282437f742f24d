//! Subscription items: single items of a subscription, changed through the subscription.

use serde_json::{Value, json};

use super::{Route, delete, get, post, subscriptions};
use crate::billing::updating;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page_of};
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    get("/v1/subscription_items", list),
    post("/v1/subscription_items", create),
    get("/v1/subscription_items/{item}", read),
    post("/v1/subscription_items/{item}", update),
    delete("/v1/subscription_items/{item}", remove),
];

/// The item and the id of its subscription.
fn find(world: &World, id: &str) -> Answer<(Value, String)> {
    let found = world.store.newest("subscription").find_map(|sub| {
        let item = sub.list("items.data").iter().find(|item| item.text("id") == id)?;
        Some((item.clone(), sub.text("id").to_owned()))
    });
    found.ok_or_else(|| ApiError::missing("subscription_item", id, None))
}

fn list(call: &mut Call) -> Answer {
    let id = call.need("subscription")?;
    let sub = call.world.find_param("subscription", &id, "subscription")?.clone();
    page_of(call, sub.list("items.data"), "/v1/subscription_items")
}

fn read(call: &mut Call) -> Answer {
    let (item, _) = find(call.world, call.id())?;
    Ok(call.world.render(&item))
}

/// Sends one item change through the subscription's update.
fn apply(call: &mut Call, subscription: &str, mut item: Value, required: bool) -> Answer {
    for name in ["price", "price_data", "quantity", "metadata"] {
        if call.given(name) {
            item[name] = call.params[name].clone();
        }
    }
    let items = subscriptions::resolve_items(call.world, &[item], required)?;
    let mut params = json!({"items": items});
    for name in ["proration_behavior", "proration_date", "payment_behavior"] {
        if call.given(name) {
            params[name] = call.params[name].clone();
        }
    }
    updating::update(call.world, subscription, &params)
}

fn create(call: &mut Call) -> Answer {
    let id = call.need("subscription")?;
    call.world.find_param("subscription", &id, "subscription")?;
    let sub = apply(call, &id, json!({}), true)?;
    let item = sub.list("items.data").last().cloned().unwrap_or_default();
    Ok(call.world.render(&item))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let (_, sub) = find(call.world, &id)?;
    apply(call, &sub, json!({"id": id}), false)?;
    read(call)
}

fn remove(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let (_, sub) = find(call.world, &id)?;
    apply(call, &sub, json!({"id": id, "deleted": true}), false)?;
    Ok(json!({"id": id, "object": "subscription_item", "deleted": true}))
}
