//! What Checkout keeps beside the payment: a payment method for later, the customer's details.

use serde_json::{Value, json};

use super::methods;
use crate::errors::Answer;
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// Keeps a method for a session's buyer; answers the setup intent's id.
pub fn keep(
    world: &mut World,
    session: &Value,
    buyer: Option<&str>,
    method: &str,
) -> Answer<String> {
    let data = session.at("_sim.setup_intent_data");
    let id = ids::new("setup_intent");
    let intent = json!({
        "id": id,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
        "client_secret": format!("{id}_secret_{}", ids::random(25)),
        "customer": buyer,
        "description": data["description"],
        "metadata": data["metadata"].as_object().cloned().unwrap_or_default(),
        "payment_method": method,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": session["payment_method_types"],
        "status": "requires_confirmation",
        "usage": "off_session",
    });
    world.create_and_tell("setup_intent", "setup_intent.created", intent);
    if let Some(buyer) = buyer {
        methods::attach(world, method, buyer)?;
    }
    world.edit("payment_method", method, |method| method.put("_sim.set_up", true));
    let done = world.edit("setup_intent", &id, |intent| intent["status"] = "succeeded".into());
    world.emit("setup_intent.succeeded", &done, None);
    Ok(id)
}

/// Where the merchant asked for it, a customer learns what was typed on the page.
pub fn update_customer(world: &mut World, session: &Value) {
    let wanted = session.at("_sim.customer_update").clone();
    let fields = ["name", "address"].into_iter().filter(|name| wanted.text(name) == "auto");
    let fields: Vec<&str> = fields.collect();
    let Some(customer) = session.opt_text("customer").filter(|_| !fields.is_empty()) else {
        return;
    };
    let typed = session["customer_details"].clone();
    world.edit_and_tell("customer", customer, "customer.updated", |customer| {
        fields.iter().for_each(|name| customer[*name] = typed[*name].clone());
    });
}
