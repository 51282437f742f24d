//! Trials with and without a card, pauses and resumptions.

use serde_json::{Value, json};

use super::super::support::id;
use super::{DAY, HALF, HOUR, Person, amounts, names, sums};

#[tokio::test]
async fn a_trial_is_announced_and_becomes_paid() {
    // B4
    let mut person = Person::with_card().await;
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    let sub = person.subscribe(&format!("items[0][price]={price}&trial_period_days=14")).await;
    assert_eq!(sub["status"], "trialing");
    let first = person.invoice(&sub["latest_invoice"]).await;
    assert_eq!(sums(&first), json!([0, 0, "paid"]));
    person.pass(11 * DAY - 1).await;
    assert_eq!(person.events("customer.subscription.trial_will_end").await.len(), 0);
    person.pass(1).await;
    assert_eq!(person.events("customer.subscription.trial_will_end").await.len(), 1);
    person.pass(3 * DAY).await;
    let active = person.sub(&id(&sub)).await;
    assert_eq!(active["status"], "active");
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(names(&before), ["items", "latest_invoice", "status"]);
    assert_eq!(before["status"], "trialing");
    assert_eq!(person.newest().await["status"], "draft", "for an hour");
    person.pass(HOUR).await;
    assert_eq!(sums(&person.newest().await), json!([2000, 2000, "paid"]));
    person.bench.end().await;
}

#[tokio::test]
async fn a_trial_changes_plans_for_nothing_and_ends_when_told() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let yearly = person.bench.price("Pro", 9000, Some("year")).await;
    let sub = person.subscribe(&format!("items[0][price]={small}&trial_period_days=2")).await;
    assert_eq!(person.events("customer.subscription.trial_will_end").await.len(), 1, "at once");
    person.pass(DAY).await;
    let si = super::item(&sub, 0);
    let form =
        format!("items[0][id]={si}&items[0][price]={yearly}&proration_behavior=always_invoice");
    let changed = person.change(&id(&sub), &form).await;
    assert_eq!(
        (&changed["status"], &changed["trial_end"]),
        (&json!("trialing"), &sub["trial_end"])
    );
    assert_eq!(changed["latest_invoice"], sub["latest_invoice"], "nothing is billed in a trial");
    let ended = person.change(&id(&sub), "trial_end=now").await;
    assert_eq!((&ended["status"], &ended["trial_end"]), (&json!("active"), &json!(person.now)));
    assert_eq!(amounts(&person.newest().await), [9000]);
    person.bench.end().await;
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_it_was_set() {
    let table = [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ];
    for (rule, status, event) in table {
        let mut person = Person::new().await;
        let price = person.bench.price("Pro", 2000, Some("month")).await;
        let form = format!(
            "items[0][price]={price}&trial_period_days=7\
             &trial_settings[end_behavior][missing_payment_method]={rule}"
        );
        let sub = id(&person.subscribe(&form).await);
        person.pass(7 * DAY + 2 * HOUR).await;
        assert_eq!(person.sub(&sub).await["status"], status, "{rule}");
        assert_eq!(person.events(event).await.len(), 1, "{rule}");
        if rule == "pause" {
            // B14
            let before = person.before("customer.subscription.updated").await;
            assert_eq!(before["status"], "trialing");
            let why = &person.sub(&sub).await["status_details"]["paused"]["subscription"]["type"];
            assert_eq!(why, "trial_end_without_payment_method");
            let path = format!("/v1/subscriptions/{sub}/resume");
            let waiting = person.bench.post(&path, "").await;
            assert_eq!(waiting["status"], "paused", "there is no card yet");
            person.card("pm_card_visa").await;
            let resumed = person.bench.post(&path, "billing_cycle_anchor=now").await;
            assert_eq!(resumed["status"], "active");
            assert_eq!(resumed["billing_cycle_anchor"], person.now);
            assert_eq!(sums(&person.newest().await), json!([2000, 2000, "paid"]));
            assert_eq!(person.events("customer.subscription.resumed").await.len(), 1);
            let voided = person.invoice(&waiting["latest_invoice"]).await;
            assert_eq!(voided["status"], "void");
        }
        person.bench.end().await;
    }
}

#[tokio::test]
async fn a_pause_credits_what_is_left_and_a_resumption_begins_anew() {
    let mut person = Person::with_card().await;
    let price = person.bench.price("Pro", 1000, Some("month")).await;
    let sub = person.monthly(&price).await;
    person.pass(HALF).await;
    let path = format!("/v1/subscriptions/{sub}");
    let form = "type=subscription&bill_for[unused_time_from][type]=now&invoicing_behavior=invoice";
    let paused = person.bench.post(&format!("{path}/pause"), form).await;
    assert_eq!(paused["status"], "paused");
    assert_eq!(paused["status_details"]["paused"]["transitioned_at"], person.now);
    assert_eq!(person.balance().await, -500);
    assert_eq!(person.bench.call("POST", &format!("{path}/pause"), "").await.0, 400);
    person.pass(40 * DAY).await;
    assert_eq!(person.newest().await["total"], -500, "nothing is billed meanwhile");
    let resumed = person.bench.post(&format!("{path}/resume"), "").await;
    assert_eq!(resumed["status"], "active");
    assert!(resumed["status_details"].is_null());
    assert_eq!(sums(&person.newest().await), json!([1000, 500, "paid"]));
    assert_eq!(resumed["items"]["data"][0]["current_period_start"], person.now);
    assert_eq!(person.bench.call("POST", &format!("{path}/resume"), "").await.0, 400);

    let form = "bill_for[unused_time_from][type]=none";
    person.bench.post(&format!("{path}/pause"), form).await;
    person.pass(DAY).await;
    let form = "billing_cycle_anchor[type]=unchanged";
    let resumed = person.bench.post(&format!("{path}/resume"), form).await;
    assert_eq!(resumed["status"], "active");
    assert_eq!(resumed["items"]["data"][0]["current_period_start"], person.now - DAY);
    person.bench.end().await;
}

#[tokio::test]
async fn collection_can_rest_while_the_subscription_goes_on() {
    let table: [(&str, &str, Value); 3] = [
        ("keep_as_draft", "draft", json!(0)),
        ("mark_uncollectible", "uncollectible", json!(0)),
        ("void", "void", json!(0)),
    ];
    for (behavior, status, paid) in table {
        let mut person = Person::with_card().await;
        let price = person.bench.price("Pro", 1000, Some("month")).await;
        let sub = person.monthly(&price).await;
        let resumes = person.now + 40 * DAY;
        let form =
            format!("pause_collection[behavior]={behavior}&pause_collection[resumes_at]={resumes}");
        person.change(&sub, &form).await;
        person.pass(31 * DAY + 2 * HOUR).await;
        let invoice = person.newest().await;
        assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!(status), &paid));
        assert_eq!(person.sub(&sub).await["status"], "active");
        person.pass(28 * DAY).await;
        assert!(person.sub(&sub).await["pause_collection"].is_null());
        assert_eq!(person.newest().await["status"], "paid");
        person.bench.end().await;
    }
}
