//! How a subscription begins, and what a first payment that fails makes of it.

use serde_json::json;

use super::super::support::id;
use super::{DAY, HOUR, NEW_YEAR, Person, amounts, names, sums};

#[tokio::test]
async fn a_first_payment_that_fails_leaves_it_incomplete_for_23_hours() {
    // B3
    let mut person = Person::new().await;
    person.card("pm_card_chargeCustomerFail").await;
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    let sub = person.subscribe(&format!("items[0][price]={price}")).await;
    assert_eq!(sub["status"], "incomplete");
    let invoice = person.invoice(&sub["latest_invoice"]).await;
    assert_eq!(sums(&invoice), json!([2000, 2000, "open"]));
    assert!(invoice["next_payment_attempt"].is_null(), "a first invoice is not tried again");
    let (status, error) = person
        .bench
        .call("POST", &format!("/v1/subscriptions/{}", id(&sub)), "billing_cycle_anchor=now")
        .await;
    assert_eq!(status, 400, "{error}");
    person.pass(22 * HOUR).await;
    assert_eq!(person.sub(&id(&sub)).await["status"], "incomplete");
    person.pass(2 * HOUR).await;
    assert_eq!(person.sub(&id(&sub)).await["status"], "incomplete_expired");
    assert_eq!(person.invoice(&sub["latest_invoice"]).await["status"], "void");
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(before, json!({"status": "incomplete", "ended_at": null}));
    assert_eq!(person.events("customer.subscription.deleted").await.len(), 0);
    person.bench.end().await;
}

#[tokio::test]
async fn the_first_invoice_paid_in_time_makes_it_active() {
    let person = Person::new().await;
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    let form = format!("customer={}&items[0][price]={price}", person.customer);
    let (status, error) = person.bench.call("POST", "/v1/subscriptions", &form).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("resource_missing")));
    let form = format!(
        "items[0][price]={price}&payment_behavior=default_incomplete\
         &payment_settings[save_default_payment_method]=on_subscription"
    );
    let sub = person.subscribe(&form).await;
    assert_eq!(sub["status"], "incomplete");
    let latest = sub["latest_invoice"].as_str().expect("an id");
    let payments = person.bench.get(&format!("/v1/invoice_payments?invoice={latest}")).await;
    let intent = &payments["data"][0]["payment"]["payment_intent"];
    let intent = intent.as_str().expect("an intent");
    let method = person
        .bench
        .post("/v1/payment_methods/pm_card_visa/attach", &format!("customer={}", person.customer))
        .await;
    let form = format!("payment_method={}", id(&method));
    person.bench.post(&format!("/v1/payment_intents/{intent}/confirm"), &form).await;
    let sub = person.sub(&id(&sub)).await;
    assert_eq!((&sub["status"], &sub["default_payment_method"]), (&json!("active"), &method["id"]));
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(before, json!({"status": "incomplete"}));
    person.bench.end().await;
}

#[tokio::test]
async fn error_if_incomplete_leaves_nothing_behind() {
    let person = Person::new().await;
    person.card("pm_card_chargeCustomerFail").await;
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    for (behavior, status) in [("error_if_incomplete", 402), ("pending_if_incomplete", 400)] {
        let form = format!(
            "customer={}&items[0][price]={price}&payment_behavior={behavior}",
            person.customer
        );
        let (got, error) = person.bench.call("POST", "/v1/subscriptions", &form).await;
        assert_eq!(got, status, "{behavior}: {error}");
    }
    assert_eq!(person.bench.get("/v1/subscriptions?status=all").await["data"], json!([]));
    assert_eq!(person.bench.get("/v1/invoices").await["data"], json!([]));
    person.bench.end().await;
}

#[tokio::test]
async fn a_cycle_that_turns_later_bills_its_first_part_to_the_second() {
    let mut person = Person::with_card().await;
    let price = person.bench.price("Pro", 3100, Some("month")).await;
    let setup = person.bench.price("Setup", 500, None).await;
    let anchor = NEW_YEAR + 10 * DAY;
    let form = format!(
        "items[0][price]={price}&billing_cycle_anchor={anchor}&add_invoice_items[0][price]={setup}"
    );
    let sub = person.subscribe(&form).await;
    let first = person.invoice(&sub["latest_invoice"]).await;
    assert_eq!(amounts(&first), [1000, 500], "ten of December's thirty-one days, and the setup");
    assert_eq!(sub["items"]["data"][0]["current_period_end"], anchor);
    person.pass(10 * DAY + 2 * HOUR).await;
    let renewed = person.newest().await;
    assert_eq!((&renewed["total"], &renewed["status"]), (&json!(3100), &json!("paid")));
    let form = format!(
        "customer={}&items[0][price]={price}&billing_cycle_anchor={}",
        person.customer,
        NEW_YEAR + 90 * DAY
    );
    assert_eq!(person.bench.call("POST", "/v1/subscriptions", &form).await.0, 400);
    person.bench.end().await;
}

#[tokio::test]
async fn day_31_is_kept_over_short_months() {
    // B19
    let mut person = Person::with_card().await;
    person.pass(30 * DAY).await;
    let price = person.bench.price("Pro", 1000, Some("month")).await;
    let sub = person.monthly(&price).await;
    let ends = [28, 31, 30, 31].map(|days| days * DAY);
    let mut at = person.now;
    for length in ends {
        let period = person.sub(&sub).await["items"]["data"][0].clone();
        assert_eq!(period["current_period_start"], at);
        assert_eq!(period["current_period_end"], at + length);
        person.pass(length).await;
        at += length;
    }
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(names(&before), ["items", "latest_invoice"]);
    person.bench.end().await;
}
