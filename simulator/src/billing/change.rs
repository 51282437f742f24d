//! Works out what a change of a subscription's items leads to: new items and prorations.
//!
//! It changes nothing, so that a preview and the change itself always agree.

use serde_json::{Value, json};

use super::calendar::{interval, next_turn};
use super::proration::{price_amount, share};
use super::{lines, subscribing};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// What is asked for.
pub struct Wanted<'a> {
    /// Item changes as the API takes them, prices already resolved to objects.
    pub items: &'a [Value],
    /// The moment of the change.
    pub at: i64,
    /// Whether unused and remaining time is settled.
    pub prorate: bool,
    /// Whether a new period begins at that moment in any case.
    pub restart: bool,
}

/// What it leads to.
pub struct Change {
    /// The subscription's items afterwards.
    pub items: Vec<Value>,
    /// Pending invoice items for unused and remaining time.
    pub prorations: Vec<Value>,
    /// Whether a new period begins and is billed at once.
    pub restarts: bool,
}

/// Works out a change.
pub fn plan(world: &World, sub: &Value, wanted: &Wanted) -> Answer<Change> {
    let old = sub.list("items.data").to_vec();
    let mut kept = Vec::new();
    let mut touched = Vec::new();
    for item in &old {
        match wanted.items.iter().find(|w| w.text("id") == item.text("id")) {
            None => kept.push(item.clone()),
            Some(w) if w.flag("deleted") => touched.push((item.clone(), None)),
            Some(w) => {
                let next = changed(item, w);
                touched.push((item.clone(), Some(next.clone())));
                kept.push(next);
            }
        }
    }
    let begun = old.first().cloned().unwrap_or_default();
    let period = (begun.int("current_period_start"), begun.int("current_period_end"));
    for new in wanted.items.iter().filter(|w| w.opt_text("id").is_none()) {
        if new["price"].is_null() {
            return Err(ApiError::invalid("An item needs a price.").with("param", "items"));
        }
        let item = subscribing::item(sub.text("id"), new, period, wanted.at);
        touched.push((Value::Null, Some(item.clone())));
        kept.push(item);
    }
    if kept.is_empty() {
        let message = "A subscription must have at least one active plan.";
        return Err(ApiError::invalid(message).with("param", "items"));
    }
    let restarts = wanted.restart || other_interval(&old, &kept);
    let trial = sub.text("status") == "trialing";
    let mut prorations = Vec::new();
    if wanted.prorate && !trial {
        let whole: Vec<(Value, Option<Value>)> =
            old.iter().map(|item| (item.clone(), None)).collect();
        let settled = if restarts { &whole } else { &touched };
        prorations = settle(world, sub, settled, wanted.at)?;
    }
    if restarts {
        kept = kept.into_iter().map(|item| restarted(item, wanted.at)).collect();
    }
    Ok(Change { items: kept, prorations, restarts })
}

/// The item after a change of its price, quantity or metadata.
fn changed(item: &Value, wanted: &Value) -> Value {
    let mut next = item.clone();
    if wanted["price"].is_object() {
        next["price"] = wanted["price"].clone();
    }
    if let Some(quantity) = wanted.opt_int("quantity") {
        next["quantity"] = quantity.into();
    }
    if let Some(given) = wanted["metadata"].as_object() {
        for (key, value) in given {
            next["metadata"][key] = value.clone();
        }
    }
    next
}

fn other_interval(old: &[Value], new: &[Value]) -> bool {
    let Some(before) = old.first().map(|item| interval(&item["price"])) else {
        return false;
    };
    new.iter().any(|item| interval(&item["price"]) != before)
}

fn restarted(mut item: Value, at: i64) -> Value {
    let (every, count) = interval(&item["price"]);
    let end = next_turn(at, at, every, count);
    item["current_period_start"] = at.into();
    item["current_period_end"] = end.into();
    item
}

/// Credits for what was paid and not used, debits for what will be used and was not paid.
fn settle(
    world: &World,
    sub: &Value,
    touched: &[(Value, Option<Value>)],
    at: i64,
) -> Answer<Vec<Value>> {
    let mut out = Vec::new();
    for (before, after) in touched {
        let same = after.as_ref().is_some_and(|after| {
            after["price"]["id"] == before["price"]["id"] && after["quantity"] == before["quantity"]
        });
        if same {
            continue;
        }
        if before.is_object() {
            out.push(part(world, sub, before, at, true)?);
        }
        if let Some(after) = after {
            out.push(part(world, sub, after, at, false)?);
        }
    }
    Ok(out)
}

/// One proration: the share of an item's amount for what is left of its period.
fn part(world: &World, sub: &Value, item: &Value, at: i64, credit: bool) -> Answer {
    let (start, end) = (item.int("current_period_start"), item.int("current_period_end"));
    let quantity = item.opt_int("quantity").unwrap_or(1);
    let price = world.get("price", item.text("price.id")).unwrap_or(&item["price"]);
    let amount = share(price_amount(price, quantity)?, end - at, end - start)?;
    let amount = if credit { -amount } else { amount };
    let name = lines::product_name(world, price);
    let word = if credit { "Unused time on" } else { "Remaining time on" };
    Ok(json!({
        "amount": amount,
        "net_amount": amount,
        "currency": price["currency"],
        "customer": sub["customer"],
        "date": at,
        "description": format!("{word} {quantity} × {name} after {}", lines::day(at)),
        "discountable": false,
        "discounts": [],
        "metadata": sub["metadata"],
        "parent": {"type": "subscription_details", "subscription_details": {
            "subscription": sub["id"], "subscription_item": item["id"],
        }},
        "period": {"start": at, "end": end},
        "pricing": lines::pricing(price),
        "proration": true,
        "quantity": quantity,
        "quantity_decimal": quantity.to_string(),
        "tax_rates": [],
        "test_clock": sub["test_clock"],
    }))
}
