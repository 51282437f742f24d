//! Ordered trouble: API calls that are refused, lost, late or broken, and webhooks twisted on
//! their way. Everything is drawn from a seed.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Bench, KEY, Listener, id};

/// What a call was answered: its status, whether from memory, and the text.
type Answered = (u16, bool, String);

/// For an answer that must come, on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// For an answer that is lost.
const SHORT: Duration = Duration::from_millis(1500);

impl Bench {
    /// Makes a customer with an idempotency key; nothing, once the patience is over.
    async fn make(&self, form: &str, key: &str, patience: Duration) -> Option<Answered> {
        let request = self
            .http
            .post(format!("{}/v1/customers", self.url))
            .bearer_auth(KEY)
            .header("idempotency-key", key)
            .timeout(patience)
            .body(form.to_owned());
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        Some((status, replayed, answer.text().await.ok()?))
    }

    async fn customers(&self) -> usize {
        let all = self.get("/v1/customers?limit=100").await;
        all["data"].as_array().map(Vec::len).unwrap_or(0)
    }
}

#[tokio::test]
async fn api_calls_are_refused_as_ordered() {
    let bench = Bench::new().await;
    let table = [
        (json!({"kind": "rate_limit"}), 429, "rate_limit"),
        (json!({"kind": "server_error"}), 500, ""),
        (json!({"kind": "server_error", "status": 503}), 503, ""),
        (json!({"kind": "lock_timeout"}), 409, "lock_timeout"),
        (json!({"kind": "lock_timeout", "status": 429}), 429, "lock_timeout"),
        (json!({"status": 429}), 429, "rate_limit"),
    ];
    for (fault, status, code) in table {
        bench.control("/_sim/faults", json!({"api": fault})).await;
        let (got, body) = bench.call("POST", "/v1/customers", "email=a@example.com").await;
        assert_eq!(got, status, "{fault}: {body}");
        assert_eq!(body["error"]["code"].as_str().unwrap_or(""), code);
    }
    assert_eq!(bench.customers().await, 0, "nothing was done");
    bench.control("/_sim/faults", json!({"api": {"kind": "html"}})).await;
    let answer = bench.make("", "h", LONG).await.expect("an answer");
    assert!(answer.0 == 502 && answer.2.contains("<html>"));
    let fault = json!({"api": {"kind": "rate_limit", "path": "/v1/products", "method": "POST"}});
    bench.control("/_sim/faults", fault).await;
    assert_eq!(bench.call("POST", "/v1/customers", "").await.0, 200);
    assert_eq!(bench.call("GET", "/v1/products", "").await.0, 200);
    assert_eq!(bench.call("POST", "/v1/products", "name=x").await.0, 429);
    assert_eq!(bench.call("POST", "/v1/products", "name=x").await.0, 200);
    let wrong = bench.http.post(format!("{}/_sim/faults", bench.url));
    let wrong = wrong.json(&json!({"api": {"kind": "earthquake"}})).send().await;
    assert_eq!(wrong.expect("an answer").status(), 400);
    bench.end().await;
}

#[tokio::test]
async fn a_lost_answer_is_found_again_under_its_key() {
    let bench = Bench::new().await;
    let table = [
        ("timeout_before", 0, false),
        ("timeout_after", 1, true),
        ("reset", 0, false),
        ("reset_after", 1, true),
    ];
    for (index, (kind, made, replayed)) in table.into_iter().enumerate() {
        let before = bench.customers().await;
        bench.control("/_sim/faults", json!({"api": {"kind": kind}})).await;
        let (key, form) = (format!("k{index}"), format!("email=x{index}@example.com"));
        let lost = bench.make(&form, &key, SHORT).await;
        assert!(lost.is_none(), "{kind}: {lost:?}");
        assert_eq!(bench.customers().await, before + made, "{kind}");
        let (status, again, _) = bench.make(&form, &key, LONG).await.expect("an answer");
        assert_eq!((status, again), (200, replayed), "{kind}");
        assert_eq!(bench.customers().await, before + 1, "{kind}: once, whatever happened");
    }
    bench.end().await;
}

