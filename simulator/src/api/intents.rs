//! Payment intents.

use serde_json::{Value, json};

use super::payment_methods::chosen;
use super::{Route, get, post};
use crate::billing::charge::{self, Confirmed};
use crate::billing::{debiting, methods, paying};
use crate::cards::Authentication;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/payment_intents", list),
    post("/v1/payment_intents", create),
    get("/v1/payment_intents/{intent}", read),
    post("/v1/payment_intents/{intent}", update),
    post("/v1/payment_intents/{intent}/confirm", confirm),
    post("/v1/payment_intents/{intent}/capture", capture),
    post("/v1/payment_intents/{intent}/cancel", cancel),
];

/// The largest amount of an intent, in minor units.
const LARGEST: i64 = 99_999_999;

/// What an update can change while the intent is not settled.
const CHANGEABLE: [&str; 5] =
    ["amount", "currency", "customer", "setup_future_usage", "capture_method"];

/// What is copied from the request as it is.
const PLAIN: [&str; 7] = [
    "description",
    "receipt_email",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
    "setup_future_usage",
];

fn list(call: &mut Call) -> Answer {
    let customer = call.opt("customer");
    page(call, "payment_intent", "/v1/payment_intents", |intent| {
        customer.as_deref().is_none_or(|id| intent.text("customer") == id)
    })
}

/// The smallest amount that can be charged, in minor units.
fn smallest(currency: &str) -> i64 {
    match currency {
        "usd" | "eur" | "aud" | "brl" | "cad" | "chf" | "inr" | "nzd" | "sgd" | "jpy" => 50,
        "gbp" => 30,
        _ => 1,
    }
}

fn check_amount(amount: i64, currency: &str) -> Answer<()> {
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::param("parameter_invalid_integer", "amount", message));
    }
    if amount < smallest(currency) {
        let least = crate::billing::lines::money(smallest(currency), currency);
        let message = format!("Amount must be at least {least} {currency}");
        return Err(ApiError::param("amount_too_small", "amount", message));
    }
    if amount > LARGEST {
        let message = "Amount must be no more than $999,999.99";
        return Err(ApiError::param("amount_too_large", "amount", message));
    }
    Ok(())
}

fn create(call: &mut Call) -> Answer {
    let amount = call.params.int("amount");
    let currency = call.params.text("currency").to_lowercase();
    if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_lowercase()) {
        let message = format!("Invalid currency: {currency}");
        return Err(ApiError::invalid(message).with("param", "currency"));
    }
    check_amount(amount, &currency)?;
    if let Some(id) = call.opt("customer") {
        call.world.find_param("customer", &id, "customer")?;
    }
    if call.given("off_session") && !call.params.flag("confirm") {
        let message = "You cannot set off_session without confirming the PaymentIntent.";
        return Err(ApiError::invalid(message).with("param", "off_session"));
    }
    let metadata = call.metadata(&Value::Null)?;
    let mut given = json!({
        "amount": amount, "currency": currency, "metadata": metadata,
        "_sim": {"return_url": call.opt("return_url")},
    });
    call.copy(&mut given, &PLAIN);
    call.copy(&mut given, &["customer", "capture_method", "confirmation_method"]);
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

/// Whether the holder is said to be away: a flag, or one of the words that mean so.
fn is_away(call: &Call) -> bool {
    match call.params.at("off_session") {
        Value::Bool(away) => *away,
        Value::String(word) => !word.is_empty(),
        _ => false,
    }
}

/// The method the intent is confirmed with, which must be usable for it.
fn usable(call: &Call, intent: &Value, method: Option<String>) -> Answer<String> {
    let known = intent.opt_text("payment_method").map(str::to_owned);
    let Some(method) = method.or(known) else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment \
                       method.";
        let error = ApiError::param("payment_intent_unexpected_state", "payment_method", message);
        return Err(error);
    };
    let stored = call.world.find("payment_method", &method)?;
    if stored.flag("_sim.detached") {
        return Err(methods::used_up());
    }
    let holder = stored.opt_text("customer");
    if holder.is_some() && holder != intent.opt_text("customer") {
        let message = "The payment method you provided belongs to another customer, or the \
                       PaymentIntent names none.";
        return Err(ApiError::invalid(message).with("param", "payment_method"));
    }
    Ok(method)
}

