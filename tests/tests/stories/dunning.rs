//! Payments that fail: forgiven for a while, tried again, given up, or made after all.

use serde_json::json;
use server::db::sql;
use tests::{Shop, World, WorldOptions};

use crate::trials::{tier, told};

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";
const BAD: &str = "pm_card_chargeCustomerFail";

/// An org whose first renewal could not be paid, two hours ago.
async fn failing(world: &World, name: &str) -> Shop {
    world.to_july().await;
    let mut shop = Shop::open(world, name).await;
    shop.subscribe(world, PRO).await;
    shop.scene.use_card(BAD).await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3600).await;
    shop
}

async fn state(world: &World, shop: &Shop) -> (String, String) {
    let text = "select status from subscriptions where org_id = $1";
    let status = world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await.remove(0).0;
    (status, tier(world, &shop.org_id).await)
}

fn is(status: &str, tier: &str) -> (String, String) {
    (status.to_owned(), tier.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_failed_is_told_once_and_made_good_restores_everything_at_once() {
    // B5, B13
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = failing(&world, "recovers").await;
    assert_eq!(state(&world, &shop).await, is("past_due", "pro"));
    assert_eq!(told(&world, &shop.org_id, "payment_failed").await, 1);
    assert_eq!(shop.program.consume("a", "image", 10).await.status, 200, "within the grace");
    assert_eq!(shop.standing().await.0, "1800", "no new grant");
    world.advance(4 * DAY).await;
    let refused = shop.program.consume("b", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
    assert_eq!(told(&world, &shop.org_id, "payment_failed").await, 1, "tried again, told once");
    shop.scene.use_card("pm_card_visa").await;
    shop.scene.pay_open().await;
    world.settle().await;
    assert_eq!(state(&world, &shop).await, is("active", "pro"));
    assert_eq!(shop.standing().await.0, "2000");
    assert_eq!(shop.program.consume("c", "text", 1).await.status, 200);
    // The next failure is another one.
    shop.scene.use_card(BAD).await;
    world.advance(28 * DAY).await;
    world.advance(2 * 3600).await;
    assert_eq!(state(&world, &shop).await.0, "past_due");
    assert_eq!(told(&world, &shop.org_id, "payment_failed").await, 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_is_given_up_ends_the_plan_and_says_so_once() {
    // B12, B13
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = failing(&world, "ends").await;
    let bought = shop.buy_pack(&world, "turnpike_pack_500").await;
    assert!(bought.starts_with("pi_"));
    for _ in 0..4 {
        world.advance(6 * DAY).await;
    }
    assert_eq!(state(&world, &shop).await, is("canceled", "free"));
    assert_eq!(told(&world, &shop.org_id, "canceled").await, 1);
    assert_eq!(shop.standing().await.0, "500", "what was bought stays");
    assert_eq!(shop.program.consume("a", "text", 1).await.status, 200, "no block is left");
    let again = shop.scene.stripe.events().await;
    assert!(again.iter().any(|event| event["type"] == "customer.subscription.deleted"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_plan_gives_nothing_until_its_invoice_is_paid() {
    // B14
    let world = World::with(WorldOptions::nothing_free()).await;
    world.control("settings", json!({ "after_retries": "unpaid" })).await;
    let mut shop = failing(&world, "unpaid").await;
    for _ in 0..4 {
        world.advance(6 * DAY).await;
    }
    assert_eq!(state(&world, &shop).await, is("unpaid", "pro"));
    let entitled = shop.program.get("entitlements").await.body;
    assert_eq!(entitled["limits"]["keys"], 2, "what the free tier allows is left");
    let refused = shop.program.consume("a", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
    shop.scene.use_card("pm_card_visa").await;
    shop.scene.pay_open().await;
    world.settle().await;
    assert_eq!(state(&world, &shop).await, is("active", "pro"));
    assert_eq!(shop.program.get("entitlements").await.body["limits"]["keys"], 10);
    assert_eq!(shop.program.consume("b", "text", 1).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_plan_is_suspended_and_resumed() {
    // B14
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "paused").await;
    shop.subscribe(&world, PRO).await;
    let path = format!("subscriptions/{}", shop.scene.id("plan"));
    shop.scene.stripe.post(&format!("{path}/pause"), &[("type", "subscription")]).await;
    world.settle().await;
    assert_eq!(state(&world, &shop).await, is("paused", "pro"));
    let refused = shop.program.consume("a", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
    shop.scene.stripe.post(&format!("{path}/resume"), &[]).await;
    world.settle().await;
    assert_eq!(state(&world, &shop).await, is("active", "pro"));
    assert_eq!(shop.program.consume("b", "text", 1).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_payment_that_is_never_made_gives_nothing() {
    // B3
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "never").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    let price = shop.scene.price(PRO).await;
    let fields = [
        ("customer", customer.as_str()),
        ("items[0][price]", &price),
        ("payment_behavior", "default_incomplete"),
    ];
    shop.scene.stripe.post("subscriptions", &fields).await;
    world.settle().await;
    assert_eq!(state(&world, &shop).await, is("incomplete", "free"));
    assert_eq!(shop.standing().await.0, "0");
    world.advance(DAY).await;
    assert_eq!(state(&world, &shop).await, is("incomplete_expired", "free"));
    assert_eq!(shop.standing().await.0, "0");
    for kind in ["canceled", "payment_failed"] {
        assert_eq!(told(&world, &shop.org_id, kind).await, 0, "there was no plan to end");
    }
    world.end().await;
}