#[tokio::test]
async fn a_key_in_use_is_refused_until_its_request_is_over() {
    let bench = Bench::new().await;
    bench.control("/_sim/faults", json!({"api": {"kind": "slow", "delay_ms": 3000}})).await;
    let form = "email=slow@example.com";
    let slow = bench.make(form, "k", LONG);
    let impatient = async {
        // The first request has struck the fault once nothing is ordered any more.
        loop {
            let ordered = bench.http.get(format!("{}/_sim/faults", bench.url)).send().await;
            let ordered: Value = ordered.expect("an answer").json().await.expect("JSON");
            if ordered["api"] == json!([]) {
                break bench.make(form, "k", LONG).await;
            }
        }
    };
    let (first, second) = tokio::join!(slow, impatient);
    assert_eq!(first.expect("an answer").0, 200);
    let (status, _, body) = second.expect("an answer");
    assert!(status == 409 && body.contains("idempotency_key_in_use"), "{body}");
    let (status, replayed, _) = bench.make(form, "k", LONG).await.expect("again");
    assert_eq!((status, replayed), (200, true));
    bench.end().await;
}

#[tokio::test]
async fn the_same_seed_makes_the_same_trouble() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let bench = Bench::new().await;
        let fault = json!({"kind": "server_error", "share": 0.4, "seed": 11, "count": 100});
        bench.control("/_sim/faults", json!({"api": [fault]})).await;
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(bench.call("GET", "/v1/account", "").await.0);
        }
        assert!(statuses.contains(&200) && statuses.contains(&500), "{statuses:?}");
        runs.push(statuses);
        bench.control("/_sim/faults", json!({"api": null})).await;
        bench.end().await;
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day() {
    let bench = Bench::new().await;
    let send = async || bench.make("email=d@example.com", "k", LONG).await;
    assert!(!send().await.expect("an answer").1);
    bench.control("/_sim/clock", json!({"advance_seconds": 23 * 3600})).await;
    assert!(send().await.expect("an answer").1);
    bench.control("/_sim/clock", json!({"advance_seconds": 2 * 3600})).await;
    assert!(!send().await.expect("an answer").1);
    assert_eq!(bench.customers().await, 2);
    bench.end().await;
}

#[tokio::test]
async fn webhooks_are_twisted_on_their_first_attempt_and_right_on_the_next() {
    let bench = Bench::new().await;
    let listener = Listener::start(&bench).await;
    for twist in ["bad_signature", "truncated", "old_timestamp", "huge"] {
        bench.control("/_sim/faults", json!({"seed": 3, twist: 1})).await;
        let before = listener.types().len();
        bench.post("/v1/customers", &format!("email={twist}@example.com")).await;
        bench.idle().await;
        let after = listener.types().len();
        // The listener does not look at the time; what arrives late there is judged by others.
        assert_eq!(after, before + 1, "{twist}");
        let sent = bench.http.get(format!("{}/_sim/deliveries?limit=1", bench.url)).send().await;
        let sent: Value = sent.expect("an answer").json().await.expect("JSON");
        assert_eq!(sent["data"][0]["twist"], json!(twist));
        let attempts = if twist == "old_timestamp" { 1 } else { 2 };
        assert_eq!(sent["data"][0]["attempts"], json!(attempts), "{twist}: {sent}");
    }
    bench.end().await;
}

#[tokio::test]
async fn the_same_fact_comes_under_other_ids_and_beside_unknown_types() {
    let bench = Bench::new().await;
    let listener = Listener::start(&bench).await;
    bench.control("/_sim/faults", json!({"new_id": 1, "unknown_type": 1})).await;
    let customer = id(&bench.post("/v1/customers", "email=t@example.com").await);
    bench.idle().await;
    let mut types = listener.types();
    types.sort();
    let expected = ["customer.created", "customer.created", "simulator.something_new.happened"];
    assert_eq!(types, expected);
    let received: Vec<Value> = listener.received.lock().expect("not poisoned").clone();
    assert!(received.iter().all(|event| event["data"]["object"]["id"] == json!(customer)));
    assert_ne!(received[0]["id"], received[1]["id"]);
    bench.end().await;
}

