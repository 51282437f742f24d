//! What ends for good: a customer that is deleted in Stripe. What was paid through it waits for a
//! person, the ledger stays, and the org may come back.

use serde_json::json;
use server::audit::Actor;
use server::credits::Source;
use server::customers;
use server::db::sql;
use server::error::{Error, Result};
use server::stripe::inbox::Claim;
use server::subscriptions::sync;
use tests::{Shop, World, WorldOptions};

use crate::calls::{capture_of, held, id, reverse, said};
use crate::purchase::{buy_pack, subscribe};
use crate::refunds::{everything_again, work_on_everything_again};
use crate::trials::{tier, told};

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";
const PACK: &str = "turnpike_pack_500";

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

fn operator() -> Actor {
    Actor::Operator("tests".to_owned())
}

async fn delete(world: &World, customer: &str, shop: &Shop) {
    shop.scene.stripe.delete(&format!("customers/{customer}"), &[]).await;
    world.settle().await;
}

async fn release(world: &World, org_id: &str, reason: &str) -> Result<customers::Released> {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    let released = customers::release(&mut tx, org_id, &operator(), reason, now).await?;
    tx.commit().await.expect("committed");
    world.settle().await;
    Ok(released)
}

/// The sources of an org's grants that are frozen.
async fn frozen(world: &World, org_id: &str) -> Vec<String> {
    let text = "select source_kind from grants where org_id = $1 and frozen_at is not null
         order by source_kind";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(org_id)).await;
    rows.into_iter().map(|row| row.0).collect()
}

/// The open findings of a kind, by what they are about.
async fn found(world: &World, kind: &str) -> Vec<String> {
    let text = "select subject from findings where kind = $1 and resolved_at is null";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(kind)).await;
    rows.into_iter().map(|row| row.0).collect()
}

async fn reasons(world: &World, action: &str) -> Vec<String> {
    let text = "select coalesce(reason, '') from audits where action = $1 order by id";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(action)).await;
    rows.into_iter().map(|row| row.0).collect()
}

