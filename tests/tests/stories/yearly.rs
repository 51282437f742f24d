//! Plans that are paid by the year and include their credits by the month: what changes within the
//! year, what is taken off, what comes back, and months that wait for their money.

use server::db::sql;
use tests::{Shop, World, WorldOptions};

use crate::trials::tier;

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_year";
const TEAM: &str = "turnpike_team_year";
/// Past the end of the longest month.
const MONTH: i64 = 31 * DAY + 7_200;

/// A customer who paid for a year of this plan.
async fn paid(world: &World, name: &str, lookup: &str) -> Shop {
    let mut shop = Shop::open(world, name).await;
    shop.subscribe(world, lookup).await;
    shop
}

/// What can be spent; nothing may be owed.
async fn left(shop: &Shop) -> String {
    let (available, debt) = shop.standing().await;
    assert_eq!(debt, "0");
    available
}

/// The months of the plan that were opened, earliest first.
async fn months(world: &World, shop: &Shop) -> Vec<(i64, i64)> {
    let text = "select distinct period_start, period_end from grants where org_id = $1
         and source_kind = 'allowance' order by period_start";
    world.rows(sql(text).bind(&shop.org_id)).await
}

/// The line of the plan's subscription that pays for this price.
async fn line_of(shop: &Shop, price: &str) -> String {
    let plan = shop.scene.stripe.get(&format!("subscriptions/{}", shop.scene.id("plan"))).await;
    let lines = plan["items"]["data"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["price"]["id"] == price).expect("the line");
    line["id"].as_str().expect("an id").to_owned()
}

/// Moves the plan at once, as an operator can in Stripe's dashboard.
async fn moved(world: &World, shop: &mut Shop, from: &str, to: &str, prorations: &str) {
    let (from, to) = (shop.scene.price(from).await, shop.scene.price(to).await);
    let line = line_of(shop, &from).await;
    let fields = [
        ("items[0][id]", line.as_str()),
        ("items[0][price]", &to),
        ("proration_behavior", prorations),
    ];
    shop.scene.change(&fields).await;
    world.settle().await;
}

