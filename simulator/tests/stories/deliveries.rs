//! Webhooks: tried again, held, sent twice or not at all, and everything kept over a restart.

use serde_json::{Value, json};

use super::support::{Bench, Listener, id};

#[tokio::test]
async fn failed_deliveries_are_tried_again_and_a_restart_keeps_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("deep/simulator.db");
    let bench = Bench::with(Some(file.clone())).await;
    let listener = Listener::start(&bench).await;
    *listener.refuse.lock().expect("not poisoned") = 1;
    let customer = id(&bench.post("/v1/customers", "email=e@example.com").await);
    bench.post("/v1/customers", "email=f@example.com").await;
    bench.idle().await;
    let received: Vec<Value> = listener.received.lock().expect("not poisoned").clone();
    let emails: Vec<&Value> = received.iter().map(|e| &e["data"]["object"]["email"]).collect();
    assert_eq!(emails, ["f@example.com", "e@example.com"], "the failed one came later");
    bench.control("/_sim/webhooks/hold", json!({"hold": true})).await;
    bench.post("/v1/customers", "email=g@example.com").await;
    bench.control("/_sim/clock", json!({"advance_seconds": 3600})).await;
    bench.end().await;

    let bench = Bench::with(Some(file)).await;
    assert_eq!(bench.get(&format!("/v1/customers/{customer}")).await["email"], "e@example.com");
    let clock: Value = {
        let answer = bench.http.get(format!("{}/_sim/clock", bench.url)).send().await;
        answer.expect("an answer").json().await.expect("JSON")
    };
    assert_eq!(clock["offset_seconds"], 3600);
    bench.control("/_sim/webhooks/hold", json!({"hold": false})).await;
    bench.idle().await;
    assert_eq!(listener.types().len(), 3);
    let event = bench.get("/v1/events?limit=1").await["data"][0]["id"].clone();
    let event = event.as_str().expect("an id");
    bench.control(&format!("/_sim/events/{event}/resend"), json!({"times": 2})).await;
    bench.idle().await;
    assert_eq!(listener.types().len(), 5);
    bench.end().await;
}

#[tokio::test]
async fn webhook_mischief_is_seeded_and_healed() {
    let bench = Bench::new().await;
    let listener = Listener::start(&bench).await;
    bench.control("/_sim/faults", json!({"seed": 7, "duplicate": 1.0})).await;
    bench.post("/v1/customers", "email=twice@example.com").await;
    bench.idle().await;
    assert_eq!(listener.types().len(), 2);
    bench.control("/_sim/faults", json!({"seed": 7, "drop": 1})).await;
    bench.post("/v1/customers", "email=lost@example.com").await;
    bench.idle().await;
    assert_eq!(listener.types().len(), 2, "a dropped event waits to be asked for");
    let lost = bench.get("/v1/events?delivery_success=false").await;
    let event = id(&lost["data"][0]);
    bench.control(&format!("/_sim/events/{event}/resend"), json!({})).await;
    bench.idle().await;
    assert_eq!(listener.types().len(), 3);
    bench.control("/_sim/faults", json!({"seed": 7, "bad_signature": 1})).await;
    bench.post("/v1/customers", "email=forged@example.com").await;
    bench.idle().await;
    assert_eq!(listener.types().len(), 4, "the next attempt is signed rightly");
    bench.control("/_sim/faults", json!({"seed": 7, "shuffle": true})).await;
    let mut shuffled = false;
    for round in 0..5 {
        // Calls that are slow leave room enough between two deliveries for their own order.
        shuffled = shuffled || comes_shuffled(&bench, &listener, round).await;
    }
    assert!(shuffled, "they came in another order");
    bench.end().await;
}

/// Whether the deliveries of eight new customers come in another order than theirs; all must come.
async fn comes_shuffled(bench: &Bench, listener: &Listener, round: usize) -> bool {
    let before = listener.types().len();
    for number in 0..8 {
        bench.post("/v1/customers", &format!("email=s{round}{number}@example.com")).await;
    }
    bench.idle().await;
    let received: Vec<Value> = listener.received.lock().expect("not poisoned").clone();
    let email = |event: &Value| event["data"]["object"]["email"].as_str().map(str::to_owned);
    let order: Vec<String> = received[before..].iter().filter_map(email).collect();
    assert_eq!(order.len(), 8);
    !order.is_sorted()
}
