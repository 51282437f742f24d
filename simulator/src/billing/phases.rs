//! The phases of subscription schedules: read from parameters, compared with a subscription.

use serde_json::{Value, json};

use super::calendar::{self, interval};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// The phase a subscription is in, whatever comes after.
pub fn running(sub: &Value) -> Value {
    let items = sub.list("items.data").iter();
    let end = items.clone().map(|item| item.int("current_period_end")).max().unwrap_or(0);
    let start = items.map(|item| item.int("current_period_start")).min().unwrap_or(0);
    let mut phase = blank(sub.text("currency"), start, end);
    phase["items"] = items_of(sub).into();
    phase["metadata"] = sub["metadata"].clone();
    phase["trial_end"] = sub["trial_end"].clone();
    phase["default_payment_method"] = sub["default_payment_method"].clone();
    phase
}

fn blank(currency: &str, start: i64, end: i64) -> Value {
    json!({
        "add_invoice_items": [], "currency": currency, "discounts": [], "end_date": end,
        "items": [], "metadata": {}, "proration_behavior": "create_prorations",
        "start_date": start,
    })
}

/// A subscription's items as a phase has them.
pub fn items_of(sub: &Value) -> Vec<Value> {
    let items = sub.list("items.data").iter().map(|item| {
        json!({
            "discounts": [], "metadata": item["metadata"], "price": item["price"]["id"],
            "plan": item["price"]["id"],
            "quantity": item["quantity"], "tax_rates": [], "billing_thresholds": null,
        })
    });
    items.collect()
}

/// Whether a phase has the items that a subscription has.
pub fn same(phase: &Value, sub: &Value) -> bool {
    let pair = |price: &Value, quantity: &Value| {
        (price.as_str().unwrap_or("").to_owned(), quantity.as_i64().unwrap_or(1))
    };
    let phase = phase.list("items").iter().map(|item| pair(&item["price"], &item["quantity"]));
    let items = sub.list("items.data").iter();
    let items = items.map(|item| pair(&item["price"]["id"], &item["quantity"]));
    let (mut planned, mut has): (Vec<_>, Vec<_>) = (phase.collect(), items.collect());
    planned.sort();
    has.sort();
    planned == has
}

/// What must be changed about a subscription's items to make them those of a phase.
pub fn steps(world: &World, phase: &Value, sub: &Value) -> Answer<Vec<Value>> {
    let mut out = Vec::new();
    let old = sub.list("items.data");
    for item in old {
        let stays = phase.list("items").iter().find(|p| p["price"] == item["price"]["id"]);
        out.push(match stays {
            Some(planned) => json!({"id": item["id"], "quantity": planned["quantity"]}),
            None => json!({"id": item["id"], "deleted": true}),
        });
    }
    for planned in phase.list("items") {
        if old.iter().any(|item| item["price"]["id"] == planned["price"]) {
            continue;
        }
        let price = world.find_param("price", planned.text("price"), "phases[items][price]")?;
        out.push(json!({
            "price": price, "quantity": planned["quantity"], "metadata": planned["metadata"],
        }));
    }
    Ok(out)
}

/// The running phase until its period ends, and one with other items for an interval after it.
pub fn two(sub: &Value, schedule: &Value, items: &[Value]) -> Vec<Value> {
    let period = running(sub);
    let start = schedule.at("current_phase.start_date").clone();
    let first = json!({
        "start_date": start, "end_date": period["end_date"], "items": plain(period.list("items")),
        "metadata": sub["metadata"],
    });
    let next = json!({"items": plain(items), "proration_behavior": "none",
                      "metadata": sub["metadata"]});
    vec![first, next]
}

fn plain(items: &[Value]) -> Vec<Value> {
    let pairs = items.iter().map(|i| json!({"price": i["price"], "quantity": i["quantity"]}));
    pairs.collect()
}

/// Reads `phases` as a caller gives them, one after the other without gaps. `begun` is when the
/// running phase began, which stays.
pub fn resolve(
    world: &World,
    given: &[Value],
    start: i64,
    begun: Option<i64>,
) -> Answer<Vec<Value>> {
    let mut out: Vec<Value> = Vec::new();
    let mut at = given.first().and_then(|first| first.opt_int("start_date")).unwrap_or(start);
    for (index, wanted) in given.iter().enumerate() {
        let param = format!("phases[{index}]");
        if wanted.opt_int("start_date").is_some_and(|moment| moment != at) {
            let message = "A phase must begin where the one before it ends.";
            return Err(ApiError::invalid(message).with("param", format!("{param}[start_date]")));
        }
        let phase = phase(world, wanted, at, &param)?;
        at = phase.int("end_date");
        out.push(phase);
    }
    let kept = begun.is_none_or(|begun| out.iter().any(|phase| phase.int("start_date") == begun));
    if out.is_empty() || !kept {
        let message = "The phase that is running must be among the phases, with its start_date.";
        return Err(ApiError::invalid(message).with("param", "phases"));
    }
    Ok(out)
}

fn phase(world: &World, wanted: &Value, start: i64, param: &str) -> Answer {
    let mut items = Vec::new();
    let mut first = Value::Null;
    for (index, item) in wanted.list("items").iter().enumerate() {
        let name = format!("{param}[items][{index}][price]");
        let price = world.find_param("price", item.text("price"), &name)?;
        if !price["recurring"].is_object() {
            let message = "A phase's items need recurring prices.";
            return Err(ApiError::invalid(message).with("param", name));
        }
        if first.is_null() {
            first = price.clone();
        }
        items.push(json!({
            "discounts": [], "price": price["id"], "plan": price["id"], "tax_rates": [],
            "billing_thresholds": null,
            "metadata": item["metadata"].as_object().cloned().unwrap_or_default(),
            "quantity": item.opt_int("quantity").unwrap_or(1),
        }));
    }
    if items.is_empty() {
        let message = format!("Missing required param: {param}[items].");
        return Err(ApiError::param("parameter_missing", &format!("{param}[items]"), message));
    }
    let end = match wanted["duration"].is_object() {
        true => {
            let count = wanted.opt_int("duration.interval_count").unwrap_or(1);
            calendar::add(start, wanted.text("duration.interval"), count)
        }
        false => wanted.opt_int("end_date").unwrap_or_else(|| {
            let (every, count) = interval(&first);
            calendar::add(start, every, count)
        }),
    };
    if end <= start {
        let message = "A phase must end after it begins.";
        return Err(ApiError::invalid(message).with("param", format!("{param}[end_date]")));
    }
    let mut phase = blank(first.text("currency"), start, end);
    phase["items"] = items.into();
    phase["metadata"] = wanted["metadata"].as_object().cloned().unwrap_or_default().into();
    for name in ["proration_behavior", "trial_end", "description", "billing_cycle_anchor"] {
        if !wanted[name].is_null() {
            phase[name] = wanted[name].clone();
        }
    }
    Ok(phase)
}
