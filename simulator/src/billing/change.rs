//! Works out what a change of a subscription's items leads to: new items and prorations.
//!
//! It changes nothing. What was billed for an item's current period is remembered with the
//! subscription, so that a credit gives back exactly what was taken, discounts and all.

use serde_json::{Map, Value, json};

use super::calendar::{interval, last_turn, next_turn};
use super::discounting::{self, Part};
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
    /// What is billed for the running period of each item afterwards.
    pub billed: Value,
}

/// An item before and after; one of them is missing when it is new or gone.
type Touched = (Option<Value>, Option<Value>);

/// Works out a change. `sub` is the subscription with its discounts as they will be.
pub fn plan(world: &World, sub: &Value, wanted: &Wanted) -> Answer<Change> {
    let old = sub.list("items.data").to_vec();
    check(&old, wanted.items, sub.text("currency"))?;
    let mut kept = Vec::new();
    let mut touched: Vec<Touched> = Vec::new();
    for item in &old {
        match wanted.items.iter().find(|w| w.text("id") == item.text("id")) {
            None => kept.push(item.clone()),
            Some(w) if w.flag("deleted") => touched.push((Some(item.clone()), None)),
            Some(w) => {
                let next = changed(item, w);
                touched.push((Some(item.clone()), Some(next.clone())));
                kept.push(next);
            }
        }
    }
    for new in wanted.items.iter().filter(|w| w.opt_text("id").is_none()) {
        let item = subscribing::item(sub.text("id"), new, period(sub, new, wanted.at), wanted.at);
        touched.push((None, Some(item.clone())));
        kept.push(item);
    }
    if kept.is_empty() {
        let message = "A subscription must have at least one active plan.";
        return Err(ApiError::invalid(message).with("param", "items"));
    }
    let trial = sub.text("status") == "trialing" && sub.int("trial_end") > wanted.at;
    let restarts = wanted.restart || (!trial && touched.iter().any(other_interval));
    let mut change = Change {
        items: kept,
        prorations: Vec::new(),
        restarts,
        billed: sub.at("_sim.billed").clone(),
    };
    if wanted.prorate && !trial {
        let settled = if restarts {
            old.into_iter().map(|item| (Some(item), None)).collect()
        } else {
            touched
        };
        settle(world, sub, &settled, wanted.at, &mut change)?;
    }
    if restarts {
        change.items = change.items.into_iter().map(|item| restarted(item, wanted.at)).collect();
    }
    Ok(change)
}

/// Credits for what is left of every item's period, for a subscription that ends or pauses.
pub fn credits(world: &World, sub: &Value, at: i64) -> Answer<Vec<Value>> {
    let mut change =
        Change { items: Vec::new(), prorations: Vec::new(), restarts: false, billed: Value::Null };
    let all = sub.list("items.data").iter().map(|item| (Some(item.clone()), None));
    settle(world, sub, &all.collect::<Vec<Touched>>(), at, &mut change)?;
    Ok(change.prorations)
}

/// Remembers what an invoice bills for the running period of each item.
pub fn remember(billed: &Value, invoice: &Value) -> Value {
    let mut known = billed.as_object().cloned().unwrap_or_default();
    for line in invoice.list("lines.data") {
        let details = line.at("parent.subscription_item_details");
        let item = details.text("subscription_item");
        if item.is_empty() || !details["invoice_item"].is_null() {
            continue;
        }
        let taken: i64 =
            line.list("discount_amounts").iter().map(|taken| taken.int("amount")).sum();
        let amount = line.int("amount").saturating_sub(taken);
        known.insert(item.to_owned(), part_of(amount, line.int("period.start"), line));
    }
    Value::Object(known)
}

fn part_of(amount: i64, start: i64, line: &Value) -> Value {
    json!({"amount": amount, "start": start, "end": line.at("period.end")})
}

fn check(old: &[Value], wanted: &[Value], currency: &str) -> Answer<()> {
    let refuse = |message: String| Err(ApiError::invalid(message).with("param", "items"));
    for new in wanted {
        if let Some(id) = new.opt_text("id") {
            if !old.iter().any(|item| item.text("id") == id) {
                return refuse(format!("No such subscription item: '{id}'"));
            }
            continue;
        }
        if new["price"].is_null() {
            return refuse("An item needs a price.".to_owned());
        }
        let price = new.text("price.id");
        let twice = old.iter().any(|item| item.text("price.id") == price);
        let leaves = |item: &Value| {
            wanted.iter().any(|w| {
                w.text("id") == item.text("id") && (w.flag("deleted") || w["price"].is_object())
            })
        };
        if twice && !old.iter().any(|item| item.text("price.id") == price && leaves(item)) {
            return refuse(format!(
                "Cannot add multiple subscription items with the same price: {price}"
            ));
        }
    }
    if wanted.iter().any(|w| w["price"].is_object() && w.text("price.currency") != currency) {
        return refuse(format!("All prices of this subscription must be in {currency}."));
    }
    Ok(())
}

