//! Payment intents.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::billing::charge::{self, Confirmed};
use crate::billing::methods;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/payment_intents", list),
    post("/v1/payment_intents", create),
    get("/v1/payment_intents/{intent}", read),
    post("/v1/payment_intents/{intent}", update),
    post("/v1/payment_intents/{intent}/confirm", confirm),
    post("/v1/payment_intents/{intent}/cancel", cancel),
];

fn list(call: &mut Call) -> Answer {
    let customer = call.opt("customer");
    page(call, "payment_intent", "/v1/payment_intents", |intent| {
        customer.as_deref().is_none_or(|id| intent.text("customer") == id)
    })
}

fn create(call: &mut Call) -> Answer {
    let amount = call.params.int("amount");
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::param("parameter_invalid_integer", "amount", message));
    }
    if amount > 99_999_999 {
        let message = "Amount must be no more than $999,999.99";
        return Err(ApiError::param("amount_too_large", "amount", message));
    }
    if let Some(id) = call.opt("customer") {
        call.world.find_param("customer", &id, "customer")?;
    }
    let metadata = call.metadata(&Value::Null)?;
    let mut given = json!({"amount": amount, "metadata": metadata});
    let plain = [
        "currency",
        "customer",
        "description",
        "receipt_email",
        "setup_future_usage",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "shipping",
        "transfer_group",
    ];
    call.copy(&mut given, &plain);
    given["currency"] = given.text("currency").to_lowercase().into();
    if let Some(allowed) = call.params["automatic_payment_methods"].as_object() {
        given["automatic_payment_methods"] = json!({"allow_redirects": "always", "enabled": true});
        for (name, value) in allowed {
            given["automatic_payment_methods"][name] = value.clone();
        }
    }
    let method = chosen(call)?;
    let intent = charge::new_intent(call.world, given);
    let id = intent.text("id").to_owned();
    if let Some(method) = &method {
        call.world.edit("payment_intent", &id, |intent| {
            intent["payment_method"] = method.as_str().into();
            intent["status"] = "requires_confirmation".into();
        });
    }
    if call.params.flag("confirm") {
        run(call, &id, method)?;
    }
    Ok(call.world.render(call.world.find("payment_intent", &id)?))
}

/// The payment method a request names.
fn chosen(call: &mut Call) -> Answer<Option<String>> {
    match call.opt("payment_method") {
        Some(method) => methods::named(call.world, &method, "payment_method").map(Some),
        None => Ok(None),
    }
}

/// Confirms the intent with the method given or the one it has.
fn run(call: &mut Call, id: &str, method: Option<String>) -> Answer<()> {
    let intent = call.world.find("payment_intent", id)?.clone();
    let known = intent.opt_text("payment_method").map(str::to_owned);
    let Some(method) = method.or(known) else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment \
                       method.";
        let error = ApiError::param("payment_intent_unexpected_state", "payment_method", message);
        return Err(error);
    };
    let customer = intent.opt_text("customer").map(str::to_owned);
    let holder = call.world.find("payment_method", &method)?.opt_text("customer");
    if holder.is_some() && holder != customer.as_deref() {
        let message = "The payment method you provided belongs to another customer, or the \
                       PaymentIntent names none.";
        return Err(ApiError::invalid(message).with("param", "payment_method"));
    }
    let off_session = match call.params.at("off_session") {
        Value::Bool(off) => *off,
        Value::String(word) => !word.is_empty(),
        _ => false,
    };
    let confirmed = charge::confirm(call.world, id, &method, off_session)?;
    let keeps = intent.opt_text("setup_future_usage").is_some();
    if let (Confirmed::Paid, Some(customer), true) = (confirmed, customer, keeps) {
        methods::attach(call.world, &method, &customer)?;
    }
    Ok(())
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("payment_intent", call.id())?))
}

/// Whether the intent can still change; an error when it is settled.
fn unsettled(call: &Call) -> Answer {
    let intent = call.world.find("payment_intent", call.id())?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled") {
        let message = format!(
            "This PaymentIntent has a status of {} and can not be changed any more.",
            intent.text("status")
        );
        let error = ApiError::invalid(message).with("code", "payment_intent_unexpected_state");
        return Err(error.with("payment_intent", call.world.render(&intent)));
    }
    Ok(intent)
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("payment_intent", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["description", "receipt_email"]);
    if call.given("amount") || call.given("payment_method") || call.given("customer") {
        unsettled(call)?;
        call.copy(&mut fields, &["amount", "customer", "setup_future_usage"]);
        if let Some(method) = chosen(call)? {
            fields["payment_method"] = method.into();
            fields["status"] = "requires_confirmation".into();
        }
    }
    let intent = call.world.edit("payment_intent", &id, |intent| {
        if let (Some(into), Some(from)) = (intent.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    });
    Ok(call.world.render(&intent))
}

fn confirm(call: &mut Call) -> Answer {
    unsettled(call)?;
    let id = call.id().to_owned();
    let method = chosen(call)?;
    run(call, &id, method)?;
    read(call)
}

fn cancel(call: &mut Call) -> Answer {
    unsettled(call)?;
    let id = call.id().to_owned();
    let reason = call.opt("cancellation_reason");
    let now = call.world.now();
    let canceled = call.world.edit("payment_intent", &id, |intent| {
        intent["status"] = "canceled".into();
        intent["canceled_at"] = now.into();
        intent["cancellation_reason"] = reason.map(Value::from).unwrap_or_default();
        intent["next_action"] = Value::Null;
    });
    call.world.emit("payment_intent.canceled", &canceled, None);
    Ok(call.world.render(&canceled))
}
