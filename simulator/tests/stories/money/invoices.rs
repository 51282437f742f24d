//! Invoices: written off and paid after all, voided, paid elsewhere, waiting for consent.

use serde_json::{Value, json};

use super::{end, events, only};
use crate::support::{Bench, id};

/// A customer who owes an open invoice of this amount; answers both ids.
pub async fn owing(bench: &Bench, amount: i64) -> (String, String) {
    let customer = id(&bench.post("/v1/customers", "email=i@example.com").await);
    let form = format!("customer={customer}&amount={amount}&currency=usd&description=Work");
    bench.post("/v1/invoiceitems", &form).await;
    let form = format!("customer={customer}&pending_invoice_items_behavior=include");
    let invoice = id(&bench.post("/v1/invoices", &form).await);
    let open = bench.post(&format!("/v1/invoices/{invoice}/finalize"), "").await;
    assert_eq!((&open["status"], &open["amount_due"]), (&json!("open"), &json!(amount)));
    (customer, invoice)
}

/// A card of the customer that is there for its invoices.
pub async fn with_card(bench: &Bench, customer: &str, card: &str) {
    let form = format!("customer={customer}");
    let method = bench.post(&format!("/v1/payment_methods/{card}/attach"), &form).await;
    let form = format!("invoice_settings[default_payment_method]={}", id(&method));
    bench.post(&format!("/v1/customers/{customer}"), &form).await;
}

async fn intent_of(bench: &Bench, invoice: &str) -> Value {
    let path =
        format!("/v1/invoice_payments?invoice={invoice}&expand[]=data.payment.payment_intent");
    bench.get(&path).await["data"][0]["payment"]["payment_intent"].clone()
}

// E16: what was written off can still be paid, once.
#[tokio::test]
async fn an_uncollectible_invoice_is_paid_later() {
    let bench = Bench::new().await;
    let (customer, invoice) = owing(&bench, 2500).await;
    let path = format!("/v1/invoices/{invoice}");
    let written = bench.post(&format!("{path}/mark_uncollectible"), "").await;
    assert_eq!(written["status"], "uncollectible");
    assert!(written["status_transitions"]["marked_uncollectible_at"].is_i64());
    only(&bench, "invoice.marked_uncollectible").await;
    let (status, _) = bench.call("POST", &format!("{path}/mark_uncollectible"), "").await;
    assert_eq!(status, 400);
    let (status, body) = bench.call("POST", &format!("{path}/pay"), "").await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("resource_missing")), "no card");
    with_card(&bench, &customer, "pm_card_visa").await;
    let paid = bench.post(&format!("{path}/pay"), "").await;
    assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(2500)));
    let (status, body) = bench.call("POST", &format!("{path}/pay"), "").await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("invoice_already_paid")));
    assert_eq!(events(&bench, &["invoice.paid", "invoice_payment.paid"]).await.len(), 2);
    end(bench).await;
}

// E16: a voided invoice takes its intent with it.
#[tokio::test]
async fn a_voided_invoice_can_not_be_paid_and_its_intent_is_canceled() {
    let bench = Bench::new().await;
    let (customer, invoice) = owing(&bench, 2500).await;
    with_card(&bench, &customer, "pm_card_visa").await;
    let intent = intent_of(&bench, &invoice).await;
    let cancel = format!("/v1/payment_intents/{}/cancel", id(&intent));
    assert_eq!(bench.call("POST", &cancel, "").await.0, 400, "the invoice's own");
    let path = format!("/v1/invoices/{invoice}");
    assert_eq!(bench.post(&format!("{path}/void"), "").await["status"], "void");
    only(&bench, "invoice.voided").await;
    let canceled = intent_of(&bench, &invoice).await;
    assert_eq!(
        (&canceled["status"], &canceled["cancellation_reason"]),
        (&json!("canceled"), &json!("void_invoice"))
    );
    for action in ["pay", "void", "mark_uncollectible", "finalize"] {
        let (status, body) = bench.call("POST", &format!("{path}/{action}"), "").await;
        assert_eq!(status, 400, "{action}: {body}");
    }
    end(bench).await;
}

#[tokio::test]
async fn the_first_invoice_voided_is_the_end_of_an_incomplete_subscription() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let customer = id(&bench.post("/v1/customers", "email=v@example.com").await);
    let form =
        format!("customer={customer}&items[0][price]={price}&payment_behavior=default_incomplete");
    let sub = bench.post("/v1/subscriptions", &form).await;
    assert_eq!(sub["status"], "incomplete");
    let invoice = sub["latest_invoice"].as_str().expect("an invoice");
    bench.post(&format!("/v1/invoices/{invoice}/void"), "").await;
    let over = bench.get(&format!("/v1/subscriptions/{}", id(&sub))).await;
    assert_eq!(over["status"], "incomplete_expired");
    end(bench).await;
}

#[tokio::test]
async fn an_invoice_paid_elsewhere_charges_nobody() {
    let bench = Bench::new().await;
    let (_, invoice) = owing(&bench, 2500).await;
    let path = format!("/v1/invoices/{invoice}/pay");
    let paid = bench.post(&path, "paid_out_of_band=true").await;
    assert_eq!((&paid["status"], &paid["amount_paid_off_stripe"]), (&json!("paid"), &json!(2500)));
    assert_eq!(intent_of(&bench, &invoice).await["status"], "canceled");
    assert_eq!(bench.get("/v1/charges").await["data"], json!([]));
    assert_eq!(bench.call("POST", &path, "paid_out_of_band=true").await.0, 400);
    end(bench).await;
}

