//! Plans beside each other and plans that end from outside: two at once, at once cancelled, a
//! customer deleted, prices nobody knows, and coupons.

use serde_json::json;
use server::db::sql;
use tests::{Shop, World, WorldOptions};

use crate::trials::tier;

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";
const TEAM: &str = "turnpike_team_month";
/// Bank accounts: one that can be debited, one that cannot.
const PAYS: &str = "AT611904300234573201";
const FAILS: &str = "AT861904300235473202";

/// The open findings of a kind, by what they are about.
async fn found(world: &World, kind: &str) -> Vec<String> {
    let text = "select subject from findings where kind = $1 and resolved_at is null";
    let rows = world.rows::<(String,)>(sql(text).bind(kind)).await;
    rows.into_iter().map(|row| row.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_plans_at_once_both_count_and_somebody_is_told() {
    // B15
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "twice").await;
    shop.subscribe(&world, PRO).await;
    let first = shop.scene.id("plan").to_owned();
    assert!(found(&world, "several_subscriptions").await.is_empty());
    world.advance(DAY).await;
    shop.subscribe(&world, TEAM).await;
    assert_eq!(shop.standing().await.0, "12000");
    let entitled = shop.program.get("entitlements").await.body;
    assert_eq!(entitled["limits"]["seats"], 25);
    assert_eq!(tier(&world, &shop.org_id).await, "team");
    assert_eq!(found(&world, "several_subscriptions").await, [shop.org_id.clone()]);
    // The one that was not meant is cancelled: only what it gave ends.
    shop.scene.stripe.delete(&format!("subscriptions/{first}"), &[]).await;
    world.settle().await;
    assert_eq!(
        (shop.standing().await.0.as_str(), tier(&world, &shop.org_id).await.as_str()),
        ("10000", "team")
    );
    assert!(found(&world, "several_subscriptions").await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_cancelled_at_once_takes_its_credits_but_not_what_is_held_or_bought() {
    // B12, B18
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "leaver").await;
    shop.subscribe(&world, PRO).await;
    shop.buy_pack(&world, "turnpike_pack_500").await;
    let body = json!({ "meter": "image", "quantity": 10 });
    let held = shop.program.post("holds", Some("h"), &body).await;
    let hold = held.body["id"].as_str().unwrap_or_else(|| panic!("{}", held.body)).to_owned();
    shop.scene.cancel_now().await;
    world.settle().await;
    assert_eq!(
        (shop.standing().await.0.as_str(), tier(&world, &shop.org_id).await.as_str()),
        ("500", "free")
    );
    let path = format!("holds/{hold}/capture");
    let captured = shop.program.post(&path, Some("c"), &json!({ "quantity": 4 })).await;
    assert_eq!(captured.status, 200, "{}", captured.body);
    assert_eq!(shop.standing().await.0, "500", "what was held and not used has ended, too");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_customer_has_no_plan_any_more_but_keeps_its_ledger_and_may_come_back() {
    // B20
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "deleted").await;
    shop.subscribe(&world, PRO).await;
    shop.buy_pack(&world, "turnpike_pack_500").await;
    assert_eq!(shop.program.consume("a", "image", 5).await.status, 200);
    let customer = shop.scene.customer().await;
    shop.scene.stripe.delete(&format!("customers/{customer}"), &[]).await;
    world.settle().await;
    assert_eq!(
        (shop.standing().await.0.as_str(), tier(&world, &shop.org_id).await.as_str()),
        ("0", "free")
    );
    let ledger = shop.program.get("ledger").await.body;
    assert!(ledger["data"].as_array().is_some_and(|rows| rows.len() >= 3), "{ledger}");
    let refused = shop.program.consume("b", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "insufficient_credits"));
    let mut again = Shop::open(&world, "returned").await;
    again.subscribe(&world, PRO).await;
    assert_eq!(again.standing().await.0, "2000");
    world.end().await;
}

/// Lets one subscription be charged to a card that fails, and the others to theirs.
async fn fail(shop: &mut Shop, plan: &str) {
    let customer = shop.scene.customer().await;
    let path = "payment_methods/pm_card_chargeCustomerFail/attach";
    let card = shop.scene.stripe.post(path, &[("customer", &customer)]).await;
    let card = card["id"].as_str().expect("an id");
    let fields = [("default_payment_method", card)];
    shop.scene.stripe.post(&format!("subscriptions/{plan}"), &fields).await;
}

/// What refuses an org's use, not lifted yet.
async fn blocks(world: &World, shop: &Shop) -> Vec<(String, String)> {
    let text = "select kind, subject from blocks where org_id = $1 and lifted_at is null";
    world.rows(sql(text).bind(&shop.org_id)).await
}

/// An org with two plans, Pro and Team, whose periods turned: one of them could not be paid, and
/// its grace is over. Answers the shop, the unpaid subscription and the paid one.
async fn one_of_two_unpaid(world: &World, unpaid: &str) -> (Shop, String, String) {
    world.to_july().await;
    let mut shop = Shop::open(world, "two").await;
    let mut plans = Vec::new();
    for lookup in [PRO, TEAM] {
        shop.subscribe(world, lookup).await;
        plans.push(shop.scene.id("plan").to_owned());
    }
    if unpaid == PRO {
        plans.reverse();
    }
    let (paid, failing) = (plans.remove(0), plans.remove(0));
    fail(&mut shop, &failing).await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3_600).await;
    assert_eq!(blocks(world, &shop).await, [("past_due".to_owned(), failing.clone())]);
    assert_eq!(shop.program.consume("grace", "text", 1).await.status, 200, "within the grace");
    world.advance(4 * DAY).await;
    (shop, failing, paid)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_past_its_grace_refuses_debits_beside_a_paid_one_until_it_is_cancelled() {
    // B13, B15
    for (unpaid, name, keys) in [(TEAM, "Team", 10), (PRO, "Pro", 50)] {
        let world = World::with(WorldOptions::nothing_free()).await;
        let (shop, failing, paid) = one_of_two_unpaid(&world, unpaid).await;
        let refused = shop.program.consume("a", "text", 1).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
        // What the paid one allows is still there, and nothing of the other.
        let entitled = shop.program.get("entitlements").await.body;
        assert_eq!(entitled["limits"]["keys"], keys, "{unpaid}: {entitled}");
        let sources = entitled["sources"].as_array().expect("a list");
        assert!(sources.iter().all(|one| one["source_name"] != name), "{unpaid}: {entitled}");
        // The renewal of the paid one came after the block, and so does another look at it.
        let claim = server::stripe::inbox::Claim::default();
        let looked = server::subscriptions::sync::subscription(&world.engine, &paid, &claim).await;
        looked.expect("looked at");
        assert_eq!(blocks(&world, &shop).await, [("past_due".to_owned(), failing.clone())]);
        shop.scene.stripe.delete(&format!("subscriptions/{failing}"), &[]).await;
        world.settle().await;
        assert!(blocks(&world, &shop).await.is_empty(), "no block outlives its plan");
        assert_eq!(shop.program.consume("b", "text", 1).await.status, 200);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_the_paid_plan_lifts_nothing_and_paying_the_other_lifts_its_block() {
    // B13, B15
    let world = World::with(WorldOptions::nothing_free()).await;
    let (mut shop, failing, paid) = one_of_two_unpaid(&world, PRO).await;
    shop.scene.stripe.delete(&format!("subscriptions/{paid}"), &[]).await;
    world.settle().await;
    assert_eq!(blocks(&world, &shop).await, [("past_due".to_owned(), failing)]);
    let refused = shop.program.consume("a", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
    // Only what is free is left of it.
    assert_eq!(shop.program.get("entitlements").await.body["limits"]["keys"], 2);
    shop.scene.use_card("pm_card_visa").await;
    shop.scene.pay_open().await;
    world.settle().await;
    assert!(blocks(&world, &shop).await.is_empty());
    assert_eq!(shop.standing().await.0, "2000", "its month, once it was paid");
    assert_eq!(shop.program.get("entitlements").await.body["limits"]["keys"], 10);
    assert_eq!(shop.program.consume("b", "text", 1).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_takes_off_money_and_no_credits() {
    // C8
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "coupon").await;
    let terms = [("percent_off", "100"), ("duration", "once")];
    let coupon = shop.scene.stripe.post("coupons", &terms).await;
    let coupon = coupon["id"].as_str().expect("an id").to_owned();
    shop.scene.subscribe(PRO, &[("discounts[0][coupon]", &coupon)]).await;
    world.settle().await;
    assert_eq!(
        (shop.standing().await.0.as_str(), tier(&world, &shop.org_id).await.as_str()),
        ("2000", "pro")
    );
    let text = "select total from invoices where org_id = $1 and status = 'paid'";
    assert_eq!(world.rows::<(i64,)>(sql(text).bind(&shop.org_id)).await, [(0,)]);
    shop.card(&world, "pm_card_visa").await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3600).await;
    assert_eq!(shop.standing().await.0, "2000");
    let totals = world.rows::<(i64,)>(sql(text).bind(&shop.org_id)).await;
    assert!(totals.contains(&(2900,)), "{totals:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_is_none_of_ours_allows_nothing_and_somebody_is_told() {
    // C7, C9
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "foreign").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    let fields = [
        ("currency", "usd"),
        ("unit_amount", "100"),
        ("recurring[interval]", "month"),
        ("product_data[name]", "Something else"),
    ];
    let price = shop.scene.stripe.post("prices", &fields).await;
    let price = price["id"].as_str().expect("an id");
    let fields = [("customer", customer.as_str()), ("items[0][price]", price)];
    let plan = shop.scene.stripe.post("subscriptions", &fields).await;
    shop.scene.keep("plan", &plan);
    world.settle().await;
    assert_eq!(
        (shop.standing().await.0.as_str(), tier(&world, &shop.org_id).await.as_str()),
        ("0", "free")
    );
    assert_eq!(found(&world, "unknown_price").await, [shop.scene.id("plan").to_owned()]);
    // Put right, it is a plan.
    shop.scene.switch(PRO).await;
    world.settle().await;
    assert_eq!(tier(&world, &shop.org_id).await, "pro");
    assert!(found(&world, "unknown_price").await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_paid_yet_gives_nothing_until_it_is() {
    // B1: a bank debit takes days, and may fail; a page may be left open until it runs out.
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "patient").await;
    for (outcome, expected) in [("failed", "0"), ("succeeded", "500")] {
        let iban = if outcome == "failed" { FAILS } else { PAYS };
        shop.scene.buy("turnpike_pack_500", iban).await;
        world.settle().await;
        assert_eq!(shop.standing().await.0, "0", "complete is not paid");
        shop.scene.settle(outcome).await;
        world.settle().await;
        assert_eq!(shop.standing().await.0, expected, "{outcome}");
    }
    let left = shop.scene.checkout("payment", "turnpike_pack_500", &[]).await;
    let path = format!("checkout/sessions/{}/expire", left["id"].as_str().expect("an id"));
    shop.scene.stripe.post(&path, &[]).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "500");
    // Nothing to pay is paid.
    let terms = [("percent_off", "100"), ("duration", "once")];
    let coupon = shop.scene.stripe.post("coupons", &terms).await;
    let coupon = coupon["id"].as_str().expect("an id").to_owned();
    let fields = [("discounts[0][coupon]", coupon.as_str())];
    let free = shop.scene.checkout("payment", "turnpike_pack_500", &fields).await;
    shop.scene.pay(&free, "4242424242424242").await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "1000");
    world.end().await;
}
