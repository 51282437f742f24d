//! Taking a use back: credits return to the grants they came from, once.

use futures::future::join_all;
use serde_json::json;
use server::credits::Source;
use tests::World;

use crate::calls::{
    batch, capture, capture_of, held, hold_with, id, kinds, look, reverse, said, standing,
    subscriber, uses, world_with_overage,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_reversed_use_returns_to_its_grants_and_its_key_does_nothing_more() {
    // D6
    let world = World::with_free(0).await;
    let program = world.program("Back", 100).await;
    let day = Some(86_400);
    world.give_as(&program.org_id, Source::Promo, 20, "promo", day).await.expect("granted");
    let usage = uses(&program, "k", "text", 50).await;
    let usage = usage["id"].as_str().expect("an id");
    let back = reverse(&program, usage, "r").await;
    assert_eq!(back.status, 200, "{:?}", back.body);
    assert_eq!((&back.body["id"], &back.body["credits"]), (&json!(usage), &json!("50")));
    assert!(back.body["reversed_at"].is_string());
    assert_eq!(back.body["balance"], json!({ "available": "120", "held": "0" }));
    let grants = program.get("balance").await.body["grants"].clone();
    let left: Vec<&str> = grants
        .as_array()
        .expect("grants")
        .iter()
        .filter_map(|grant| grant["remaining"].as_str())
        .collect();
    assert_eq!(left, ["20", "100"]);
    assert_eq!(said(&program.consume("k", "text", 50).await), (409, "operation_reversed"));
    let again = reverse(&program, usage, "r").await;
    assert!(again.replayed());
    assert_eq!(again.body, back.body);
    assert_eq!(said(&reverse(&program, usage, "r2").await), (409, "operation_reversed"));
    assert_eq!(program.available().await, "120");
    let listed = program.get("usage").await.body;
    assert_eq!(listed["data"], json!([]), "what was taken back was not used");
    assert_eq!(kinds(&program, 2).await, ["reverse", "consume"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_returns_to_a_lapsed_grant_lapses_with_an_entry() {
    // D6, D17
    let world = World::with_free(0).await;
    let program = world.program("Lapsed", 100).await;
    let hour = Some(3600);
    let promo = world.give_as(&program.org_id, Source::Promo, 20, "promo", hour).await;
    let usage = uses(&program, "k", "text", 50).await;
    world.pass(3700).await;
    let back = reverse(&program, usage["id"].as_str().expect("an id"), "r").await;
    assert_eq!(back.status, 200, "{:?}", back.body);
    assert_eq!(program.available().await, "100");
    let text = "select consumed, expired, remaining from grants where id = $1";
    let parts: Vec<(i64, i64, i64)> = world.rows(server::db::sql(text).bind(promo)).await;
    assert_eq!(parts, [(0, 20_000_000, 0)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_undoes_what_was_billed_and_what_became_a_debt() {
    // D6, D8
    let world = world_with_overage(10).await;
    let program = subscriber(&world, "Undo").await;
    let billed = uses(&program, "a", "text", 15).await;
    assert_eq!(billed["overage"], "5");
    let items = json!([{ "key": "b", "meter": "text", "quantity": 7 }]);
    let owed = batch(&program, items).await[0]["usage"].clone();
    assert_eq!(owed["debt"], "7");
    let balance = async || {
        let body = program.get("balance").await.body;
        ["available", "overage", "debt"]
            .map(|name| body[name].as_str().expect("credits").to_owned())
    };
    assert_eq!(balance().await, ["0", "5", "7"]);
    assert_eq!(reverse(&program, owed["id"].as_str().expect("id"), "r1").await.status, 200);
    assert_eq!(balance().await, ["0", "5", "0"]);
    assert_eq!(reverse(&program, billed["id"].as_str().expect("id"), "r2").await.status, 200);
    assert_eq!(balance().await, ["10", "0", "0"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debt_that_was_paid_returns_as_credits_when_its_use_is_reversed() {
    // D6
    let world = World::with_free(0).await;
    let program = world.program("Paid", 0).await;
    let items = json!([{ "key": "a", "meter": "text", "quantity": 30 }]);
    let owed = batch(&program, items).await[0]["usage"].clone();
    world.give_as(&program.org_id, Source::Pack, 100, "pi_1", None).await;
    assert_eq!(program.available().await, "70");
    let back = reverse(&program, owed["id"].as_str().expect("an id"), "r").await;
    assert_eq!(back.status, 200, "{:?}", back.body);
    // Nobody loses the 30 that the pack paid for a use that never was.
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("100"), &json!("0")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_is_reversed_as_a_whole_by_any_of_its_lines() {
    // D6
    let world = World::with_free(0).await;
    let program = world.program("Lines", 100).await;
    for (round, line) in [0, 1].into_iter().enumerate() {
        let hold = held(&program, &format!("h{round}"), "text", 60).await;
        let lines = json!({ "lines": [
            { "meter": "text", "quantity": 7 }, { "meter": "image", "quantity": 2 },
        ] });
        let usage = capture(&program, &hold, &format!("c{round}"), &lines).await;
        assert_eq!(usage.body["credits"], "47", "{:?}", usage.body);
        let named = usage.body["lines"][line]["id"].as_str().expect("a line's id");
        let back = reverse(&program, named, &format!("r{round}")).await;
        assert_eq!(back.status, 200, "{:?}", back.body);
        assert_eq!(back.body["credits"], "47");
        assert_eq!(standing(&program).await, ("100".to_owned(), "0".to_owned()));
        // The other line went with it.
        let other = usage.body["lines"][1 - line]["id"].as_str().expect("a line's id");
        let twice = reverse(&program, other, &format!("s{round}")).await;
        assert_eq!(said(&twice), (409, "operation_reversed"));
        let repeat = capture(&program, &hold, &format!("c{round}"), &lines).await;
        assert_eq!(said(&repeat), (409, "operation_reversed"));
        assert_eq!(look(&program, &hold).await["status"], "captured", "a hold ends once");
        let later = capture_of(&program, &hold, &format!("d{round}"), 1).await;
        assert_eq!(said(&later), (409, "hold_not_open"));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reversals_that_race_return_the_credits_once() {
    // D6
    let world = World::with_free(0).await;
    let program = world.program("Racing", 100).await;
    let usage = uses(&program, "k", "text", 40).await;
    let usage = usage["id"].as_str().expect("an id");
    let tries = (0..12).map(|n| {
        let program = &program;
        async move { reverse(program, usage, &format!("r{n}")).await }
    });
    let answers = join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    let late = answers.iter().filter(|answer| said(answer) == (409, "operation_reversed"));
    assert_eq!(late.count(), 11);
    assert_eq!(program.available().await, "100");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_makes_room_under_the_cap() {
    // D6, D22
    let world = World::with_free(0).await;
    let program = world.program("Room", 1000).await;
    let now = world.engine.clock.now();
    let cap = server::units::Credits::from_whole(50).map(|credits| (credits, true));
    let actor = server::audit::Actor::Operator("tests".to_owned());
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    server::caps::set(&mut tx, &program.org_id, cap, actor, now).await.expect("set");
    tx.commit().await.expect("committed");
    let usage = uses(&program, "a", "text", 50).await;
    assert_eq!(said(&program.consume("b", "text", 1).await), (402, "cap_reached"));
    assert_eq!(reverse(&program, usage["id"].as_str().expect("id"), "r").await.status, 200);
    uses(&program, "c", "text", 50).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_orgs_own_use_is_reversed_and_with_a_reason() {
    let world = World::with_free(0).await;
    let (ada, bob) = (world.program("Ada", 100).await, world.program("Bob", 100).await);
    let usage = uses(&ada, "k", "text", 40).await;
    let usage = usage["id"].as_str().expect("an id");
    assert_eq!(said(&reverse(&bob, usage, "r").await), (404, "not_found"));
    assert_eq!(said(&reverse(&ada, "usage_none", "r").await), (404, "not_found"));
    for body in [json!({}), json!({ "reason": "" }), json!({ "reason": 7 })] {
        let answer = ada.post(&format!("usage/{usage}/reverse"), Some("r"), &body).await;
        assert_eq!((answer.status.as_u16(), answer.param()), (400, "reason"));
    }
    let body = json!({ "meter": "text", "quantity": 1 });
    let hold = id(&hold_with(&ada, "h", &body).await);
    assert_eq!(said(&reverse(&ada, &hold, "r").await), (404, "not_found"));
    assert_eq!(ada.available().await, "59");
    world.end().await;
}
