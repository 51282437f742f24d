//! What we ask of Stripe to change a subscription, and what its refusals mean for the one who
//! asked. Pure.

use std::marker::PhantomData;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::error::Error;

use super::current::Current;

/// A post with a form, answered by what the library knows as `T`.
pub struct Post<B, T> {
    path: String,
    body: B,
    answer: PhantomData<fn() -> T>,
}

impl<B: Serialize, T> Post<B, T> {
    /// A post to a path below `/v1`.
    pub fn new(path: impl Into<String>, body: B) -> Self {
        Self { path: path.into(), body, answer: PhantomData }
    }

    /// A key that is the same for the same wish about a subscription as it was last seen. Refused,
    /// the subscription is looked at anew, and the next wish has another key.
    pub fn key(&self, current: &Current) -> String {
        let body = serde_json::to_string(&self.body).unwrap_or_default();
        let wish = Sha256::digest(format!("{}\n{body}", self.path));
        let (id, at) = (&current.subscription_id, current.synced_at);
        format!("change:{id}:{at}:{}", hex::encode(&wish[..8]))
    }
}

impl<B: Serialize, T> StripeRequest for Post<B, T> {
    type Output = T;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, &self.path).form(&self.body)
    }
}

/// A change of one line; without an id it is a new one.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ItemChange {
    /// `si_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `price_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// A change of a subscription's lines that is paid now or not made at all.
#[derive(Clone, Debug, Serialize)]
pub struct Update {
    /// The lines that change.
    pub items: Vec<ItemChange>,
    /// What happens to what was paid already.
    pub proration_behavior: &'static str,
    /// A declined card changes nothing.
    pub payment_behavior: &'static str,
}

impl Update {
    /// A change that takes effect at once. In a trial nothing is charged for it.
    pub fn now(current: &Current, items: Vec<ItemChange>) -> Self {
        let prorate = if current.is_trial() { "none" } else { "always_invoice" };
        Self { items, proration_behavior: prorate, payment_behavior: "error_if_incomplete" }
    }
}

/// Nothing to say but the path.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Nothing {}

/// What a refusal means for a form: a card that was declined is told under its field, and nothing
/// has changed; everything else stays what it is.
pub fn refused(error: Error, field: &str) -> Error {
    let Error::Stripe { code, message, .. } = &error else { return error };
    let asks = code.contains("requires_action") || code.contains("authentication");
    let bare = message.contains("no attached payment source");
    let declined = asks || bare || CARD.contains(&code.as_str());
    if !declined {
        return error;
    }
    let said = match (asks, bare) {
        (true, _) => "Your bank wants you to confirm this payment.".to_owned(),
        (_, true) => "There is no card to charge.".to_owned(),
        _ => message.clone(),
    };
    Error::invalid(field, format!("{said} Nothing was changed. Update the card, then try again."))
}

/// Stripe's codes for what is wrong with a card.
const CARD: [&str; 8] = [
    "card_declined",
    "expired_card",
    "incorrect_cvc",
    "incorrect_number",
    "insufficient_funds",
    "invalid_cvc",
    "processing_error",
    "payment_method_provider_decline",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decline_is_told_under_the_field_and_an_outage_is_not() {
        let stripe = |code: &str, message: &str| Error::Stripe {
            code: code.to_owned(),
            message: message.to_owned(),
            retryable: false,
        };
        let cases = [
            (stripe("card_declined", "Your card was declined."), Some("Your card was declined.")),
            (stripe("invoice_payment_intent_requires_action", "x"), Some("Your bank wants")),
            (
                stripe("resource_missing", "This customer has no attached payment source or …"),
                Some("There is no card"),
            ),
            (stripe("resource_missing", "No such price"), None),
            (stripe("timeout", "no answer"), None),
        ];
        for (error, expected) in cases {
            let told = refused(error, "seats");
            match expected {
                Some(text) => {
                    let Error::Invalid { field, message } = told else { panic!("{told}") };
                    assert!(field == "seats" && message.starts_with(text), "{message}");
                    assert!(message.contains("Nothing was changed."));
                }
                None => assert!(matches!(told, Error::Stripe { .. }), "{told}"),
            }
        }
    }
}
