//! The charge object that an attempt to take money leaves behind, good or refused.

use serde_json::{Value, json};

use super::balance::{self, Movement};
use crate::cards;
use crate::errors::ApiError;
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ending {
    /// The money came in.
    Taken,
    /// The money is held until it is captured.
    Held,
    /// The money is on its way and may still not come.
    Pending,
    /// It was refused for this reason.
    Refused(&'static str),
}

/// Makes the charge of an attempt to pay an intent with a method, without telling of it.
pub fn make(world: &mut World, intent: &Value, method: &str, ending: Ending) -> Value {
    let found = world.get("payment_method", method).cloned().unwrap_or_default();
    let refusal = refusal(ending);
    let amount = intent.int("amount");
    let captured = matches!(ending, Ending::Taken | Ending::Pending);
    let id = ids::new("charge");
    let status = match ending {
        Ending::Refused(_) => "failed",
        Ending::Pending => "pending",
        _ => "succeeded",
    };
    let charge = json!({
        "id": id,
        "amount": amount,
        "amount_captured": if captured { amount } else { 0 },
        "amount_refunded": 0,
        "balance_transaction": null,
        "billing_details": found["billing_details"],
        "calculated_statement_descriptor": "SIMULATOR",
        "captured": captured,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": false,
        "failure_code": refusal.as_ref().map(|error| error.body["code"].clone()),
        "failure_message": refusal.as_ref().map(|error| error.message()),
        "fraud_details": {},
        "metadata": intent["metadata"],
        "outcome": outcome(ending),
        "paid": matches!(ending, Ending::Taken | Ending::Held),
        "payment_intent": intent["id"],
        "payment_method": method,
        "payment_method_details": details(&found, amount),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_url": format!("{}/receipts/{id}", world.base_url),
        "refunded": false,
        "shipping": intent["shipping"],
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": status,
        "transfer_group": intent["transfer_group"],
    });
    let charge = world.create("charge", charge);
    match ending {
        Ending::Taken => book(world, &id),
        _ => charge,
    }
}

/// Books a charge's money into the account's balance.
pub fn book(world: &mut World, charge: &str) -> Value {
    let found = world.get("charge", charge).cloned().unwrap_or_default();
    let amount = found.int("amount_captured");
    let transaction = balance::record(
        world,
        &Movement {
            kind: "charge",
            category: "charge",
            source: charge,
            amount,
            fee: balance::charge_fee(amount),
            currency: found.text("currency"),
            description: found.text("description"),
        },
    );
    world.edit("charge", charge, |charge| {
        charge["balance_transaction"] = transaction["id"].clone();
    })
}

/// A pending charge turns out well or is refused.
pub fn resolve(world: &mut World, charge: &str, ending: Ending) -> Value {
    let refusal = refusal(ending);
    world.edit("charge", charge, |charge| {
        charge["outcome"] = outcome(ending);
        charge["paid"] = (ending == Ending::Taken).into();
        charge["status"] = if ending == Ending::Taken { "succeeded" } else { "failed" }.into();
        if let Some(error) = refusal {
            charge["amount_captured"] = 0.into();
            charge["captured"] = false.into();
            charge["failure_code"] = error.body["code"].clone();
            charge["failure_message"] = error.message().into();
        }
    });
    match ending {
        Ending::Taken => book(world, charge),
        _ => world.get("charge", charge).cloned().unwrap_or_default(),
    }
}

fn refusal(ending: Ending) -> Option<ApiError> {
    match ending {
        Ending::Refused(reason) => Some(cards::decline(reason)),
        _ => None,
    }
}

/// The method as a charge shows it.
fn details(method: &Value, amount: i64) -> Value {
    let kind = method.opt_text("type").unwrap_or("card").to_owned();
    if kind == "card" {
        return json!({"type": "card", "card": charged_card(method, amount)});
    }
    let mut shown = method[&kind].clone();
    if let Some(map) = shown.as_object_mut() {
        map.shift_remove("generated_from");
    }
    let mut details = json!({"type": kind});
    details[kind] = shown;
    details
}

/// The card as a charge shows it: without what only a payment method has.
fn charged_card(method: &Value, amount: i64) -> Value {
    let card = &method["card"];
    let names = [
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
    ];
    let mut shown: Value =
        names.into_iter().map(|name| (name.to_owned(), card[name].clone())).collect();
    shown["amount_authorized"] = amount.into();
    shown["network"] = card["brand"].clone();
    if method.flag("_sim.authenticated") {
        shown["three_d_secure"] = json!({
            "authentication_flow": "challenge", "electronic_commerce_indicator": "05",
            "result": "authenticated", "version": "2.2.0",
        });
    }
    shown
}

fn outcome(ending: Ending) -> Value {
    let reason = match ending {
        Ending::Pending => return Value::Null,
        Ending::Refused(reason) => reason,
        Ending::Taken | Ending::Held => {
            return json!({
                "network_status": "approved_by_network", "risk_level": "normal", "risk_score": 12,
                "seller_message": "Payment complete.", "type": "authorized",
            });
        }
    };
    if reason == "fraudulent" {
        return json!({
            "network_status": "not_sent_to_network", "reason": "highest_risk_level",
            "risk_level": "highest", "risk_score": 92, "type": "blocked",
            "seller_message": "Stripe blocked this payment as too risky.",
        });
    }
    json!({
        "advice_code": cards::advice(reason), "network_decline_code": cards::network_code(reason),
        "network_status": "declined_by_network", "reason": reason, "risk_level": "normal",
        "risk_score": 12, "type": "issuer_declined",
        "seller_message": "The bank did not return any further details with this decline.",
    })
}
