//! Setup intents: a card made ready for later charges.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::billing::methods;
use crate::cards;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::ids;
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/setup_intents", list),
    post("/v1/setup_intents", create),
    get("/v1/setup_intents/{intent}", read),
    post("/v1/setup_intents/{intent}/confirm", confirm),
];

fn list(call: &mut Call) -> Answer {
    let (customer, method) = (call.opt("customer"), call.opt("payment_method"));
    page(call, "setup_intent", "/v1/setup_intents", |intent| {
        customer.as_deref().is_none_or(|id| intent.text("customer") == id)
            && method.as_deref().is_none_or(|id| intent.text("payment_method") == id)
    })
}

fn create(call: &mut Call) -> Answer {
    let metadata = call.metadata(&Value::Null)?;
    if let Some(id) = call.opt("customer") {
        call.world.find_param("customer", &id, "customer")?;
    }
    let id = ids::new("setup_intent");
    let mut intent = json!({
        "id": id,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
        "client_secret": format!("{id}_secret_{}", ids::random(25)),
        "metadata": metadata,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": call.opt("usage").unwrap_or("off_session".to_owned()),
    });
    call.copy(&mut intent, &["customer", "description"]);
    if let Some(method) = call.opt("payment_method") {
        let method = methods::named(call.world, &method, "payment_method")?;
        intent["payment_method"] = method.into();
        intent["status"] = "requires_confirmation".into();
    }
    call.world.create_and_tell("setup_intent", "setup_intent.created", intent);
    if call.params.flag("confirm") {
        run(call, &id)?;
    }
    Ok(call.world.render(call.world.find("setup_intent", &id)?))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("setup_intent", call.id())?))
}

fn confirm(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    call.world.find("setup_intent", &id)?;
    if let Some(method) = call.opt("payment_method") {
        let method = methods::named(call.world, &method, "payment_method")?;
        call.world.edit("setup_intent", &id, |intent| intent["payment_method"] = method.into());
    }
    run(call, &id)?;
    read(call)
}

fn run(call: &mut Call, id: &str) -> Answer<()> {
    let intent = call.world.find("setup_intent", id)?.clone();
    let Some(method) = intent.opt_text("payment_method").map(str::to_owned) else {
        let message = "You cannot confirm this SetupIntent because it's missing a payment method.";
        return Err(ApiError::invalid(message).with("code", "setup_intent_unexpected_state"));
    };
    let stored = call.world.find("payment_method", &method)?.clone();
    if let Some(reason) = cards::of_method(&stored).at_attach {
        let error = cards::decline(reason);
        let failed = call.world.edit("setup_intent", id, |intent| {
            intent["status"] = "requires_payment_method".into();
            intent["payment_method"] = Value::Null;
            intent["last_setup_error"] = error.body.clone();
        });
        call.world.emit("setup_intent.setup_failed", &failed, None);
        let shown = call.world.render(&failed);
        return Err(error.with("setup_intent", shown));
    }
    if let Some(customer) = intent.opt_text("customer") {
        methods::attach(call.world, &method, customer)?;
    }
    let done = call.world.edit("setup_intent", id, |intent| {
        intent["status"] = "succeeded".into();
        intent["last_setup_error"] = Value::Null;
    });
    call.world.emit("setup_intent.succeeded", &done, None);
    Ok(())
}
