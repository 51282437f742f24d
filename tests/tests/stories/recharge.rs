//! Auto-recharge: a pack is bought with nobody present when credits run low, once, and never more
//! than was allowed.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};
use server::audit::Actor;
use server::autorecharge::{self, Setting, Wish};
use server::clock::{DAY, SECOND, add_months};
use server::db::sql;
use server::error::Error;
use server::jobs::Failure;
use server::units::Credits;
use server::{mail, recharges};
use tests::{Shop, World, WorldOptions};

/// The small pack: 500 credits for 10 dollars.
pub const PACK: &str = "turnpike_pack_500";

/// A world in which nothing is free.
pub async fn plain_world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

/// A customer with this test card, 200 credits, and a pack of 500 wanted below 100.
pub async fn wanting(world: &World, name: &str, card: &str) -> Shop {
    let mut shop = Shop::open(world, name).await;
    shop.card(world, card).await;
    world.give(&shop.org_id, 200, name).await;
    switch_on(world, &shop, 100, 100_000).await;
    shop
}

/// Wants a pack below so many credits, at most so many minor units a month.
pub async fn switch_on(world: &World, shop: &Shop, below: i64, monthly_max: i64) {
    let wish = Wish {
        threshold: Credits::from_whole(below).expect("fits"),
        price_id: shop.scene.price(PACK).await,
        monthly_max,
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let actor = Actor::Operator("tests".to_owned());
    let now = world.engine.clock.now();
    autorecharge::save(&mut tx, &shop.org_id, &wish, actor, now).await.expect("saved");
    tx.commit().await.expect("committed");
    world.settle().await;
}

/// What came of the attempts, oldest first, with the bank's reason.
pub async fn attempts(world: &World, shop: &Shop) -> Vec<(String, Option<String>)> {
    let text = "select status, code from recharge_attempts where org_id = $1
         order by created_at, id";
    world.rows(sql(text).bind(&shop.org_id)).await
}

/// How often each kind of notice about recharges was told.
pub async fn told(world: &World, shop: &Shop) -> BTreeMap<String, usize> {
    let text = "select kind from notices where org_id = $1 and kind like 'recharge%'";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(&shop.org_id)).await;
    let mut told = BTreeMap::new();
    for (kind,) in rows {
        *told.entry(kind).or_default() += 1;
    }
    told
}

/// The setting as it is.
pub async fn setting(world: &World, shop: &Shop) -> Setting {
    let found = autorecharge::of_org(&mut &world.engine.db, &shop.org_id).await.expect("read");
    found.expect("a setting")
}

/// The payments of recharges at Stripe, newest first.
pub async fn payments(shop: &mut Shop) -> Vec<Value> {
    let customer = shop.scene.customer().await;
    let path = format!("payment_intents?customer={customer}&limit=100");
    let list = shop.scene.stripe.get(&path).await;
    let all = list["data"].as_array().expect("a list").iter();
    all.filter(|intent| intent["metadata"]["recharge_id"].is_string()).cloned().collect()
}

