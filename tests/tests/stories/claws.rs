//! Grants that are stopped, ended or taken back while they are in use.

use serde_json::json;
use server::audit::Actor;
use server::credits::{self, NewGrant, Source, Taken};
use server::units::Credits;
use tests::World;

use crate::calls::{capture_of, held, hold, reverse, said, standing, uses};

fn operator() -> Actor {
    Actor::Operator("tests".to_owned())
}

/// A pack that this payment bought.
pub async fn pack(world: &World, org_id: &str, credits: i64, payment: &str) -> String {
    let now = world.engine.clock.now();
    let grant = NewGrant {
        org_id: org_id.to_owned(),
        source: Source::Pack,
        source_ref: payment.to_owned(),
        amount: Credits::from_whole(credits).expect("fits"),
        effective_at: None,
        expires_at: None,
        payment: Some(payment.to_owned()),
        actor: Actor::Stripe,
        reason: "a pack".to_owned(),
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let made = credits::grant(&mut tx, grant, now).await.expect("granted");
    tx.commit().await.expect("committed");
    made.expect("a new grant")
}

async fn freeze(world: &World, org_id: &str, payment: &str, frozen: bool) {
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    credits::freeze(&mut tx, org_id, payment, frozen, &operator(), "a dispute", now)
        .await
        .expect("frozen, or not any more");
    tx.commit().await.expect("committed");
}

/// Takes so much of a payment back.
pub async fn take_back(world: &World, org_id: &str, payment: &str, percent: i64) -> Taken {
    let now = world.engine.clock.now();
    let share = credits::Share::of(percent, 100);
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let taken = credits::claw_back(&mut tx, org_id, payment, share, now).await.expect("taken back");
    tx.commit().await.expect("committed");
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_pack_is_not_spent_and_comes_back_as_it_was() {
    // E11, E12, I8
    let world = World::with_free(0).await;
    let program = world.program("Frozen", 20).await;
    let pack = pack(&world, &program.org_id, 100, "pi_1").await;
    let open = held(&program, "h", "text", 110).await;
    freeze(&world, &program.org_id, "pi_1", true).await;
    assert_eq!(standing(&program).await, ("0".to_owned(), "110".to_owned()));
    // What was held before may still be captured; what it leaves is frozen with the rest.
    assert_eq!(capture_of(&program, &open, "c", 50).await.status, 200);
    assert_eq!(standing(&program).await, ("0".to_owned(), "0".to_owned()));
    assert_eq!(said(&hold(&program, "h2", "text", 1).await), (402, "insufficient_credits"));
    assert_eq!(said(&program.consume("b", "text", 1).await), (402, "insufficient_credits"));
    // Nothing else that the org has is touched.
    world.give(&program.org_id, 5, "meanwhile").await;
    uses(&program, "a", "text", 5).await;
    freeze(&world, &program.org_id, "pi_1", false).await;
    assert_eq!(program.available().await, "70");
    let usage = uses(&program, "c2", "text", 70).await;
    assert_eq!(usage["from"], json!([{ "grant": pack, "credits": "70" }]));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_grant_is_not_spent_and_nothing_returns_to_it() {
    // I8
    let world = World::with_free(0).await;
    let program = world.program("Void", 0).await;
    let grant = pack(&world, &program.org_id, 100, "pi_1").await;
    let open = held(&program, "h", "text", 40).await;
    let usage = uses(&program, "a", "text", 10).await;
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    credits::void(&mut tx, &program.org_id, &grant, &operator(), "fraud", now)
        .await
        .expect("voided");
    tx.commit().await.expect("committed");
    assert_eq!(standing(&program).await, ("0".to_owned(), "40".to_owned()));
    assert_eq!(said(&program.consume("b", "text", 1).await), (402, "insufficient_credits"));
    assert_eq!(capture_of(&program, &open, "c", 15).await.status, 200);
    assert_eq!(standing(&program).await, ("0".to_owned(), "0".to_owned()));
    let id = usage["id"].as_str().expect("an id");
    assert_eq!(reverse(&program, id, "r").await.status, 200);
    assert_eq!(program.available().await, "0");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refund_takes_back_is_taken_once_and_what_was_spent_is_owed() {
    // E7, E8, E9, I10
    let world = World::with_free(0).await;
    let program = world.program("Refund", 30).await;
    pack(&world, &program.org_id, 100, "pi_1").await;
    let debt = async || program.get("balance").await.body["debt"].clone();
    // Half of the payment comes back, told twice, and later all of it.
    for _ in 0..2 {
        take_back(&world, &program.org_id, "pi_1", 50).await;
        assert_eq!(program.available().await, "80");
    }
    let open = held(&program, "h", "text", 80).await;
    take_back(&world, &program.org_id, "pi_1", 100).await;
    // All is held: nothing is owed yet, and what returns is taken at once.
    assert_eq!((standing(&program).await, debt().await), (("0".into(), "80".into()), json!("0")));
    let usage = capture_of(&program, &open, "c", 60).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    // The 20 that returned were taken; the 30 that were used of it are owed.
    assert_eq!((program.available().await, debt().await), ("0".to_owned(), json!("30")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_returned_to_one_pack_is_never_taken_for_another_ones_refund() {
    // E8, E9
    let world = World::with_free(0).await;
    let program = world.program("Returned", 0).await;
    let org = program.org_id.as_str();
    pack(&world, org, 500, "pi_1").await;
    let large = uses(&program, "a", "text", 300).await;
    uses(&program, "b", "text", 200).await;
    take_back(&world, org, "pi_1", 50).await;
    // The second pays what the first owes.
    pack(&world, org, 500, "pi_2").await;
    assert_eq!(program.available().await, "250");
    uses(&program, "c", "text", 200).await;
    let id = large["id"].as_str().expect("an id");
    assert_eq!(reverse(&program, id, "r").await.status, 200);
    assert_eq!(program.available().await, "350");
    take_back(&world, org, "pi_2", 100).await;
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("300"), &json!("450")));
    uses(&program, "d", "text", 10).await;
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("290"), &json!("450")));
    world.end().await;
}
