//! Our endpoint as Stripe knows it: whether it is there, switched on and told what it needs.
//!
//! Its signing secret cannot be asked for; whether it is right shows by the events that arrive.

use serde::Deserialize;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::shapes::List;

/// What the endpoint must be sent. A missed event is found again by the poll, minutes later; of
/// these none should be missed.
pub const EVENTS: [&str; 17] = [
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.paid",
    "invoice.payment_failed",
    "price.created",
    "price.updated",
    "product.created",
    "product.updated",
];

#[derive(Deserialize)]
struct Endpoint {
    url: String,
    status: String,
    #[serde(default)]
    enabled_events: Vec<String>,
}

/// `GET /v1/webhook_endpoints`; the library's own request for it would bring a crate that takes
/// longer to compile than the engine.
struct ListEndpoints;

impl StripeRequest for ListEndpoints {
    type Output = miniserde::json::Value;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, "/webhook_endpoints").query(&[("limit", "100")])
    }
}

/// What is wrong with the endpoint at this address, in words that say how to mend it; `None` where
/// nothing is.
pub async fn wrong_with(engine: &Engine, address: &str) -> Result<Option<String>> {
    let list: List<Endpoint> = engine.stripe.fetch(&ListEndpoints).await?;
    let Some(endpoint) = list.data.iter().find(|endpoint| endpoint.url == address) else {
        let message = format!("Stripe has no endpoint for {address}: add it under Webhooks");
        return Ok(Some(message));
    };
    if endpoint.status != "enabled" {
        let message = format!("{address} is {}: enable it under Webhooks", endpoint.status);
        return Ok(Some(message));
    }
    let sent = |event: &str| {
        let mut enabled = endpoint.enabled_events.iter();
        enabled.any(|enabled| enabled == "*" || enabled == event)
    };
    let missing: Vec<&str> = EVENTS.into_iter().filter(|event| !sent(event)).collect();
    let message = format!("{address} is not sent {}: add them to it", missing.join(", "));
    Ok((!missing.is_empty()).then_some(message))
}
