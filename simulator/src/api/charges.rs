//! Charges.

use super::{Route, get};
use crate::errors::Answer;
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[get("/v1/charges", list), get("/v1/charges/{charge}", read)];

fn list(call: &mut Call) -> Answer {
    let (customer, intent) = (call.opt("customer"), call.opt("payment_intent"));
    page(call, "charge", "/v1/charges", |charge| {
        customer.as_deref().is_none_or(|id| charge.text("customer") == id)
            && intent.as_deref().is_none_or(|id| charge.text("payment_intent") == id)
    })
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("charge", call.id())?))
}
