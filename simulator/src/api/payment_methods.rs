//! Payment methods.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::billing::methods;
use crate::cards;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

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
    if call.opt("type").as_deref() != Some("card") {
        let message = "The simulator knows payment methods of type card only.";
        return Err(ApiError::invalid(message).with("param", "type"));
    }
    let given = call.params.at("card").clone();
    let (card, expiry) = match (given.opt_text("token"), given.opt_text("number")) {
        (Some(token), _) => (cards::by_token(token), (12, 2034)),
        (None, Some(number)) => {
            let year = given.int("exp_year");
            let year = if year < 100 { year + 2000 } else { year };
            (cards::by_number(number), (given.int("exp_month"), year))
        }
        (None, None) => {
            let message = "Missing required param: card.";
            return Err(ApiError::param("parameter_missing", "card", message));
        }
    };
    let Some(card) = card else {
        let message = "Your card number is incorrect. The simulator knows Stripe's test cards.";
        let error = ApiError::card("incorrect_number", "incorrect_number", message);
        return Err(ApiError { keep: false, ..error.with("param", "number") });
    };
    let metadata = call.metadata(&Value::Null)?;
    let mut details = json!({});
    for (name, value) in call.params["billing_details"].as_object().into_iter().flatten() {
        details[name] = if value == "" { Value::Null } else { value.clone() };
    }
    let id = methods::from_card(call.world, card, expiry, details);
    let method = call.world.edit("payment_method", &id, |method| method["metadata"] = metadata);
    Ok(call.world.render(&method))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("payment_method", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("payment_method", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let details = call.params["billing_details"].clone();
    let card = call.params["card"].clone();
    let event = "payment_method.updated";
    let method = call.world.edit_and_tell("payment_method", &id, event, |method| {
        method["metadata"] = metadata;
        for (name, value) in details.as_object().into_iter().flatten() {
            method["billing_details"][name] = value.clone();
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
