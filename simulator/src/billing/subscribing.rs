//! Subscriptions: how one begins.
//!
//! What they become later is in `updating`, `standing`, `renewal`, `pausing` and `scheduling`.

use serde_json::{Value, json};

use super::calendar::{DAY, interval, last_turn, next_turn};
use super::discounting::{self, Owner};
use super::invoicing::{self, DRAFT_SECONDS, Draft};
use super::{change, charge, lines, methods, paying};
use crate::cards;
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

pub use super::standing::{awaits, end, set_delinquent, set_status, settle};

/// How long before its end a trial is announced.
pub const TRIAL_NOTICE: i64 = 3 * DAY;

/// The behaviour of subscriptions that a schedule begins: their first invoice stays a draft for a
/// while, as a renewal's does. The API does not take this word.
pub const LATER: &str = "later";

/// What a new subscription is made of.
pub struct Begin {
    /// The customer's id.
    pub customer: String,
    /// Items as `{price: <price object>, quantity, metadata}`.
    pub items: Vec<Value>,
    /// When the trial ends, if there is one.
    pub trial_end: Option<i64>,
    /// `allow_incomplete`, `default_incomplete`, `error_if_incomplete` …
    pub payment_behavior: String,
    /// Fields set as given: metadata, description, default payment method … Three of them are
    /// instructions: `discounts` as the API takes them, `billing_cycle_anchor` as a moment to
    /// come, and `proration_behavior` for the time until then.
    pub fields: Value,
}

/// A stored item of a subscription.
pub fn item(subscription: &str, given: &Value, period: (i64, i64), now: i64) -> Value {
    let item = json!({
        "id": ids::new("subscription_item"),
        "object": "subscription_item",
        "created": now,
        "current_period_start": period.0,
        "current_period_end": period.1,
        "discounts": [],
        "metadata": given["metadata"].as_object().cloned().unwrap_or_default(),
        "price": given["price"],
        "quantity": given.opt_int("quantity").unwrap_or(1),
        "subscription": subscription,
        "tax_rates": [],
    });
    crate::spec::complete(crate::spec::spec(), "subscription_item", item)
}

/// Begins a subscription: its first invoice is made and, unless deferred, charged.
pub fn begin(world: &mut World, begin: Begin) -> Answer {
    let now = world.now_for(&begin.customer);
    let mut sub = blank(world, &begin, now)?;
    let id = sub.text("id").to_owned();
    let invoice_id = ids::new("invoice");
    let all = first_lines(world, &begin, &sub, &invoice_id)?;
    let later = begin.payment_behavior == LATER && begin.trial_end.is_none();
    let draft = Draft {
        customer: &begin.customer,
        subscription: &sub,
        reason: "subscription_create",
        lines: all,
        period: (now, now),
        finalizes_at: later.then_some(now + DRAFT_SECONDS),
        currency: sub.text("currency"),
    };
    let invoice = invoicing::compose(world, draft, Some(invoice_id.clone()));
    let owner = world.get("customer", &begin.customer).cloned().unwrap_or_default();
    let due = invoice.int("total").saturating_add(owner.int("balance"));
    let (status, attempt) = first_status(world, &begin, &sub, due)?;
    sub["status"] = status.into();
    sub["latest_invoice"] = invoice_id.as_str().into();
    sub.put("_sim.trial_told", begin.trial_end.is_some_and(|end| end - now <= TRIAL_NOTICE));
    sub.put("_sim.billed", change::remember(&Value::Null, &invoice));
    let sub = world.create("subscription", sub);
    let invoice = world.create("invoice", invoice);
    remember_currency(world, &begin.customer, sub.text("currency"));
    world.emit("customer.subscription.created", &sub, None);
    if sub.flag("_sim.trial_told") {
        world.emit("customer.subscription.trial_will_end", &sub, None);
    }
    world.emit("invoice.created", &invoice, None);
    if !later {
        invoicing::finalize(world, &invoice_id)?;
    }
    discounting::spend(world, &id, &invoice);
    if attempt && due > 0 {
        // A refused first charge leaves an incomplete subscription, which is the answer.
        let _ = paying::pay(world, &invoice_id, None, true);
    }
    Ok(world.find("subscription", &id)?.clone())
}

/// The lines of the first invoice: every item's first period, and what waits for the customer.
fn first_lines(world: &mut World, begin: &Begin, sub: &Value, invoice: &str) -> Answer<Vec<Value>> {
    let now = sub.int("start_date");
    let anchor = sub.int("billing_cycle_anchor");
    let stub = begin.trial_end.is_none() && anchor > now;
    let free = begin.fields.text("proration_behavior") == "none";
    let mut all = Vec::new();
    for item in sub.list("items.data") {
        let end = item.int("current_period_end");
        all.push(match stub {
            true => {
                let (every, count) = interval(&item["price"]);
                let since =
                    last_turn(super::calendar::add(anchor, every, -count), now, every, count);
                lines::of_stub(world, sub, item, since, free)?
            }
            false => lines::of_item(world, sub, item, (now, end))?,
        });
    }
    let mut waiting = lines::pending(world, sub);
    waiting.retain(|item| item["parent"].is_null());
    all.extend(lines::take(world, &waiting, invoice));
    Ok(all)
}

