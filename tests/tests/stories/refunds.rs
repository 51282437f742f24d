//! Money that is given back: what a refund, in whole or in parts, takes of what its payment bought.

use serde_json::json;
use server::db::sql;
use server::refunds;
use server::stripe::inbox::Claim;
use tests::{Shop, World, WorldOptions};

const PACK: &str = "turnpike_pack_500";

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

/// Every event so far again: delivered again, and then worked on again from the first to the last,
/// in an order that `seed` decides. Nothing may move. (I14)
pub async fn everything_again(world: &World, seed: usize) {
    let list = world.ask("events?limit=10000").await;
    let ids: Vec<String> = list["data"].as_array().expect("events").iter().map(id).collect();
    for event in ids.iter().step_by(7) {
        world.control(&format!("events/{event}/resend"), json!({ "times": 2 })).await;
    }
    world.settle().await;
    let operations = async || world.rows::<(i64,)>(sql("select count(*) from operations")).await;
    let before = operations().await;
    work_on_everything_again(world, seed).await;
    assert_eq!(operations().await, before, "a replay moved credits");
}

/// Every event that was worked on is worked on once more.
pub async fn work_on_everything_again(world: &World, seed: usize) {
    let text = "select id from stripe_events where status = 'processed' order by id";
    let ids = world.rows::<(String,)>(sql(text)).await;
    for (index, (event,)) in (0usize..).zip(&ids) {
        let place = i64::try_from((index * 31 + seed * 17) % ids.len()).expect("fits");
        let text = "update stripe_events set status = 'pending', run_at = $2, lease_until = 0,
                 attempts = 0, settled_at = null where id = $1";
        world.tamper(sql(text).bind(event).bind(place)).await;
    }
    world.settle().await;
}

