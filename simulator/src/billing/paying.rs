//! Charging invoices: success, failure, and what both do to the subscription behind them.

use serde_json::Value;

use super::calendar::DAY;
use super::{charge, methods, subscribing};
use crate::cards;
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// After how many days a failed renewal is tried again; after the last the subscription ends.
pub const RETRY_DAYS: [i64; 3] = [3, 5, 7];

/// The payment an open invoice waits for.
pub fn open_payment(world: &World, invoice: &str) -> Option<Value> {
    let mut mine = world.store.newest("invoice_payment").filter(|p| p.text("invoice") == invoice);
    mine.find(|payment| payment.text("status") == "open").cloned()
}

/// The subscription an invoice bills, or null.
pub fn subscription_of(world: &World, invoice: &Value) -> Value {
    let id = invoice.text("parent.subscription_details.subscription");
    world.get("subscription", id).cloned().unwrap_or_default()
}

/// Charges an open invoice once. A refusal is recorded and is the error.
pub fn pay(world: &mut World, id: &str, method: Option<String>, off_session: bool) -> Answer {
    let invoice = world.find("invoice", id)?.clone();
    match invoice.text("status") {
        "open" | "uncollectible" => {}
        "paid" => {
            let message = "Invoice is already paid";
            return Err(ApiError::invalid(message).with("code", "invoice_already_paid"));
        }
        _ => return Err(ApiError::invalid("This invoice can not be paid in its status.")),
    }
    let subscription = subscription_of(world, &invoice);
    let customer = invoice.text("customer").to_owned();
    let chosen = method
        .or_else(|| invoice.opt_text("default_payment_method").map(str::to_owned))
        .or_else(|| methods::default_for(world, &customer, &subscription));
    let refused = match (chosen, open_payment(world, id)) {
        (Some(method), Some(payment)) => {
            let intent = payment.text("payment.payment_intent").to_owned();
            match charge::confirm(world, &intent, &method, off_session) {
                Ok(charge::Confirmed::Paid) => None,
                Ok(charge::Confirmed::NeedsAction) => {
                    Some(cards::decline("authentication_required"))
                }
                Err(error) => Some(error),
            }
        }
        _ => Some(no_method()),
    };
    match refused {
        None => Ok(mark_paid(world, id, true)),
        Some(error) => {
            record_failure(world, id);
            Err(error)
        }
    }
}

fn no_method() -> ApiError {
    let message = "This customer has no attached payment source or default payment method. \
                   Please consider adding a default payment method.";
    let error = ApiError::param("resource_missing", "payment_method", message);
    ApiError { keep: true, ..error }
}

/// The invoice is settled: it, its payment and its subscription learn of it.
pub fn mark_paid(world: &mut World, id: &str, attempted: bool) -> Value {
    let invoice = world.get("invoice", id).cloned().unwrap_or_default();
    let now = world.now_for(invoice.text("customer"));
    let due = invoice.int("amount_due");
    let payment = open_payment(world, id);
    let paid = world.edit("invoice", id, |invoice| {
        invoice["status"] = "paid".into();
        invoice["amount_paid"] = due.into();
        invoice["amount_remaining"] = 0.into();
        invoice["attempted"] = true.into();
        invoice["auto_advance"] = false.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice.put("status_transitions.paid_at", now);
        if attempted {
            invoice["attempt_count"] = (invoice.int("attempt_count") + 1).into();
        }
    });
    world.emit("invoice.paid", &paid, None);
    world.emit("invoice.payment_succeeded", &paid, None);
    if let Some(payment) = payment {
        let payment = world.edit("invoice_payment", payment.text("id"), |payment| {
            payment["status"] = "paid".into();
            payment["amount_paid"] = due.into();
            payment.put("status_transitions.paid_at", now);
        });
        world.emit("invoice_payment.paid", &payment, None);
    }
    subscribing::settle(world, paid.text("parent.subscription_details.subscription"));
    paid
}

/// A failed attempt: counted, told, retried later; the last one ends the subscription.
fn record_failure(world: &mut World, id: &str) {
    let invoice = world.get("invoice", id).cloned().unwrap_or_default();
    let now = world.now_for(invoice.text("customer"));
    let subscription = subscription_of(world, &invoice);
    let attempts = invoice.int("attempt_count") + 1;
    let first = invoice.text("billing_reason") == "subscription_create";
    let wait = usize::try_from(attempts - 1).ok().and_then(|n| RETRY_DAYS.get(n));
    let retries = !first && subscription.opt_text("id").is_some() && invoice.flag("auto_advance");
    let next = wait.filter(|_| retries).map(|days| now + days * DAY);
    let failed = world.edit("invoice", id, |invoice| {
        invoice["attempt_count"] = attempts.into();
        invoice["attempted"] = true.into();
        invoice["next_payment_attempt"] = next.map(Value::from).unwrap_or_default();
    });
    world.emit("invoice.payment_failed", &failed, None);
    let Some(subscription) = subscription.opt_text("id").map(str::to_owned) else {
        return;
    };
    if retries && next.is_none() {
        subscribing::end(world, &subscription, "payment_failed", true);
    } else if !first {
        subscribing::set_status(world, &subscription, "past_due");
    }
}
