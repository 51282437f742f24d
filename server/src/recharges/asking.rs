//! What is asked of Stripe for an attempt: to charge it, which payment it became, to give it up.

use stripe_core::payment_intent::{
    CancelPaymentIntent, CancelPaymentIntentCancellationReason, CreatePaymentIntent,
    CreatePaymentIntentAutomaticPaymentMethods,
    CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, CreatePaymentIntentOffSession,
    ListPaymentIntent,
};
use stripe_types::Currency;

use crate::customers;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::shapes::{List, PaymentIntent};

use super::attempts::Attempt;

/// The metadata key under which an attempt's id travels.
pub const LABEL: &str = "recharge_id";
/// The metadata key that says what was bought.
pub const PRICE: &str = "price_id";

/// Charges the attempt, with nobody present. Asked again with the same attempt, Stripe answers what
/// it did the first time.
pub async fn charge(engine: &Engine, attempt: &Attempt) -> Result<PaymentIntent> {
    let currency: Currency = attempt
        .currency
        .parse()
        .map_err(|_| Error::internal(format!("no such currency: {}", attempt.currency)))?;
    let mut metadata = customers::label(engine, &attempt.org_id);
    metadata.insert(LABEL.to_owned(), attempt.id.clone());
    metadata.insert(PRICE.to_owned(), attempt.price_id.clone());
    let without_pages = CreatePaymentIntentAutomaticPaymentMethods {
        allow_redirects: Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never),
        ..CreatePaymentIntentAutomaticPaymentMethods::new(true)
    };
    let request = CreatePaymentIntent::new(attempt.amount, currency)
        .customer(attempt.customer_id.clone())
        .payment_method(attempt.payment_method.clone())
        .automatic_payment_methods(without_pages)
        .confirm(true)
        .off_session(CreatePaymentIntentOffSession::Bool(true))
        .description(format!("{} credits by auto-recharge", attempt.credits))
        .metadata(metadata);
    engine.stripe.write(&request, &key(attempt)).await
}

fn key(attempt: &Attempt) -> String {
    format!("recharge:{}", attempt.id)
}

/// The payment that an attempt became, if Stripe has one: for when the answer was lost, and for
/// when the answer was a refusal, which names no payment. Looks among the customer's newest
/// hundred; the attempt is under way, so hardly another followed it.
pub async fn find(engine: &Engine, attempt: &Attempt) -> Result<Option<PaymentIntent>> {
    let request = ListPaymentIntent::new().customer(attempt.customer_id.clone()).limit(100);
    let newest: List<PaymentIntent> = engine.stripe.fetch(&request).await?;
    Ok(newest.data.into_iter().find(|intent| intent.metadata.get(LABEL) == Some(&attempt.id)))
}

/// Gives a payment up, so that nobody pays it later. One that cannot be given up any more is as it
/// is: whoever looks next sees it.
pub async fn cancel(engine: &Engine, intent: &PaymentIntent) -> Result<()> {
    let request = CancelPaymentIntent::new(intent.id.clone())
        .cancellation_reason(CancelPaymentIntentCancellationReason::Abandoned);
    let key = format!("recharge-cancel:{}", intent.id);
    match engine.stripe.write::<_, PaymentIntent>(&request, &key).await {
        Ok(_) => Ok(()),
        Err(Error::Stripe { retryable: false, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
