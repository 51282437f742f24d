//! Charges. They are made by confirming a payment intent, never here.

use serde_json::json;

use super::{Route, get, post};
use crate::billing::charge;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page, page_by};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/charges", list),
    get("/v1/charges/{charge}", read),
    post("/v1/charges/{charge}", update),
    post("/v1/charges/{charge}/capture", capture),
    get("/v1/charges/{charge}/refunds", refunds),
];

fn list(call: &mut Call) -> Answer {
    let names = ["customer", "payment_intent", "transfer_group"];
    let wanted: Vec<(&str, String)> =
        names.into_iter().filter_map(|name| Some((name, call.opt(name)?))).collect();
    page(call, "charge", "/v1/charges", |charge| {
        wanted.iter().all(|(name, value)| charge.text(name) == value)
    })
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("charge", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("charge", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["description", "receipt_email", "shipping", "transfer_group"]);
    let report = call.opt("fraud_details.user_report");
    let charge = call.world.edit_and_tell("charge", &id, "charge.updated", |charge| {
        if let (Some(into), Some(from)) = (charge.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
        if let Some(report) = report {
            charge.put("fraud_details.user_report", report);
        }
    });
    Ok(call.world.render(&charge))
}

/// Captures through the intent the charge belongs to.
fn capture(call: &mut Call) -> Answer {
    let found = call.world.find("charge", call.id())?.clone();
    if found.flag("captured") || found.text("status") != "succeeded" {
        let message = format!("Charge {} has already been captured.", found.text("id"));
        return Err(ApiError::invalid(message).with("code", "charge_already_captured"));
    }
    let amount = call.params.opt_int("amount");
    charge::capture(call.world, found.text("payment_intent"), amount)?;
    read(call)
}

fn refunds(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    call.world.find("charge", &id)?;
    let url = format!("/v1/charges/{id}/refunds");
    page_by(call, "refund", &url, ("charge", &id), |_| true)
}
