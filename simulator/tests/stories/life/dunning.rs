//! Renewals that can not be charged: announced, tried again, recovered or given up.

use serde_json::json;

use super::super::support::id;
use super::{DAY, HOUR, Person, sums};

#[tokio::test]
async fn a_renewal_is_announced_a_week_before_with_its_amount() {
    let mut person = Person::with_card().await;
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    let sub = person.monthly(&price).await;
    person.pass(24 * DAY - 1).await;
    assert_eq!(person.events("invoice.upcoming").await.len(), 0);
    person.pass(2).await;
    let told = person.events("invoice.upcoming").await;
    assert_eq!(told.len(), 1);
    let invoice = &told[0]["data"]["object"];
    assert_eq!((&invoice["total"], &invoice["billing_reason"]), (&json!(2000), &json!("upcoming")));
    assert_eq!(invoice["parent"]["subscription_details"]["subscription"], json!(sub));
    person.change(&sub, "cancel_at_period_end=true").await;
    person.pass(35 * DAY).await;
    assert_eq!(person.events("invoice.upcoming").await.len(), 1);
    person.bench.end().await;
}

#[tokio::test]
async fn a_refused_renewal_is_tried_after_three_five_and_seven_days() {
    // B13
    let table = [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")];
    for (setting, status) in table {
        let mut person = Person::with_card().await;
        person.bench.control("/_sim/settings", json!({"after_retries": setting})).await;
        let price = person.bench.price("Pro", 2000, Some("month")).await;
        let sub = person.monthly(&price).await;
        person.card("pm_card_chargeCustomerFail").await;
        person.pass(31 * DAY + HOUR).await;
        let first = person.newest().await;
        assert_eq!(first["attempt_count"], 1);
        assert_eq!(first["next_payment_attempt"], person.now + 3 * DAY);
        assert_eq!(person.sub(&sub).await["status"], "past_due");
        let before = person.before("customer.subscription.updated").await;
        assert_eq!(before, json!({"status": "active"}));
        assert_eq!(person.before("customer.updated").await, json!({"delinquent": false}));
        let (refused, _) =
            person.bench.call("POST", &format!("/v1/invoices/{}/pay", id(&first)), "").await;
        assert_eq!(refused, 402);
        let again = person.invoice(&first["id"]).await;
        assert_eq!(again["next_payment_attempt"], first["next_payment_attempt"], "{setting}");
        for (wait, next) in [(3, Some(5)), (5, Some(7)), (7, None)] {
            person.pass(wait * DAY).await;
            let invoice = person.invoice(&first["id"]).await;
            let next = next.map(|days| person.now + days * DAY);
            assert_eq!(invoice["next_payment_attempt"].as_i64(), next, "{setting}");
        }
        let over = person.sub(&sub).await;
        assert_eq!(over["status"], status, "{setting}");
        match setting {
            "cancel" => assert_eq!(over["cancellation_details"]["reason"], "payment_failed"),
            "unpaid" => {
                // B14
                person.pass(20 * DAY).await;
                assert_eq!(person.newest().await["status"], "draft", "no longer charged");
                person.card("pm_card_visa").await;
                person.bench.post(&format!("/v1/invoices/{}/pay", id(&first)), "").await;
                assert_eq!(person.sub(&sub).await["status"], "active");
            }
            _ => {
                person.card("pm_card_visa").await;
                person.pass(20 * DAY).await;
                assert_eq!(person.sub(&sub).await["status"], "active", "the next one was paid");
            }
        }
        person.bench.end().await;
    }
}

#[tokio::test]
async fn a_card_that_works_again_brings_it_back() {
    let mut person = Person::with_card().await;
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    let sub = person.monthly(&price).await;
    person.card("pm_card_chargeCustomerFail").await;
    person.pass(31 * DAY + HOUR).await;
    person.card("pm_card_visa").await;
    person.pass(3 * DAY).await;
    assert_eq!(sums(&person.newest().await), json!([2000, 2000, "paid"]));
    assert_eq!(person.sub(&sub).await["status"], "active");
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(before, json!({"status": "past_due"}));
    assert_eq!(person.before("customer.updated").await, json!({"delinquent": true}));
    person.bench.end().await;
}

#[tokio::test]
async fn ends_are_planned_undone_and_kept() {
    // B11, B12
    let mut person = Person::with_card().await;
    let price = person.bench.price("Pro", 3100, Some("month")).await;
    let sub = person.monthly(&price).await;
    let planned = person.change(&sub, "cancel_at_period_end=true").await;
    assert_eq!(planned["cancel_at"], planned["items"]["data"][0]["current_period_end"]);
    let before = person.before("customer.subscription.updated").await;
    let expected = json!({
        "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null,
        "cancellation_details": {"reason": null},
    });
    assert_eq!(before, expected);
    let undone = person.change(&sub, "cancel_at_period_end=false").await;
    assert!(undone["cancel_at"].is_null() && undone["canceled_at"].is_null());
    person.change(&sub, "cancel_at=max_period_end&cancellation_details[feedback]=unused").await;
    let extra = format!("customer={}&subscription={sub}&amount=55&currency=usd", person.customer);
    person.bench.post("/v1/invoiceitems", &extra).await;
    person.pass(31 * DAY).await;
    let over = person.sub(&sub).await;
    assert_eq!((&over["status"], &over["ended_at"]), (&json!("canceled"), &json!(person.now)));
    assert_eq!(over["cancellation_details"]["feedback"], "unused");
    assert_eq!(sums(&person.newest().await), json!([55, 55, "paid"]), "late usage is not lost");

    let sub = person.monthly(&price).await;
    person.pass(7 * DAY).await;
    let form = "prorate=true&invoice_now=true";
    let (status, ended) =
        person.bench.call("DELETE", &format!("/v1/subscriptions/{sub}"), form).await;
    assert_eq!((status, &ended["status"]), (200, &json!("canceled")));
    assert_eq!(person.newest().await["total"], -2325, "three of February's four weeks");
    assert_eq!(person.balance().await, -2325);
    let (status, _) = person.bench.call("DELETE", &format!("/v1/subscriptions/{sub}"), "").await;
    assert_eq!(status, 404);
    person.bench.end().await;
}
