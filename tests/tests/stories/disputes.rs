//! Payments that a customer's bank takes back: what waits, what comes back, what is lost.

use serde_json::json;
use server::audit::Actor;
use server::autorecharge::{self, Pause, Wish};
use server::db::sql;
use server::refunds;
use server::stripe::inbox::Claim;
use server::units::Credits;
use tests::{Shop, World, WorldOptions};

use crate::calls::{capture_of, held, said};
use crate::refunds::everything_again;

const PACK: &str = "turnpike_pack_500";

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

fn credits(available: &str, debt: &str) -> (String, String) {
    (available.to_owned(), debt.to_owned())
}

async fn told(world: &World, shop: &Shop) -> Vec<String> {
    shop.news(world).await.into_iter().map(|(kind, _)| kind).collect()
}

/// The org wants a pack whenever it has less than one credit.
async fn want_recharge(world: &World, shop: &Shop) {
    let text = "select price_id from catalog_prices where lookup_key = $1";
    let price: Vec<(String,)> = world.rows(sql(text).bind(PACK)).await;
    let threshold = Credits::from_whole(1).expect("fits");
    let wish = Wish { threshold, price_id: price[0].0.clone(), monthly_max: 5_000 };
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let actor = Actor::Operator("tests".to_owned());
    autorecharge::save(&mut tx, &shop.org_id, &wish, actor, now).await.expect("saved");
    tx.commit().await.expect("committed");
    world.settle().await;
}