// C4: a renewal that needs its holder waits on the bank's page; agreeing there pays it.
#[tokio::test]
async fn an_invoice_waits_for_consent_and_is_paid_by_it() {
    let bench = Bench::new().await;
    let (customer, invoice) = owing(&bench, 2500).await;
    with_card(&bench, &customer, "pm_card_threeDSecure2Required").await;
    let path = format!("/v1/invoices/{invoice}");
    let (status, body) = bench.call("POST", &format!("{path}/pay"), "").await;
    let code = &body["error"]["code"];
    assert_eq!((status, code), (402, &json!("invoice_payment_intent_requires_action")));
    assert_eq!(body["error"]["payment_intent"]["status"], "requires_action");
    let types = ["invoice.payment_action_required", "invoice.payment_failed"];
    assert_eq!(events(&bench, &types).await.len(), 2);
    let page = bench.http.get(format!("{}/i/{invoice}", bench.url)).send().await.expect("a page");
    assert!(page.text().await.expect("text").contains("Confirm this payment with your bank"));
    let intent = id(&body["error"]["payment_intent"]);
    let authentication = format!("/_sim/authentications/{intent}");
    let refused = bench.control(&authentication, json!({"outcome": "fail"})).await;
    assert_eq!(refused["status"], "requires_payment_method");
    assert_eq!(bench.get(&path).await["attempt_count"], 2);
    let request = bench.http.post(format!("{}/i/{invoice}", bench.url)).send().await;
    let location = request.expect("an answer").headers()["location"].to_str().map(str::to_owned);
    assert_eq!(location.expect("text"), format!("/3ds/{intent}"));
    bench.control(&authentication, json!({"outcome": "complete"})).await;
    let paid = bench.get(&path).await;
    assert_eq!((&paid["status"], &paid["attempted"]), (&json!("paid"), &json!(true)));
    end(bench).await;
}

#[tokio::test]
async fn a_subscription_that_waited_for_consent_renews_without_asking_again() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let customer = id(&bench.post("/v1/customers", "email=w@example.com").await);
    with_card(&bench, &customer, "pm_card_authenticationRequiredOnSetup").await;
    let form = format!("customer={customer}&items[0][price]={price}");
    let sub = bench.post("/v1/subscriptions", &form).await;
    assert_eq!(sub["status"], "incomplete");
    let intent = intent_of(&bench, sub["latest_invoice"].as_str().expect("an invoice")).await;
    assert_eq!(intent["status"], "requires_action");
    let path = format!("/_sim/authentications/{}", id(&intent));
    bench.control(&path, json!({"outcome": "complete"})).await;
    let sub = format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(&sub));
    assert_eq!(bench.get(&sub).await["status"], "active");
    bench.control("/_sim/clock", json!({"advance_seconds": 32 * 86_400})).await;
    let renewed = bench.get(&sub).await;
    assert_eq!(renewed["latest_invoice"]["billing_reason"], "subscription_cycle");
    assert_eq!(renewed["latest_invoice"]["status"], "paid");
    end(bench).await;
}

// E15: a subscription's invoice is refunded or disputed like any payment; the invoice stays paid.
#[tokio::test]
async fn a_subscriptions_payment_is_refunded_and_disputed_without_touching_it() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let customer = id(&bench.post("/v1/customers", "email=d@example.com").await);
    with_card(&bench, &customer, "pm_card_createDispute").await;
    let form = format!("customer={customer}&items[0][price]={price}");
    let sub = bench.post("/v1/subscriptions", &form).await;
    let invoice = sub["latest_invoice"].as_str().expect("an invoice").to_owned();
    let types = ["invoice.paid", "charge.dispute.created", "charge.dispute.funds_withdrawn"];
    let all = events(&bench, &types).await;
    let told: Vec<&Value> = all.iter().map(|event| &event["type"]).collect();
    assert_eq!(told, types, "the dispute comes after the news of the payment");
    let dispute = &all[1]["data"]["object"];
    let intent = intent_of(&bench, &invoice).await;
    assert_eq!(dispute["payment_intent"], intent["id"]);
    let path = format!("/_sim/disputes/{}/decide", id(dispute));
    bench.control(&path, json!({"outcome": "won"})).await;
    let form = format!("payment_intent={}&amount=900", id(&intent));
    bench.post("/v1/refunds", &form).await;
    let paid = bench.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(2900)));
    let same = bench.get(&format!("/v1/subscriptions/{}", id(&sub))).await;
    assert_eq!(same["status"], "active");
    let query = format!("payment[type]=payment_intent&payment[payment_intent]={}", id(&intent));
    let back = bench.get(&format!("/v1/invoice_payments?{query}")).await;
    assert_eq!(back["data"][0]["invoice"], json!(invoice));
    end(bench).await;
}

// A trial begun on the card page with consent is charged later without its holder.
#[tokio::test]
async fn consent_on_the_card_page_lasts_for_the_charge_after_the_trial() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let form = format!(
        "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1\
         &subscription_data[trial_period_days]=7&success_url=http://127.0.0.1:9/ok"
    );
    let session = id(&bench.post("/v1/checkout/sessions", &form).await);
    let card = [("test_card", "4000002500003155"), ("authentication", "complete")];
    let (status, _, body) = bench.pay(&session, &card).await;
    assert_eq!(status, 303, "{body}");
    bench.control("/_sim/clock", json!({"advance_seconds": 9 * 86_400})).await;
    let subs = bench.get("/v1/subscriptions?expand[]=data.latest_invoice").await;
    assert_eq!(subs["data"][0]["status"], "active");
    assert_eq!(subs["data"][0]["latest_invoice"]["status"], "paid");
    end(bench).await;
}
