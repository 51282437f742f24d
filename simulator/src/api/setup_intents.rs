//! Setup intents: a card made ready for later charges.

use serde_json::{Value, json};

use super::payment_methods::chosen;
use super::{Route, get, post};
use crate::billing::setting_up;
use crate::errors::Answer;
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/setup_intents", list),
    post("/v1/setup_intents", create),
    get("/v1/setup_intents/{intent}", read),
    post("/v1/setup_intents/{intent}", update),
    post("/v1/setup_intents/{intent}/confirm", confirm),
    post("/v1/setup_intents/{intent}/cancel", cancel),
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
    let mut intent = json!({
        "metadata": metadata,
        "usage": call.opt("usage").unwrap_or("off_session".to_owned()),
        "_sim": {"return_url": call.opt("return_url")},
    });
    call.copy(&mut intent, &["customer", "description"]);
    if let Some(method) = chosen(call)? {
        intent["payment_method"] = method.into();
        intent["status"] = "requires_confirmation".into();
    }
    let intent = setting_up::new_intent(call.world, intent);
    let id = intent.text("id").to_owned();
    if call.params.flag("confirm") {
        setting_up::confirm(call.world, &id)?;
    }
    Ok(call.world.render(call.world.find("setup_intent", &id)?))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("setup_intent", call.id())?))
}

/// Changes an intent that is not settled; metadata can always be changed.
fn update(call: &mut Call) -> Answer {
    let before = call.world.find("setup_intent", call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["description"]);
    if call.given("customer") || call.given("payment_method") {
        if matches!(before.text("status"), "succeeded" | "canceled") {
            return Err(setting_up::unexpected(call.world, &before));
        }
        if let Some(customer) = call.opt("customer") {
            call.world.find_param("customer", &customer, "customer")?;
            fields["customer"] = customer.into();
        }
        if let Some(method) = chosen(call)? {
            fields["payment_method"] = method.into();
            fields["status"] = "requires_confirmation".into();
        }
    }
    let intent = call.world.edit("setup_intent", &id, |intent| {
        if let (Some(into), Some(from)) = (intent.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    });
    Ok(call.world.render(&intent))
}

fn confirm(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    call.world.find("setup_intent", &id)?;
    let (method, back) = (chosen(call)?, call.opt("return_url"));
    call.world.edit("setup_intent", &id, |intent| {
        if let Some(method) = method {
            intent["payment_method"] = method.into();
        }
        if let Some(back) = back {
            intent.put("_sim.return_url", back);
        }
    });
    setting_up::confirm(call.world, &id)?;
    read(call)
}

fn cancel(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let reason = call.opt("cancellation_reason");
    let canceled = setting_up::cancel(call.world, &id, reason)?;
    Ok(call.world.render(&canceled))
}
