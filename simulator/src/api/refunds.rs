//! Refunds.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::ids;
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/refunds", list),
    post("/v1/refunds", create),
    get("/v1/refunds/{refund}", read),
    post("/v1/refunds/{refund}", update),
];

fn list(call: &mut Call) -> Answer {
    let (charge, intent) = (call.opt("charge"), call.opt("payment_intent"));
    page(call, "refund", "/v1/refunds", |refund| {
        charge.as_deref().is_none_or(|id| refund.text("charge") == id)
            && intent.as_deref().is_none_or(|id| refund.text("payment_intent") == id)
    })
}

/// The charge to give back, named itself or through its payment intent.
fn charge(call: &Call) -> Answer {
    if let Some(id) = call.opt("charge") {
        return Ok(call.world.find_param("charge", &id, "charge")?.clone());
    }
    let id = call.opt("payment_intent").ok_or_else(|| {
        let message = "One of the following params should be provided for this request: \
                       payment_intent or charge.";
        ApiError::param("parameter_missing", "charge", message)
    })?;
    let intent = call.world.find_param("payment_intent", &id, "payment_intent")?;
    if intent.text("status") != "succeeded" {
        let message =
            format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
        return Err(ApiError::invalid(message).with("param", "payment_intent"));
    }
    let latest = intent.text("latest_charge");
    Ok(call.world.find_param("charge", latest, "payment_intent")?.clone())
}

fn create(call: &mut Call) -> Answer {
    let charge = charge(call)?;
    let id = charge.text("id").to_owned();
    let left = charge.int("amount_captured") - charge.int("amount_refunded");
    if charge.flag("refunded") || !charge.flag("paid") || left <= 0 {
        let message = format!("Charge {id} has already been refunded.");
        return Err(ApiError::invalid(message).with("code", "charge_already_refunded"));
    }
    let amount = call.params.opt_int("amount").unwrap_or(left);
    if amount < 1 || amount > left {
        let currency = charge.text("currency");
        let message = format!(
            "Refund amount ({}) is greater than unrefunded amount on charge ({}), or not positive.",
            crate::billing::lines::money(amount, currency),
            crate::billing::lines::money(left, currency)
        );
        return Err(ApiError::invalid(message).with("param", "amount"));
    }
    let metadata = call.metadata(&Value::Null)?;
    let refund = json!({
        "id": ids::new("refund"),
        "amount": amount,
        "charge": id,
        "currency": charge["currency"],
        "destination_details": {
            "type": "card",
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number",
                     "type": "refund"},
        },
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": call.opt("reason"),
        "status": "succeeded",
    });
    let refund = call.world.create("refund", refund);
    call.world.edit_and_tell("charge", &id, "charge.refunded", |charge| {
        let refunded = charge.int("amount_refunded") + amount;
        charge["amount_refunded"] = refunded.into();
        charge["refunded"] = (refunded == charge.int("amount_captured")).into();
    });
    call.world.emit("refund.created", &refund, None);
    Ok(call.world.render(&refund))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("refund", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("refund", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let refund = call.world.edit_and_tell("refund", &id, "refund.updated", |refund| {
        refund["metadata"] = metadata;
    });
    Ok(call.world.render(&refund))
}