/// The customers that ever stood for an org, oldest first, and whether each is known to be deleted.
async fn customers_of(world: &World, org_id: &str) -> Vec<(String, bool)> {
    let text = "select customer_id, deleted_at is not null from customers
         where org_id = $1 order by created_at, customer_id";
    world.rows(sql(text).bind(org_id)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_through_a_deleted_customer_waits_and_everything_else_works() {
    // B20
    let world = World::with_free(100).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.buy_pack(&world, PACK).await;
    world.give(&shop.org_id, 30, "given").await;
    world.give_as(&shop.org_id, Source::Contract, 20, "agreed", None).await;
    // 60 of the free month's 100.
    assert_eq!(shop.program.consume("a", "text", 60).await.status, 200);
    assert_eq!(shop.standing().await.0, "590");
    let customer = shop.scene.customer().await;
    delete(&world, &customer, &shop).await;
    assert_eq!(shop.standing().await.0, "90");
    assert_eq!(frozen(&world, &shop.org_id).await, ["pack"]);
    let refused = shop.program.consume("b", "text", 100).await;
    assert_eq!(said(&refused), (402, "insufficient_credits"));
    // Both sides are told, once, and what to do.
    assert_eq!(told(&world, &shop.org_id, "customer_deleted").await, 1);
    ada.visit("/dashboard").await.must_say("write to us");
    ada.visit("/credits").await.must_say("Its customer was deleted in Stripe");
    assert_eq!(found(&world, "customer_deleted").await, [customer]);
    everything_again(&world, 3).await;
    assert_eq!(told(&world, &shop.org_id, "customer_deleted").await, 1);
    assert_eq!(shop.program.consume("c", "text", 90).await.status, 200, "all that is not frozen");
    assert!(shop.program.get("ledger").await.body["data"].as_array().is_some_and(|all| {
        all.iter().any(|one| one["kind"] == "grant")
            && all.iter().any(|one| one["kind"] == "freeze")
    }));
    // What is given and what is free goes on, in this month and in the next.
    world.give(&shop.org_id, 7, "more").await;
    world.advance(32 * DAY).await;
    assert_eq!(shop.program.consume("d", "text", 107).await.status, 200);
    assert_eq!(shop.standing().await.0, "0");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_only_after_its_customer_was_deleted_is_frozen_at_birth() {
    // B20: the customer was known before, or nobody ever heard of it.
    for known in [true, false] {
        let world = world().await;
        let mut shop = Shop::open(&world, "Late").await;
        if known {
            shop.card(&world, "pm_card_visa").await;
        }
        world.control("webhooks/hold", json!({ "hold": true })).await;
        shop.scene.buy(PACK, "4242424242424242").await;
        let customer = shop.scene.customer().await;
        shop.scene.stripe.delete(&format!("customers/{customer}"), &[]).await;
        let claim = Claim::default();
        for _ in 0..2 {
            customers::sync(&world.engine, &customer, &claim).await.expect("looked at");
        }
        assert!(found(&world, "customer_deleted").await.is_empty(), "nothing was paid yet");
        let session = shop.scene.id("session").to_owned();
        sync::session(&world.engine, &session, &claim).await.expect("looked at");
        assert_eq!(customers_of(&world, &shop.org_id).await, [(customer.clone(), true)]);
        assert_eq!(shop.standing().await.0, "0");
        world.control("webhooks/hold", json!({ "hold": false })).await;
        world.settle().await;
        work_on_everything_again(&world, 2).await;
        assert_eq!(shop.standing().await.0, "0", "known before: {known}");
        assert_eq!(frozen(&world, &shop.org_id).await, ["pack"]);
        assert_eq!(told(&world, &shop.org_id, "customer_deleted").await, 1);
        assert_eq!(found(&world, "customer_deleted").await, [customer]);
        release(&world, &shop.org_id, "a mistake of ours").await.expect("released");
        assert_eq!(shop.standing().await.0, "500");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_and_what_it_carried_over_wait_before_the_end_of_the_plan_is_known() {
    // B20
    let carries = "included_credits = 2000\nrollover_max = 300";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", carries);
    let world = World::with(options).await;
    let mut shop = Shop::open(&world, "Plan").await;
    shop.subscribe(&world, PRO).await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3_600).await;
    assert_eq!(shop.standing().await.0, "2300");
    let hold = held(&shop.program, "h", "text", 100).await;
    world.control("webhooks/hold", json!({ "hold": true })).await;
    let customer = shop.scene.customer().await;
    shop.scene.stripe.delete(&format!("customers/{customer}"), &[]).await;
    customers::sync(&world.engine, &customer, &Claim::default()).await.expect("looked at");
    assert_eq!(tier(&world, &shop.org_id).await, "pro", "its end is on its way");
    assert_eq!(shop.standing().await.0, "0");
    assert_eq!(frozen(&world, &shop.org_id).await, ["allowance", "rollover"]);
    // What was set aside before is the hold's right; what it leaves waits with the rest.
    assert_eq!(capture_of(&shop.program, &hold, "c", 40).await.status, 200);
    assert_eq!(shop.standing().await.0, "0");
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    assert_eq!(tier(&world, &shop.org_id).await, "free");
    release(&world, &shop.org_id, "asked for").await.expect("released");
    assert_eq!(shop.standing().await.0, "0", "a plan that has ended gives nothing back");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_won_frees_nothing_that_its_deleted_customer_keeps() {
    // B20, E12
    let world = world().await;
    let mut shop = Shop::open(&world, "Disputed").await;
    let payment = shop.buy_pack(&world, PACK).await;
    let dispute = shop.dispute(&world, &payment, json!({})).await;
    let customer = shop.scene.customer().await;
    delete(&world, &customer, &shop).await;
    assert_eq!(told(&world, &shop.org_id, "customer_deleted").await, 0, "the bank had it before");
    shop.decide(&world, &dispute, "won").await;
    assert_eq!(shop.standing().await.0, "0");
    // Somebody has to decide, whichever came first.
    assert_eq!(found(&world, "customer_deleted").await, [customer]);
    let dismissed = "update findings set resolved_at = 1, resolution = 'it stays'";
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    tx.execute(sql(dismissed)).await.expect("dismissed");
    tx.commit().await.expect("committed");
    let news = shop.news(&world).await;
    let closed = news.iter().find(|(kind, _)| kind == "dispute_closed").expect("told");
    assert!(closed.1.contains("stay frozen"), "{}", closed.1);
    everything_again(&world, 5).await;
    assert_eq!(frozen(&world, &shop.org_id).await, ["pack"]);
    assert!(found(&world, "customer_deleted").await.is_empty(), "it was decided");
    release(&world, &shop.org_id, "the owner asked").await.expect("released");
    assert_eq!(shop.standing().await.0, "500");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_while_it_is_disputed_waits_for_the_bank() {
    // B20, E11, E12
    let world = world().await;
    let mut shop = Shop::open(&world, "Both").await;
    let first = shop.buy_pack(&world, PACK).await;
    let second = shop.buy_pack(&world, PACK).await;
    assert_ne!(first, second);
    let customer = shop.scene.customer().await;
    delete(&world, &customer, &shop).await;
    let dispute = shop.dispute(&world, &first, json!({})).await;
    let released = release(&world, &shop.org_id, "the owner asked").await.expect("released");
    assert_eq!((released.customers, released.credits.to_string()), (vec![customer], "500".into()));
    assert_eq!(shop.standing().await.0, "500");
    work_on_everything_again(&world, 4).await;
    assert_eq!(shop.standing().await.0, "500");
    shop.decide(&world, &dispute, "won").await;
    assert_eq!(shop.standing().await.0, "1000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_with_a_reason_and_once_what_may_be_used_again() {
    // B20, F6
    let world = world().await;
    let (mut shop, mut other) =
        (Shop::open(&world, "One").await, Shop::open(&world, "Other").await);
    for shop in [&mut shop, &mut other] {
        shop.buy_pack(&world, PACK).await;
    }
    let usage = id(&shop.program.consume("a", "text", 500).await);
    let missing = release(&world, &shop.org_id, "too early").await.expect_err("nothing waits");
    assert!(matches!(missing, Error::NotFound(_)), "{missing}");
    for shop in [&mut shop, &mut other] {
        let customer = shop.scene.customer().await;
        delete(&world, &customer, shop).await;
    }
    // What was spent to the end comes back frozen, too.
    assert_eq!(reverse(&shop.program, &usage, "r").await.status, 200);
    assert_eq!(shop.standing().await.0, "0");
    let empty = release(&world, &shop.org_id, " ").await.expect_err("without a reason");
    assert!(matches!(empty, Error::Invalid { .. }), "{empty}");
    let released = release(&world, &shop.org_id, "deleted by mistake").await.expect("released");
    assert_eq!(released.credits.to_string(), "500");
    assert_eq!((shop.standing().await.0, other.standing().await.0), ("500".into(), "0".into()));
    assert_eq!(reasons(&world, "customers.release").await, ["deleted by mistake"]);
    let theirs = other.scene.customer().await;
    assert_eq!(found(&world, "customer_deleted").await, [theirs]);
    assert_eq!(told(&world, &shop.org_id, "credits_released").await, 1);
    work_on_everything_again(&world, 1).await;
    assert_eq!(shop.standing().await.0, "500", "what a person decided stays");
    release(&world, &shop.org_id, "again").await.expect_err("nothing waits any more");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_whose_customer_was_deleted_buys_again_as_another_one() {
    // B20: heard of by a webhook before it buys, or only when Stripe refuses.
    for heard in [true, false] {
        let world = world().await;
        let ada = world.sign_up("Ada").await;
        let shop = Shop::of(&world, &ada).await;
        buy_pack(&world, &ada, PACK).await;
        world.settle().await;
        let first = customers_of(&world, &shop.org_id).await.remove(0).0;
        if heard {
            delete(&world, &first, &shop).await;
        } else {
            world.control("webhooks/hold", json!({ "hold": true })).await;
            shop.scene.stripe.delete(&format!("customers/{first}"), &[]).await;
        }
        assert_eq!(customers_of(&world, &shop.org_id).await, [(first.clone(), heard)]);
        buy_pack(&world, &ada, PACK).await;
        world.control("webhooks/hold", json!({ "hold": false })).await;
        world.settle().await;
        let all = customers_of(&world, &shop.org_id).await;
        assert_eq!((all.len(), &all[0]), (2, &(first.clone(), true)), "heard: {heard}");
        assert!(!all[1].1, "{all:?}");
        assert_eq!(shop.standing().await.0, "500", "the new one's, not the old one's");
        subscribe(&world, &ada).await;
        assert_eq!(tier(&world, &shop.org_id).await, "pro");
        assert_eq!(shop.program.consume("a", "image", 125).await.status, 200);
        assert_eq!(frozen(&world, &shop.org_id).await, ["pack"]);
        ada.visit("/billing").await.must_say("Pro");
        release(&world, &shop.org_id, "they asked").await.expect("released");
        assert_eq!(shop.standing().await.0, "500", "2,500 were used, 500 were kept");
        world.end().await;
    }
}