/// The status a new subscription starts with, and whether its invoice is charged now.
fn first_status(
    world: &World,
    begin: &Begin,
    sub: &Value,
    due: i64,
) -> Answer<(&'static str, bool)> {
    let asks = sub.text("collection_method") == "charge_automatically";
    if begin.trial_end.is_some() {
        return Ok(("trialing", asks));
    }
    if due <= 0 || !asks || begin.payment_behavior == LATER {
        return Ok(("active", false));
    }
    if begin.payment_behavior == "default_incomplete" {
        return Ok(("incomplete", false));
    }
    let refused = match methods::default_for(world, &begin.customer, sub) {
        Some(method) => charge::refusal(world, &method, true).map(cards::decline),
        None => Some(ApiError::param(
            "resource_missing",
            "default_payment_method",
            "This customer has no attached payment source or default payment method. Please \
             consider adding a default payment method.",
        )),
    };
    match refused {
        None => Ok(("active", true)),
        Some(error) if error.status == 400 || begin.payment_behavior == "error_if_incomplete" => {
            Err(ApiError { keep: false, ..error })
        }
        Some(_) => Ok(("incomplete", true)),
    }
}

/// The subscription with its items and discounts, before anything is billed.
fn blank(world: &mut World, begin: &Begin, now: i64) -> Answer {
    let id = ids::new("subscription");
    let mut fields = begin.fields.clone();
    let mut instruction = |name: &str| {
        let given = fields.as_object_mut().and_then(|map| map.shift_remove(name));
        given.unwrap_or_default()
    };
    let given = instruction("discounts").as_array().cloned().unwrap_or_default();
    let turn = instruction("billing_cycle_anchor").as_i64();
    instruction("proration_behavior");
    let first = begin.items.first().cloned().unwrap_or_default();
    let anchor = begin.trial_end.or(turn).unwrap_or(now);
    let mut items = Vec::new();
    for given in &begin.items {
        if given["price"]["currency"] != first["price"]["currency"] {
            let message = "All prices of a subscription must have the same currency.";
            return Err(ApiError::invalid(message).with("param", "items"));
        }
        let (every, count) = interval(&given["price"]);
        if turn.is_some_and(|turn| turn <= now || turn > next_turn(now, now, every, count)) {
            let message = "billing_cycle_anchor must be in the future and at most one period away.";
            return Err(ApiError::invalid(message).with("param", "billing_cycle_anchor"));
        }
        let end = begin.trial_end.or(turn).unwrap_or_else(|| next_turn(anchor, now, every, count));
        items.push(item(&id, given, (now, end), now));
    }
    let mut sub = bare(&id, begin, anchor, now);
    sub["currency"] = first["price"]["currency"].clone();
    sub["items"] = list(&id, items);
    sub["test_clock"] =
        world.get("customer", &begin.customer).map(|c| c["test_clock"].clone()).unwrap_or_default();
    if let (Some(into), Some(from)) = (sub.as_object_mut(), fields.as_object()) {
        into.extend(from.clone());
    }
    let chosen = discounting::choose(world, &given, Some(&begin.customer))?;
    let owner = Owner { customer: &begin.customer, subscription: Some(&id), ..Owner::default() };
    sub["discounts"] = discounting::redeem(world, &chosen, owner).into();
    Ok(sub)
}

fn bare(id: &str, begin: &Begin, anchor: i64, now: i64) -> Value {
    json!({
        "id": id,
        "automatic_tax": {"enabled": false},
        "billing_cycle_anchor": anchor,
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "billing_schedules": [],
        "cancellation_details": {},
        "collection_method": "charge_automatically",
        "created": now,
        "customer": begin.customer,
        "default_tax_rates": [],
        "invoice_settings": {"issuer": {"type": "self"}},
        "metadata": {},
        "payment_settings": {"save_default_payment_method": "off"},
        "start_date": now,
        "trial_end": begin.trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": begin.trial_end.map(|_| now),
    })
}

/// The list object that holds a subscription's items.
pub fn list(subscription: &str, items: Vec<Value>) -> Value {
    let url = format!("/v1/subscription_items?subscription={subscription}");
    json!({"object": "list", "data": items, "has_more": false, "total_count": items.len(),
           "url": url})
}

fn remember_currency(world: &mut World, customer: &str, currency: &str) {
    let unknown = world.get("customer", customer).is_some_and(|c| c["currency"].is_null());
    if unknown {
        world.edit_and_tell("customer", customer, "customer.updated", |customer| {
            customer["currency"] = currency.into();
        });
    }
}
