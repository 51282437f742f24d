//! Bank debits: processing for days, then there or refused; refunded and disputed like the rest.

use serde_json::json;

use super::{end, events};
use crate::support::{Bench, id};

const GOOD: &str = "AT611904300234573201";
const BAD: &str = "AT861904300235473202";

async fn account(bench: &Bench, iban: &str) -> String {
    let form = format!("type=sepa_debit&sepa_debit[iban]={iban}");
    id(&bench.post("/v1/payment_methods", &form).await)
}

#[tokio::test]
async fn a_debit_arrives_after_days_or_is_refused() {
    let bench = Bench::new().await;
    for (iban, status) in [(GOOD, "succeeded"), (BAD, "requires_payment_method")] {
        let method = account(&bench, iban).await;
        let form = format!("amount=900&currency=eur&confirm=true&payment_method={method}");
        let intent = bench.post("/v1/payment_intents", &form).await;
        assert_eq!(intent["status"], "processing");
        let path = format!("/v1/payment_intents/{}", id(&intent));
        let (refused, _) = bench.call("POST", &format!("{path}/cancel"), "").await;
        assert_eq!(refused, 400);
        bench.control("/_sim/clock", json!({"advance_seconds": 86_400})).await;
        assert_eq!(bench.get(&path).await["status"], "processing");
        bench.control("/_sim/clock", json!({"advance_seconds": 3 * 86_400})).await;
        assert_eq!(bench.get(&path).await["status"], status);
    }
    let types =
        ["charge.pending", "payment_intent.processing", "charge.failed", "charge.succeeded"];
    assert_eq!(events(&bench, &types).await.len(), 6);
    end(bench).await;
}

#[tokio::test]
async fn an_invoice_paid_by_debit_stays_open_until_the_bank_answers() {
    let bench = Bench::new().await;
    let (customer, invoice) = super::invoices::owing(&bench, 2500).await;
    let method = account(&bench, GOOD).await;
    let form = format!("customer={customer}");
    bench.post(&format!("/v1/payment_methods/{method}/attach"), &form).await;
    let path = format!("/v1/invoices/{invoice}");
    let form = format!("payment_method={method}");
    let waiting = bench.post(&format!("{path}/pay"), &form).await;
    assert_eq!((&waiting["status"], &waiting["attempted"]), (&json!("open"), &json!(true)));
    assert_eq!(bench.call("POST", &format!("{path}/pay"), &form).await.0, 400, "not twice");
    let intents = bench.get("/v1/payment_intents").await;
    let intent = id(&intents["data"][0]);
    let settle = format!("/_sim/payment_intents/{intent}/settle");
    bench.control(&settle, json!({"outcome": "failed"})).await;
    assert_eq!(bench.get(&path).await["attempt_count"], 1);
    bench.post(&format!("{path}/pay"), &form).await;
    bench.control(&settle, json!({"outcome": "succeeded"})).await;
    assert_eq!(bench.get(&path).await["status"], "paid");
    let dispute = bench.control("/_sim/disputes", json!({"payment_intent": intent})).await;
    assert!(dispute["payment_method_details"].is_null(), "no card, no card details");
    bench
        .control(&format!("/_sim/disputes/{}/decide", id(&dispute)), json!({"outcome": "won"}))
        .await;
    let refund = bench.post("/v1/refunds", &format!("payment_intent={intent}")).await;
    assert_eq!(refund["status"], "succeeded");
    end(bench).await;
}
