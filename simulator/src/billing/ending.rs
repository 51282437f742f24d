//! How a subscription comes to its end: planned, undone, at once, with a last invoice or not.

use serde_json::{Value, json};

use super::invoicing::{self, Draft};
use super::{change, lines, paying, standing};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// When the subscription is to end, or that it goes on after all.
pub fn plan(next: &mut Value, params: &Value, now: i64) -> Answer<()> {
    let ends: Vec<i64> =
        next.list("items.data").iter().map(|item| item.int("current_period_end")).collect();
    let last = ends.iter().max().copied().unwrap_or(now);
    let first = ends.iter().min().copied().unwrap_or(now);
    let word = params.opt_text("cancel_at");
    let moment = params.opt_int("cancel_at").or(match word {
        Some("min_period_end") => Some(first),
        Some(_) => Some(last),
        None => None,
    });
    let at_end = params["cancel_at_period_end"].as_bool();
    if moment.is_some() && at_end == Some(true) {
        let message = "You may only specify one of these parameters: cancel_at, \
                       cancel_at_period_end.";
        return Err(ApiError::invalid(message).with("param", "cancel_at"));
    }
    if let Some(moment) = moment {
        if moment <= now {
            let message = "The subscription can only be canceled in the future.";
            return Err(ApiError::invalid(message).with("param", "cancel_at"));
        }
        end_at(next, moment, false, now);
    } else if at_end == Some(true) {
        end_at(next, last, true, now);
    } else if at_end == Some(false) || params["cancel_at"] == "" {
        next["cancel_at"] = Value::Null;
        next["cancel_at_period_end"] = false.into();
        next["canceled_at"] = Value::Null;
        next.put("cancellation_details.reason", Value::Null);
    } else if next.flag("cancel_at_period_end") {
        // A new period moves the end with it.
        next["cancel_at"] = last.into();
    }
    Ok(())
}

fn end_at(next: &mut Value, moment: i64, at_period_end: bool, now: i64) {
    next["cancel_at"] = moment.into();
    next["cancel_at_period_end"] = at_period_end.into();
    next["canceled_at"] = now.into();
    next.put("cancellation_details.reason", "cancellation_requested");
}

/// Ends a subscription at once. `prorate` credits what is left of its periods; `invoice_now`
/// bills what is pending; without either, prorations that wait are dropped.
pub fn now(world: &mut World, id: &str, details: &Value, prorate: bool, bill: bool) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    let at = world.now_for(sub.text("customer"));
    if !bill {
        drop_prorations(world, id);
    }
    if prorate {
        for credit in change::credits(world, &sub, at)? {
            world.create_and_tell("invoiceitem", "invoiceitem.created", credit);
        }
    }
    world.edit("subscription", id, |sub| {
        for (name, value) in details.as_object().into_iter().flatten() {
            let value = if value == "" { Value::Null } else { value.clone() };
            sub["cancellation_details"][name] = value;
        }
    });
    let ended = standing::end(world, id, "cancellation_requested", false);
    if bill {
        last_invoice(world, &ended, "subscription_update")?;
    }
    Ok(world.find("subscription", id)?.clone())
}

fn drop_prorations(world: &mut World, sub: &str) {
    let of = "parent.subscription_details.subscription";
    let waiting = world.store.oldest_by("invoiceitem", of, sub).filter(|item| {
        item.flag("proration") && item.opt_text("invoice").is_none() && !item.flag("deleted")
    });
    let waiting: Vec<Value> = waiting.cloned().collect();
    for item in waiting {
        world.store.remove("invoiceitem", item.text("id"));
        world.emit("invoiceitem.deleted", &item, None);
    }
}

/// The planned moment has come: what still waits for an invoice is billed a last time.
pub fn planned(world: &mut World, id: &str) -> Answer<()> {
    let ended = standing::end(world, id, "cancellation_requested", true);
    last_invoice(world, &ended, "subscription_cycle")
}

/// Bills what is pending for a subscription that is over.
fn last_invoice(world: &mut World, sub: &Value, reason: &str) -> Answer<()> {
    let pending = lines::pending(world, sub);
    let own =
        |item: &Value| item.text("parent.subscription_details.subscription") == sub.text("id");
    if !pending.iter().any(own) {
        return Ok(());
    }
    let id = ids::new("invoice");
    let all = lines::take(world, &pending, &id);
    let now = world.now_for(sub.text("customer"));
    let draft = Draft {
        customer: sub.text("customer"),
        subscription: sub,
        reason,
        lines: all,
        period: (now, now),
        finalizes_at: None,
        currency: sub.text("currency"),
    };
    let invoice = invoicing::draft(world, draft, Some(id.clone()));
    world.edit("subscription", sub.text("id"), |sub| sub["latest_invoice"] = json!(id));
    world.emit("invoice.created", &invoice, None);
    if invoicing::finalize(world, &id)?.text("status") == "open" {
        // A refused last charge leaves the invoice open; the subscription is over either way.
        let _ = paying::pay(world, &id, None, true);
    }
    Ok(())
}