async fn pause_of(world: &World, shop: &Shop) -> Option<Pause> {
    let setting = autorecharge::of_org(&mut &world.engine.db, &shop.org_id).await.expect("read");
    setting.expect("a setting").pause()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_keeps_its_credits_from_use_and_nothing_else() {
    // E11
    let world = world().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let payment = shop.buy_pack(&world, PACK).await;
    want_recharge(&world, &shop).await;
    world.give(&shop.org_id, 30, "given").await;
    assert_eq!(shop.program.consume("a", "text", 130).await.status, 200);
    let hold = held(&shop.program, "h", "text", 50).await;
    shop.dispute(&world, &payment, json!({})).await;
    let open = shop.standing().await;
    assert_eq!(pause_of(&world, &shop).await, Some(Pause::Dispute));
    assert_eq!(told(&world, &shop).await, ["dispute_opened"]);
    // The org is not blocked: what is not of that payment works, and so does what was held before.
    world.give(&shop.org_id, 20, "meanwhile").await;
    assert_eq!(shop.program.consume("b", "text", 20).await.status, 200);
    assert_eq!(capture_of(&shop.program, &hold, "c", 10).await.status, 200);
    assert_eq!(shop.standing().await, open);
    let refused = shop.program.consume("d", "text", 100).await;
    assert_eq!(said(&refused), (402, "insufficient_credits"));
    let blocks = "select count(*) from blocks where org_id = $1";
    assert_eq!(world.rows::<(i64,)>(sql(blocks).bind(&shop.org_id)).await, [(0,)]);
    ada.visit("/billing").await.must_say("Being decided");
    everything_again(&world, 4).await;
    assert_eq!(told(&world, &shop).await, ["dispute_opened"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_the_banks_changes_nothing() {
    // E11
    let world = world().await;
    let mut shop = Shop::open(&world, "Asked").await;
    let payment = shop.buy_pack(&world, PACK).await;
    want_recharge(&world, &shop).await;
    shop.dispute(&world, &payment, json!({ "inquiry": true })).await;
    assert_eq!(shop.standing().await, credits("500", "0"));
    assert_eq!(shop.program.consume("a", "text", 500).await.status, 200);
    assert_eq!(pause_of(&world, &shop).await, None);
    assert!(shop.news(&world).await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_won_frees_exactly_what_it_froze() {
    // E12
    let world = world().await;
    let mut shop = Shop::open(&world, "Won").await;
    let payment = shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.program.consume("a", "text", 100).await.status, 200);
    let dispute = shop.dispute(&world, &payment, json!({})).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    shop.decide(&world, &dispute, "won").await;
    assert_eq!(shop.standing().await, credits("400", "0"));
    assert_eq!(told(&world, &shop).await, ["dispute_opened", "dispute_closed"]);
    assert_eq!(shop.program.consume("b", "text", 100).await.status, 200);
    everything_again(&world, 2).await;
    assert_eq!(shop.standing().await, credits("300", "0"));
    // A refund afterwards is computed as if there had been no dispute.
    shop.refund(&world, &payment, 500).await;
    assert_eq!(shop.standing().await, credits("50", "0"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_the_customer_withdraws_is_won() {
    // E12
    let world = world().await;
    let mut shop = Shop::open(&world, "Withdrawn").await;
    let payment = shop.buy_pack(&world, PACK).await;
    let dispute = shop.dispute(&world, &payment, json!({})).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    shop.decide(&world, &dispute, "withdrawn").await;
    assert_eq!(shop.standing().await, credits("500", "0"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_lost_takes_what_it_paid_for() {
    // E13
    let world = world().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let payment = shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.program.consume("a", "text", 200).await.status, 200);
    let dispute = shop.dispute(&world, &payment, json!({})).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    shop.decide(&world, &dispute, "lost").await;
    assert_eq!(shop.standing().await, credits("0", "200"));
    let frozen = "select count(*) from grants where payment = $1 and frozen_at is not null";
    assert_eq!(world.rows::<(i64,)>(sql(frozen).bind(&payment)).await, [(0,)]);
    for seed in [1, 5] {
        everything_again(&world, seed).await;
        assert_eq!(shop.standing().await, credits("0", "200"));
    }
    assert_eq!(told(&world, &shop).await, ["dispute_opened", "dispute_closed"]);
    ada.visit("/billing").await.must_say("Payment taken back");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_and_a_lost_dispute_of_one_payment_take_it_once() {
    // E13, I10
    let world = world().await;
    let mut shop = Shop::open(&world, "Both").await;
    let payment = shop.buy_pack(&world, PACK).await;
    shop.refund(&world, &payment, 300).await;
    assert_eq!(shop.standing().await, credits("350", "0"));
    let dispute = shop.dispute(&world, &payment, json!({ "amount": 700 })).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    shop.decide(&world, &dispute, "lost").await;
    // The larger of the two: 700 of 1000 cents, not both.
    assert_eq!(shop.standing().await, credits("150", "0"));
    everything_again(&world, 3).await;
    assert_eq!(shop.standing().await, credits("150", "0"));
    let clawed = "select cast(sum(clawed_back + claw_debt) as bigint) from grants
         where payment = $1";
    assert_eq!(world.rows::<(i64,)>(sql(clawed).bind(&payment)).await, [(350_000_000,)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disputed_invoice_freezes_what_it_included() {
    // E11, E15
    let world = world().await;
    let mut shop = Shop::open(&world, "Plan").await;
    let invoice = shop.subscribe(&world, "turnpike_pro_month").await;
    let payment = shop.payment_of(&invoice).await;
    let dispute = shop.dispute(&world, &payment, json!({})).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    let entitled = shop.program.get("entitlements").await.body;
    assert_eq!(entitled["sources"][0]["source_name"], "Pro", "{entitled}");
    shop.decide(&world, &dispute, "won").await;
    assert_eq!(shop.standing().await, credits("2000", "0"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_before_the_payment_is_known_freezes_its_grant_at_birth() {
    // E14
    let world = world().await;
    let mut shop = Shop::open(&world, "Early").await;
    world.control("webhooks/hold", json!({ "hold": true })).await;
    shop.scene.buy(PACK, "4242424242424242").await;
    let payment = shop.scene.id("payment").to_owned();
    let opened = world.control("disputes", json!({ "payment_intent": payment })).await;
    let dispute = opened["id"].as_str().expect("a dispute").to_owned();
    let looked = refunds::sync_dispute(&world.engine, &dispute, &Claim::default()).await;
    looked.expect("looked at");
    assert_eq!(shop.standing().await, credits("0", "0"));
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    let frozen = "select count(*) from grants where payment = $1 and frozen_at is not null";
    assert_eq!(world.rows::<(i64,)>(sql(frozen).bind(&payment)).await, [(1,)]);
    shop.decide(&world, &dispute, "won").await;
    assert_eq!(shop.standing().await, credits("500", "0"));
    world.end().await;
}
