//! Changes in the middle of a period: every amount to the second, every event with what was before.

use serde_json::{Value, json};

use super::super::support::id;
use super::{DAY, HALF, HOUR, Person, amounts, item, names, sums};

#[tokio::test]
async fn an_upgrade_credits_and_bills_exactly_half() {
    // B8
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3001, Some("month")).await;
    let sub = person.monthly(&small).await;
    person.pass(HALF).await;
    let si = item(&person.sub(&sub).await, 0);
    let form =
        format!("items[0][id]={si}&items[0][price]={large}&proration_behavior=always_invoice");
    let changed = person.change(&sub, &form).await;
    assert_eq!(changed["items"]["data"][0]["id"], json!(si), "the item stays");
    let invoice = person.invoice(&changed["latest_invoice"]).await;
    assert_eq!(amounts(&invoice), [-500, 1501]);
    assert_eq!(sums(&invoice), json!([1001, 1001, "paid"]));
    assert_eq!(invoice["billing_reason"], "subscription_update");
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(names(&before), ["items", "latest_invoice"]);
    assert_eq!(before["items"]["data"][0]["price"]["id"], json!(small));
    person.bench.end().await;
}

#[tokio::test]
async fn up_and_down_at_one_moment_costs_nothing() {
    // B7
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 999, Some("month")).await;
    let large = person.bench.price("Team", 3333, Some("month")).await;
    let sub = person.monthly(&small).await;
    person.pass(HALF + 1234).await;
    let si = item(&person.sub(&sub).await, 0);
    for price in [&large, &small, &large, &small] {
        let form =
            format!("items[0][id]={si}&items[0][price]={price}&proration_behavior=always_invoice");
        person.change(&sub, &form).await;
    }
    let all = person.bench.get(&format!("/v1/invoices?subscription={sub}")).await;
    let paid: i64 = all["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|invoice| invoice["total"].as_i64().expect("a total"))
        .sum();
    assert_eq!(paid, 999, "only the first month");
    person.bench.end().await;
}

#[tokio::test]
async fn a_downgrade_becomes_balance_and_the_balance_pays() {
    // B9
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    let sub = person.monthly(&large).await;
    person.pass(HALF).await;
    let si = item(&person.sub(&sub).await, 0);
    let form =
        format!("items[0][id]={si}&items[0][price]={small}&proration_behavior=always_invoice");
    let changed = person.change(&sub, &form).await;
    let credit = person.invoice(&changed["latest_invoice"]).await;
    assert_eq!(sums(&credit), json!([-1000, 0, "paid"]));
    assert_eq!((credit["ending_balance"].as_i64(), person.balance().await), (Some(-1000), -1000));
    assert_eq!(person.before("customer.updated").await, json!({"balance": 0}));
    person.pass(31 * DAY - HALF + 2 * HOUR).await;
    let renewed = person.newest().await;
    assert_eq!(sums(&renewed), json!([1000, 0, "paid"]));
    assert_eq!((renewed["starting_balance"].as_i64(), person.balance().await), (Some(-1000), 0));
    person.bench.end().await;
}

