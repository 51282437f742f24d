//! Subscriptions: begun, ended, brought to the status their invoices give them.

use serde_json::{Value, json};

use super::calendar::{DAY, interval, next_turn};
use super::invoicing::{self, Draft};
use super::{charge, lines, methods, paying};
use crate::cards;
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// How long before its end a trial is announced.
pub const TRIAL_NOTICE: i64 = 3 * DAY;

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
    /// Fields set as given: metadata, description, default payment method …
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
    let id = ids::new("subscription");
    let anchor = begin.trial_end.unwrap_or(now);
    let first = begin.items.first().cloned().unwrap_or_default();
    let (every, count) = interval(&first["price"]);
    let end = begin.trial_end.unwrap_or_else(|| next_turn(anchor, now, every, count));
    let items = begin.items.iter().map(|given| item(&id, given, (now, end), now));
    let items: Vec<Value> = items.collect();
    let mut sub = blank(&id, &begin, anchor, now);
    sub["currency"] = first["price"]["currency"].clone();
    sub["items"] = list(&id, items);
    if let (Some(into), Some(from)) = (sub.as_object_mut(), begin.fields.as_object()) {
        into.extend(from.clone());
    }
    let pending = lines::pending(world, &begin.customer, None);
    let invoice_id = ids::new("invoice");
    let mut all = Vec::new();
    for item in sub.list("items.data") {
        all.push(lines::of_item(world, &sub, item, (now, end))?);
    }
    all.extend(lines::take(world, &pending, &invoice_id));
    let owner = world.get("customer", &begin.customer).cloned().unwrap_or_default();
    let due = lines::total(&all) + owner.int("balance");
    let (status, attempt) = first_status(world, &begin, &sub, due)?;
    sub["status"] = status.into();
    sub["latest_invoice"] = invoice_id.as_str().into();
    sub.put("_sim.trial_told", begin.trial_end.is_some_and(|end| end - now <= TRIAL_NOTICE));
    let sub = world.create("subscription", sub);
    let draft = Draft {
        customer: &begin.customer,
        subscription: &sub,
        reason: "subscription_create",
        lines: all,
        period: (now, now),
        finalizes_at: None,
        currency: sub.text("currency"),
    };
    let invoice = invoicing::draft(world, draft, Some(invoice_id.clone()));
    remember_currency(world, &begin.customer, sub.text("currency"));
    world.emit("customer.subscription.created", &sub, None);
    if sub.flag("_sim.trial_told") {
        world.emit("customer.subscription.trial_will_end", &sub, None);
    }
    world.emit("invoice.created", &invoice, None);
    invoicing::finalize(world, &invoice_id)?;
    if attempt && due > 0 {
        // A refused first charge leaves an incomplete subscription, which is the answer.
        let _ = paying::pay(world, &invoice_id, None, true);
    }
    Ok(world.find("subscription", &id)?.clone())
}

/// The status a new subscription starts with, and whether its invoice is charged now.
fn first_status(
    world: &World,
    begin: &Begin,
    sub: &Value,
    due: i64,
) -> Answer<(&'static str, bool)> {
    if begin.trial_end.is_some() {
        return Ok(("trialing", false));
    }
    if due <= 0 {
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

fn blank(id: &str, begin: &Begin, anchor: i64, now: i64) -> Value {
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

/// Gives a subscription a status and tells of it when it is new.
pub fn set_status(world: &mut World, id: &str, status: &str) {
    let ended = world.get("subscription", id).is_none_or(|sub| sub.text("status") == "canceled");
    if ended {
        return;
    }
    world.edit_and_tell("subscription", id, "customer.subscription.updated", |sub| {
        sub["status"] = status.into();
    });
}

/// After an invoice was paid: with nothing left open the subscription is in good standing.
pub fn settle(world: &mut World, id: &str) {
    let Some(status) = world.get("subscription", id).map(|sub| sub.text("status").to_owned())
    else {
        return;
    };
    if !matches!(status.as_str(), "incomplete" | "past_due" | "unpaid") {
        return;
    }
    let owes = world.store.newest("invoice").any(|invoice| {
        invoice.text("parent.subscription_details.subscription") == id
            && invoice.text("status") == "open"
    });
    if !owes {
        set_status(world, id, "active");
    }
}

/// Ends a subscription now. Its open invoices stay, but are no longer retried.
pub fn end(world: &mut World, id: &str, reason: &str, keep_schedule: bool) -> Value {
    let customer = world.get("subscription", id).map(|sub| sub.text("customer").to_owned());
    let now = world.now_for(&customer.unwrap_or_default());
    let ended = world.edit("subscription", id, |sub| {
        sub["status"] = "canceled".into();
        sub["ended_at"] = now.into();
        if !keep_schedule || sub["canceled_at"].is_null() {
            sub["canceled_at"] = now.into();
        }
        sub["cancel_at_period_end"] = false.into();
        sub.put("cancellation_details.reason", reason);
    });
    let invoices: Vec<String> = world
        .store
        .newest("invoice")
        .filter(|invoice| invoice.text("parent.subscription_details.subscription") == id)
        .filter(|invoice| matches!(invoice.text("status"), "open" | "draft"))
        .map(|invoice| invoice.text("id").to_owned())
        .collect();
    for invoice in invoices {
        world.edit("invoice", &invoice, |invoice| {
            invoice["auto_advance"] = false.into();
            invoice["next_payment_attempt"] = Value::Null;
        });
    }
    world.emit("customer.subscription.deleted", &ended, None);
    ended
}
