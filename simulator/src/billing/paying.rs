//! Charging invoices: success, failure, and what both do to the subscription behind them.

use serde_json::Value;

use super::{charge, debiting, dunning, methods, subscribing};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// The payment an open invoice waits for.
pub fn open_payment(world: &World, invoice: &str) -> Option<Value> {
    let mut mine = world.store.newest_by("invoice_payment", "invoice", invoice);
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
    let (Some(method), Some(payment)) = (chosen, open_payment(world, id)) else {
        record_failure(world, id);
        return Err(no_method());
    };
    let intent = payment.text("payment.payment_intent").to_owned();
    if world.find("payment_intent", &intent)?.text("status") == "processing" {
        let message = "The payment of this invoice is still processing.";
        let error = ApiError::invalid(message).with("code", "payment_intent_unexpected_state");
        return Err(error);
    }
    if debiting::is_debit(world, &method) {
        debiting::begin(world, &intent, &method);
        return Ok(world.edit("invoice", id, |invoice| {
            invoice["attempted"] = true.into();
            invoice["next_payment_attempt"] = Value::Null;
        }));
    }
    let confirmed = match charge::refusal(world, &method, off_session) {
        // An invoice waits for its customer on its page instead of forgetting the card.
        Some(charge::REQUIRED) => Ok(charge::ask(world, &intent, &method)),
        _ => charge::confirm(world, &intent, &method, off_session),
    };
    match confirmed {
        Ok(charge::Confirmed::Paid | charge::Confirmed::Held) => {
            let paid = mark_paid(world, id, true);
            charge::aftermath(world, &intent);
            Ok(paid)
        }
        Ok(charge::Confirmed::NeedsAction) => {
            let waiting = world.find("invoice", id)?.clone();
            world.emit("invoice.payment_action_required", &waiting, None);
            record_failure(world, id);
            Err(needs_action(world, &intent))
        }
        Err(error) => {
            record_failure(world, id);
            Err(error)
        }
    }
}

fn needs_action(world: &World, intent: &str) -> ApiError {
    let message = "This payment requires additional user action before it can be completed \
                   successfully. Payment can be completed using the PaymentIntent associated with \
                   the invoice.";
    let shown = world.get("payment_intent", intent).map(|intent| world.render(intent));
    let error = ApiError::card("invoice_payment_intent_requires_action", "", message);
    let mut error = error.with("payment_intent", shown.unwrap_or_default());
    if let Some(body) = error.body.as_object_mut() {
        body.shift_remove("decline_code");
    }
    error
}

/// The invoice that waits for this intent, if any does.
pub fn invoice_behind(world: &World, intent: &str) -> Option<String> {
    let mut mine = world.store.newest_by("invoice_payment", "payment.payment_intent", intent);
    let waiting = mine.find(|payment| payment.text("status") == "open");
    waiting.map(|payment| payment.text("invoice").to_owned())
}

/// Whether an intent pays for a subscription, so that the next charge comes without its holder.
pub fn is_recurring(world: &World, intent: &str) -> bool {
    let invoice = invoice_behind(world, intent);
    let invoice = invoice.and_then(|id| world.get("invoice", &id));
    invoice.is_some_and(|invoice| subscription_of(world, invoice).is_object())
}

/// An intent was paid otherwise than through its invoice: the invoice learns of it.
pub fn intent_paid(world: &mut World, intent: &str) {
    if let Some(invoice) = invoice_behind(world, intent) {
        mark_paid(world, &invoice, true);
    }
}

/// An intent was refused otherwise than through its invoice: that counts as an attempt.
pub fn intent_refused(world: &mut World, intent: &str) {
    if let Some(invoice) = invoice_behind(world, intent) {
        record_failure(world, &invoice);
    }
}

/// The invoice was settled outside, in cash or by transfer.
pub fn mark_paid_elsewhere(world: &mut World, id: &str) -> Answer {
    drop_payment(world, id, None)?;
    world.edit("invoice", id, |invoice| {
        invoice["amount_paid_off_stripe"] = invoice["amount_due"].clone();
    });
    Ok(mark_paid(world, id, false))
}

/// Ends the payment an invoice waited for: its intent is canceled.
pub fn drop_payment(world: &mut World, id: &str, reason: Option<&str>) -> Answer<()> {
    let Some(payment) = open_payment(world, id) else {
        return Ok(());
    };
    let customer = world.get("invoice", id).map(|invoice| invoice.text("customer").to_owned());
    let now = world.now_for(&customer.unwrap_or_default());
    world.edit("invoice_payment", payment.text("id"), |payment| {
        payment["status"] = "canceled".into();
        payment.put("status_transitions.canceled_at", now);
    });
    let intent = payment.text("payment.payment_intent");
    charge::cancel(world, intent, reason.map(str::to_owned)).map(|_| ())
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

/// A failed attempt: counted and told; when it is tried again, and what it means for the
/// subscription, is `dunning`'s business.
fn record_failure(world: &mut World, id: &str) {
    let invoice = world.get("invoice", id).cloned().unwrap_or_default();
    let attempts = invoice.int("attempt_count") + 1;
    let next = dunning::next_attempt(world, &invoice);
    let failed = world.edit("invoice", id, |invoice| {
        invoice["attempt_count"] = attempts.into();
        invoice["attempted"] = true.into();
        invoice["next_payment_attempt"] = next.map(Value::from).unwrap_or_default();
    });
    world.emit("invoice.payment_failed", &failed, None);
    dunning::after_failure(world, &failed);
}
