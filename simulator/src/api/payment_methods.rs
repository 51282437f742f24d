//! Payment methods.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::billing::{bank, methods};
use crate::cards;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    get("/v1/payment_methods", list),
    post("/v1/payment_methods", create),
    get("/v1/payment_methods/{payment_method}", read),
    post("/v1/payment_methods/{payment_method}", update),
    post("/v1/payment_methods/{payment_method}/attach", attach),
    post("/v1/payment_methods/{payment_method}/detach", detach),
];

fn list(call: &mut Call) -> Answer {
    let customer = call.opt("customer");
    let kind = call.opt("type");
    page(call, "payment_method", "/v1/payment_methods", |method| {
        customer.as_deref().is_some_and(|id| method.text("customer") == id)
            && kind.as_deref().is_none_or(|kind| method.text("type") == kind)
    })
}

fn create(call: &mut Call) -> Answer {
    let metadata = call.metadata(&Value::Null)?;
    let data = call.params.clone();
    let id = from_data(call.world, &data, "")?;
    let method = call.world.edit("payment_method", &id, |method| method["metadata"] = metadata);
    Ok(call.world.render(&method))
}

/// The payment method a request about an intent names or describes.
pub fn chosen(call: &mut Call) -> Answer<Option<String>> {
    if let Some(method) = call.opt("payment_method") {
        return methods::named(call.world, &method, "payment_method").map(Some);
    }
    let data = call.params.at("payment_method_data").clone();
    match data.is_object() {
        true => from_data(call.world, &data, "payment_method_data").map(Some),
        false => Ok(None),
    }
}

/// A payment method made of its description, attached to nobody; answers its id.
fn from_data(world: &mut World, data: &Value, within: &str) -> Answer<String> {
    let named = |path: &str| match within {
        "" => path.to_owned(),
        _ => format!("{within}[{path}]"),
    };
    let mut details = json!({});
    for (name, value) in data["billing_details"].as_object().into_iter().flatten() {
        details[name] = if value == "" { Value::Null } else { value.clone() };
    }
    match data.text("type") {
        "card" => {
            let (card, expiry) = card(data.at("card"), &named("card"))?;
            Ok(methods::from_card(world, card, expiry, details))
        }
        "sepa_debit" => {
            let iban = bank::account(data.text("sepa_debit.iban")).ok_or_else(|| {
                let message = "The simulator knows Stripe's test accounts only.";
                ApiError::param("invalid_bank_account_iban", &named("sepa_debit"), message)
            })?;
            Ok(bank::method(world, iban, details))
        }
        _ => {
            let message = "The simulator knows payment methods of type card and sepa_debit only.";
            Err(ApiError::invalid(message).with("param", named("type")))
        }
    }
}

/// The test card and expiry a token or number stands for.
fn card(given: &Value, param: &str) -> Answer<(&'static cards::TestCard, (i64, i64))> {
    let (card, expiry) = match (given.opt_text("token"), given.opt_text("number")) {
        (Some(token), _) => (cards::by_token(token), methods::TOKEN_EXPIRY),
        (None, Some(number)) => {
            let year = given.int("exp_year");
            let year = if year < 100 { year + 2000 } else { year };
            (cards::by_number(number), (given.int("exp_month"), year))
        }
        (None, None) => {
            let message = format!("Missing required param: {param}.");
            return Err(ApiError::param("parameter_missing", param, message));
        }
    };
    let refuse = |code: &str, param: &str, message: &str| {
        let error = ApiError::card(code, code, message).with("param", param);
        Err(ApiError { keep: false, ..error })
    };
    if !(1..=12).contains(&expiry.0) {
        let message = "Your card's expiration month is invalid.";
        return refuse("invalid_expiry_month", "exp_month", message);
    }
    match card {
        Some(card) => Ok((card, expiry)),
        None => {
            let message = "Your card number is incorrect. The simulator knows Stripe's test cards.";
            refuse("incorrect_number", "number", message)
        }
    }
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("payment_method", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("payment_method", call.id())?.clone();
    if before["customer"].is_null() {
        let message = "You must save this PaymentMethod to a customer before you can update it.";
        return Err(ApiError::invalid(message));
    }
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let details = call.params["billing_details"].clone();
    let card = call.params["card"].clone();
    let redisplay = call.opt("allow_redisplay");
    let event = "payment_method.updated";
    let method = call.world.edit_and_tell("payment_method", &id, event, |method| {
        method["metadata"] = metadata;
        for (name, value) in details.as_object().into_iter().flatten() {
            let value = if value == "" { Value::Null } else { value.clone() };
            method["billing_details"][name] = value;
        }
        if let Some(redisplay) = redisplay {
            method["allow_redisplay"] = redisplay.into();
        }
        for name in ["exp_month", "exp_year"] {
            if let Some(value) = card.opt_int(name) {
                method["card"][name] = value.into();
            }
        }
    });
    Ok(call.world.render(&method))
}

fn attach(call: &mut Call) -> Answer {
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let reference = call.id().to_owned();
    let id = match cards::by_token(&reference) {
        Some(_) => methods::named(call.world, &reference, "payment_method")?,
        None => call.world.find("payment_method", &reference)?.text("id").to_owned(),
    };
    methods::attach(call.world, &id, &customer)?;
    Ok(call.world.render(call.world.find("payment_method", &id)?))
}

fn detach(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let method = methods::detach(call.world, &id)?;
    Ok(call.world.render(&method))
}
