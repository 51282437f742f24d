//! The months of a contract begin on the stroke, whether or not a worker comes by: nothing that is
//! included is billed, and nothing of them is spent before.

use serde_json::json;
use server::audit::Actor;
use server::autorecharge;
use server::clock::SECOND;
use server::contracts::{self, Contract, NewContract};
use server::credits;
use server::db::sql;
use server::gate;
use tests::{Program, World, WorldOptions};

use crate::calls::{capture, held, uses};

const HOUR: i64 = 3_600;

/// A contract of 100 credits a month, and 3 minor units for each that goes past them.
pub async fn contract(world: &World, program: &Program, more: &str) -> Contract {
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
pub async fn before_the_next(world: &World, made: &Contract) -> i64 {
    let left = made.next_at.expect("a next month") - world.engine.clock.now();
    world.advance(left / SECOND - HOUR).await;
    HOUR + 1
}

/// Has a pack bought below so many credits.
pub async fn wants(world: &World, program: &Program, below: i64) {
    let text = "insert into recharge_settings (org_id, enabled, threshold, price_id, monthly_max,
             failures, next_at, updated_at, updated_by)
         select $1, true, $2, min(price_id), 100000, 0, 0, 0, 'tests' from catalog_prices";
    world.tamper(sql(text).bind(&program.org_id).bind(below * 1_000_000)).await;
}

/// The orgs that have fewer credits than they want.
pub async fn low(world: &World) -> Vec<String> {
    let now = world.engine.clock.now();
    autorecharge::running_low(&mut &world.engine.db, now, 10).await.expect("read")
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
async fn a_month_that_nobody_touched_paid_what_was_owed_before_it_lapsed() {
    // E8, D16
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Idle", 0).await;
    let made = contract(&world, &program, "").await;
    let left = before_the_next(&world, &made).await;
    let hold = held(&program, "h", "text", 100).await;
    let asked = json!({ "quantity": 130, "over": "debt" });
    assert_eq!(capture(&program, &hold, "c", &asked).await.status, 200);
    world.pass(left).await;
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("70"), &json!("0")));
    // It lapses before anybody wrote that down.
    world.pass(40 * 24 * HOUR).await;
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("0"), &json!("0")));
    while gate::sweep(&world.engine).await.expect("swept") > 0 {}
    let text = "select g.amount, g.debt_paid, g.expired, w.debt from grants g
         join wallets w on w.org_id = g.org_id where g.debt_paid > 0";
    let paid: Vec<(i64, i64, i64, i64)> = world.rows(sql(text)).await;
    assert_eq!(paid, [(100_000_000, 30_000_000, 70_000_000, 0)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_begins_while_its_wallet_is_parked_pays_what_is_owed_afterwards() {
    // E8, F1
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Waiting", 0).await;
    let org = program.org_id.as_str();
    let made = contract(&world, &program, "").await;
    let left = before_the_next(&world, &made).await;
    let hold = held(&program, "h", "text", 100).await;
    let asked = json!({ "quantity": 130, "over": "debt" });
    assert_eq!(capture(&program, &hold, "c", &asked).await.status, 200);
    let text = "update wallets set parked_at = $2, parked_reason = 'a test' where org_id = $1";
    world.tamper(sql(text).bind(org).bind(world.engine.clock.now())).await;
    world.pass(left).await;
    world.give(org, 7, "while it is parked").await;
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    let actor = Actor::Operator("tests".to_owned());
    assert!(credits::unpark(db, org, &actor, "it was a test", now).await.expect("unparked"));
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("77"), &json!("0")));
    uses(&program, "a", "text", 77).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_ahead_hides_from_no_check_that_an_org_runs_low() {
    // C13
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Low", 0).await;
    let made = contract(&world, &program, "replaces = true").await;
    uses(&program, "a", "text", 100).await;
    let left = before_the_next(&world, &made).await;
    wants(&world, &program, 50).await;
    let low = async || low(&world).await;
    assert_eq!(low().await, [program.org_id.as_str()]);
    world.pass(left).await;
    assert_eq!(program.available().await, "100");
    assert!(low().await.is_empty());
    world.give(&program.org_id, 1, "frozen").await;
    let text = "update grants set frozen_at = $2 where org_id = $1 and ended_at is null";
    let now = world.engine.clock.now();
    world.tamper(sql(text).bind(&program.org_id).bind(now)).await;
    assert_eq!(low().await, [program.org_id.as_str()]);
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
