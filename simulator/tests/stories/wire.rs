//! The wire itself: errors, idempotency, injected faults, lists.

use serde_json::{Value, json};

use super::support::{self, Bench, id};

#[tokio::test]
async fn mistakes_are_answered_as_stripe_does() {
    let bench = Bench::new().await;
    let table = [
        ("GET", "/v1/customers/cus_none", "", 404, "resource_missing"),
        ("POST", "/v1/checkout/sessions", "mode=payment&nope=1", 400, "parameter_unknown"),
        ("POST", "/v1/products", "", 400, "parameter_missing"),
        (
            "POST",
            "/v1/subscriptions",
            "customer=cus_none&items[0][price]=x",
            400,
            "resource_missing",
        ),
        (
            "POST",
            "/v1/payment_intents",
            "amount=5&currency=usd&payment_method_types[]=card",
            400,
            "payment_method_types_no_longer_supported",
        ),
        (
            "POST",
            "/v1/payment_intents",
            "amount=500&currency=usd&confirm=true&payment_method=pm_card_chargeCustomerFail",
            402,
            "card_declined",
        ),
        (
            "POST",
            "/v1/payment_intents",
            "amount=500&currency=usd&confirm=true&off_session=true\
             &payment_method=pm_card_authenticationRequired",
            402,
            "authentication_required",
        ),
    ];
    for (method, path, form, status, code) in table {
        let (got, body) = bench.call(method, path, form).await;
        assert_eq!((got, &body["error"]["code"]), (status, &json!(code)), "{path} {form}: {body}");
    }
    let (status, body) = bench.call("POST", "/v1/quotes", "").await;
    assert_eq!(status, 404);
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("Unrecognized request URL (POST: /v1/quotes)"));
    let intents = bench.get("/v1/payment_intents").await;
    let states: Vec<&Value> = intents["data"].as_array().expect("a list").iter().collect();
    assert_eq!(states.len(), 2, "refused intents can be seen afterwards");
    assert!(states.iter().all(|intent| intent["status"] == "requires_payment_method"));
    bench.control("/_sim/faults", json!({"api": {"status": 429, "count": 1}})).await;
    assert_eq!(bench.call("GET", "/v1/account", "").await.0, 429);
    assert_eq!(bench.call("GET", "/v1/account", "").await.0, 200);
    bench.end().await;
}

#[tokio::test]
async fn lists_page_in_both_directions() {
    let bench = Bench::new().await;
    for number in 0..5 {
        bench.post("/v1/customers", &format!("email=n{number}@example.com")).await;
    }
    let first = bench.get("/v1/customers?limit=2").await;
    assert_eq!((&first["has_more"], &first["url"]), (&json!(true), &json!("/v1/customers")));
    assert_eq!(first["data"][0]["email"], "n4@example.com");
    let last = id(&first["data"][1]);
    let next = bench.get(&format!("/v1/customers?limit=3&starting_after={last}")).await;
    assert_eq!(
        (&next["has_more"], &next["data"][2]["email"]),
        (&json!(false), &json!("n0@example.com"))
    );
    let cursor = id(&next["data"][2]);
    let before = bench.get(&format!("/v1/customers?limit=2&ending_before={cursor}")).await;
    assert_eq!(before["data"][1]["email"], "n1@example.com");
    let one = bench.get("/v1/customers?email=n3@example.com").await;
    assert_eq!(one["data"].as_array().map(Vec::len), Some(1));
    bench.end().await;
}

#[tokio::test]
async fn a_key_is_answered_the_same_again_and_refused_for_something_else() {
    let bench = Bench::new().await;
    let send = async |email: &str| {
        let request = bench
            .http
            .post(format!("{}/v1/customers", bench.url))
            .bearer_auth(support::KEY)
            .header("idempotency-key", "k1")
            .body(format!("email={email}"));
        let response = request.send().await.expect("an answer");
        let replayed = response.headers().contains_key("idempotent-replayed");
        let status = response.status().as_u16();
        (status, replayed, response.json::<Value>().await.expect("JSON"))
    };
    let (_, first, one) = send("h@example.com").await;
    let (_, second, two) = send("h@example.com").await;
    assert!(!first && second);
    assert_eq!(one["id"], two["id"]);
    let (status, _, body) = send("other@example.com").await;
    assert_eq!((status, &body["error"]["type"]), (400, &json!("idempotency_error")));
    bench.end().await;
}