#[tokio::test]
async fn older_and_thinner_shapes_are_sent_as_ordered() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let customer = id(&bench.post("/v1/customers", "email=o@example.com").await);
    let listener = Listener::start(&bench).await;
    bench.control("/_sim/faults", json!({"old_version": 1})).await;
    let form =
        format!("customer={customer}&items[0][price]={price}&default_payment_method=pm_card_visa");
    let sub = bench.post("/v1/subscriptions", &form).await;
    bench.idle().await;
    let received: Vec<Value> = listener.received.lock().expect("not poisoned").clone();
    let of = |kind: &str| {
        let found = received.iter().find(|event| event["type"] == kind);
        found.unwrap_or_else(|| panic!("{kind} was not sent")).clone()
    };
    let created = of("customer.subscription.created");
    assert_eq!(created["api_version"], "2024-06-20");
    let object = &created["data"]["object"];
    assert_eq!(object["current_period_end"], sub["items"]["data"][0]["current_period_end"]);
    assert!(object["items"]["data"][0]["current_period_end"].is_null());
    let paid = of("invoice.paid");
    assert_eq!(paid["data"]["object"]["subscription"], sub["id"]);
    assert_eq!(paid["data"]["object"]["paid"], true);
    assert!(paid["data"]["object"]["parent"].is_null());
    assert_eq!(of("charge.succeeded")["data"]["object"]["invoice"], paid["data"]["object"]["id"]);

    bench.control("/_sim/faults", json!({"thin": 1})).await;
    bench.post(&format!("/v1/customers/{customer}"), "name=Thin").await;
    bench.idle().await;
    let thin = listener.received.lock().expect("not poisoned").last().cloned().expect("one");
    assert_eq!(
        (&thin["object"], &thin["type"]),
        (&json!("v2.core.event"), &json!("v1.customer.updated"))
    );
    assert_eq!(thin["related_object"]["id"], json!(customer));
    bench.end().await;
}

#[tokio::test]
async fn webhooks_can_be_there_before_the_answer() {
    let bench = Bench::new().await;
    let listener = Listener::start(&bench).await;
    bench.control("/_sim/faults", json!({"before_answer": true})).await;
    for number in 1..6 {
        bench.post("/v1/customers", &format!("email=b{number}@example.com")).await;
        assert_eq!(listener.types().len(), number, "it was told before the answer came");
    }
    bench.end().await;
}

#[tokio::test]
async fn a_rolled_secret_signs_beside_the_new_one() {
    let bench = Bench::new().await;
    let listener = Listener::start(&bench).await;
    let endpoint = id(&bench.get("/v1/webhook_endpoints").await["data"][0]);
    let path = format!("/_sim/webhook_endpoints/{endpoint}/roll");
    let rolled = bench.control(&path, json!({"keep_seconds": 3600})).await;
    assert!(rolled["secret"].as_str().expect("a secret").starts_with("whsec_"));
    bench.post("/v1/customers", "email=both@example.com").await;
    bench.idle().await;
    assert_eq!(listener.types(), ["customer.created"], "the old secret still signs");
    bench.control("/_sim/clock", json!({"advance_seconds": 3601})).await;
    bench.post("/v1/customers", "email=new@example.com").await;
    // Endpoints that are off are given up at once, so that nothing is left waiting.
    bench.post(&format!("/v1/webhook_endpoints/{endpoint}"), "disabled=true").await;
    bench.idle().await;
    assert_eq!(listener.types().len(), 1, "after its time it does not");
    bench.end().await;
}

#[tokio::test]
async fn more_calls_a_second_than_allowed_are_refused_and_counted() {
    let bench = Bench::new().await;
    bench.control("/_sim/settings", json!({"rate_limit": 3})).await;
    let calls = (0..12).map(|_| bench.call("GET", "/v1/account", ""));
    let refused = futures::future::join_all(calls).await;
    let refused = refused.iter().filter(|(status, _)| *status == 429).count();
    assert!(refused >= 3, "twelve calls take less than three seconds: {refused}");
    bench.control("/_sim/settings", json!({"rate_limit": 0})).await;
    let settings = bench.http.get(format!("{}/_sim/settings", bench.url)).send().await;
    let settings: Value = settings.expect("an answer").json().await.expect("JSON");
    assert_eq!(settings["rate_limited"], json!(refused));
    assert_eq!(settings["calls"], json!(12 - refused), "the others were answered");
    bench.end().await;
}
