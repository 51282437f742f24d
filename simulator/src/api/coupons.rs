//! Coupons: what they take off, for how long, and how often they may be redeemed.

use serde_json::{Value, json};

use super::{Route, delete, get, post};
use crate::billing::discounting;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/coupons", list),
    post("/v1/coupons", create),
    get("/v1/coupons/{coupon}", read),
    post("/v1/coupons/{coupon}", update),
    delete("/v1/coupons/{coupon}", remove),
];

fn list(call: &mut Call) -> Answer {
    page(call, "coupon", "/v1/coupons", |_| true)
}

fn wrong(param: &str, message: &str) -> ApiError {
    ApiError::invalid(message).with("param", param)
}

/// What the coupon takes off: either a share or an amount in a currency.
fn worth(call: &Call) -> Answer<()> {
    let percent = call.params["percent_off"].as_f64();
    let amount = call.params.opt_int("amount_off");
    match (percent, amount) {
        (Some(percent), None) if percent > 0.0 && percent <= 100.0 => Ok(()),
        (Some(_), None) => {
            Err(wrong("percent_off", "percent_off must be greater than 0 and at most 100."))
        }
        (None, Some(amount)) if amount < 1 => {
            Err(wrong("amount_off", "This value must be greater than or equal to 1."))
        }
        (None, Some(_)) if call.opt("currency").is_none() => {
            Err(wrong("currency", "You must pass currency when passing amount_off."))
        }
        (None, Some(_)) => Ok(()),
        (None, None) => {
            Err(wrong("percent_off", "You must pass either percent_off or amount_off."))
        }
        (Some(_), Some(_)) => {
            Err(wrong("amount_off", "You may only specify one of percent_off and amount_off."))
        }
    }
}

fn create(call: &mut Call) -> Answer {
    worth(call)?;
    let duration = call.opt("duration").unwrap_or("once".to_owned());
    let months = call.params.opt_int("duration_in_months");
    if (duration == "repeating") != months.is_some_and(|months| months > 0) {
        let message = "duration_in_months is needed for, and only for, a repeating coupon.";
        return Err(wrong("duration_in_months", message));
    }
    if call.params.opt_int("max_redemptions").is_some_and(|most| most < 1) {
        let message = "This value must be greater than or equal to 1.";
        return Err(wrong("max_redemptions", message));
    }
    if let Some(id) = call.opt("id").filter(|id| call.world.find("coupon", id).is_ok()) {
        let error = wrong("id", &format!("Coupon already exists: {id}"));
        return Err(error.with("code", "resource_already_exists"));
    }
    for product in call.params.list("applies_to.products").iter().filter_map(Value::as_str) {
        call.world.find_param("product", product, "applies_to[products]")?;
    }
    let metadata = call.metadata(&Value::Null)?;
    let mut coupon = json!({
        "duration": duration,
        "duration_in_months": months,
        "metadata": metadata,
        "times_redeemed": 0,
        "valid": true,
    });
    let plain =
        ["id", "amount_off", "applies_to", "max_redemptions", "name", "percent_off", "redeem_by"];
    call.copy(&mut coupon, &plain);
    if let Some(currency) = call.opt("currency").filter(|_| call.given("amount_off")) {
        coupon["currency"] = currency.to_lowercase().into();
    }
    coupon["valid"] = discounting::is_valid(&coupon, call.world.now()).into();
    let coupon = call.world.create_and_tell("coupon", "coupon.created", coupon);
    Ok(call.world.render(&coupon))
}

fn read(call: &mut Call) -> Answer {
    let mut coupon = call.world.find("coupon", call.id())?.clone();
    coupon["valid"] = discounting::is_valid(&coupon, call.world.now()).into();
    Ok(call.world.render(&coupon))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find("coupon", &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["name"]);
    let coupon = call.world.edit_and_tell("coupon", &id, "coupon.updated", |coupon| {
        if let (Some(into), Some(from)) = (coupon.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    });
    Ok(call.world.render(&coupon))
}

/// The coupon can be redeemed no more; whoever has it keeps the discount.
fn remove(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let coupon = call.world.find("coupon", &id)?.clone();
    call.world.emit("coupon.deleted", &coupon, None);
    let gone = json!({"id": id, "object": "coupon", "deleted": true});
    call.world.store.put("coupon", &id, gone.clone());
    Ok(gone)
}
