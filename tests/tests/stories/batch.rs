//! Use told afterwards, many items at once: each item has its own answer, and what happened is
//! never unbilled.

use futures::future::join_all;
use serde_json::{Value, json};
use server::clock::{self, DAY, MINUTE};
use server::credits::Source;
use tests::{World, WorldOptions};

use crate::calls::{batch, item_codes, reverse, standing, subscriber, uses, world_with_overage};

/// An item of 12, with a word about what it lacks.
fn over(key: &str, policy: &str) -> Value {
    json!({ "key": key, "meter": "text", "quantity": 12, "over": policy })
}

/// An item of 1 that happened at this time.
fn at(key: &str, at: i64) -> Value {
    json!({ "key": key, "meter": "text", "quantity": 1, "at": clock::rfc3339(at) })
}

fn item(key: &str, quantity: i64) -> Value {
    json!({ "key": key, "meter": "text", "quantity": quantity })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_fails_alone_and_nothing_is_half_done() {
    // D26
    let world = World::with_free(0).await;
    let program = world.program("Items", 100).await;
    let items = json!([
        item("a", 10),
        { "key": "b", "meter": "teleport", "quantity": 1 },
        { "key": "c", "meter": "text", "quantity": -1 },
        { "key": "d", "meter": "video", "quantity": 1 },
        { "key": "e", "meter": "output_tokens", "quantity": 1, "model": "huge-1" },
        { "key": "f", "meter": "output_tokens", "quantity": 1 },
        { "key": "g", "meter": "text", "quantity": 1, "colour": "red" },
        { "key": "", "meter": "text", "quantity": 1 },
        item("h", 5),
    ]);
    let answers = batch(&program, items.clone()).await;
    let expected = [
        (200, ""),
        (400, "invalid_request"),
        (400, "invalid_request"),
        (403, "feature_not_included"),
        (403, "model_not_included"),
        (403, "price_unknown"),
        (400, "invalid_request"),
        (400, "invalid_request"),
        (200, ""),
    ];
    assert_eq!(item_codes(&answers), expected);
    for (answer, item) in answers.iter().zip(items.as_array().expect("items")) {
        assert_eq!(answer["key"], item["key"]);
        assert_eq!(answer["usage"].is_object(), answer["status"] == 200, "{answer}");
        assert_eq!(answer["error"].is_object(), answer["status"] != 200, "{answer}");
    }
    assert_eq!(answers[2]["error"]["param"], "items[2].quantity");
    assert_eq!(answers[0]["usage"]["credits"], "10");
    assert_eq!(program.available().await, "85");
    // Sent again as a whole: what was done is replayed, what was wrong is wrong again.
    let again = batch(&program, items).await;
    assert_eq!(item_codes(&again), expected);
    for (again, first) in again.iter().zip(&answers) {
        assert_eq!(again["usage"], first["usage"]);
        let stored = [200, 402, 403].contains(&first["status"].as_u64().expect("a status"));
        assert_eq!(again["replayed"] == true, stored, "{again}");
    }
    // A form that was refused used up no key.
    assert_eq!(item_codes(&batch(&program, json!([item("c", 1)])).await), [(200, "")]);
    assert_eq!(program.available().await, "84");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stands_twice_in_a_batch_counts_once() {
    // D3, D26
    let world = World::with_free(0).await;
    let program = world.program("Doubled", 100).await;
    let items = json!([item("a", 10), item("a", 10), item("a", 11), item("b", 1)]);
    let answers = batch(&program, items).await;
    let expected = [(200, ""), (200, ""), (422, "idempotency_key_reused"), (200, "")];
    assert_eq!(item_codes(&answers), expected);
    assert_eq!(answers[0]["usage"]["id"], answers[1]["usage"]["id"]);
    assert_eq!(answers[1]["replayed"], true);
    // The keys of items live beside those of every other write.
    uses(&program, "c", "text", 1).await;
    let answers = batch(&program, json!([item("c", 1)])).await;
    assert_eq!(item_codes(&answers), [(422, "idempotency_key_reused")]);
    assert_eq!(program.available().await, "88");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_sent_twice_at_once_charge_each_item_once() {
    // D2, D4
    let world = World::with_free(0).await;
    let program = world.program("Twice", 1000).await;
    let items: Value = (0..100).map(|n| item(&format!("k{n}"), 1)).collect();
    let answers = join_all((0..6).map(|_| batch(&program, items.clone()))).await;
    for answer in &answers {
        assert_eq!(answer.len(), 100);
        assert!(answer.iter().all(|item| item["status"] == 200));
    }
    let fresh = answers.iter().flatten().filter(|item| item["replayed"] != true).count();
    assert_eq!(fresh, 100);
    assert_eq!(program.available().await, "900");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_item_lacks_follows_its_policy_and_is_a_debt_unless_told_otherwise() {
    // D8
    let world = World::with_free(0).await;
    let program = world.program("Lacks", 10).await;
    let items =
        json!([over("a", "deny"), over("b", "use_available"), over("c", "overage"), item("d", 12)]);
    let answers = batch(&program, items).await;
    let denied = (402, "insufficient_credits");
    assert_eq!(item_codes(&answers), [denied, denied, denied, (200, "")]);
    assert_eq!(answers[3]["usage"]["debt"], "2");
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("0"), &json!("2")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_item_lacks_is_billed_as_overage_only_where_tier_and_item_say_so() {
    // D8
    let world = world_with_overage(10).await;
    let program = subscriber(&world, "Billed").await;
    let items = json!([
        over("a", "deny"),
        over("b", "use_available"),
        over("c", "overage"),
        over("d", "debt"),
    ]);
    let answers = batch(&program, items).await;
    let denied = (402, "insufficient_credits");
    assert_eq!(item_codes(&answers), [denied, denied, (200, ""), (200, "")]);
    let parts = |n: usize| (&answers[n]["usage"]["overage"], &answers[n]["usage"]["debt"]);
    assert_eq!(parts(2), (&json!("2"), &json!("0")));
    assert_eq!(parts(3), (&json!("0"), &json!("12")));
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["overage"], &balance["debt"]), (&json!("2"), &json!("12")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debt_is_paid_first_by_what_is_bought_and_never_by_what_is_given() {
    // D8
    let world = World::with_free(0).await;
    let program = world.program("Owes", 0).await;
    assert_eq!(item_codes(&batch(&program, json!([item("a", 30)])).await), [(200, "")]);
    let debt = async || program.get("balance").await.body["debt"].clone();
    for (source, key) in
        [(Source::Promo, "promo"), (Source::Trial, "trial"), (Source::Manual, "manual")]
    {
        world.give_as(&program.org_id, source, 10, key, None).await;
        assert_eq!(debt().await, "30", "{key}");
    }
    assert_eq!(program.available().await, "30");
    world.give_as(&program.org_id, Source::Pack, 20, "pi_1", None).await;
    assert_eq!((program.available().await, debt().await), ("30".to_owned(), json!("10")));
    // What is owed blocks nothing.
    uses(&program, "b", "text", 30).await;
    world.give_as(&program.org_id, Source::Contract, 25, "contract", None).await;
    assert_eq!((program.available().await, debt().await), ("15".to_owned(), json!("0")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_keeps_the_time_it_happened_and_counts_when_it_is_told() {
    // D18
    let world = World::with_free(100).await;
    let program = world.program("Late", 0).await;
    uses(&program, "x", "text", 10).await;
    let old = world.engine.clock.now();
    world.advance(40 * 86_400).await;
    let now = world.engine.clock.now();
    let items = json!([
        at("old", old),
        at("now", now),
        at("ahead", now + 4 * MINUTE),
        at("future", now + 10 * MINUTE),
        { "key": "odd", "meter": "text", "quantity": 1, "at": "yesterday" },
    ]);
    let answers = batch(&program, items).await;
    let wrong = (400, "invalid_request");
    assert_eq!(item_codes(&answers), [(200, ""), (200, ""), (200, ""), wrong, wrong]);
    assert_eq!(answers[3]["error"]["param"], "items[3].at");
    let told = &answers[0]["usage"];
    assert_eq!(told["occurred_at"], clock::rfc3339(old));
    assert!(told["at"].as_str().expect("a time") >= clock::rfc3339(now).as_str(), "{told}");
    // All three belong to the month that is open.
    assert_eq!(program.get("balance").await.body["allowance"]["used"], "3");
    let since = clock::rfc3339(now - DAY);
    let listed = program.get(&format!("usage?from={since}")).await.body;
    assert_eq!(listed["data"].as_array().expect("a list").len(), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_operation_never_runs_backwards() {
    // D18: this machine's clock is behind the one that booked before.
    let world = World::with_free(0).await;
    let program = world.program("Skew", 100).await;
    let ahead = world.engine.clock.now() + 10 * MINUTE;
    let text = "update wallets set last_at = $2 where org_id = $1";
    let set = server::db::sql(text).bind(program.org_id.as_str()).bind(ahead);
    assert_eq!(world.tamper(set).await, 1);
    let first = uses(&program, "a", "text", 1).await;
    assert_eq!(first["at"], clock::rfc3339(ahead));
    let items = batch(&program, json!([item("b", 1)])).await;
    assert!(items[0]["usage"]["at"].as_str() >= first["at"].as_str());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_bounds_and_each_bound_is_named() {
    // D19
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Bounds", 1000).await;
    let many: Value = (0..1001).map(|n| item(&format!("k{n}"), 1)).collect();
    for (body, param) in [
        (json!({ "items": [] }), "items"),
        (json!({ "items": many }), "items"),
        (json!({ "items": 7 }), "items"),
        (json!({}), "items"),
        (json!({ "items": [item("a", 1)], "over": "debt" }), "over"),
    ] {
        let answer = program.post("usage/batch", None, &body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "invalid_request"));
        assert_eq!(answer.param(), param, "{:?}", answer.body);
    }
    let large = "x".repeat((1 << 20) + 1);
    let answer = program.post_text("usage/batch", None, large).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "too_large"));
    assert_eq!(program.available().await, "1000");
    let most: Value = (0..1000).map(|n| item(&format!("k{n}"), 1)).collect();
    let answers = batch(&program, most).await;
    assert!(answers.iter().all(|answer| answer["status"] == 200));
    assert_eq!(standing(&program).await, ("0".to_owned(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_was_reversed_is_not_charged_again() {
    // D6
    let world = World::with_free(0).await;
    let program = world.program("Undone", 100).await;
    let answers = batch(&program, json!([item("a", 10), item("b", 10)])).await;
    let usage = answers[0]["usage"]["id"].as_str().expect("an id");
    assert_eq!(reverse(&program, usage, "r").await.status, 200);
    let again = batch(&program, json!([item("a", 10), item("b", 10)])).await;
    assert_eq!(item_codes(&again), [(409, "operation_reversed"), (200, "")]);
    assert_eq!(program.available().await, "90");
    world.end().await;
}
