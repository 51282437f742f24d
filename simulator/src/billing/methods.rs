//! Payment methods: made from cards and tokens, attached to customers, chosen for a charge.

use serde_json::{Value, json};

use crate::cards::{self, TestCard};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// Month and year in which token cards expire.
pub const TOKEN_EXPIRY: (i64, i64) = (12, 2034);

/// The id of the payment method a parameter names; a test token makes a new one.
pub fn named(world: &mut World, reference: &str, param: &str) -> Answer<String> {
    match cards::by_token(reference) {
        Some(card) => Ok(from_card(world, card, TOKEN_EXPIRY, json!({}))),
        None => {
            let found = world.find_param("payment_method", reference, param)?;
            Ok(found.text("id").to_owned())
        }
    }
}

/// Makes a payment method of a card, attached to nobody.
pub fn from_card(world: &mut World, card: &TestCard, expiry: (i64, i64), details: Value) -> String {
    let method = cards::method(card, expiry.0, expiry.1, details);
    let method = world.create("payment_method", method);
    method.text("id").to_owned()
}

/// Makes a payment method ready for charges without its holder, who agreed to it.
pub fn set_up(world: &mut World, method: &str) {
    world.edit("payment_method", method, |method| method.put("_sim.set_up", true));
}

/// Attaches a payment method to a customer, unless the card refuses it. That alone does not set it
/// up for charges without its holder.
pub fn attach(world: &mut World, method: &str, customer: &str) -> Answer<()> {
    let found = world.find("payment_method", method)?.clone();
    if found.opt_text("customer") == Some(customer) {
        return Ok(());
    }
    if found.flag("_sim.detached") {
        return Err(used_up());
    }
    if found.opt_text("customer").is_some() {
        let message = "The payment method you provided has already been attached to a customer.";
        return Err(ApiError::invalid(message).with("param", "payment_method"));
    }
    if let Some(reason) = cards::of_method(&found).at_attach {
        return Err(ApiError { keep: false, ..cards::decline(reason) });
    }
    let attached = world.edit("payment_method", method, |method| {
        method["customer"] = customer.into();
    });
    world.emit("payment_method.attached", &attached, None);
    Ok(())
}

/// The error of a method that was taken off its customer.
pub fn used_up() -> ApiError {
    let message = "The provided PaymentMethod was detached from a Customer. It may not be used \
                   again.";
    ApiError::invalid(message).with("param", "payment_method")
}

/// Takes a payment method off its customer, who forgets it as default.
pub fn detach(world: &mut World, method: &str) -> Answer {
    let found = world.find("payment_method", method)?.clone();
    let Some(customer) = found.opt_text("customer").map(str::to_owned) else {
        let message = "The payment method you provided is not attached to a customer so \
                       detachment is impossible.";
        return Err(ApiError::invalid(message).with("param", "payment_method"));
    };
    let detached = world.edit_and_tell("payment_method", method, "payment_method.detached", |m| {
        m["customer"] = Value::Null;
        m.put("_sim.detached", true);
    });
    let default = "invoice_settings.default_payment_method";
    let uses = world.get("customer", &customer).is_some_and(|c| c.text(default) == method);
    if uses {
        world.edit_and_tell("customer", &customer, "customer.updated", |customer| {
            customer.put(default, Value::Null);
        });
    }
    Ok(detached)
}

/// Makes a payment method the one a customer's invoices are charged to.
pub fn make_default(world: &mut World, customer: &str, method: &str) {
    world.edit_and_tell("customer", customer, "customer.updated", |customer| {
        customer.put("invoice_settings.default_payment_method", method);
    });
}

/// What an invoice of this customer (and subscription) is charged to.
pub fn default_for(world: &World, customer: &str, subscription: &Value) -> Option<String> {
    let own = subscription.opt_text("default_payment_method");
    let customer = world.get("customer", customer);
    let general = customer.and_then(|c| c.opt_text("invoice_settings.default_payment_method"));
    let chosen = own.or(general)?;
    let usable = world.get("payment_method", chosen)?.opt_text("customer").is_some();
    usable.then(|| chosen.to_owned())
}
