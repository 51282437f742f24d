//! Our endpoint as Stripe knows it: whether it is there, switched on and told what it needs.
//!
//! Its signing secret cannot be asked for; whether it is right shows by the events that arrive.

use std::collections::BTreeMap;

use serde::Deserialize;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::shapes::List;

/// What the endpoint must be sent. A missed event is found again by the poll, minutes later; of
/// these none should be missed.
pub const EVENTS: [&str; 56] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.refund.updated",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.updated",
    "invoice.voided",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "payment_method.attached",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "payment_method.updated",
    "price.created",
    "price.deleted",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "subscription_schedule.aborted",
    "subscription_schedule.canceled",
    "subscription_schedule.completed",
    "subscription_schedule.created",
    "subscription_schedule.released",
    "subscription_schedule.updated",
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
        let query = BTreeMap::from([("limit", "100")]);
        RequestBuilder::new(StripeMethod::Get, "/webhook_endpoints").query(&query)
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
