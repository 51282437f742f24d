//! Setup intents: a payment method made ready for later charges, with its holder's consent.

use serde_json::{Value, json};

use super::{charge, methods};
use crate::cards::{self, Authentication};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// Makes a setup intent and tells of it.
pub fn new_intent(world: &mut World, given: Value) -> Value {
    let id = ids::new("setup_intent");
    let mut intent = json!({
        "id": id,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
        "client_secret": format!("{id}_secret_{}", ids::random(25)),
        "metadata": {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    });
    if let (Some(into), Some(from)) = (intent.as_object_mut(), given.as_object()) {
        into.extend(from.clone());
    }
    world.create_and_tell("setup_intent", "setup_intent.created", intent)
}

/// Confirms an intent with the method it has. A refusal leaves its trace and is the error.
pub fn confirm(world: &mut World, id: &str) -> Answer<()> {
    let intent = world.find("setup_intent", id)?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled") {
        return Err(unexpected(world, &intent));
    }
    let Some(method) = intent.opt_text("payment_method").map(str::to_owned) else {
        let message = "You cannot confirm this SetupIntent because it's missing a payment method.";
        return Err(ApiError::invalid(message).with("code", "setup_intent_unexpected_state"));
    };
    let stored = world.find("payment_method", &method)?.clone();
    if charge::authentication(&stored) != Authentication::Never {
        ask(world, id);
        return Ok(());
    }
    finish(world, id, &method)
}

fn ask(world: &mut World, id: &str) {
    let url = format!("{}/3ds/{id}", world.base_url);
    let waiting = world.edit("setup_intent", id, |intent| {
        let back = intent.at("_sim.return_url").clone();
        intent["status"] = "requires_action".into();
        let redirect = json!({"url": url, "return_url": back});
        intent["next_action"] = json!({"type": "redirect_to_url", "redirect_to_url": redirect});
    });
    world.emit("setup_intent.requires_action", &waiting, None);
}

/// The holder answers on the bank's page.
pub fn authenticate(world: &mut World, id: &str, agrees: bool) -> Answer<()> {
    let intent = world.find("setup_intent", id)?.clone();
    if intent.text("status") != "requires_action" {
        return Err(unexpected(world, &intent));
    }
    let method = intent.text("payment_method").to_owned();
    if agrees {
        return finish(world, id, &method);
    }
    let message = "The latest attempt to set up the payment method has failed because \
                   authentication failed.";
    let error = ApiError::invalid(message).with("code", "setup_intent_authentication_failure");
    Err(refuse(world, id, &method, ApiError { keep: true, ..error }))
}

/// The method is good, unless the card says otherwise.
fn finish(world: &mut World, id: &str, method: &str) -> Answer<()> {
    let stored = world.find("payment_method", method)?.clone();
    if let Some(reason) = cards::of_method(&stored).at_attach {
        let error = cards::decline(reason);
        return Err(refuse(world, id, method, error));
    }
    let intent = world.find("setup_intent", id)?.clone();
    if let Some(customer) = intent.opt_text("customer") {
        methods::attach(world, method, customer)?;
    }
    if intent.text("usage") == "off_session" {
        methods::set_up(world, method);
    }
    let done = world.edit("setup_intent", id, |intent| {
        intent["status"] = "succeeded".into();
        intent["last_setup_error"] = Value::Null;
        intent["next_action"] = Value::Null;
    });
    world.emit("setup_intent.succeeded", &done, None);
    Ok(())
}

/// The attempt is over: the intent wants another method.
fn refuse(world: &mut World, id: &str, method: &str, error: ApiError) -> ApiError {
    let stored = world.get("payment_method", method).cloned().unwrap_or_default();
    let shown = world.render(&stored);
    let error = error.with("payment_method", shown);
    let failed = world.edit("setup_intent", id, |intent| {
        intent["status"] = "requires_payment_method".into();
        intent["payment_method"] = Value::Null;
        intent["next_action"] = Value::Null;
        intent["last_setup_error"] = error.body.clone();
    });
    world.emit("setup_intent.setup_failed", &failed, None);
    let shown = world.render(&failed);
    error.with("setup_intent", shown)
}

/// Cancels an intent that is not settled.
pub fn cancel(world: &mut World, id: &str, reason: Option<String>) -> Answer {
    let intent = world.find("setup_intent", id)?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled") {
        return Err(unexpected(world, &intent));
    }
    let canceled = world.edit("setup_intent", id, |intent| {
        intent["status"] = "canceled".into();
        intent["cancellation_reason"] = reason.map(Value::from).unwrap_or_default();
        intent["next_action"] = Value::Null;
    });
    world.emit("setup_intent.canceled", &canceled, None);
    Ok(canceled)
}

/// The error of an intent in a status that does not allow what is asked.
pub fn unexpected(world: &World, intent: &Value) -> ApiError {
    let message = format!(
        "This SetupIntent has a status of {}, which does not allow that.",
        intent.text("status")
    );
    let error = ApiError::invalid(message).with("code", "setup_intent_unexpected_state");
    error.with("setup_intent", world.render(intent))
}
