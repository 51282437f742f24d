//! What the official command line's recipes lean on: old parameters and short ways.

use serde_json::json;

use super::support::{Bench, id};

#[tokio::test]
async fn a_source_given_the_old_way_pays_and_a_schedule_begins_with_a_draft() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    for (customer, paid) in [("source=tok_visa", "paid"), ("name=Nobody", "open")] {
        let customer = id(&bench.post("/v1/customers", customer).await);
        let form = format!(
            "customer={customer}&start_date=now&phases[0][items][0][price]={price}\
             &phases[0][items][0][quantity]=1&phases[0][iterations]=1"
        );
        let schedule = bench.post("/v1/subscription_schedules", &form).await;
        assert_eq!(schedule["status"], "active");
        let sub = schedule["subscription"].as_str().expect("a subscription");
        let read =
            async || bench.get(&format!("/v1/subscriptions/{sub}?expand[]=latest_invoice")).await;
        let begun = read().await;
        assert_eq!(
            (&begun["status"], &begun["latest_invoice"]["status"]),
            (&json!("active"), &json!("draft"))
        );
        bench.control("/_sim/clock", json!({"advance_seconds": 3700})).await;
        assert_eq!(read().await["latest_invoice"]["status"], json!(paid));
    }
    bench.end().await;
}

#[tokio::test]
async fn a_trial_cut_short_without_a_card_pauses_or_ends() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let customer = id(&bench.post("/v1/customers", "name=Nobody").await);
    for (rule, status) in [("pause", "paused"), ("cancel", "canceled")] {
        let form = format!(
            "customer={customer}&items[0][price]={price}&trial_period_days=7\
             &trial_settings[end_behavior][missing_payment_method]={rule}"
        );
        let sub = id(&bench.post("/v1/subscriptions", &form).await);
        let path = format!("/v1/subscriptions/{sub}");
        let ended = bench.post(&path, "trial_end=now&metadata[why]=short").await;
        assert_eq!(
            (&ended["status"], &ended["metadata"]["why"]),
            (&json!(status), &json!("short"))
        );
    }
    let told = bench.get("/v1/events?type=customer.subscription.paused").await;
    assert_eq!(told["data"].as_array().map(Vec::len), Some(1));
    bench.end().await;
}