fn id(object: &serde_json::Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

fn credits(available: &str, debt: &str) -> (String, String) {
    (available.to_owned(), debt.to_owned())
}

/// The kinds of the notices about money.
async fn told(world: &World, shop: &Shop) -> Vec<String> {
    shop.news(world).await.into_iter().map(|(kind, _)| kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_an_unused_pack_takes_all_of_it_and_says_so() {
    // E7
    let world = world().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    assert!(!ada.visit("/billing").await.says("Refunds and disputes"));
    let payment = shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.standing().await, credits("500", "0"));
    shop.refund(&world, &payment, 1_000).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    let open = "select count(*) from grants where payment = $1 and ended_at is null";
    assert_eq!(world.rows::<(i64,)>(sql(open).bind(&payment)).await, [(0,)]);
    let news = shop.news(&world).await;
    assert_eq!(news.len(), 1, "{news:?}");
    assert!(news[0].1.contains("$10.00 was refunded"), "{news:?}");
    assert!(news[0].1.contains("We took back 500 credits of that payment."), "{news:?}");
    let page = ada.visit("/billing").await;
    page.must_say("Refunds and disputes");
    page.must_say("$10.00");
    ada.visit("/credits").await.must_say("Its payment was taken back");
    let audits = "select count(*) from audits where action = 'refunds.settle' and subject = $1";
    assert_eq!(world.rows::<(i64,)>(sql(audits).bind(&payment)).await, [(1,)]);
    everything_again(&world, 3).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    assert_eq!(shop.news(&world).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_of_a_refunded_pack_is_owed_and_paid_from_the_next() {
    // E8
    let world = world().await;
    let mut shop = Shop::open(&world, "Owes").await;
    let first = shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.program.consume("a", "text", 300).await.status, 200);
    world.advance(60).await;
    shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.standing().await, credits("700", "0"));
    shop.refund(&world, &first, 1_000).await;
    // 200 were left of it, 300 are owed, and the other pack is whole.
    assert_eq!(shop.standing().await, credits("500", "300"));
    let news = shop.news(&world).await;
    assert!(news[0].1.contains("300 of it was spent already"), "{news:?}");
    // What is given pays no debt; what is bought does.
    world.give(&shop.org_id, 50, "sorry").await;
    assert_eq!(shop.standing().await, credits("550", "300"));
    shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.standing().await, credits("750", "0"));
    everything_again(&world, 7).await;
    assert_eq!(shop.standing().await, credits("750", "0"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_partial_refunds_add_up_and_the_last_takes_the_rounding() {
    // E9
    let options = WorldOptions::nothing_free().catalog("amount = 1000", "amount = 999");
    let world = World::with(options).await;
    let mut shop = Shop::open(&world, "Parts").await;
    let payment = shop.buy_pack(&world, PACK).await;
    for expected in ["333.333334", "166.666667", "0"] {
        shop.refund(&world, &payment, 333).await;
        assert_eq!(shop.standing().await, credits(expected, "0"));
        everything_again(&world, 5).await;
        assert_eq!(shop.standing().await, credits(expected, "0"));
    }
    assert_eq!(told(&world, &shop).await, ["refunded"; 3]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_gives_back_what_it_took() {
    // E10
    let world = world().await;
    let mut shop = Shop::open(&world, "Fails").await;
    let payment = shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.program.consume("a", "text", 400).await.status, 200);
    shop.refund(&world, &payment, 200).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    let refund = shop.refund(&world, &payment, 800).await;
    assert_eq!(shop.standing().await, credits("0", "400"));
    world.control(&format!("refunds/{refund}/fail"), json!({})).await;
    world.settle().await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    assert_eq!(told(&world, &shop).await, ["refunded", "refunded", "refund_failed"]);
    for seed in [2, 9] {
        everything_again(&world, seed).await;
        assert_eq!(shop.standing().await, credits("0", "0"));
    }
    assert_eq!(told(&world, &shop).await.len(), 3);
    // Tried once more, it is taken once more.
    shop.refund(&world, &payment, 800).await;
    assert_eq!(shop.standing().await, credits("0", "400"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_refund_whose_debt_was_paid_comes_back_as_credits() {
    // E8, E10
    let world = world().await;
    let mut shop = Shop::open(&world, "Repaid").await;
    let payment = shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.program.consume("a", "text", 500).await.status, 200);
    let refund = shop.refund(&world, &payment, 1_000).await;
    assert_eq!(shop.standing().await, credits("0", "500"));
    shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    world.control(&format!("refunds/{refund}/fail"), json!({})).await;
    world.settle().await;
    assert_eq!(shop.standing().await, credits("500", "0"));
    everything_again(&world, 4).await;
    assert_eq!(shop.standing().await, credits("500", "0"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refunded_pack_has_set_aside_is_taken_when_it_returns() {
    // E8
    let world = world().await;
    let mut shop = Shop::open(&world, "Holds").await;
    let payment = shop.buy_pack(&world, PACK).await;
    let hold = crate::calls::held(&shop.program, "h", "text", 200).await;
    shop.refund(&world, &payment, 1_000).await;
    assert_eq!(shop.standing().await, credits("0", "0"));
    let captured = crate::calls::capture_of(&shop.program, &hold, "c", 50).await;
    assert_eq!(captured.status, 200, "{:?}", captured.body);
    assert_eq!(shop.standing().await, credits("0", "50"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_before_the_payment_is_known_waits_for_its_grant() {
    // E14
    let world = world().await;
    let mut shop = Shop::open(&world, "Early").await;
    world.control("webhooks/hold", json!({ "hold": true })).await;
    shop.scene.buy(PACK, "4242424242424242").await;
    let payment = shop.scene.id("payment").to_owned();
    let fields = [("payment_intent", payment.as_str()), ("amount", "250")];
    shop.scene.stripe.post("refunds", &fields).await;
    let paid = shop.scene.stripe.get(&format!("payment_intents/{payment}")).await;
    let charge = paid["latest_charge"].as_str().expect("a charge");
    for _ in 0..2 {
        refunds::sync_charge(&world.engine, charge, &Claim::default()).await.expect("looked at");
    }
    let known = "select refunded from money_backs where payment = $1 and org_id = $2";
    let rows = world.rows::<(i64,)>(sql(known).bind(&payment).bind(&shop.org_id)).await;
    assert_eq!(rows, [(250,)]);
    assert_eq!(shop.standing().await, credits("0", "0"));
    assert!(shop.news(&world).await.is_empty(), "it is not known yet what it paid for");
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    assert_eq!(shop.standing().await, credits("375", "0"));
    assert_eq!(told(&world, &shop).await, ["refunded"]);
    everything_again(&world, 1).await;
    assert_eq!(shop.standing().await, credits("375", "0"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_nobody_we_know_is_parked_and_another_products_is_not_kept() {
    // E14, A10, A11
    let world = world().await;
    let stripe = tests::Stripe::at(&world.stripe);
    let tag = &world.engine.config.product_tag;
    let mut nobody = tests::lives::Scene::new(&stripe, tag, "org_of_nobody");
    nobody.buy(PACK, "4242424242424242").await;
    nobody.refund(1_000).await;
    let mut other = tests::lives::Scene::new(&stripe, "another-product", "org_theirs");
    let customer = other.customer().await;
    let fields = [
        ("amount", "500"),
        ("currency", "usd"),
        ("customer", customer.as_str()),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("off_session", "true"),
    ];
    let theirs = stripe.post("payment_intents", &fields).await;
    other.keep("payment", &theirs);
    other.refund(500).await;
    world.settle().await;
    let count = "select count(*) from stripe_events where type = 'charge.refunded' and status = $1";
    for (status, expected) in [("unmatched", 1), ("foreign", 1)] {
        let rows = world.rows::<(i64,)>(sql(count).bind(status)).await;
        assert_eq!(rows, [(expected,)], "{status}");
    }
    assert_eq!(world.rows::<(i64,)>(sql("select count(*) from money_backs")).await, [(0,)]);
    world.end().await;
}
