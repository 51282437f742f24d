//! Previews of invoices: what is asked for is lived through and taken back.
//!
//! Nothing is computed twice, so a preview is what will be charged, to the cent, if nothing else
//! happens before.

use serde_json::{Value, json};

use super::invoicing::{self, Draft};
use super::subscribing::{self, Begin};
use super::{change, invoice_items, lines, renewal, updating};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// The invoice that a change of a subscription, or its next renewal, would lead to. `params` are
/// those of `POST /v1/invoices/create_preview`, prices resolved to objects.
pub fn of_subscription(world: &mut World, id: &str, params: &Value) -> Answer {
    world.find("subscription", id)?;
    let invoice = world.rehearse(|world| lived(world, id, params))?;
    Ok(shown(invoice, params))
}

/// The invoice of the next renewal as things are.
pub fn of_renewal(world: &mut World, id: &str, params: &Value) -> Answer {
    let invoice = world.rehearse(|world| next_renewal(world, id))?;
    Ok(shown(invoice, params))
}

/// The first invoice of a subscription that does not exist yet.
pub fn of_new(world: &mut World, customer: &str, params: &Value) -> Answer {
    let details = params.at("subscription_details").clone();
    let invoice = world.rehearse(|world| {
        let now = world.now_for(customer);
        extra_items(world, &json!({"customer": customer}), params)?;
        let begin = Begin {
            customer: customer.to_owned(),
            items: details.list("items").to_vec(),
            trial_end: details.opt_int("trial_end").filter(|end| *end > now),
            payment_behavior: "default_incomplete".to_owned(),
            fields: json!({
                "discounts": params.list("discounts"),
                "billing_cycle_anchor": details["billing_cycle_anchor"].as_i64(),
                "proration_behavior": details["proration_behavior"],
            }),
        };
        let sub = subscribing::begin(world, begin)?;
        Ok(world.find("invoice", sub.text("latest_invoice"))?.clone())
    })?;
    Ok(shown(invoice, params))
}

fn lived(world: &mut World, id: &str, params: &Value) -> Answer {
    let details = params.at("subscription_details");
    let sub = world.find("subscription", id)?.clone();
    extra_items(world, &sub, params)?;
    if details.flag("cancel_now") {
        return at_end(world, &sub, details);
    }
    let mut update = json!({});
    let names = [
        "items",
        "proration_behavior",
        "proration_date",
        "billing_cycle_anchor",
        "trial_end",
        "cancel_at",
        "cancel_at_period_end",
    ];
    for name in names.into_iter().filter(|name| !details[*name].is_null()) {
        update[name] = details[name].clone();
    }
    if !params["discounts"].is_null() {
        update["discounts"] = params["discounts"].clone();
    }
    if sub.text("status") == "paused" && details["resume_at"] == "now" {
        world.edit("subscription", id, |sub| sub["status"] = "active".into());
        update = json!({"billing_cycle_anchor": "now", "proration_behavior": "none"});
    }
    let mut prepared = updating::prepare(world, id, &update)?;
    match updating::bill(world, &mut prepared)? {
        Some(invoice) => Ok(invoice),
        None => next_renewal(world, id),
    }
}

/// The draft of the renewal; of the last invoice when the subscription ends before.
fn next_renewal(world: &mut World, id: &str) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    let items = sub.list("items.data").iter();
    let turn = items.map(|item| item.int("current_period_end")).min().unwrap_or(0);
    stand_at(world, sub.text("customer"), turn);
    if sub.opt_int("cancel_at").is_some_and(|end| end <= turn) {
        return at_end(world, &sub, &json!({"proration_behavior": "none"}));
    }
    renewal::renew(world, id, turn)
}

