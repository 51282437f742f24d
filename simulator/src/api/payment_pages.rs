//! Payment pages: how programs without a browser finish a Checkout session.
//!
//! Nobody documents them; the official command line uses them for its recipes.

use serde_json::json;

use super::{Route, get, post};
use crate::billing::checkout::{self, Means, Payer};
use crate::cards;
use crate::errors::{Answer, ApiError};
use crate::http::Call;
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/payment_pages/{session}", read),
    post("/v1/payment_pages/{session}/confirm", confirm),
];

fn shown(call: &Call) -> Answer {
    let session = call.world.find("checkout.session", call.id())?;
    let shown = call.world.render(session);
    Ok(json!({
        "id": format!("ppage_{}", call.id().trim_start_matches("cs_test_")),
        "object": "payment_page",
        "currency": shown["currency"],
        "livemode": false,
        "mode": shown["mode"],
        "payment_status": shown["payment_status"],
        "session_id": shown["id"],
        "status": shown["status"],
        "success_url": shown["success_url"],
        "total": shown["amount_total"],
    }))
}

fn read(call: &mut Call) -> Answer {
    shown(call)
}

fn confirm(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let session = call.world.find("checkout.session", &id)?.clone();
    let expected = call.params.opt_int("expected_amount");
    if expected.is_some_and(|amount| amount != session.int("amount_total")) {
        let message = "The amount of this Checkout Session is not the expected one.";
        return Err(ApiError::param("checkout_amount_mismatch", "expected_amount", message));
    }
    let means = match call.opt("payment_method") {
        Some(method) => {
            let param = "payment_method";
            Means::Method(
                call.world.find_param("payment_method", &method, param)?.text("id").into(),
            )
        }
        None => Means::Nothing,
    };
    let method = match &means {
        Means::Method(id) => call.world.find("payment_method", id)?.clone(),
        _ => json!({}),
    };
    let or = |path: &str, fallback: &str| method.opt_text(path).unwrap_or(fallback).to_owned();
    let payer = Payer {
        means,
        email: or("billing_details.email", "buyer@example.com"),
        name: or("billing_details.name", "Test Buyer"),
        country: or("billing_details.address.country", "US"),
        authenticated: None,
    };
    if checkout::asks(call.world, &payer) {
        return Err(cards::decline(crate::billing::charge::REQUIRED));
    }
    checkout::complete(call.world, &id, &payer)?;
    shown(call)
}
