//! The real client reads refunds, disputes, credit notes, setups and refused payments.

use serde_json::json;
use stripe::{Client, StripeError};
use stripe_billing::credit_note::{CreateCreditNote, ListCreditNote};
use stripe_core::charge::RetrieveCharge;
use stripe_core::dispute::{ListDispute, RetrieveDispute, UpdateDispute};
use stripe_core::payment_intent::{
    CancelPaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent, CreatePaymentIntentOffSession,
    RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_core::setup_intent::CreateSetupIntent;

use super::invoices::{owing, with_card};
use super::{end, paid};
use crate::support::{Bench, KEY};

fn client(bench: &Bench) -> Client {
    stripe::ClientBuilder::new(KEY).url(bench.url.as_str()).build().expect("a client")
}

fn fields(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

#[tokio::test]
async fn the_client_reads_refunds_and_disputes() {
    let bench = Bench::new().await;
    let client = client(&bench);
    let (intent, charge) = paid(&bench, "pm_card_refundFail", 2000).await;
    let refund =
        CreateRefund::new().payment_intent(intent.as_str()).amount(500).send(&client).await;
    let refund = refund.expect("a refund");
    let path = format!("/_sim/refunds/{}/fail", refund.id.as_str());
    bench.control(&path, json!({})).await;
    let list = ListRefund::new()
        .charge(charge.as_str())
        .expand(fields(&["data.charge", "data.balance_transaction"]))
        .send(&client)
        .await
        .expect("refunds");
    assert_eq!(list.data[0].status.as_deref(), Some("failed"));

    let (intent, charge) = paid(&bench, "pm_card_createDispute", 2000).await;
    let disputes = ListDispute::new()
        .payment_intent(intent.as_str())
        .expand(fields(&["data.charge", "data.payment_intent"]))
        .send(&client)
        .await
        .expect("disputes");
    let id = disputes.data[0].id.clone();
    assert_eq!(disputes.data[0].balance_transactions[0].amount, -2000);
    UpdateDispute::new(id.clone()).submit(false).send(&client).await.expect("an update");
    let path = format!("/_sim/disputes/{}/decide", id.as_str());
    bench.control(&path, json!({"outcome": "won"})).await;
    let won = RetrieveDispute::new(id).send(&client).await.expect("a dispute");
    assert_eq!(won.status, stripe_shared::DisputeStatus::Won);
    let charge = RetrieveCharge::new(charge)
        .expand(fields(&["refunds", "balance_transaction", "customer", "payment_intent"]))
        .send(&client)
        .await
        .expect("a charge");
    assert!(charge.disputed);
    end(bench).await;
}

#[tokio::test]
async fn the_client_reads_refused_payments() {
    let bench = Bench::new().await;
    let client = client(&bench);
    let create = |card: &str| {
        CreatePaymentIntent::new(900, stripe_types::Currency::USD)
            .payment_method(card)
            .off_session(CreatePaymentIntentOffSession::Bool(true))
            .confirm(true)
    };
    for (card, decline) in [
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ] {
        let error = create(card).send(&client).await.expect_err("a refusal");
        let StripeError::Stripe(error, status) = error else {
            panic!("not an answer: {error:?}");
        };
        assert_eq!((status, error.decline_code.as_deref()), (402, Some(decline)));
        let intent = error.payment_intent.expect("the intent");
        let read = RetrievePaymentIntent::new(intent.id.clone())
            .expand(fields(&["latest_charge"]))
            .send(&client)
            .await
            .expect("the intent");
        assert!(read.last_payment_error.is_some());
        CancelPaymentIntent::new(intent.id).send(&client).await.expect("a cancellation");
    }
    let waiting = CreatePaymentIntent::new(900, stripe_types::Currency::USD)
        .payment_method("pm_card_threeDSecure2Required")
        .send(&client)
        .await
        .expect("an intent");
    let waiting = ConfirmPaymentIntent::new(waiting.id).send(&client).await.expect("an intent");
    assert!(waiting.next_action.is_some());
    let setup = CreateSetupIntent::new()
        .payment_method("pm_card_threeDSecure2Required")
        .confirm(true)
        .expand(fields(&["payment_method"]))
        .send(&client)
        .await
        .expect("a setup");
    assert!(setup.next_action.is_some());
    end(bench).await;
}

#[tokio::test]
async fn the_client_reads_credit_notes() {
    let bench = Bench::new().await;
    let client = client(&bench);
    let (customer, invoice) = owing(&bench, 3000).await;
    with_card(&bench, &customer, "pm_card_visa").await;
    bench.post(&format!("/v1/invoices/{invoice}/pay"), "").await;
    let note = CreateCreditNote::new(invoice.as_str())
        .amount(1200)
        .refund_amount(700)
        .credit_amount(500)
        .send(&client)
        .await
        .expect("a note");
    assert_eq!((note.amount, note.post_payment_amount), (1200, 1200));
    let list = ListCreditNote::new().customer(customer.as_str()).send(&client).await;
    assert_eq!(list.expect("notes").data[0].lines.data[0].amount, 1200);
    end(bench).await;
}
