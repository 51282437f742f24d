//! Refunds.

use serde_json::Value;

use super::{Route, get, post};
use crate::billing::refunding::{self, Wanted};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/refunds", list),
    post("/v1/refunds", create),
    get("/v1/refunds/{refund}", read),
    post("/v1/refunds/{refund}", update),
    post("/v1/refunds/{refund}/cancel", cancel),
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
    let charge = charge(call)?.text("id").to_owned();
    let wanted = Wanted {
        amount: call.params.opt_int("amount"),
        reason: call.opt("reason"),
        metadata: call.metadata(&Value::Null)?,
    };
    let refund = refunding::refund(call.world, &charge, wanted)?;
    Ok(call.world.render(&refund))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("refund", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("refund", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let refund = refunding::set_metadata(call.world, &id, metadata)?;
    Ok(call.world.render(&refund))
}

/// Only refunds that wait for their receiver can be canceled, which those of cards never do.
fn cancel(call: &mut Call) -> Answer {
    let refund = call.world.find("refund", call.id())?;
    let message = format!(
        "You can only cancel refunds with a status of requires_action. This refund has a status \
         of {}.",
        refund.text("status")
    );
    Err(ApiError::invalid(message))
}