/// The period a new item joins: that of the items with its interval, else its own.
fn period(sub: &Value, new: &Value, at: i64) -> (i64, i64) {
    let every = interval(&new["price"]);
    let items = sub.list("items.data");
    let trial = sub.text("status") == "trialing";
    let peer = items.iter().find(|item| trial || interval(&item["price"]) == every);
    match peer {
        Some(item) => (item.int("current_period_start"), item.int("current_period_end")),
        None => {
            let anchor = sub.int("billing_cycle_anchor");
            (last_turn(anchor, at, every.0, every.1), next_turn(anchor, at, every.0, every.1))
        }
    }
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

fn other_interval((before, after): &Touched) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => interval(&before["price"]) != interval(&after["price"]),
        _ => false,
    }
}

fn restarted(mut item: Value, at: i64) -> Value {
    let (every, count) = interval(&item["price"]);
    let end = next_turn(at, at, every, count);
    item["current_period_start"] = at.into();
    item["current_period_end"] = end.into();
    item
}

/// Credits for what was billed and not used, debits for what will be used and was not billed.
fn settle(
    world: &World,
    sub: &Value,
    touched: &[Touched],
    at: i64,
    change: &mut Change,
) -> Answer<()> {
    let mut billed = change.billed.as_object().cloned().unwrap_or_default();
    for (before, after) in touched {
        let same = matches!((before, after), (Some(before), Some(after)) if
            after["price"]["id"] == before["price"]["id"]
            && after["quantity"] == before["quantity"]);
        if same {
            continue;
        }
        if let Some(before) = before {
            let amount = unused(world, before, &billed, at)?;
            change.prorations.push(part(world, sub, before, at, Side::Unused, -amount));
            billed.shift_remove(before.text("id"));
        }
        if let Some(after) = after {
            let amount = remaining(world, sub, after, &change.items, at)?;
            let line = part(world, sub, after, at, Side::Remaining, amount);
            billed.insert(after.text("id").to_owned(), part_of(amount, at, &line));
            change.prorations.push(line);
        }
    }
    change.billed = Value::Object(billed);
    Ok(())
}

/// What of the item's billed amount is for the time after the moment.
fn unused(world: &World, item: &Value, billed: &Map<String, Value>, at: i64) -> Answer<i64> {
    if let Some(taken) = billed.get(item.text("id")) {
        let (start, end) = (taken.int("start"), taken.int("end"));
        return share(taken.int("amount"), end - at, end - start);
    }
    let (start, end) = (item.int("current_period_start"), item.int("current_period_end"));
    share(price_amount(stored(world, item), quantity(item))?, end - at, end - start)
}

/// What the rest of an item's period costs, after the discounts that last, which the items share.
fn remaining(world: &World, sub: &Value, item: &Value, all: &[Value], at: i64) -> Answer<i64> {
    let mut parts = Vec::new();
    for item in all {
        let price = stored(world, item);
        let (amount, product) = (price_amount(price, quantity(item))?, price.text("product"));
        parts.push(Part { amount, product: product.to_owned(), discountable: true });
    }
    let nets = discounting::net(world, sub, &parts, at);
    let place = all.iter().position(|other| other.text("id") == item.text("id"));
    let whole = place.and_then(|place| nets.get(place)).copied().unwrap_or(0);
    let (start, end) = (item.int("current_period_start"), item.int("current_period_end"));
    share(whole, end - at, end - start)
}

fn stored<'a>(world: &'a World, item: &'a Value) -> &'a Value {
    world.get("price", item.text("price.id")).unwrap_or(&item["price"])
}

fn quantity(item: &Value) -> i64 {
    item.opt_int("quantity").unwrap_or(1)
}

/// Which side of a change a proration is for.
#[derive(Clone, Copy)]
enum Side {
    Unused,
    Remaining,
}

/// One proration as a pending invoice item; a negative amount is a credit.
fn part(world: &World, sub: &Value, item: &Value, at: i64, side: Side, amount: i64) -> Value {
    let (quantity, price) = (quantity(item), stored(world, item));
    let name = lines::product_name(world, price);
    let word = match side {
        Side::Unused => "Unused time on",
        Side::Remaining => "Remaining time on",
    };
    json!({
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
        "period": {"start": at, "end": item["current_period_end"]},
        "pricing": lines::pricing(price),
        "proration": true,
        "quantity": quantity,
        "quantity_decimal": quantity.to_string(),
        "tax_rates": [],
        "test_clock": sub["test_clock"],
    })
}