/// Confirms the intent with the method given or the one it has.
fn run(call: &mut Call, id: &str, method: Option<String>) -> Answer<()> {
    let intent = call.world.find("payment_intent", id)?.clone();
    let method = usable(call, &intent, method)?;
    let stored = call.world.find("payment_method", &method)?.clone();
    if debiting::is_debit(call.world, &method) {
        debiting::begin(call.world, id, &method);
        return Ok(());
    }
    let asks = charge::authentication(&stored) != Authentication::Never;
    // Whoever cannot be asked counts as away.
    let away = is_away(call) || (asks && call.params.flag("error_on_requires_action"));
    match charge::confirm(call.world, id, &method, away) {
        Ok(Confirmed::Paid) => {
            paying::intent_paid(call.world, id);
            charge::aftermath(call.world, id);
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => {
            paying::intent_refused(call.world, id);
            Err(error)
        }
    }
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("payment_intent", call.id())?))
}

/// The intent, while one of these statuses lets it change; an error when it is past that.
fn in_status(call: &Call, statuses: &[&str], what: &str) -> Answer {
    let intent = call.world.find("payment_intent", call.id())?.clone();
    match statuses.contains(&intent.text("status")) {
        true => Ok(intent),
        false => Err(charge::unexpected(call.world, &intent, what)),
    }
}

const OPEN: [&str; 3] = ["requires_payment_method", "requires_confirmation", "requires_action"];

fn update(call: &mut Call) -> Answer {
    let before = call.world.find("payment_intent", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &PLAIN[..6]);
    let method = chosen(call)?;
    if method.is_some() || CHANGEABLE.iter().any(|name| call.given(name)) {
        in_status(call, &OPEN, "could not be updated")?;
        if let Some(customer) = call.opt("customer") {
            call.world.find_param("customer", &customer, "customer")?;
        }
        if let Some(amount) = call.params.opt_int("amount") {
            let currency = call.opt("currency").unwrap_or(before.text("currency").to_owned());
            check_amount(amount, &currency)?;
        }
        call.copy(&mut fields, &CHANGEABLE);
        if let Some(method) = method {
            fields["payment_method"] = method.into();
            fields["status"] = "requires_confirmation".into();
            fields["next_action"] = Value::Null;
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
    in_status(call, &OPEN, "could not be confirmed")?;
    let id = call.id().to_owned();
    let (back, future) = (call.opt("return_url"), call.opt("setup_future_usage"));
    call.world.edit("payment_intent", &id, |intent| {
        if let Some(back) = back {
            intent.put("_sim.return_url", back);
        }
        if let Some(future) = future {
            intent["setup_future_usage"] = future.into();
        }
    });
    let method = chosen(call)?;
    run(call, &id, method)?;
    read(call)
}

fn capture(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find("payment_intent", &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    charge::capture(call.world, &id, call.params.opt_int("amount_to_capture"))?;
    let paid = call.world.edit("payment_intent", &id, |intent| intent["metadata"] = metadata);
    Ok(call.world.render(&paid))
}

fn cancel(call: &mut Call) -> Answer {
    let cancelable = [OPEN[0], OPEN[1], OPEN[2], "requires_capture"];
    in_status(call, &cancelable, "could not be canceled")?;
    let id = call.id().to_owned();
    if paying::invoice_behind(call.world, &id).is_some() {
        let message = "You cannot cancel this PaymentIntent because an invoice made it. Void the \
                       invoice instead.";
        return Err(ApiError::invalid(message).with("code", "payment_intent_unexpected_state"));
    }
    let reason = call.opt("cancellation_reason");
    let canceled = charge::cancel(call.world, &id, reason)?;
    Ok(call.world.render(&canceled))
}
