//! Auto-recharge while something of ours is wrong, and no card: a key that Stripe refuses, a
//! request that it would not hear of. Nobody is told of a decline, and it goes on once that is
//! mended.

use serde_json::{Value, json};
use server::findings;
use tests::World;

use crate::recharge::{attempts, available, payments, plain_world, setting, spend, told, wanting};

const HOUR: i64 = 3_600;

/// Calls for this path are answered with this status, so often.
async fn fault(world: &World, method: &str, path: &str, status: u16, count: i64) {
    let fault = json!({ "kind": "server_error", "status": status, "count": count, "path": path,
                        "method": method });
    world.control("faults", json!({ "api": fault })).await;
}

async fn mended(world: &World) {
    world.control("faults", json!({ "api": null })).await;
}

/// What is open about recharges that Stripe would not hear of.
async fn refused(world: &World) -> Vec<String> {
    let open = findings::list(&world.engine.db, true, 100).await.expect("read").into_iter();
    let about = open.filter(|one| one.kind == "recharge_refused");
    about.map(|one| one.message).collect()
}

fn of_attempt(code: Option<&str>) -> (String, Option<String>) {
    let status = if code.is_some() { "failed" } else { "open" };
    (status.to_owned(), code.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_for_minutes_is_waited_for_and_does_not_end_the_job() {
    // E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Rolled", "pm_card_visa").await;
    fault(&world, "GET", "/v1/customers", 401, 1_000_000).await;
    spend(&shop, "a", 150).await;
    world.settle().await;
    assert!(attempts(&world, &shop).await.is_empty());
    world.advance(60).await;
    mended(&world).await;
    // Long before anybody looks after everybody.
    world.advance(5 * 60).await;
    assert_eq!(available(&shop).await, "550");
    assert_eq!(payments(&mut shop).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_for_hours_is_told_and_buys_soon_after_it_was_mended() {
    // E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Hours", "pm_card_visa").await;
    fault(&world, "GET", "/v1/customers", 401, 1_000_000).await;
    spend(&shop, "a", 150).await;
    world.settle().await;
    for _ in 0..5 {
        world.advance(HOUR).await;
    }
    let said = refused(&world).await;
    assert!(said.len() == 1 && said[0].contains("mend the key"), "{said:?}");
    let left = "select id from jobs where kind = 'recharge'";
    let left: Vec<(String,)> = world.rows(server::db::sql(left)).await;
    assert_eq!(left.len(), 1, "however often it was tried");
    assert_eq!((attempts(&world, &shop).await.len(), told(&world, &shop).await.len()), (0, 0));
    mended(&world).await;
    world.advance(3 * 60).await;
    assert_eq!((available(&shop).await.as_str(), refused(&world).await.len()), ("550", 0));
    assert_eq!(payments(&mut shop).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_given_up_keeps_no_later_one_from_being_left() {
    // E1, E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Dead", "pm_card_visa").await;
    fault(&world, "GET", "/v1/customers", 400, 1_000_000).await;
    spend(&shop, "a", 150).await;
    world.settle().await;
    let dead = "select kind from jobs where dead_at is not null";
    let dead: Vec<(String,)> = world.rows(server::db::sql(dead)).await;
    assert_eq!(dead, [("recharge".to_owned(),)]);
    mended(&world).await;
    // They fall below the threshold once more.
    world.give(&shop.org_id, 500, "meanwhile").await;
    spend(&shop, "b", 500).await;
    world.settle().await;
    assert_eq!(available(&shop).await, "550");
    assert_eq!(payments(&mut shop).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_look_but_not_charge_is_no_declined_card() {
    // E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Restricted", "pm_card_visa").await;
    fault(&world, "POST", "/v1/payment_intents", 403, 1_000_000).await;
    spend(&shop, "a", 150).await;
    world.settle().await;
    assert_eq!(attempts(&world, &shop).await, [of_attempt(None)]);
    world.advance(26 * HOUR).await;
    assert_eq!(attempts(&world, &shop).await, [of_attempt(None)], "it is asked for again");
    assert_eq!(refused(&world).await.len(), 1);
    assert_eq!((setting(&world, &shop).await.failures, told(&world, &shop).await.len()), (0, 0));
    mended(&world).await;
    world.advance(2 * HOUR).await;
    assert_eq!(attempts(&world, &shop).await, [("succeeded".to_owned(), None)]);
    assert_eq!((available(&shop).await.as_str(), refused(&world).await.len()), ("550", 0));
    assert_eq!(payments(&mut shop).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_is_told_to_operators_and_let_go_after_a_day() {
    // E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Impossible", "pm_card_visa").await;
    fault(&world, "POST", "/v1/payment_intents", 400, 1_000_000).await;
    spend(&shop, "a", 150).await;
    world.settle().await;
    let said = refused(&world).await;
    assert!(said[0].contains("The card was not declined"), "{said:?}");
    world.advance(12 * HOUR).await;
    assert_eq!(attempts(&world, &shop).await, [of_attempt(None)]);
    for _ in 0..14 {
        world.advance(HOUR).await;
    }
    let now = attempts(&world, &shop).await;
    assert_eq!(now, [of_attempt(Some("api_error")), of_attempt(None)], "begun anew");
    let after = setting(&world, &shop).await;
    assert!(after.is_armed() && after.failures == 0, "{after:?}");
    assert_eq!(told(&world, &shop).await.len(), 0, "nobody was told of a decline");
    assert_eq!(refused(&world).await.len(), 1);
    mended(&world).await;
    world.advance(2 * HOUR).await;
    assert_eq!((available(&shop).await.as_str(), refused(&world).await.len()), ("550", 0));
    let paid = payments(&mut shop).await;
    let paid: Vec<&Value> = paid.iter().filter(|one| one["status"] == "succeeded").collect();
    assert_eq!(paid.len(), 1);
    world.end().await;
}