/// What is billed when the subscription ends now.
fn at_end(world: &mut World, sub: &Value, details: &Value) -> Answer {
    let now = world.now_for(sub.text("customer"));
    if details.text("proration_behavior") != "none" {
        let at = details.opt_int("proration_date").unwrap_or(now);
        for credit in change::credits(world, sub, at)? {
            world.create("invoiceitem", credit);
        }
    }
    let pending = lines::pending(world, sub);
    if pending.is_empty() {
        return Err(none());
    }
    let id = ids::new("invoice");
    let all = lines::take(world, &pending, &id);
    let draft = Draft {
        customer: sub.text("customer"),
        subscription: sub,
        reason: "subscription_update",
        lines: all,
        period: (now, now),
        finalizes_at: None,
        currency: sub.text("currency"),
    };
    Ok(invoicing::compose(world, draft, Some(id)))
}

/// The answer when nothing is going to be invoiced.
pub fn none() -> ApiError {
    let error = ApiError::invalid("No upcoming invoices for customer");
    error.with("code", "invoice_upcoming_none")
}

/// The customer's clock, moved forward for as long as the rehearsal lasts.
fn stand_at(world: &mut World, customer: &str, moment: i64) {
    let clock = world.get("customer", customer).and_then(|c| c.opt_text("test_clock"));
    match clock.map(str::to_owned) {
        Some(clock) => {
            world.edit("test_helpers.test_clock", &clock, |clock| {
                clock["frozen_time"] = moment.into();
            });
        }
        None => world.freeze(Some(moment)),
    }
}

/// `invoice_items`: what would be added, or changed, before.
fn extra_items(world: &mut World, sub: &Value, params: &Value) -> Answer<()> {
    for given in params.list("invoice_items") {
        let known = given.opt_text("invoiceitem").map(str::to_owned);
        if let Some(id) = known {
            world.find_param("invoiceitem", &id, "invoice_items[invoiceitem]")?;
            world.edit("invoiceitem", &id, |item| {
                for name in ["amount", "description", "discountable"] {
                    if !given[name].is_null() {
                        item[name] = given[name].clone();
                    }
                }
            });
            continue;
        }
        let item = invoice_items::of(world, sub, given)?;
        world.create("invoiceitem", item);
    }
    Ok(())
}

/// The invoice as a preview shows it: a draft under an id that leads nowhere.
fn shown(mut invoice: Value, params: &Value) -> Value {
    let id = format!("upcoming_{}", ids::new("invoice"));
    if params.text("preview_mode") == "recurring" {
        let mut lines = invoice.list("lines.data").to_vec();
        lines.retain(|line| {
            line.at("parent.subscription_item_details").is_object()
                && line.at("parent.subscription_item_details.invoice_item").is_null()
        });
        invoicing::set_lines(&mut invoice, lines);
    }
    for line in invoice["lines"]["data"].as_array_mut().into_iter().flatten() {
        line["invoice"] = id.as_str().into();
    }
    invoice.put("lines.url", format!("/v1/invoices/{id}/lines"));
    if invoice.text("billing_reason") != "subscription_update" {
        invoice["billing_reason"] = "upcoming".into();
        let finalizes = invoice.opt_int("automatically_finalizes_at");
        invoice["next_payment_attempt"] = finalizes.map(Value::from).unwrap_or_default();
    }
    for name in ["number", "hosted_invoice_url", "invoice_pdf", "effective_at"] {
        invoice[name] = Value::Null;
    }
    for name in ["amount_paid", "attempt_count"] {
        invoice[name] = 0.into();
    }
    let due = invoice.int("total").saturating_add(invoice.int("starting_balance"));
    for name in ["amount_due", "amount_remaining"] {
        invoice[name] = due.max(0).into();
    }
    invoice["attempted"] = false.into();
    invoice["ending_balance"] = due.min(0).into();
    invoice["status"] = "draft".into();
    invoice["status_transitions"] = json!({});
    invoice["automatically_finalizes_at"] = Value::Null;
    invoice["id"] = id.into();
    invoice["object"] = "invoice".into();
    invoice["livemode"] = false.into();
    crate::spec::complete(crate::spec::spec(), "invoice", invoice)
}