/// Uses so many credits at once.
pub async fn spend(shop: &Shop, key: &str, credits: i64) {
    let answer = shop.program.consume(key, "text", credits).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

pub async fn available(shop: &Shop) -> String {
    shop.standing().await.0
}

fn once(kind: &str) -> BTreeMap<String, usize> {
    BTreeMap::from([(kind.to_owned(), 1)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_that_cross_the_threshold_buy_one_pack() {
    // E1, E4
    let world = plain_world().await;
    let mut shop = wanting(&world, "Crowd", "pm_card_visa").await;
    let program = &shop.program;
    let uses = (0..100).map(|n| async move { program.consume(&format!("u{n}"), "text", 2).await });
    assert!(join_all(uses).await.iter().all(|answer| answer.status == 200));
    let left = "select count(*) from jobs where kind = 'recharge' and payload like $1";
    let like = format!("%{}%", shop.org_id);
    let jobs: Vec<(i64,)> = world.rows(sql(left).bind(&like)).await;
    assert_eq!(jobs, [(1,)], "one job, however many crossed");
    world.settle().await;
    assert_eq!(available(&shop).await, "500");
    assert_eq!(attempts(&world, &shop).await, [("succeeded".to_owned(), None)]);
    let paid = payments(&mut shop).await;
    assert_eq!(paid.len(), 1);
    assert_eq!((&paid[0]["status"], &paid[0]["amount"]), (&json!("succeeded"), &json!(1000)));
    assert_eq!(told(&world, &shop).await, once("recharged"));
    let letters = mail::mailbox(&world.engine.db, 100).await.expect("the mailbox");
    let told_by_mail = letters.iter().filter(|letter| letter.subject.contains("auto-recharge"));
    assert_eq!(told_by_mail.count(), 1);
    // Every event again, twice: nothing changes. (I14)
    for event in shop.scene.stripe.events().await {
        let id = event["id"].as_str().expect("an id");
        world.control(&format!("events/{id}/resend"), json!({ "times": 2 })).await;
    }
    world.settle().await;
    assert_eq!(available(&shop).await, "500");
    assert_eq!(told(&world, &shop).await, once("recharged"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_race_for_the_same_job_make_one_payment() {
    // E1
    let world = plain_world().await;
    let mut shop = wanting(&world, "Racers", "pm_card_visa").await;
    let replica = world.another(None).await;
    spend(&shop, "a", 150).await;
    let payload = json!({ "org_id": shop.org_id });
    let racers = (0..8).map(|n| {
        let engine = if n % 2 == 0 { &world.engine } else { &replica.engine };
        recharges::attempt(engine, &payload)
    });
    for raced in join_all(racers).await {
        match raced {
            Ok(()) => {}
            // The others looked at the customer so often that this one never got to write: its job
            // comes again.
            Err(Failure::Retry(Error::Unavailable)) => {
                recharges::attempt(&world.engine, &payload).await.expect("alone it comes through");
            }
            Err(failure) => panic!("{failure:?}"),
        }
    }
    world.settle().await;
    assert_eq!(attempts(&world, &shop).await.len(), 1);
    assert_eq!(payments(&mut shop).await.len(), 1);
    assert_eq!(available(&shop).await, "550");
    replica.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_follow_each_other_until_there_is_enough_and_stop_at_the_monthly_maximum() {
    // E4: ten dollars a pack, thirty-five a month.
    let world = plain_world().await;
    let mut shop = wanting(&world, "Capped", "pm_card_visa").await;
    switch_on(&world, &shop, 1_200, 3_500).await;
    // 200, then two packs of 500 are just enough.
    assert_eq!(available(&shop).await, "1200");
    spend(&shop, "a", 1).await;
    world.settle().await;
    assert_eq!(available(&shop).await, "1699");
    spend(&shop, "b", 600).await;
    world.settle().await;
    assert_eq!(available(&shop).await, "1099", "a fourth pack would be too much");
    assert_eq!(payments(&mut shop).await.len(), 3);
    assert_eq!(told(&world, &shop).await.get("recharge_capped"), Some(&1));
    spend(&shop, "c", 1).await;
    world.settle().await;
    assert_eq!(told(&world, &shop).await.get("recharge_capped"), Some(&1), "told once a month");
    // The next month begins with nothing charged.
    let now = world.engine.clock.now();
    world.advance((add_months(now, 1) - now) / SECOND + 3_600).await;
    assert_eq!(payments(&mut shop).await.len(), 4);
    assert_eq!(available(&shop).await, "1598");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_neither_a_decline_nor_a_second_payment() {
    // E2, E4
    let world = plain_world().await;
    let mut shop = wanting(&world, "Outage", "pm_card_visa").await;
    let fault = |kind: &str| {
        json!({ "api": { "kind": kind, "path": "/v1/payment_intents", "method": "POST",
                         "count": 3 } })
    };
    // Nothing is done, three times in a row: that is one call with its patience.
    world.control("faults", fault("reset")).await;
    spend(&shop, "a", 150).await;
    world.settle().await;
    assert_eq!(attempts(&world, &shop).await, [("open".to_owned(), None)]);
    assert_eq!((setting(&world, &shop).await.failures, told(&world, &shop).await.len()), (0, 0));
    assert_eq!(available(&shop).await, "50", "nothing before the payment");
    // Everything is done and no answer comes; neither does any event.
    world.control("faults", json!({ "webhooks": { "drop": 1.0 } })).await;
    world.control("faults", fault("reset_after")).await;
    world.advance(120).await;
    assert_eq!(attempts(&world, &shop).await, [("open".to_owned(), None)]);
    assert_eq!(payments(&mut shop).await.len(), 1, "paid, and nobody knows");
    // It is found by what it says of itself.
    world.advance(3_600).await;
    assert_eq!(attempts(&world, &shop).await, [("succeeded".to_owned(), None)]);
    assert_eq!(payments(&mut shop).await.len(), 1);
    assert_eq!(available(&shop).await, "550");
    assert_eq!(told(&world, &shop).await, once("recharged"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_attempt_is_not_known_is_granted_by_what_it_says_of_itself() {
    // F2: as after a backup from before it was put back.
    let world = plain_world().await;
    let mut shop = Shop::open(&world, "Restored").await;
    shop.card(&world, "pm_card_visa").await;
    let (customer, price) = (shop.scene.customer().await, shop.scene.price(PACK).await);
    let pay = async |tag: &str, attempt: &str| {
        let form = [
            ("amount", "1000"),
            ("currency", "usd"),
            ("customer", customer.as_str()),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
            ("off_session", "true"),
            ("metadata[product]", tag),
            ("metadata[org_id]", shop.org_id.as_str()),
            ("metadata[recharge_id]", attempt),
            ("metadata[price_id]", price.as_str()),
        ];
        let paid = shop.scene.stripe.post("payment_intents", &form).await;
        assert_eq!(paid["status"], json!("succeeded"));
        world.settle().await;
    };
    pay("turnpike", "recharge_lost").await;
    assert_eq!(available(&shop).await, "500");
    assert_eq!(attempts(&world, &shop).await, [("succeeded".to_owned(), None)]);
    // Another payment that names the same attempt is none of it.
    pay("turnpike", "recharge_lost").await;
    assert_eq!(available(&shop).await, "500");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_below_by_expiring_is_bought_again_and_switched_off_nothing_is() {
    // E1
    let world = plain_world().await;
    let mut shop = Shop::open(&world, "Lapsing").await;
    shop.card(&world, "pm_card_visa").await;
    let source = server::credits::Source::Promo;
    world.give_as(&shop.org_id, source, 300, "promo", Some(DAY / SECOND)).await;
    switch_on(&world, &shop, 100, 100_000).await;
    assert!(attempts(&world, &shop).await.is_empty());
    world.advance(2 * DAY / SECOND).await;
    assert_eq!(available(&shop).await, "500");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let (actor, now) = (Actor::Operator("tests".to_owned()), world.engine.clock.now());
    autorecharge::stop(&mut tx, &shop.org_id, actor, now).await.expect("stopped");
    tx.commit().await.expect("committed");
    spend(&shop, "a", 450).await;
    world.advance(2 * DAY / SECOND).await;
    assert_eq!(payments(&mut shop).await.len(), 1);
    assert_eq!(available(&shop).await, "50");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_runs_out_is_told_once_a_month_before() {
    let world = plain_world().await;
    let mut shop = wanting(&world, "Expiring", "pm_card_visa").await;
    let now = world.engine.clock.now();
    let month = server::clock::date_time(now + 40 * DAY);
    let first = server::clock::day_start(now + 40 * DAY) - (i64::from(month.day()) - 1) * DAY;
    let over = add_months(first, 1);
    let (year, month) = (month.year().to_string(), u8::from(month.month()).to_string());
    let form = [
        ("type", "card"),
        ("card[number]", "5555555555554444"),
        ("card[exp_month]", month.as_str()),
        ("card[exp_year]", year.as_str()),
        ("card[cvc]", "123"),
    ];
    let card = shop.scene.stripe.post("payment_methods", &form).await;
    let card = card["id"].as_str().expect("an id").to_owned();
    shop.card(&world, &card).await;
    let told = async || {
        let text = "select title from notices where org_id = $1 and kind = 'card_expiring'";
        world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await
    };
    world.advance(DAY / SECOND).await;
    assert!(told().await.is_empty(), "more than 30 days are left");
    world.advance((over - 29 * DAY - world.engine.clock.now()) / SECOND).await;
    let titles = told().await;
    assert_eq!(titles.len(), 1);
    assert!(titles[0].0.starts_with("Mastercard ending in 4444 expires"), "{titles:?}");
    for _ in 0..2 {
        world.advance(DAY / SECOND + 60).await;
    }
    assert_eq!(told().await.len(), 1, "once a card and month");
    world.end().await;
}
