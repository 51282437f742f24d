//! Refunds: given back whole or in part, pending for a while, failing later.
//!
//! It owns the kind `refund`. What a charge says was refunded follows its refunds.

use serde_json::{Value, json};

use super::balance::{self, Movement};
use super::{disputing, lines};
use crate::cards::{self, Aftermath};
use crate::errors::{Answer, ApiError};
use crate::json::{Json, difference};
use crate::world::World;

/// How long the cards that settle a refund later take for it.
const SETTLES_AFTER: i64 = 600;

/// What is to be given back.
#[derive(Default)]
pub struct Wanted {
    /// In minor units; everything that is left when it is not said.
    pub amount: Option<i64>,
    /// duplicate, fraudulent or requested_by_customer.
    pub reason: Option<String>,
    /// The refund's metadata, an object.
    pub metadata: Value,
}

/// What of a charge can still be given back.
pub fn left(charge: &Value) -> i64 {
    charge.int("amount") - charge.int("amount_refunded")
}

/// Gives back a charge or a part of it.
pub fn refund(world: &mut World, charge: &str, wanted: Wanted) -> Answer {
    let found = world.find_param("charge", charge, "charge")?.clone();
    let amount = allowed(world, &found, wanted.amount)?;
    let currency = found.text("currency").to_owned();
    let method = world.get("payment_method", found.text("payment_method"));
    let aftermath = method.map(|method| cards::of_method(method).aftermath);
    let pending = aftermath == Some(Aftermath::RefundWaits);
    let settles = pending || aftermath == Some(Aftermath::RefundFails);
    let mut refund = json!({
        "amount": amount,
        "charge": charge,
        "currency": currency,
        "metadata": wanted.metadata.as_object().cloned().unwrap_or_default(),
        "payment_intent": found["payment_intent"],
        "reason": wanted.reason,
        "status": if pending { "pending" } else { "succeeded" },
    });
    if found.at("payment_method_details.card").is_object() {
        let card = json!({"reference_status": "pending", "type": "refund",
                          "reference_type": "acquirer_reference_number"});
        refund["destination_details"] = json!({"type": "card", "card": card});
    }
    if pending {
        refund["pending_reason"] = "processing".into();
    }
    if settles {
        let at = world.now_for(found.text("customer")) + SETTLES_AFTER;
        refund["_sim"] = json!({"settles_at": at, "customer": found["customer"]});
    }
    let refund = balance::store(world, "refund", refund);
    let id = refund.text("id").to_owned();
    let paid_out = book(world, &refund, "refund", -amount);
    let refund = world.edit("refund", &id, |refund| refund["balance_transaction"] = paid_out);
    world.edit_and_tell("charge", charge, "charge.refunded", |charge| count(charge, amount));
    world.emit("refund.created", &refund, None);
    let whole = world.get("charge", charge).is_some_and(|charge| charge.flag("refunded"));
    if whole {
        disputing::drop_inquiry(world, charge)?;
    }
    Ok(refund)
}

fn book(world: &mut World, refund: &Value, kind: &str, amount: i64) -> Value {
    let movement = Movement {
        kind,
        category: kind,
        source: refund.text("id"),
        amount,
        fee: 0,
        currency: refund.text("currency"),
        description: "",
    };
    balance::record(world, &movement)["id"].clone()
}

/// Adds to (or takes from) what a charge says was refunded.
fn count(charge: &mut Value, amount: i64) {
    let refunded = charge.int("amount_refunded") + amount;
    charge["amount_refunded"] = refunded.into();
    charge["refunded"] = (refunded >= charge.int("amount")).into();
}

/// The amount to give back, if that much can be.
fn allowed(world: &World, charge: &Value, wanted: Option<i64>) -> Answer<i64> {
    let id = charge.text("id");
    let left = left(charge);
    if !charge.flag("paid") || !charge.flag("captured") {
        let message = format!("Charge {id} was not paid, so nothing of it can be refunded.");
        return Err(ApiError::invalid(message).with("param", "charge"));
    }
    if charge.flag("refunded") || left <= 0 {
        let message = format!("Charge {id} has already been refunded.");
        return Err(ApiError::invalid(message).with("code", "charge_already_refunded"));
    }
    if disputing::keeps_money(world, id) {
        let message = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(ApiError::invalid(message).with("code", "charge_disputed"));
    }
    let amount = wanted.unwrap_or(left);
    if amount < 1 {
        let message = "Invalid positive integer";
        return Err(ApiError::param("parameter_invalid_integer", "amount", message));
    }
    if amount > left {
        let currency = charge.text("currency");
        let message = format!(
            "Refund amount ({}) is greater than unrefunded amount on charge ({})",
            lines::money(amount, currency),
            lines::money(left, currency)
        );
        return Err(ApiError::invalid(message).with("param", "amount"));
    }
    Ok(amount)
}

/// The bank of the holder sends the money back: the refund fails and no longer counts.
pub fn fail(world: &mut World, id: &str, reason: &str) -> Answer {
    let refund = world.find("refund", id)?.clone();
    if !matches!(refund.text("status"), "succeeded" | "pending") {
        let message = "Only a refund that is pending or succeeded can fail.";
        return Err(ApiError::invalid(message));
    }
    let amount = refund.int("amount");
    let returned = book(world, &refund, "refund_failure", amount);
    let failed = change(world, id, &["refund.failed"], |refund| {
        end(refund, "failed");
        refund["failure_reason"] = reason.into();
        refund["failure_balance_transaction"] = returned;
    });
    world.edit("charge", refund.text("charge"), |charge| count(charge, -amount));
    Ok(failed)
}

/// Changes a refund and tells of it by the names of old and new, and by further ones.
fn change(world: &mut World, id: &str, further: &[&str], change: impl FnOnce(&mut Value)) -> Value {
    let before = world.get("refund", id).map(|refund| world.render(refund)).unwrap_or_default();
    let after = world.edit("refund", id, change);
    let shown = world.render(&after);
    if shown == before {
        return after;
    }
    let previous = difference(&before, &shown);
    for event in ["charge.refund.updated", "refund.updated"].iter().chain(further) {
        world.emit(event, &after, Some(previous.clone()));
    }
    after
}

/// Gives a refund the status it ends with.
fn end(refund: &mut Value, status: &str) {
    refund["status"] = status.into();
    if let Some(map) = refund.as_object_mut() {
        map.shift_remove("pending_reason");
        map.shift_remove("_sim");
    }
}

/// Sets a refund's metadata.
pub fn set_metadata(world: &mut World, id: &str, metadata: Value) -> Answer {
    world.find("refund", id)?;
    Ok(change(world, id, &[], |refund| refund["metadata"] = metadata))
}

/// When a refund settles by itself.
pub fn due(refund: &Value) -> Option<i64> {
    refund.opt_int("_sim.settles_at")
}

/// A refund that was to settle later does: a pending one arrives, the other fails.
pub fn settle(world: &mut World, id: &str) -> Answer<()> {
    let refund = world.find("refund", id)?.clone();
    if refund.text("status") == "pending" {
        change(world, id, &[], |refund| end(refund, "succeeded"));
        return Ok(());
    }
    fail(world, id, "expired_or_canceled_card").map(|_| ())
}
