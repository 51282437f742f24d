//! Promotion codes: what customers type to get a coupon.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::billing::discounting;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::ids;
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/promotion_codes", list),
    post("/v1/promotion_codes", create),
    get("/v1/promotion_codes/{promotion_code}", read),
    post("/v1/promotion_codes/{promotion_code}", update),
];

const KIND: &str = "promotion_code";

fn list(call: &mut Call) -> Answer {
    let params = call.params.clone();
    let is = |value: &str, name: &str| params.opt_text(name).is_none_or(|wanted| value == wanted);
    let code = params.opt_text("code").map(str::to_lowercase);
    page(call, KIND, "/v1/promotion_codes", |found| {
        is(found.text("promotion.coupon"), "coupon")
            && is(found.text("customer"), "customer")
            && code.as_deref().is_none_or(|code| found.text("code").to_lowercase() == code)
            && params["active"].as_bool().is_none_or(|active| found.flag("active") == active)
    })
}

fn create(call: &mut Call) -> Answer {
    let coupon = call.need("promotion.coupon")?;
    call.world.find_param("coupon", &coupon, "promotion[coupon]")?;
    if let Some(customer) = call.opt("customer") {
        call.world.find_param("customer", &customer, "customer")?;
    }
    let code = call.opt("code").unwrap_or_else(|| ids::random(8).to_uppercase());
    if !code.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
        let message = "Promotion codes can only have letters, digits and dashes.";
        return Err(ApiError::invalid(message).with("param", "code"));
    }
    let active = call.params["active"] != false;
    if active && discounting::by_code(call.world, &code).is_some() {
        let message = "An active promotion code with this code already exists.";
        return Err(ApiError::invalid(message).with("param", "code"));
    }
    let metadata = call.metadata(&Value::Null)?;
    let restrictions = call.params.at("restrictions");
    let mut made = json!({
        "active": active,
        "code": code,
        "metadata": metadata,
        "promotion": {"coupon": coupon, "type": "coupon"},
        "restrictions": {
            "first_time_transaction": restrictions.flag("first_time_transaction"),
            "minimum_amount": restrictions["minimum_amount"],
            "minimum_amount_currency": restrictions["minimum_amount_currency"],
        },
        "times_redeemed": 0,
    });
    call.copy(&mut made, &["customer", "expires_at", "max_redemptions"]);
    let made = call.world.create_and_tell(KIND, "promotion_code.created", made);
    Ok(call.world.render(&made))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find(KIND, call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find(KIND, &id)?.clone();
    if call.params["active"] == true {
        let taken = discounting::by_code(call.world, before.text("code"));
        if taken.is_some_and(|other| other.text("id") != id) {
            let message = "An active promotion code with this code already exists.";
            return Err(ApiError::invalid(message).with("param", "active"));
        }
    }
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["active"]);
    let found = call.world.edit_and_tell(KIND, &id, "promotion_code.updated", |code| {
        if let (Some(into), Some(from)) = (code.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    });
    Ok(call.world.render(&found))
}
