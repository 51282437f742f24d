//! The account itself.

use serde_json::json;

use super::{Route, get};
use crate::errors::Answer;
use crate::http::Call;
use crate::spec::{complete, spec};

pub const ROUTES: &[Route] = &[get("/v1/account", read)];

fn read(_call: &mut Call) -> Answer {
    let account = json!({
        "id": "acct_1Simulator0000000",
        "object": "account",
        "business_type": "company",
        "charges_enabled": true,
        "country": "US",
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": true,
        "email": "owner@example.com",
        "metadata": {},
        "payouts_enabled": true,
        "type": "standard",
    });
    Ok(complete(spec(), "account", account))
}
