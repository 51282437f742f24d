//! Payment intents and the charges that come of confirming them.

use serde_json::{Value, json};

use crate::cards::{self, Authentication};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// What confirming an intent led to, when it was not refused.
#[derive(Debug, PartialEq)]
pub enum Confirmed {
    /// The money came in.
    Paid,
    /// The holder must authenticate first.
    NeedsAction,
}

/// Why a payment method would refuse to be charged now, if it would.
pub fn refusal(world: &World, method: &str, off_session: bool) -> Option<&'static str> {
    let Some(found) = world.get("payment_method", method) else {
        return Some("generic_decline");
    };
    let card = cards::of_method(found);
    if let Some(reason) = card.at_charge {
        return Some(reason);
    }
    let required = "authentication_required";
    match authentication(found) {
        Authentication::Always if off_session => Some(required),
        Authentication::UnlessSetUp if off_session && !found.flag("_sim.set_up") => Some(required),
        _ => None,
    }
}

/// When the method asks its holder; not again while one is at it.
fn authentication(method: &Value) -> Authentication {
    match method.flag("_sim.authenticated") {
        true => Authentication::Never,
        false => cards::of_method(method).authentication,
    }
}

/// Makes a payment intent and tells of it.
pub fn new_intent(world: &mut World, given: Value) -> Value {
    let id = ids::new("payment_intent");
    let mut intent = json!({
        "id": id,
        "amount_capturable": 0,
        "amount_received": 0,
        "amount_details": {"tip": {}},
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
        "capture_method": "automatic_async",
        "client_secret": format!("{id}_secret_{}", ids::random(25)),
        "confirmation_method": "automatic",
        "metadata": {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    });
    if let (Some(into), Some(from)) = (intent.as_object_mut(), given.as_object()) {
        into.extend(from.clone());
    }
    world.create_and_tell("payment_intent", "payment_intent.created", intent)
}

/// Charges an intent to a payment method. A refusal leaves its trace and is the error.
pub fn confirm(
    world: &mut World,
    intent: &str,
    method: &str,
    off_session: bool,
) -> Answer<Confirmed> {
    let reason = refusal(world, method, off_session);
    let stored = world.find("payment_method", method)?.clone();
    let asks = authentication(&stored) != Authentication::Never;
    if reason.is_none() && asks && !off_session {
        return Ok(ask(world, intent, method));
    }
    match reason {
        None => {
            succeed(world, intent, method);
            Ok(Confirmed::Paid)
        }
        Some(reason) => Err(refuse(world, intent, &stored, reason)),
    }
}

/// The holder must authenticate: the intent waits with the page where that is done.
fn ask(world: &mut World, intent: &str, method: &str) -> Confirmed {
    let url = format!("{}/3ds/{intent}", world.base_url);
    world.edit_and_tell("payment_intent", intent, "payment_intent.requires_action", |pi| {
        pi["status"] = "requires_action".into();
        pi["payment_method"] = method.into();
        let redirect = json!({"url": url, "return_url": null});
        pi["next_action"] = json!({"type": "redirect_to_url", "redirect_to_url": redirect});
    });
    Confirmed::NeedsAction
}

/// The money came in.
pub fn succeed(world: &mut World, intent: &str, method: &str) {
    let pi = world.get("payment_intent", intent).cloned().unwrap_or_default();
    let charge = new_charge(world, &pi, method, None);
    world.emit("charge.succeeded", &charge, None);
    let saves = pi.text("setup_future_usage") == "off_session";
    if saves {
        world.edit("payment_method", method, |method| method.put("_sim.set_up", true));
    }
    let amount = pi.int("amount");
    let paid = world.edit("payment_intent", intent, |pi| {
        pi["status"] = "succeeded".into();
        pi["amount_received"] = amount.into();
        pi["latest_charge"] = charge["id"].clone();
        pi["payment_method"] = method.into();
        pi["next_action"] = Value::Null;
        pi["last_payment_error"] = Value::Null;
    });
    world.emit("payment_intent.succeeded", &paid, None);
}

/// The card refused: the intent wants another payment method.
fn refuse(world: &mut World, intent: &str, method: &Value, reason: &str) -> ApiError {
    let pi = world.get("payment_intent", intent).cloned().unwrap_or_default();
    let charge = new_charge(world, &pi, method.text("id"), Some(reason));
    world.emit("charge.failed", &charge, None);
    let mut error = cards::decline(reason);
    let shown = world.render(method);
    error = error.with("charge", charge["id"].clone()).with("payment_method", shown);
    let failed = world.edit("payment_intent", intent, |pi| {
        pi["status"] = "requires_payment_method".into();
        pi["latest_charge"] = charge["id"].clone();
        pi["payment_method"] = Value::Null;
        pi["next_action"] = Value::Null;
        pi["last_payment_error"] = error.body.clone();
    });
    world.emit("payment_intent.payment_failed", &failed, None);
    let shown = world.render(&failed);
    error.with("payment_intent", shown)
}

fn new_charge(world: &mut World, pi: &Value, method: &str, failed: Option<&str>) -> Value {
    let found = world.get("payment_method", method).cloned().unwrap_or_default();
    let refusal = failed.map(cards::decline);
    let amount = pi.int("amount");
    let taken = if failed.is_none() { amount } else { 0 };
    let id = ids::new("charge");
    let mut card = found["card"].clone();
    card["network"] = card["brand"].clone();
    let charge = json!({
        "id": id,
        "amount": amount,
        "amount_captured": taken,
        "amount_refunded": 0,
        "billing_details": found["billing_details"],
        "calculated_statement_descriptor": "SIMULATOR",
        "captured": failed.is_none(),
        "currency": pi["currency"],
        "customer": pi["customer"],
        "description": pi["description"],
        "failure_code": refusal.as_ref().map(|error| error.body["code"].clone()),
        "failure_message": refusal.as_ref().map(|error| error.message()),
        "fraud_details": {},
        "metadata": pi["metadata"],
        "outcome": outcome(failed),
        "paid": failed.is_none(),
        "payment_intent": pi["id"],
        "payment_method": method,
        "payment_method_details": {"type": "card", "card": charged_card(&card)},
        "radar_options": {},
        "receipt_email": pi["receipt_email"],
        "receipt_url": format!("{}/receipts/{id}", world.base_url),
        "refunded": false,
        "status": if failed.is_none() { "succeeded" } else { "failed" },
    });
    world.create("charge", charge)
}

/// The card as a charge shows it: without what only a payment method has.
fn charged_card(card: &Value) -> Value {
    let names = [
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "network",
        "regulated_status",
    ];
    names.into_iter().map(|name| (name.to_owned(), card[name].clone())).collect()
}

fn outcome(failed: Option<&str>) -> Value {
    match failed {
        None => json!({
            "network_status": "approved_by_network", "risk_level": "normal", "risk_score": 12,
            "seller_message": "Payment complete.", "type": "authorized",
        }),
        Some(reason) => json!({
            "network_status": "declined_by_network", "reason": reason, "risk_level": "normal",
            "risk_score": 12, "type": "issuer_declined",
            "seller_message": "The bank did not return any further details with this decline.",
        }),
    }
}
