//! Disputes over what a plan included and carried into its next period: what was carried over waits
//! with what it came from, whichever happened first.

use serde_json::json;
use server::audit::Actor;
use server::clock;
use server::credits::{Allowance, Share};
use server::customers;
use server::db::sql;
use server::stripe::inbox::Claim;
use server::units::Credits;
use tests::{Shop, World, WorldOptions};

use crate::refunds::everything_again;

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";

/// A world whose plan Pro carries 300 credits over.
async fn carrying() -> World {
    let carries = "included_credits = 2000\nrollover_max = 300";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", carries);
    in_july(options).await
}

/// A world in which every period has 31 days, so that [`wait`] and [`renew`] are one.
async fn in_july(options: WorldOptions) -> World {
    let world = World::with(options).await;
    world.to_july().await;
    world
}

fn credits(available: &str, debt: &str) -> (String, String) {
    (available.to_owned(), debt.to_owned())
}

/// The last days of a month: who answers a dispute within a week does so in the next period.
async fn wait(world: &World) {
    world.advance(29 * DAY).await;
}

/// The next period begins, and is paid.
async fn renew(world: &World) {
    world.advance(2 * DAY).await;
    world.advance(2 * 3_600).await;
}

/// The sources of an org's grants that are frozen.
async fn frozen(world: &World, shop: &Shop) -> Vec<String> {
    let text = "select source_kind from grants where org_id = $1 and frozen_at is not null
         order by source_kind";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(&shop.org_id)).await;
    rows.into_iter().map(|row| row.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_frozen_is_carried_over_frozen_and_comes_back_or_goes() {
    // E11, E12, E13, B5
    for (outcome, expected) in [("won", credits("1800", "0")), ("lost", credits("1500", "1000"))] {
        let world = carrying().await;
        let mut shop = Shop::open(&world, "Before").await;
        let invoice = shop.subscribe(&world, PRO).await;
        assert_eq!(shop.program.consume("a", "text", 1_000).await.status, 200);
        let payment = shop.payment_of(&invoice).await;
        wait(&world).await;
        let dispute = shop.dispute(&world, &payment, json!({})).await;
        assert_eq!(shop.standing().await, credits("0", "0"));
        renew(&world).await;
        assert_eq!(frozen(&world, &shop).await, ["allowance", "rollover"]);
        assert_eq!(shop.standing().await, credits("2000", "0"));
        assert_eq!(shop.program.consume("b", "text", 500).await.status, 200);
        everything_again(&world, 3).await;
        assert_eq!(shop.standing().await, credits("1500", "0"));
        shop.decide(&world, &dispute, outcome).await;
        assert_eq!(shop.standing().await, expected, "{outcome}");
        assert!(frozen(&world, &shop).await.is_empty());
        everything_again(&world, 5).await;
        assert_eq!(shop.standing().await, expected, "{outcome}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_carried_over_before_the_dispute_waits_with_it_through_every_period() {
    // E11, E12, E13, B5
    for (outcome, expected) in [("won", credits("2300", "0")), ("lost", credits("2000", "0"))] {
        let world = carrying().await;
        let mut shop = Shop::open(&world, "After").await;
        let invoice = shop.subscribe(&world, PRO).await;
        wait(&world).await;
        renew(&world).await;
        assert_eq!(shop.standing().await, credits("2300", "0"));
        let payment = shop.payment_of(&invoice).await;
        wait(&world).await;
        let dispute = shop.dispute(&world, &payment, json!({})).await;
        assert_eq!(shop.standing().await, credits("2000", "0"));
        everything_again(&world, 2).await;
        assert_eq!(frozen(&world, &shop).await, ["allowance", "rollover"]);
        // Nothing of its own is left of the second period: what is carried on is what waits.
        assert_eq!(shop.program.consume("a", "text", 2_000).await.status, 200);
        let refused = shop.program.consume("b", "text", 1).await;
        assert_eq!(refused.code(), "insufficient_credits");
        renew(&world).await;
        assert_eq!(frozen(&world, &shop).await, ["allowance", "rollover", "rollover"]);
        assert_eq!(shop.standing().await, credits("2000", "0"));
        shop.decide(&world, &dispute, outcome).await;
        assert_eq!(shop.standing().await, expected, "{outcome}");
        everything_again(&world, 4).await;
        assert_eq!(shop.standing().await, expected, "{outcome}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_invoices_only_what_the_disputed_one_backs_waits() {
    // E11, B8: what a plan included came from its first invoice and from that of the move up.
    for (step, dispute_first, waits) in [
        (false, true, 0),
        (false, false, 0),
        // Two thousand of the three that were carried over are the other invoice's.
        (true, true, 1_000),
        // One grant is frozen as a whole.
        (true, false, 3_000),
    ] {
        let carries = "included_credits = 10000\nrollover_max = 3000";
        let options = WorldOptions::nothing_free().catalog("included_credits = 10000", carries);
        let world = in_july(options).await;
        let mut shop = Shop::open(&world, "Up").await;
        let mut disputed = shop.subscribe(&world, PRO).await;
        world.advance(10 * DAY).await;
        shop.scene.switch("turnpike_team_month").await;
        world.settle().await;
        if step {
            disputed = shop.scene.newest_invoice("paid").await;
        }
        let payment = shop.payment_of(&disputed).await;
        world.advance(19 * DAY).await;
        let mut dispute = None;
        if dispute_first {
            dispute = Some(shop.dispute(&world, &payment, json!({})).await);
        }
        renew(&world).await;
        let dispute = match dispute {
            Some(dispute) => dispute,
            None => shop.dispute(&world, &payment, json!({})).await,
        };
        let left = (13_000 - waits).to_string();
        assert_eq!(shop.standing().await.0, left, "step {step}, first {dispute_first}");
        shop.decide(&world, &dispute, "won").await;
        assert_eq!(shop.standing().await.0, "13000");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_the_other_invoice_leaves_only_what_is_disputed_whenever_it_comes() {
    // E11, E15, B8: 2000 of the 3000 that are carried over are the first invoice's.
    for (refund_first, outcome, expected) in [
        (true, "won", 13_000),
        (false, "won", 13_000),
        (true, "lost", 10_000),
        (false, "lost", 10_000),
    ] {
        let carries = "included_credits = 10000\nrollover_max = 3000";
        let options = WorldOptions::nothing_free().catalog("included_credits = 10000", carries);
        let world = in_july(options).await;
        let mut shop = Shop::open(&world, "Other").await;
        let first = shop.subscribe(&world, PRO).await;
        let first = shop.payment_of(&first).await;
        world.advance(10 * DAY).await;
        shop.scene.switch("turnpike_team_month").await;
        world.settle().await;
        let step = shop.scene.newest_invoice("paid").await;
        let step = shop.payment_of(&step).await;
        world.advance(19 * DAY).await;
        let dispute = shop.dispute(&world, &step, json!({})).await;
        if refund_first {
            shop.refund(&world, &first, 2_900).await;
            renew(&world).await;
        } else {
            renew(&world).await;
            assert_eq!(shop.standing().await, credits("12000", "0"));
            shop.refund(&world, &first, 2_900).await;
        }
        let told = format!("refund first {refund_first}, {outcome}");
        assert_eq!(shop.standing().await, credits("10000", "0"), "{told}");
        everything_again(&world, 3).await;
        assert_eq!(shop.standing().await, credits("10000", "0"), "{told}");
        shop.decide(&world, &dispute, outcome).await;
        assert_eq!(shop.standing().await, credits(&expected.to_string(), "0"), "{told}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_periods_that_each_carried_two_parts_are_walked_once() {
    // E11, B5: each hand-over has two grants before it and two after it.
    const WEEKS: i64 = 26;
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Weekly", 0).await;
    let (org, begins) = (program.org_id.as_str(), world.engine.clock.now());
    let week = |number: i64| begins + number * 7 * clock::DAY;
    let whole = |credits| Credits::from_whole(credits).expect("fits");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    for number in 0..WEEKS {
        let allowance = Allowance {
            org_id: org.to_owned(),
            item: "sub_weekly".to_owned(),
            period: (week(number), week(number + 1)),
            target: whole(100),
            rollover_max: whole(1_000_000),
            grace_until: week(number + 2),
            invoice: format!("in_{number}"),
            reason: "Weekly".to_owned(),
        };
        let now = week(number);
        server::credits::set_allowance(&mut tx, allowance, now).await.expect("granted");
        if number == 0 {
            freeze(&mut tx, org, true, now).await;
        }
    }
    let now = week(WEEKS - 1);
    // All of it: the first week's hundred went through every hand-over, beside the others.
    let share = Share::of(1, 1);
    let all = async {
        freeze(&mut tx, org, false, now).await;
        server::credits::claw_back(&mut tx, org, "in_0", share, now).await.expect("clawed");
    };
    let limit = std::time::Duration::from_secs(120);
    tokio::time::timeout(limit, all).await.expect("as many looks as weeks");
    tx.commit().await.expect("committed");
    world.pass((WEEKS - 1) * DAY * 7).await;
    assert_eq!(program.available().await, ((WEEKS - 1) * 100).to_string());
    world.end().await;
}

/// What a dispute over the first week's invoice does.
async fn freeze(tx: &mut server::db::Tx, org: &str, frozen: bool, now: clock::Millis) {
    let done = server::credits::freeze(tx, org, "in_0", frozen, &Actor::Stripe, "disputed", now);
    done.await.expect("frozen or freed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_is_released_gets_back_nothing_that_is_disputed() {
    // E11, B20
    let world = carrying().await;
    let mut shop = Shop::open(&world, "Released").await;
    let invoice = shop.subscribe(&world, PRO).await;
    wait(&world).await;
    renew(&world).await;
    let payment = shop.payment_of(&invoice).await;
    shop.dispute(&world, &payment, json!({})).await;
    assert_eq!(shop.standing().await.0, "2000");
    // The end of the plan is on its way.
    world.control("webhooks/hold", json!({ "hold": true })).await;
    let customer = shop.scene.customer().await;
    shop.scene.delete_customer().await;
    customers::sync(&world.engine, &customer, &Claim::default()).await.expect("looked at");
    assert_eq!(shop.standing().await.0, "0");
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let actor = Actor::Operator("tests".to_owned());
    let released = customers::release(&mut tx, &shop.org_id, &actor, "asked for", now).await;
    tx.commit().await.expect("committed");
    let released = released.expect("released");
    assert_eq!(released.credits.to_string(), "2000");
    assert_eq!(shop.standing().await.0, "2000");
    assert_eq!(frozen(&world, &shop).await, ["allowance", "rollover"]);
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    world.end().await;
}