/// Gives all of an invoice's money back.
async fn refund_all(world: &World, shop: &Shop, invoice: &str) {
    let payment = shop.payment_of(invoice).await;
    let paid = shop.scene.stripe.get(&format!("payment_intents/{payment}")).await;
    let amount = paid["amount"].as_i64().expect("an amount");
    shop.refund(world, &payment, amount).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_that_becomes_a_month_ends_with_it() {
    // B10, B17
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = paid(&world, "month", PRO).await;
    world.advance(70 * DAY).await;
    moved(&world, &mut shop, PRO, "turnpike_pro_month", "create_prorations").await;
    assert_eq!(left(&shop).await, "2000");
    let begun = months(&world, &shop).await.len();
    for month in 1..=3 {
        world.advance(MONTH).await;
        assert_eq!(left(&shop).await, "2000");
        let opened = months(&world, &shop).await;
        assert_eq!(opened.len(), begun + month, "one allowance a month: {opened:?}");
        assert!(opened[begun - 1..].windows(2).all(|two| two[0].1 == two[1].0), "{opened:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_on_of_a_year_that_was_taken_off_gives_nothing_more() {
    // B16, B17
    let world = World::with(WorldOptions::nothing_free()).await;
    for prorations in ["create_prorations", "none"] {
        let mut shop = paid(&world, prorations, PRO).await;
        let boost = shop.scene.price("turnpike_addon_boost_year").await;
        let adds = [("items[0][price]", boost.as_str()), ("proration_behavior", "always_invoice")];
        shop.scene.change(&adds).await;
        world.settle().await;
        assert_eq!(left(&shop).await, "3000");
        world.advance(MONTH).await;
        assert_eq!(left(&shop).await, "3000");
        let line = line_of(&shop, &boost).await;
        let removes = [
            ("items[0][id]", line.as_str()),
            ("items[0][deleted]", "true"),
            ("proration_behavior", prorations),
        ];
        shop.scene.change(&removes).await;
        world.settle().await;
        assert_eq!(left(&shop).await, "2000");
        world.advance(MONTH).await;
        assert_eq!(left(&shop).await, "2000", "{prorations}");
        // Neither does what is paid later for something else bring it back.
        moved(&world, &mut shop, PRO, TEAM, "always_invoice").await;
        assert_eq!(left(&shop).await, "10000", "{prorations}");
        world.advance(MONTH).await;
        assert_eq!(left(&shop).await, "10000", "{prorations}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn months_to_come_include_what_is_paid_and_still_there() {
    // B7, B9, B17
    let world = World::with(WorldOptions::nothing_free()).await;
    for prorations in ["create_prorations", "none", "always_invoice"] {
        let mut shop = paid(&world, prorations, TEAM).await;
        world.advance(40 * DAY).await;
        moved(&world, &mut shop, TEAM, PRO, prorations).await;
        assert_eq!(tier(&world, &shop.org_id).await, "pro");
        assert_eq!(left(&shop).await, "10000", "what a month once included it keeps");
        for _ in 0..2 {
            world.advance(MONTH).await;
            assert_eq!(left(&shop).await, "2000", "{prorations}");
        }
        if prorations == "none" {
            // Back where what was paid for is: nothing new is paid, and nothing is missing.
            moved(&world, &mut shop, PRO, TEAM, "none").await;
            assert_eq!(left(&shop).await, "10000");
        }
    }
    let mut shop = paid(&world, "unpaid", PRO).await;
    world.advance(40 * DAY).await;
    moved(&world, &mut shop, PRO, TEAM, "none").await;
    for _ in 0..2 {
        assert_eq!(left(&shop).await, "2000", "nobody paid for more");
        world.advance(MONTH).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_invoice_of_a_year_takes_its_own_part_of_the_months_to_come() {
    // E15, B8, B17
    let world = World::with(WorldOptions::nothing_free()).await;
    for (name, refunded, expected) in
        [("year", [true, false], "8000"), ("step", [false, true], "2000"), ("all", [true; 2], "0")]
    {
        let mut shop = paid(&world, name, PRO).await;
        let first = shop.scene.id("first").to_owned();
        world.advance(40 * DAY).await;
        moved(&world, &mut shop, PRO, TEAM, "always_invoice").await;
        let step = shop.scene.newest_invoice("paid").await;
        assert_eq!(left(&shop).await, "10000");
        world.advance(MONTH).await;
        assert_eq!(left(&shop).await, "10000");
        for (invoice, refunded) in [first, step].iter().zip(refunded) {
            if refunded {
                refund_all(&world, &shop, invoice).await;
            }
        }
        assert_eq!(left(&shop).await, expected, "{name}");
        for _ in 0..2 {
            world.advance(MONTH).await;
            assert_eq!(left(&shop).await, expected, "{name}");
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn months_of_a_plan_that_rests_wait_until_it_goes_on() {
    // B14, B17
    let world = World::with(WorldOptions::nothing_free()).await;
    let shop = paid(&world, "rests", PRO).await;
    let path = format!("subscriptions/{}", shop.scene.id("plan"));
    let keeps = [("bill_for[unused_time_from][type]", "none")];
    world.advance(DAY).await;
    shop.scene.stripe.post(&format!("{path}/pause"), &keeps).await;
    world.settle().await;
    let opened = months(&world, &shop).await;
    for _ in 0..2 {
        world.advance(MONTH).await;
        assert_eq!(months(&world, &shop).await, opened, "no allowance");
    }
    let goes_on = [("billing_cycle_anchor", "unchanged")];
    shop.scene.stripe.post(&format!("{path}/resume"), &goes_on).await;
    world.settle().await;
    assert_eq!(left(&shop).await, "2000", "at once, and the month of now alone");
    assert_eq!(months(&world, &shop).await.len(), opened.len() + 1);
    world.advance(MONTH).await;
    assert_eq!(left(&shop).await, "2000");
    world.end().await;
}