#[tokio::test]
async fn seats_and_added_and_removed_items_wait_for_the_renewal() {
    // B16
    let mut person = Person::with_card().await;
    let seat = person.bench.price("Seat", 1000, Some("month")).await;
    let addon = person.bench.price("Addon", 600, Some("month")).await;
    let sub = person.monthly(&seat).await;
    person.pass(HALF).await;
    let si = item(&person.sub(&sub).await, 0);
    person.bench.post(&format!("/v1/subscription_items/{si}"), "quantity=3").await;
    let added = person
        .bench
        .post("/v1/subscription_items", &format!("subscription={sub}&price={addon}&quantity=2"))
        .await;
    let form = format!("subscription={sub}&price={addon}");
    let (status, _) = person.bench.call("POST", "/v1/subscription_items", &form).await;
    assert_eq!(status, 400, "one item a price");
    let items = person.bench.get("/v1/invoiceitems?pending=true").await;
    let mut waiting: Vec<i64> = items["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["amount"].as_i64().expect("an amount"))
        .collect();
    waiting.reverse();
    assert_eq!(waiting, [-500, 1500, 600]);
    let (status, gone) =
        person.bench.call("DELETE", &format!("/v1/subscription_items/{}", id(&added)), "").await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
    person.pass(31 * DAY - HALF + 2 * HOUR).await;
    let renewed = person.newest().await;
    assert_eq!(amounts(&renewed), [-500, 1500, 600, -600, 3000]);
    assert_eq!(sums(&renewed), json!([4000, 4000, "paid"]));
    person.bench.end().await;
}

#[tokio::test]
async fn another_interval_and_an_anchor_reset_begin_a_new_period() {
    // B21
    let mut person = Person::with_card().await;
    let monthly = person.bench.price("Pro", 1000, Some("month")).await;
    let yearly = person.bench.price("Pro", 10_000, Some("year")).await;
    let sub = person.monthly(&monthly).await;
    person.pass(HALF).await;
    let changed = person.change(&sub, "billing_cycle_anchor=now").await;
    let invoice = person.invoice(&changed["latest_invoice"]).await;
    assert_eq!(amounts(&invoice), [-500, 1000]);
    assert_eq!(changed["billing_cycle_anchor"], person.now);
    assert_eq!(changed["items"]["data"][0]["current_period_start"], person.now);
    let si = item(&changed, 0);
    let form = format!("items[0][id]={si}&items[0][price]={yearly}");
    let changed = person.change(&sub, &form).await;
    let invoice = person.invoice(&changed["latest_invoice"]).await;
    assert_eq!(amounts(&invoice), [-1000, 10_000]);
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(names(&before), ["items", "latest_invoice"], "the anchor is the same moment");
    let end = changed["items"]["data"][0]["current_period_end"].as_i64().expect("an end");
    assert_eq!(end - person.now, 365 * DAY);
    person.bench.end().await;
}

#[tokio::test]
async fn monthly_and_yearly_items_turn_each_at_its_own_time() {
    let mut person = Person::with_card().await;
    let yearly = person.bench.price("Pro", 12_000, Some("year")).await;
    let monthly = person.bench.price("Seat", 500, Some("month")).await;
    let form = format!("items[0][price]={yearly}&items[1][price]={monthly}");
    let sub = person.subscribe(&form).await;
    let ends = |sub: &Value, place: usize| {
        sub["items"]["data"][place]["current_period_end"].as_i64().expect("an end")
    };
    assert_eq!((ends(&sub, 0) - person.now) / DAY, 365);
    assert_eq!((ends(&sub, 1) - person.now) / DAY, 31);
    person.pass(31 * DAY + 2 * HOUR).await;
    assert_eq!(amounts(&person.newest().await), [500]);
    let later = person.sub(&id(&sub)).await;
    assert_eq!(ends(&later, 0), ends(&sub, 0));
    assert_eq!(ends(&later, 1) - ends(&sub, 1), 28 * DAY);
    person.bench.end().await;
}

#[tokio::test]
async fn a_pending_update_applies_when_it_is_paid_and_not_before() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    let sub = person.monthly(&small).await;
    person.pass(HALF).await;
    let si = item(&person.sub(&sub).await, 0);
    let form = format!(
        "items[0][id]={si}&items[0][price]={large}&proration_behavior=always_invoice\
         &payment_behavior=pending_if_incomplete"
    );
    let path = format!("/v1/subscriptions/{sub}");
    let (status, _) = person.bench.call("POST", &path, &format!("{form}&description=x")).await;
    assert_eq!(status, 400, "nothing else can wait");
    person.card("pm_card_chargeCustomerFail").await;
    let waiting = person.change(&sub, &form).await;
    assert_eq!(waiting["items"]["data"][0]["price"]["id"], json!(small));
    assert_eq!(waiting["status"], "active");
    let planned = &waiting["pending_update"]["subscription_items"][0]["price"]["id"];
    assert_eq!(planned, &json!(large));
    assert_eq!(waiting["pending_update"]["expires_at"], person.now + 23 * HOUR);
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(names(&before), ["latest_invoice", "pending_update"]);
    let latest = waiting["latest_invoice"].as_str().expect("an id").to_owned();
    person.card("pm_card_visa").await;
    person.bench.post(&format!("/v1/invoices/{latest}/pay"), "").await;
    let changed = person.sub(&sub).await;
    assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(large));
    assert!(changed["pending_update"].is_null());
    assert_eq!(person.events("customer.subscription.pending_update_applied").await.len(), 1);

    person.card("pm_card_chargeCustomerFail").await;
    let form = format!(
        "items[0][id]={si}&items[0][quantity]=5&proration_behavior=always_invoice\
         &payment_behavior=pending_if_incomplete"
    );
    let waiting = person.change(&sub, &form).await;
    person.pass(24 * HOUR).await;
    assert_eq!(person.invoice(&waiting["latest_invoice"]).await["status"], "void");
    let kept = person.sub(&sub).await;
    assert_eq!(
        (&kept["items"]["data"][0]["quantity"], &kept["status"]),
        (&json!(1), &json!("active"))
    );
    assert!(kept["pending_update"].is_null());
    assert_eq!(person.events("customer.subscription.pending_update_expired").await.len(), 1);
    person.bench.end().await;
}

#[tokio::test]
async fn a_change_that_can_not_be_paid_is_refused_or_owed_as_asked() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let sub = person.monthly(&small).await;
    person.pass(HALF).await;
    let si = item(&person.sub(&sub).await, 0);
    person.card("pm_card_chargeCustomerFail").await;
    let form = format!("items[0][id]={si}&items[0][quantity]=4&proration_behavior=always_invoice");
    let path = format!("/v1/subscriptions/{sub}");
    let strict = format!("{form}&payment_behavior=error_if_incomplete");
    assert_eq!(person.bench.call("POST", &path, &strict).await.0, 402);
    assert_eq!(person.sub(&sub).await["items"]["data"][0]["quantity"], 1);
    let owed = person.change(&sub, &form).await;
    assert_eq!(owed["items"]["data"][0]["quantity"], 4);
    assert_eq!(owed["status"], "past_due");
    let invoice = person.invoice(&owed["latest_invoice"]).await;
    assert_eq!(sums(&invoice), json!([1500, 1500, "open"]));
    person.card("pm_card_visa").await;
    person.pass(3 * DAY + HOUR).await;
    assert_eq!(person.sub(&sub).await["status"], "active", "the retry went through");
    person.bench.end().await;
}
