//! A subscription's standing: the status its invoices give it, what it waits for, how it ends.
//!
//! A change or a resumption that must be paid first waits in the subscription's private notes,
//! under `_sim.awaiting`, until its invoice is paid or its time is over.

use serde_json::{Value, json};

use super::{invoicing, paying, releasing};
use crate::errors::Answer;
use crate::json::{Json, difference};
use crate::world::World;

/// Where an invoice names the subscription it bills.
const BILLS: &str = "parent.subscription_details.subscription";
const UPDATED: &str = "customer.subscription.updated";

/// Gives a running subscription a status and tells of it when it is new.
pub fn set_status(world: &mut World, id: &str, status: &str) {
    let ended = world.get("subscription", id).is_none_or(is_over);
    if !ended {
        world.edit_and_tell("subscription", id, UPDATED, |sub| sub["status"] = status.into());
    }
}

/// Whether nothing can happen to a subscription any more.
pub fn is_over(sub: &Value) -> bool {
    matches!(sub.text("status"), "canceled" | "incomplete_expired")
}

/// Whether a subscription waits for this invoice before it changes or resumes.
pub fn awaits(world: &World, invoice: &Value) -> bool {
    let sub = paying::subscription_of(world, invoice);
    sub.opt_text("_sim.awaiting.invoice").is_some_and(|id| id == invoice.text("id"))
}

/// Whether the customer's latest charge failed.
pub fn set_delinquent(world: &mut World, customer: &str, delinquent: bool) {
    world.edit_and_tell("customer", customer, "customer.updated", |customer| {
        customer["delinquent"] = delinquent.into();
    });
}

/// After an invoice was paid, voided or written off: the subscription follows its newest invoice
/// that is no draft.
pub fn settle(world: &mut World, id: &str) {
    let Some(sub) = world.get("subscription", id).cloned() else {
        return;
    };
    if sub.at("_sim.awaiting").is_object() {
        fulfil(world, &sub);
    }
    let told = |invoice: &&Value| invoice.text("status") != "draft";
    let newest = world.store.newest_by("invoice", BILLS, id).find(told);
    let state = newest.map(|invoice| invoice.text("status").to_owned()).unwrap_or_default();
    if state == "paid" {
        set_delinquent(world, sub.text("customer"), false);
    }
    match (sub.text("status"), state.as_str()) {
        ("incomplete", "paid") => {
            keep_method(world, &sub);
            set_status(world, id, "active");
        }
        ("incomplete", "void") => set_status(world, id, "incomplete_expired"),
        ("past_due" | "unpaid", "paid" | "void" | "uncollectible") => {
            set_status(world, id, "active");
        }
        _ => {}
    }
}

/// The method that paid first becomes the subscription's own, when that was asked for.
fn keep_method(world: &mut World, sub: &Value) {
    if sub.text("payment_settings.save_default_payment_method") != "on_subscription" {
        return;
    }
    let invoice = sub.text("latest_invoice");
    let payment = world.store.newest_by("invoice_payment", "invoice", invoice).next();
    let intent =
        payment.and_then(|p| world.get("payment_intent", p.text("payment.payment_intent")));
    let Some(method) = intent.and_then(|i| i.opt_text("payment_method")).map(str::to_owned) else {
        return;
    };
    world.edit_and_tell("subscription", sub.text("id"), UPDATED, |sub| {
        sub["default_payment_method"] = method.into();
    });
}

/// Leaves a change or a resumption waiting for its invoice.
pub fn wait(world: &mut World, id: &str, awaiting: Value, shown: Value) {
    world.edit_and_tell("subscription", id, UPDATED, |sub| {
        sub["latest_invoice"] = awaiting["invoice"].clone();
        sub["pending_update"] = shown;
        sub.put("_sim.awaiting", awaiting);
    });
}

/// What was waited for has come, or will not come any more.
fn fulfil(world: &mut World, sub: &Value) {
    let awaiting = sub.at("_sim.awaiting").clone();
    let invoice = world.get("invoice", awaiting.text("invoice"));
    let state = invoice.map(|invoice| invoice.text("status").to_owned()).unwrap_or_default();
    if !matches!(state.as_str(), "paid" | "void" | "uncollectible") {
        return;
    }
    let resumes = awaiting.text("kind") == "resume";
    let applies = state == "paid" || (resumes && state == "uncollectible");
    let done = change_waiting(world, sub, applies.then_some(&awaiting["next"]));
    let event = match (resumes, applies) {
        (true, true) => "customer.subscription.resumed",
        // What was paid at once, or given up, was never seen waiting.
        (true, false) => return,
        _ if sub["pending_update"].is_null() => return,
        (false, true) => "customer.subscription.pending_update_applied",
        (false, false) => "customer.subscription.pending_update_expired",
    };
    world.emit(event, &done, None);
}

