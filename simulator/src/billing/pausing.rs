//! Subscriptions that rest: paused by a call or for want of a card, and resumed.

use serde_json::{Value, json};

use super::change::Wanted;
use super::invoicing::{self, Draft};
use super::{change, lines, paying, standing, subscribing};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// How long a resumption may wait for its payment.
const PATIENCE: i64 = 23 * 3600;

/// Pauses a subscription, for a reason that is shown, and tells of it.
pub fn set(world: &mut World, id: &str, reason: &str) -> Value {
    let customer = world.get("subscription", id).map(|sub| sub.text("customer").to_owned());
    let now = world.now_for(&customer.unwrap_or_default());
    let details = json!({"paused": {
        "type": "subscription", "subscription": {"type": reason}, "transitioned_at": now,
    }});
    let event = "customer.subscription.updated";
    let paused = world.edit_and_tell("subscription", id, event, |sub| {
        sub["status"] = "paused".into();
        sub["status_details"] = details;
    });
    world.emit("customer.subscription.paused", &paused, None);
    paused
}

/// Pauses on request: unused time is credited, on the next invoice or on one of its own.
pub fn pause(world: &mut World, id: &str, params: &Value) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    if !matches!(sub.text("status"), "active" | "trialing" | "past_due") {
        let message = "Only a running subscription can be paused.";
        return Err(ApiError::invalid(message));
    }
    let now = world.now_for(sub.text("customer"));
    let from = match params.text("bill_for.unused_time_from.type") {
        "none" => None,
        "item_current_period_start" => Some(sub.int("items.data.0.current_period_start")),
        _ => Some(now),
    };
    if let Some(from) = from.filter(|_| sub.text("status") != "trialing") {
        for credit in change::credits(world, &sub, from)? {
            world.create_and_tell("invoiceitem", "invoiceitem.created", credit);
        }
        // Credited once, it is not there to be credited again.
        world.edit("subscription", id, |sub| sub.put("_sim.billed", json!({})));
    }
    set(world, id, "pause_requested");
    if params.text("invoicing_behavior") == "invoice" {
        settle_credits(world, &sub)?;
    }
    Ok(world.find("subscription", id)?.clone())
}

/// An invoice for what is pending at the pause.
fn settle_credits(world: &mut World, sub: &Value) -> Answer<()> {
    let pending = lines::pending(world, sub);
    if pending.is_empty() {
        return Ok(());
    }
    let invoice = ids::new("invoice");
    let all = lines::take(world, &pending, &invoice);
    let now = world.now_for(sub.text("customer"));
    let made = draft(world, sub, all, now, &invoice);
    world.emit("invoice.created", &made, None);
    if invoicing::finalize(world, &invoice)?.text("status") == "open" {
        // A refused charge leaves the invoice open; the subscription rests either way.
        let _ = paying::pay(world, &invoice, None, true);
    }
    Ok(())
}

fn draft(world: &mut World, sub: &Value, all: Vec<Value>, now: i64, id: &str) -> Value {
    let draft = Draft {
        customer: sub.text("customer"),
        subscription: sub,
        reason: "subscription_update",
        lines: all,
        period: (now, now),
        finalizes_at: None,
        currency: sub.text("currency"),
    };
    invoicing::draft(world, draft, Some(id.to_owned()))
}

/// Resumes a paused subscription: with a new period that must be paid first, or in the old one.
pub fn resume(world: &mut World, id: &str, params: &Value) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    if sub.text("status") != "paused" {
        let message = "Subscription is not paused, so it can not be resumed.";
        return Err(ApiError::invalid(message));
    }
    let anchor = params.opt_text("billing_cycle_anchor.type");
    let anchor = anchor.or(params.opt_text("billing_cycle_anchor")).unwrap_or("now");
    let now = world.now_for(sub.text("customer"));
    let over = sub.list("items.data").iter().any(|i| i.int("current_period_end") <= now);
    if anchor == "unchanged" && !over {
        world.edit("subscription", id, |sub| {
            sub["status"] = "active".into();
            sub["status_details"] = Value::Null;
        });
        return told(world, &sub);
    }
    if sub.text("_sim.awaiting.kind") == "resume" {
        standing::give_up(world, id)?;
    }
    let wanted = Wanted { items: &[], at: now, prorate: false, restart: true };
    let sub = world.find("subscription", id)?.clone();
    let change = change::plan(world, &sub, &wanted)?;
    let mut next = sub.clone();
    next["status"] = "active".into();
    next["billing_cycle_anchor"] = now.into();
    next["items"] = subscribing::list(id, change.items);
    let invoice_id = ids::new("invoice");
    let pending = lines::pending(world, &sub);
    let mut all = lines::take(world, &pending, &invoice_id);
    for item in next.list("items.data") {
        let period = (item.int("current_period_start"), item.int("current_period_end"));
        all.push(lines::of_item(world, &next, item, period)?);
    }
    let invoice = draft(world, &next, all, now, &invoice_id);
    let awaiting = json!({
        "kind": "resume", "invoice": invoice_id, "expires_at": now + PATIENCE,
        "next": {
            "status": "active", "status_details": null, "items": next["items"],
            "billing_cycle_anchor": now, "latest_invoice": invoice_id,
            "billed": change::remember(&json!({}), &invoice),
        },
    });
    world.edit("subscription", id, |sub| sub.put("_sim.awaiting", awaiting.clone()));
    world.emit("invoice.created", &invoice, None);
    let invoice = invoicing::finalize(world, &invoice_id)?;
    let asks = params.text("payment_behavior") == "resume_on_payment_attempt";
    if invoice.text("status") == "open" && paying::pay(world, &invoice_id, None, true).is_err() {
        standing::wait(world, id, awaiting, Value::Null);
        if asks {
            standing::resume_owing(world, id);
        }
    }
    Ok(world.find("subscription", id)?.clone())
}

/// Tells that a subscription goes on.
fn told(world: &mut World, before: &Value) -> Answer {
    let after = world.find("subscription", before.text("id"))?.clone();
    standing::tell(world, before, &after);
    world.emit("customer.subscription.resumed", &after, None);
    Ok(after)
}

/// Collection that was paused begins again at the moment named for it.
pub fn collect_again(world: &mut World, id: &str) {
    let event = "customer.subscription.updated";
    world.edit_and_tell("subscription", id, event, |sub| sub["pause_collection"] = Value::Null);
}
