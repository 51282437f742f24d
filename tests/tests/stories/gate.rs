//! The gate: exact under races, repeats and refusals.

use futures::future::join_all;
use serde_json::json;
use tests::World;

#[tokio::test(flavor = "multi_thread")]
async fn racing_for_the_last_credits_exactly_what_fits_is_sold() {
    // D1
    let world = World::with_free(0).await;
    let program = world.program("Race", 5).await;
    let tries = (0..40).map(|n| {
        let program = program.clone();
        async move { program.consume(&format!("try-{n}"), "text", 1).await }
    });
    let answers = join_all(tries).await;
    let sold = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.code() == "insufficient_credits").count();
    assert_eq!((sold, refused), (5, 35));
    assert_eq!(program.available().await, "0");
    let ledger = program.get("ledger?limit=100").await;
    let consumed = ledger.body["data"].as_array().expect("a list").iter();
    assert_eq!(consumed.filter(|movement| movement["kind"] == "consume").count(), 5);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_the_same_key_is_answered_the_same_and_charged_once() {
    // D2, I7
    let world = World::with_free(0).await;
    let program = world.program("Repeat", 50).await;
    let first = program.consume("k", "image", 1).await;
    assert_eq!(first.status, 200, "{:?}", first.body);
    assert_eq!(first.body["credits"], "20");
    assert_eq!(first.body["balance"]["available"], "30");
    assert!(!first.replayed());
    let twins = join_all((0..8).map(|_| program.consume("k", "image", 1))).await;
    for twin in twins {
        assert!(twin.replayed());
        assert_eq!((twin.status, &twin.body), (first.status, &first.body));
    }
    assert_eq!(program.available().await, "30");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_that_arrive_together_have_one_effect() {
    // D4
    let world = World::with_free(0).await;
    let program = world.program("Twins", 100).await;
    let twins = join_all((0..16).map(|_| program.consume("same", "image", 1))).await;
    assert!(twins.iter().all(|twin| twin.status == 200));
    assert_eq!(twins.iter().filter(|twin| !twin.replayed()).count(), 1);
    assert_eq!(program.available().await, "80");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_with_another_body_is_refused_and_has_no_effect() {
    // D3
    let world = World::with_free(0).await;
    let program = world.program("Other", 50).await;
    assert_eq!(program.consume("k", "text", 1).await.status, 200);
    let other = program.consume("k", "text", 2).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "idempotency_key_reused"));
    assert_eq!(program.available().await, "49");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_stored_with_its_key_even_after_a_top_up() {
    // D5, I13
    let world = World::with_free(0).await;
    let program = world.program("Denied", 10).await;
    let denied = program.consume("k", "image", 1).await;
    assert_eq!((denied.status.as_u16(), denied.code()), (402, "insufficient_credits"));
    assert_eq!(denied.body["error"]["retry_with_new_key"], true);
    world.give(&program.org_id, 100, "later").await;
    let again = program.consume("k", "image", 1).await;
    assert!(again.replayed());
    assert_eq!((again.status, &again.body), (denied.status, &denied.body));
    assert_eq!(program.consume("k2", "image", 1).await.status, 200);
    let id = denied.body["error"]["decision"]["id"].as_str().expect("a stored decision");
    let stored = program.get(&format!("decisions/{id}")).await;
    assert_eq!(stored.body["code"], "insufficient_credits");
    assert_eq!(stored.body["allowed"], false);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orgs_share_neither_keys_nor_credits_nor_decisions() {
    // D20
    let world = World::with_free(0).await;
    let (ada, bob) = (world.program("Ada", 10).await, world.program("Bob", 10).await);
    let (one, two) = (ada.consume("k", "text", 1).await, bob.consume("k", "text", 2).await);
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    assert!(!two.replayed());
    let denied = ada.consume("big", "image", 9).await;
    let id = denied.body["error"]["decision"]["id"].as_str().expect("a stored decision");
    let foreign = bob.get(&format!("decisions/{id}")).await;
    assert_eq!((foreign.status.as_u16(), foreign.code()), (404, "not_found"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_first_writes_nothing_and_says_why_not() {
    // D21
    let world = World::with_free(0).await;
    let program = world.program("Asks", 10).await;
    let cases = [
        (json!({ "meter": "text", "quantity": 3 }), true, "allowed"),
        (json!({ "meter": "image" }), false, "insufficient_credits"),
        (json!({ "meter": "video" }), false, "feature_not_included"),
        (json!({ "feature": "teleport" }), false, "feature_not_included"),
        (json!({ "meter": "input_tokens", "model": "huge-1" }), false, "model_not_included"),
        (json!({ "meter": "input_tokens" }), false, "price_unknown"),
        (json!({}), true, "allowed"),
    ];
    for (body, allowed, code) in cases {
        let answer = program.post("authorize", None, &body).await;
        assert_eq!(answer.status, 200, "{body} {:?}", answer.body);
        let said = (answer.body["allowed"].as_bool(), answer.body["code"].as_str());
        assert_eq!(said, (Some(allowed), Some(code)), "{body}");
        assert!(answer.body["id"].is_null());
    }
    assert_eq!(program.available().await, "10");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_are_spent_by_priority_then_earliest_expiry() {
    // I9
    let world = World::new().await;
    let program = world.program("Burn", 500).await;
    let used = program.consume("k", "text", 103).await;
    let from = used.body["from"].as_array().expect("parts");
    let parts: Vec<&str> = from.iter().filter_map(|part| part["credits"].as_str()).collect();
    // The free month's 100 first, because they lapse; then what was given by hand.
    assert_eq!(parts, ["100", "3"]);
    let balance = program.get("balance").await.body;
    assert_eq!(balance["available"], "497");
    assert_eq!(balance["allowance"]["percent"], 100);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_month_lapses_and_the_next_one_opens_once() {
    // B5, D17
    let world = World::new().await;
    let program = world.program("Months", 0).await;
    assert_eq!(program.consume("a", "text", 30).await.status, 200);
    assert_eq!(program.available().await, "70");
    world.advance(32 * 86_400).await;
    assert_eq!(program.available().await, "100");
    assert_eq!(program.consume("b", "text", 1).await.status, 200);
    assert_eq!(program.available().await, "99");
    let ledger = program.get("ledger?limit=10").await.body;
    let kinds = ledger["data"].as_array().expect("a list").iter();
    let kinds: Vec<&str> = kinds.filter_map(|movement| movement["kind"].as_str()).collect();
    assert_eq!(kinds, ["consume", "grant", "expire", "consume", "grant"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_pages_newest_first_by_its_own_order() {
    let world = World::with_free(0).await;
    let program = world.program("Pages", 10).await;
    for n in 0..4 {
        assert_eq!(program.consume(&format!("k{n}"), "text", 1).await.status, 200);
    }
    let first = program.get("ledger?limit=2").await.body;
    assert_eq!(first["has_more"], true);
    assert_eq!(first["data"][0]["balance"], "6");
    let last = first["data"][1]["id"].as_str().expect("an id");
    let rest = program.get(&format!("ledger?limit=10&starting_after={last}")).await.body;
    assert_eq!(rest["has_more"], false);
    let seqs = rest["data"].as_array().expect("a list").iter();
    let seqs: Vec<i64> = seqs.filter_map(|movement| movement["seq"].as_i64()).collect();
    assert_eq!(seqs, [3, 2, 1]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_is_brought_up_to_its_target_however_often_it_is_seen() {
    // B8, I6: one invoice may turn out to pay for more; seeing less or the same changes nothing.
    let world = World::with_free(0).await;
    let program = world.program("Targets", 0).await;
    let now = world.engine.clock.now();
    let whole = |credits| server::units::Credits::from_whole(credits).expect("fits");
    for (target, available) in
        [(100, "100"), (150, "150"), (150, "150"), (120, "150"), (160, "160")]
    {
        let allowance = server::credits::Allowance {
            org_id: program.org_id.clone(),
            item: "si_1".to_owned(),
            period: (now, now + 30 * server::clock::DAY),
            target: whole(target),
            rollover_max: whole(0),
            grace_until: now + 33 * server::clock::DAY,
            invoice: "in_1".to_owned(),
            reason: "Pro".to_owned(),
        };
        let mut tx = world.engine.db.begin().await.expect("a transaction");
        server::credits::set_allowance(&mut tx, allowance, now).await.expect("set");
        tx.commit().await.expect("committed");
        assert_eq!(program.available().await, available, "target {target}");
    }
    world.end().await;
}