/// Ends the waiting, taking over the fields that were waiting, and tells of the change.
fn change_waiting(world: &mut World, sub: &Value, next: Option<&Value>) -> Value {
    world.edit_and_tell("subscription", sub.text("id"), UPDATED, |sub| {
        sub["pending_update"] = Value::Null;
        if let Some(notes) = sub["_sim"].as_object_mut() {
            notes.shift_remove("awaiting");
        }
        for (name, value) in next.and_then(Value::as_object).into_iter().flatten() {
            match name.as_str() {
                "billed" => sub.put("_sim.billed", value.clone()),
                name => sub[name] = value.clone(),
            }
        }
    })
}

/// A resumption that does not wait for its payment after all: the invoice stays open.
pub fn resume_owing(world: &mut World, id: &str) {
    let Some(sub) = world.get("subscription", id).cloned() else {
        return;
    };
    let next = sub.at("_sim.awaiting.next").clone();
    let resumed = change_waiting(world, &sub, Some(&next));
    world.emit("customer.subscription.resumed", &resumed, None);
    set_status(world, id, "past_due");
}

/// The time for what was waited for is over: its invoice is voided, which ends the waiting.
pub fn give_up(world: &mut World, id: &str) -> Answer<()> {
    let invoice = world.find("subscription", id)?.text("_sim.awaiting.invoice").to_owned();
    let open = world.get("invoice", &invoice).is_some_and(|i| i.text("status") == "open");
    if open {
        invoicing::void(world, &invoice, "invoice.voided", "void")?;
        return Ok(());
    }
    let sub = world.find("subscription", id)?.clone();
    change_waiting(world, &sub, None);
    Ok(())
}

/// Ends a subscription now. Its open invoices stay, but are no longer retried.
pub fn end(world: &mut World, id: &str, reason: &str, keep_schedule: bool) -> Value {
    let Some(before) = world.get("subscription", id).cloned().filter(|sub| !is_over(sub)) else {
        return world.get("subscription", id).cloned().unwrap_or_default();
    };
    let now = world.now_for(before.text("customer"));
    let ended = world.edit("subscription", id, |sub| {
        sub["status"] = "canceled".into();
        sub["ended_at"] = now.into();
        if !keep_schedule || sub["canceled_at"].is_null() {
            sub["canceled_at"] = now.into();
        }
        sub["cancel_at_period_end"] = false.into();
        sub["pending_update"] = Value::Null;
        sub["pause_collection"] = Value::Null;
        sub.put("_sim.awaiting", Value::Null);
        if sub.at("cancellation_details.reason").is_null() || reason == "payment_failed" {
            sub.put("cancellation_details.reason", reason);
        }
    });
    let invoices: Vec<String> = world
        .store
        .newest_by("invoice", BILLS, id)
        .filter(|invoice| matches!(invoice.text("status"), "open" | "draft"))
        .map(|invoice| invoice.text("id").to_owned())
        .collect();
    for invoice in invoices {
        world.edit_and_tell("invoice", &invoice, "invoice.updated", |invoice| {
            invoice["auto_advance"] = false.into();
            invoice["next_payment_attempt"] = Value::Null;
            invoice["automatically_finalizes_at"] = Value::Null;
        });
    }
    releasing::of_ended(world, &ended, now);
    let ended = match world.get("subscription", id) {
        Some(sub) => sub.clone(),
        None => ended,
    };
    world.emit("customer.subscription.deleted", &ended, None);
    ended
}

/// The time for a first payment is over.
pub fn expire_incomplete(world: &mut World, id: &str) -> Answer<()> {
    let sub = world.find("subscription", id)?.clone();
    let now = world.now_for(sub.text("customer"));
    world.edit_and_tell("subscription", id, UPDATED, |sub| {
        sub["status"] = "incomplete_expired".into();
        sub["ended_at"] = now.into();
    });
    let invoice = sub.text("latest_invoice").to_owned();
    if world.get("invoice", &invoice).is_some_and(|invoice| invoice.text("status") == "open") {
        invoicing::void(world, &invoice, "invoice.voided", "void")?;
    }
    Ok(())
}

/// The event for a subscription stored anew, with what it was before, if that shows.
pub fn tell(world: &mut World, before: &Value, after: &Value) {
    let (before, shown) = (world.render(before), world.render(after));
    if before != shown {
        world.emit(UPDATED, after, Some(difference(&before, &shown)));
    }
}

/// The shown form of a change that waits for its payment.
pub fn pending_update(next: &Value, expires_at: i64) -> Value {
    json!({
        "billing_cycle_anchor": next["billing_cycle_anchor"],
        "expires_at": expires_at,
        "subscription_items": next["items"]["data"],
        "trial_end": next["trial_end"],
        "trial_from_plan": null,
    })
}
