//! Seats and add-ons: more at once and paid, less from the next period on, and a declined card
//! changes nothing.

use server::db::sql;
use tests::{Shop, World, WorldOptions};

use crate::trials::told;

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";
const BAD: &str = "pm_card_chargeCustomerFail";

/// A world whose plan Pro is paid by the seat.
async fn seated() -> World {
    let terms = "included_credits = 2000\nper_seat = true";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", terms);
    World::with(options).await
}

async fn seats(shop: &Shop) -> i64 {
    let entitled = shop.program.get("entitlements").await.body;
    entitled["limits"]["seats"].as_i64().unwrap_or_default()
}

async fn available(shop: &Shop) -> i64 {
    shop.standing().await.0.parse().expect("whole credits")
}

#[tokio::test(flavor = "multi_thread")]
async fn more_seats_are_paid_and_there_at_once_and_fewer_wait_for_the_period() {
    // B16
    let world = seated().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    assert_eq!((seats(&shop).await, available(&shop).await), (5, 2000));
    world.advance(10 * DAY).await;
    let page = ada.visit("/billing").await;
    ada.fill(&page, "set_seats", &[("seats", "3")]).await.must_say("You have 3 seats.");
    // Without waiting for a webhook.
    let after = available(&shop).await;
    assert_eq!(seats(&shop).await, 15);
    assert!((4_500..5_000).contains(&after), "two more for two thirds of the month: {after}");
    world.settle().await;
    assert_eq!(available(&shop).await, after, "seen again, it is the same");
    for (typed, says) in [("0", "1 members need"), ("many", "Enter how many"), ("", "Enter how")] {
        let page = ada.visit("/billing").await;
        ada.fill(&page, "set_seats", &[("seats", typed)]).await.must_say(says);
    }
    let page = ada.visit("/billing").await;
    let page = ada.fill(&page, "set_seats", &[("seats", "2")]).await;
    page.must_say("Until then nothing changes.");
    page.must_say("Changes to 2 × Pro by the month on");
    assert_eq!((seats(&shop).await, available(&shop).await), (15, after));
    ada.fill(&page, "set_seats", &[("seats", "4")]).await.must_say("Undo it first");
    world.advance(22 * DAY).await;
    world.advance(2 * 3600).await;
    assert_eq!((seats(&shop).await, available(&shop).await), (10, 4000));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_changes_nothing_and_is_told_under_the_field() {
    // B16
    let world = seated().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    shop.scene.use_card(BAD).await;
    world.settle().await;
    world.advance(DAY).await;
    for _ in 0..2 {
        let page = ada.visit("/billing").await;
        let page = ada.fill(&page, "set_seats", &[("seats", "3")]).await;
        let told = page.find("#seats-error").unwrap_or_default();
        assert!(told.contains("Nothing was changed."), "{told}: {}", page.text());
        world.settle().await;
        assert_eq!((seats(&shop).await, available(&shop).await), (5, 2000));
    }
    ada.visit("/billing").await.must_say("Active");
    shop.scene.use_card("pm_card_visa").await;
    world.settle().await;
    let page = ada.visit("/billing").await;
    ada.fill(&page, "set_seats", &[("seats", "3")]).await.must_say("You have 3 seats.");
    assert_eq!(seats(&shop).await, 15);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_on_adds_its_share_at_once_and_its_whole_each_month() {
    // B15, B16
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    world.advance(15 * DAY).await;
    let boost = shop.scene.price("turnpike_addon_boost_month").await;
    let buy = async |count: &'static str| {
        let page = ada.visit("/billing").await;
        ada.fill(&page, "set_addon", &[("price", &boost), ("quantity", count)]).await
    };
    buy("2").await.must_say("You have 2 of it.");
    let after = available(&shop).await;
    assert!((2_900..3_150).contains(&after), "two thousand for half a month: {after}");
    buy("2").await.must_say("it was like that already");
    world.settle().await;
    assert_eq!(available(&shop).await, after);
    world.advance(17 * DAY).await;
    assert_eq!(available(&shop).await, 4000);
    // With a line beside it the plan is changed directly.
    let page = ada.visit("/billing").await;
    let link = page.link("Preview Team, $99 a month").expect("another plan");
    let page = ada.visit(&link).await;
    page.must_say("12,000, instead of 4,000");
    ada.fill(&page, "confirm_change", &[]).await.must_say("The plan is changed.");
    world.settle().await;
    let text = "select x.lookup_key, i.quantity from subscription_items i
         join catalog_prices x on x.price_id = i.price_id order by x.lookup_key";
    let items = world.rows::<(String, i64)>(sql(text)).await;
    let expected = [("turnpike_addon_boost_month", 2), ("turnpike_team_month", 1)];
    assert_eq!(items, expected.map(|(key, count)| (key.to_owned(), count)));
    let page = buy("0").await;
    page.must_say("Until then nothing changes.");
    page.must_say("Changes to Team by the month on");
    assert_eq!(told(&world, &shop.org_id, "plan_scheduled").await, 1);
    world.advance(32 * DAY).await;
    assert_eq!(available(&shop).await, 10_000);
    assert_eq!(world.rows::<(String, i64)>(sql(text)).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_on_of_a_declined_card_is_not_there_and_others_are_not_found() {
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    shop.scene.use_card(BAD).await;
    world.advance(DAY).await;
    let boost = shop.scene.price("turnpike_addon_boost_month").await;
    let yearly = shop.scene.price("turnpike_addon_boost_year").await;
    let cases = [
        (boost.as_str(), "1", "Nothing was changed."),
        (boost.as_str(), "101", "from 0 to 100"),
        (boost.as_str(), "-1", "0 for none"),
        (yearly.as_str(), "1", "cannot be had with your plan"),
    ];
    for (price, count, says) in cases {
        let page = ada.visit("/billing").await;
        let form = page.form("set_addon").with("price", price).with("quantity", count);
        ada.submit(&page, &form).await.must_say(says);
    }
    world.settle().await;
    assert_eq!(available(&shop).await, 2000);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_form_sent_twice_at_once_is_paid_once() {
    // B16
    let world = seated().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    world.advance(DAY).await;
    let page = ada.visit("/billing").await;
    let form = page.form("set_seats").with("seats", "2");
    let twice = [ada.submit(&page, &form), ada.submit(&page, &form)];
    futures::future::join_all(twice).await;
    world.settle().await;
    assert_eq!(seats(&shop).await, 10);
    let text = "select invoice_id from invoices where org_id = $1";
    let invoices = world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await;
    assert_eq!(invoices.len(), 2, "the first one, and one for the seat");
    world.end().await;
}
