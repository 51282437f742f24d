//! Plans in corners: what a part of a period adds to the credit, labels that say otherwise, two
//! plans that both miss a payment, plans that are given up, and packs beside all that.

use serde_json::{Value, json};
use server::clock::SECOND;
use server::db::sql;
use tests::{Shop, World, WorldOptions};

use crate::trials::tier;

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";
const TEAM: &str = "turnpike_team_month";
const BAD: &str = "pm_card_chargeCustomerFail";

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

async fn keys(shop: &Shop) -> Value {
    shop.program.get("entitlements").await.body["limits"]["keys"].clone()
}

/// How many allowances were ever granted, and how many credits with them.
async fn allowances(world: &World, shop: &Shop) -> (usize, i64) {
    let text = "select amount from grants where org_id = $1 and source_kind = 'allowance'";
    let rows: Vec<(i64,)> = world.rows(sql(text).bind(&shop.org_id)).await;
    (rows.len(), rows.iter().map(|row| row.0).sum::<i64>() / 1_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_period_adds_its_share_to_the_credit_and_resets_no_use() {
    // B6, B8
    let world = world().await;
    let mut shop = Shop::open(&world, "Share").await;
    shop.subscribe(&world, PRO).await;
    assert_eq!(shop.program.consume("a", "image", 25).await.status, 200);
    world.advance(11 * DAY).await;
    shop.scene.switch(TEAM).await;
    world.settle().await;
    let invoice = shop.scene.newest_invoice("paid").await;
    let invoice = shop.scene.stripe.get(&format!("invoices/{invoice}")).await;
    assert_eq!(invoice["billing_reason"], "subscription_update");
    let lines = invoice["lines"]["data"].as_array().expect("lines");
    let part = lines.iter().find(|line| line["amount"].as_i64() > Some(0)).expect("what is added");
    let text = "select period_start, period_end from subscription_items";
    let (start, end) = world.rows::<(i64, i64)>(sql(text)).await.remove(0);
    let (start, end) = (start / SECOND, end / SECOND);
    let from = part["period"]["start"].as_i64().expect("a time");
    assert!((start..end).contains(&from) && from > start);
    let (more, length) = ((10_000 - 2_000) * (end - from), end - start);
    let expected = 2_000 + more / length + i64::from(more % length > 0);
    assert_eq!(allowances(&world, &shop).await, (2, expected), "its share, and no second one");
    assert_eq!(shop.standing().await.0, (expected - 500).to_string());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_price_says_what_is_paid_for_and_no_label_of_the_subscription_does() {
    // B10
    let world = world().await;
    let mut shop = Shop::open(&world, "Labels").await;
    shop.subscribe(&world, PRO).await;
    let boasts = [
        ("metadata[tier]", "team"),
        ("metadata[plan]", "team"),
        ("metadata[included_credits]", "999999"),
        ("metadata[limit.keys]", "999"),
    ];
    shop.scene.change(&boasts).await;
    world.settle().await;
    assert_eq!((tier(&world, &shop.org_id).await.as_str(), keys(&shop).await), ("pro", json!(10)));
    assert_eq!(shop.standing().await.0, "2000");
    // Moved in Stripe's dashboard, its label still tells of the old plan, and of another product.
    shop.scene.change(&[("metadata[tier]", "pro"), ("metadata[product]", "other")]).await;
    shop.scene.switch(TEAM).await;
    world.settle().await;
    assert_eq!((tier(&world, &shop.org_id).await.as_str(), keys(&shop).await), ("team", json!(50)));
    world.advance(32 * DAY).await;
    assert_eq!(shop.standing().await.0, "10000");
    world.end().await;
}

/// Pays the open invoice of one subscription.
async fn pay_for(world: &World, shop: &mut Shop, plan: &str) {
    let customer = shop.scene.customer().await;
    let list = shop.scene.stripe.get(&format!("invoices?customer={customer}&status=open")).await;
    let of_plan = |invoice: &&Value| {
        invoice["parent"]["subscription_details"]["subscription"].as_str() == Some(plan)
    };
    let invoice = list["data"].as_array().expect("a list").iter().find(of_plan).expect("its own");
    let id = invoice["id"].as_str().expect("an id");
    shop.scene.stripe.post(&format!("invoices/{id}/pay"), &[]).await;
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_plans_that_missed_a_payment_only_the_one_that_is_paid_comes_back() {
    // B13, B15
    let world = world().await;
    let mut shop = Shop::open(&world, "Both").await;
    shop.subscribe(&world, PRO).await;
    let pro = shop.scene.id("plan").to_owned();
    shop.subscribe(&world, TEAM).await;
    let team = shop.scene.id("plan").to_owned();
    shop.scene.use_card(BAD).await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3_600).await;
    world.advance(4 * DAY).await;
    let refused = shop.program.consume("a", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
    // What the free tier allows stays.
    assert_eq!(keys(&shop).await, 2);
    let text = json!({ "feature": "text" });
    let entitled = shop.program.get("entitlements").await.body;
    let features = entitled["features"].as_array().expect("features");
    assert!(features.contains(&text["feature"]), "{entitled}");
    assert!(!features.contains(&json!("voice")), "{entitled}");
    let before = allowances(&world, &shop).await;
    assert_eq!(before, (2, 12_000), "nothing was granted for what is not paid");
    shop.scene.use_card("pm_card_visa").await;
    pay_for(&world, &mut shop, &pro).await;
    let text = "select subscription_id, status from subscriptions order by status";
    let states: Vec<(String, String)> = world.rows(sql(text)).await;
    assert_eq!(states, [(pro.clone(), "active".to_owned()), (team.clone(), "past_due".to_owned())]);
    assert_eq!((keys(&shop).await, allowances(&world, &shop).await), (json!(10), (3, 14_000)));
    let blocks = "select subject from blocks where org_id = $1 and lifted_at is null";
    let blocks: Vec<(String,)> = world.rows(sql(blocks).bind(&shop.org_id)).await;
    assert_eq!(blocks, [(team.clone(),)], "the other one is still missing its payment");
    pay_for(&world, &mut shop, &team).await;
    assert_eq!((keys(&shop).await, allowances(&world, &shop).await), (json!(50), (4, 24_000)));
    assert_eq!(shop.program.consume("b", "text", 1).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_or_paused_plan_leaves_what_is_free_and_grants_nothing_however_long() {
    // B14
    for way in ["unpaid", "paused"] {
        let world = world().await;
        world.control("settings", json!({ "after_retries": "unpaid" })).await;
        let mut shop = Shop::open(&world, "Stopped").await;
        shop.subscribe(&world, PRO).await;
        if way == "paused" {
            let path = format!("subscriptions/{}/pause", shop.scene.id("plan"));
            shop.scene.stripe.post(&path, &[("type", "subscription")]).await;
            world.settle().await;
        } else {
            shop.scene.use_card(BAD).await;
        }
        for _ in 0..14 {
            world.advance(6 * DAY).await;
        }
        let text = "select status from subscriptions";
        assert_eq!(world.rows::<(String,)>(sql(text)).await, [(way.to_owned(),)]);
        assert_eq!(keys(&shop).await, 2, "{way}");
        assert_eq!(allowances(&world, &shop).await, (1, 2_000), "{way}");
        assert_eq!(shop.standing().await.0, "0", "{way}");
        let refused = shop.program.consume("a", "text", 1).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"), "{way}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_new_plan_and_no_edit_of_a_product_touches_what_was_bought() {
    // B18
    let world = world().await;
    let mut shop = Shop::open(&world, "Keeps").await;
    shop.buy_pack(&world, "turnpike_pack_500").await;
    assert_eq!(shop.program.consume("a", "text", 100).await.status, 200);
    let text = "select id, amount, remaining, expires_at, priority from grants
         where org_id = $1 and source_kind = 'pack'";
    let pack = async || {
        world.rows::<(String, i64, i64, Option<i64>, i64)>(sql(text).bind(&shop.org_id)).await
    };
    let before = pack().await;
    assert_eq!((before.len(), before[0].2), (1, 400_000_000));
    let stripe = shop.scene.stripe.clone();
    let price = shop.scene.price("turnpike_pack_500").await;
    let edits: [&[(&str, &str)]; 3] = [
        &[("metadata[credits]", "9"), ("metadata[expires_days]", "1")],
        &[("metadata[credits]", "many"), ("name", "Gone")],
        &[("active", "false")],
    ];
    for edit in edits {
        stripe.post("products/turnpike_pack_500", edit).await;
        world.settle().await;
        assert_eq!(pack().await, before, "{edit:?}");
    }
    stripe.post(&format!("prices/{price}"), &[("active", "false")]).await;
    world.settle().await;
    let mut shop = shop;
    shop.subscribe(&world, PRO).await;
    let pack = async || {
        world.rows::<(String, i64, i64, Option<i64>, i64)>(sql(text).bind(&shop.org_id)).await
    };
    assert_eq!(shop.standing().await.0, "2400");
    world.advance(32 * DAY).await;
    assert_eq!((shop.standing().await.0.as_str(), pack().await), ("2400", before));
    world.end().await;
}
