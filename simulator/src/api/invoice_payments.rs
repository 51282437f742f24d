//! Invoice payments: which intent pays which invoice. Finalizing and paying make and change them.

use super::{Route, get};
use crate::errors::Answer;
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] =
    &[get("/v1/invoice_payments", list), get("/v1/invoice_payments/{invoice_payment}", read)];

/// The filters and the fields they are held against.
const FILTERS: [(&str, &str); 5] = [
    ("invoice", "invoice"),
    ("status", "status"),
    ("payment.type", "payment.type"),
    ("payment.payment_intent", "payment.payment_intent"),
    ("payment.payment_record", "payment.payment_record"),
];

fn list(call: &mut Call) -> Answer {
    let wanted: Vec<(&str, String)> =
        FILTERS.into_iter().filter_map(|(name, path)| Some((path, call.opt(name)?))).collect();
    page(call, "invoice_payment", "/v1/invoice_payments", |payment| {
        wanted.iter().all(|(path, value)| payment.text(path) == value)
    })
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("invoice_payment", call.id())?))
}
