//! The months of a contract begin on the stroke, whether or not a worker comes by: nothing that is
//! included is billed, and nothing of them is spent before.

use serde_json::json;
use server::audit::Actor;
use server::clock::SECOND;
use server::contracts::{self, Contract, NewContract};
use server::db::sql;
use tests::{Program, World, WorldOptions};

use crate::calls::{capture, held, uses};

const HOUR: i64 = 3_600;

/// A contract of 100 credits a month, and 3 minor units for each that goes past them.
async fn contract(world: &World, program: &Program, more: &str) -> Contract {
    let text = format!(
        "name = \"Acme\"\ncurrency = \"usd\"\nincluded_credits = 100\noverage_price = 3\n\
         features = [\"text\"]\n{more}"
    );
    let new = NewContract {
        org_id: program.org_id.clone(),
        agreed: contracts::parse(&text).expect("terms"),
        key: "k".to_owned(),
        actor: Actor::Operator("tests".to_owned()),
        reason: "they asked".to_owned(),
    };
    contracts::create(&world.engine, new).await.expect("made")
}

/// Goes to an hour before the next month, with the worker, and then past its beginning without.
async fn before_the_next(world: &World, made: &Contract) -> i64 {
    let left = made.next_at.expect("a next month") - world.engine.clock.now();
    world.advance(left / SECOND - HOUR).await;
    HOUR + 1
}

/// How many grants of contracts there are, and the sum of what was used past every grant.
async fn state(world: &World) -> (i64, i64) {
    let text = "select (select count(*) from grants where source_kind = 'contract'),
             (select cast(coalesce(sum(overage), 0) as bigint) from usages)";
    world.rows(sql(text)).await[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_begins_on_the_stroke_and_bills_nothing_that_it_includes() {
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Stroke", 0).await;
    let made = contract(&world, &program, "replaces = true").await;
    uses(&program, "a", "text", 100).await;
    let left = before_the_next(&world, &made).await;
    let balance = program.get("balance").await.body;
    assert_eq!(balance["available"], "0", "an hour too early");
    assert_eq!(balance["allowance"]["percent"], 100, "the period runs on: {balance}");
    assert_eq!(state(&world).await, (2, 0), "it is there, to be spent later");
    world.pass(left).await;
    assert_eq!(program.available().await, "100");
    let used = uses(&program, "b", "text", 60).await;
    assert_eq!((&used["overage"], &used["billed"]), (&json!("0"), &json!(null)), "{used}");
    let balance = program.get("balance").await.body;
    assert_eq!(balance["allowance"]["percent"], 60, "and the period is the new one: {balance}");
    world.settle().await;
    world.advance(HOUR).await;
    assert_eq!((program.available().await.as_str(), state(&world).await), ("40", (2, 0)));
    // Past what the month includes, overage is billed as agreed.
    let over = uses(&program, "c", "text", 50).await;
    assert_eq!(over["billed"], json!({ "amount": "30", "currency": "usd" }));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_beside_a_tier_pays_what_is_owed_when_it_begins() {
    // E8
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Owing", 0).await;
    let made = contract(&world, &program, "").await;
    let left = before_the_next(&world, &made).await;
    assert_eq!(state(&world).await, (2, 0));
    let hold = held(&program, "h", "text", 100).await;
    let asked = json!({ "quantity": 130, "over": "debt" });
    assert_eq!(capture(&program, &hold, "c", &asked).await.status, 200);
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("0"), &json!("30")));
    world.pass(left).await;
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("70"), &json!("0")));
    uses(&program, "a", "text", 70).await;
    world.settle().await;
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("0"), &json!("0")));
    assert_eq!(state(&world).await, (2, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_ends_before_its_next_month_gives_nothing_of_it() {
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Ended", 0).await;
    let made = contract(&world, &program, "replaces = true").await;
    let left = before_the_next(&world, &made).await;
    assert_eq!(state(&world).await, (2, 0));
    let actor = Actor::Operator("tests".to_owned());
    contracts::end(&world.engine, &made.id, actor, "it was agreed").await.expect("ended");
    assert_eq!(program.available().await, "0");
    world.pass(left).await;
    assert_eq!(program.available().await, "0");
    world.settle().await;
    assert_eq!((program.available().await.as_str(), state(&world).await), ("0", (2, 0)));
    world.end().await;
}
