//! Schedules: a subscription that becomes another one by itself.

use serde_json::{Value, json};

use super::super::support::id;
use super::{DAY, HALF, HOUR, Person, amounts, names};

/// A schedule whose second phase has another price; answers it and its subscription.
async fn planned(person: &Person, from: &str, to: &str, rest: &str) -> (Value, String) {
    let sub = person.monthly(from).await;
    let form = format!("from_subscription={sub}&metadata[why]=test");
    let schedule = person.bench.post("/v1/subscription_schedules", &form).await;
    assert_eq!((&schedule["status"], &schedule["subscription"]), (&json!("active"), &json!(sub)));
    let phase = &schedule["phases"][0];
    let form = format!(
        "phases[0][start_date]={}&phases[0][end_date]={}&phases[0][items][0][price]={from}\
         &phases[1][items][0][price]={to}&phases[1][metadata][phase]=two{rest}",
        phase["start_date"], phase["end_date"]
    );
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    (person.bench.post(&path, &form).await, sub)
}

#[tokio::test]
async fn a_downgrade_waits_for_the_end_of_the_period() {
    // B9
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    let (schedule, sub) = planned(&person, &large, &small, "").await;
    let before = person.before("subscription_schedule.updated").await;
    assert_eq!(names(&before), ["phases"]);
    assert_eq!(person.before("customer.subscription.updated").await, json!({"schedule": null}));
    person.pass(31 * DAY - 1).await;
    assert_eq!(person.sub(&sub).await["items"]["data"][0]["price"]["id"], json!(large));
    person.pass(1 + 2 * HOUR).await;
    let changed = person.sub(&sub).await;
    assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(small));
    assert_eq!(changed["metadata"]["phase"], "two");
    let renewed = person.newest().await;
    assert_eq!(
        (amounts(&renewed), &renewed["billing_reason"]),
        (vec![1000], &json!("subscription_cycle"))
    );
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    let running = person.bench.get(&path).await;
    assert_eq!(running["current_phase"]["start_date"], schedule["phases"][1]["start_date"]);
    person.pass(28 * DAY).await;
    let done = person.bench.get(&path).await;
    assert_eq!(
        (&done["status"], &done["released_subscription"]),
        (&json!("released"), &json!(sub))
    );
    let free = person.sub(&sub).await;
    assert_eq!((&free["schedule"], &free["status"]), (&Value::Null, &json!("active")));
    assert_eq!(person.events("subscription_schedule.released").await.len(), 1);
    assert_eq!(person.events("subscription_schedule.completed").await.len(), 1);
    assert_eq!(done["completed_at"], done["released_at"]);
    person.bench.end().await;
}

#[tokio::test]
async fn a_schedule_whose_subscription_nobody_pays_is_aborted() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    let (schedule, sub) = planned(&person, &large, &small, "").await;
    person.card("pm_card_chargeCustomerFail").await;
    person.pass(31 * DAY + 2 * HOUR).await;
    assert_eq!(person.sub(&sub).await["status"], "past_due");
    person.pass(15 * DAY + HOUR).await;
    assert_eq!(person.sub(&sub).await["status"], "canceled");
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    assert_eq!(person.bench.get(&path).await["status"], "canceled");
    assert_eq!(person.events("subscription_schedule.aborted").await.len(), 1);
    assert_eq!(person.events("subscription_schedule.canceled").await.len(), 0);
    person.bench.end().await;
}

#[tokio::test]
async fn a_year_becomes_months_at_its_end() {
    let mut person = Person::with_card().await;
    let yearly = person.bench.price("Pro", 10_000, Some("year")).await;
    let monthly = person.bench.price("Pro", 1000, Some("month")).await;
    let (_, sub) = planned(&person, &yearly, &monthly, "").await;
    person.pass(365 * DAY + 2 * HOUR).await;
    let changed = person.sub(&sub).await;
    let item = &changed["items"]["data"][0];
    assert_eq!(item["price"]["id"], json!(monthly));
    let length = item["current_period_end"].as_i64().zip(item["current_period_start"].as_i64());
    assert_eq!(length.map(|(end, start)| end - start), Some(31 * DAY));
    assert_eq!(amounts(&person.newest().await), [1000]);
    person.bench.end().await;
}

#[tokio::test]
async fn a_phase_in_the_middle_of_a_period_is_prorated() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    let sub = person.monthly(&small).await;
    let form = format!("from_subscription={sub}");
    let schedule = person.bench.post("/v1/subscription_schedules", &form).await;
    let start = schedule["phases"][0]["start_date"].as_i64().expect("a start");
    let form = format!(
        "phases[0][start_date]={start}&phases[0][end_date]={0}&phases[0][items][0][price]={small}\
         &phases[1][start_date]={0}&phases[1][items][0][price]={large}&end_behavior=cancel\
         &phases[1][duration][interval]=month&phases[1][proration_behavior]=always_invoice",
        start + HALF
    );
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    let changed = person.bench.post(&path, &form).await;
    let end = changed["phases"][1]["end_date"].as_i64().expect("an end");
    assert_eq!(person.sub(&sub).await["cancel_at"], end);
    let (status, error) =
        person.bench.call("POST", &format!("/v1/subscriptions/{sub}"), "cancel_at=").await;
    assert_eq!(status, 400, "the schedule decides: {error}");
    person.pass(HALF).await;
    assert_eq!(amounts(&person.newest().await), [-500, 1500]);
    person.pass(end - person.now).await;
    assert_eq!(person.sub(&sub).await["status"], "canceled");
    assert_eq!(person.bench.get(&path).await["status"], "completed");
    assert_eq!(person.events("subscription_schedule.completed").await.len(), 1);
    person.bench.end().await;
}

#[tokio::test]
async fn schedules_are_released_canceled_listed_and_refused() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    let (schedule, sub) = planned(&person, &large, &small, "").await;
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    for wrong in [
        format!("from_subscription={sub}"),
        "from_subscription=sub_none".to_owned(),
        format!("customer={}&phases[0][items][0][price]=price_none", person.customer),
    ] {
        let (status, _) = person.bench.call("POST", "/v1/subscription_schedules", &wrong).await;
        assert_eq!(status, 400, "{wrong}");
    }
    let gap = format!("phases[0][start_date]=5&phases[0][items][0][price]={small}");
    assert_eq!(person.bench.call("POST", &path, &gap).await.0, 400);
    let released = person.bench.post(&format!("{path}/release"), "").await;
    assert_eq!(
        (&released["status"], &released["subscription"]),
        (&json!("released"), &Value::Null)
    );
    let schedule_id = id(&schedule);
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(before, json!({"schedule": schedule_id}));
    assert_eq!(person.bench.call("POST", &format!("{path}/cancel"), "").await.0, 400);
    person.pass(31 * DAY + 2 * HOUR).await;
    assert_eq!(person.newest().await["total"], 3000, "nothing was planned any more");

    let start = person.now + 5 * DAY;
    let form = format!(
        "customer={}&start_date={start}&phases[0][items][0][price]={small}\
         &phases[0][items][0][quantity]=2",
        person.customer
    );
    let later = person.bench.post("/v1/subscription_schedules", &form).await;
    assert_eq!(later["status"], "not_started");
    let list = format!("/v1/subscription_schedules?customer={}&scheduled=true", person.customer);
    assert_eq!(person.bench.get(&list).await["data"][0]["id"], later["id"]);
    person.pass(5 * DAY).await;
    assert_eq!(amounts(&person.newest().await), [2000]);
    let path = format!("/v1/subscription_schedules/{}", id(&later));
    let canceled = person.bench.post(&format!("{path}/cancel"), "").await;
    assert_eq!(canceled["status"], "canceled");
    let over = person.sub(canceled["subscription"].as_str().expect("an id")).await;
    assert_eq!(over["status"], "canceled");
    person.bench.end().await;
}
