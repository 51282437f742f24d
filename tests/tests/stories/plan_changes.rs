//! Changing a plan: on our page, at Stripe, up, down, back, and for a new period.

use server::db::sql;
use tests::{Page, Person, Shop, World, WorldOptions};

use crate::purchase::subscribe;
use crate::trials::{tier, told};

const DAY: i64 = 86_400;
const TEAM: &str = "turnpike_team_month";
const PRO: &str = "turnpike_pro_month";

/// Opens what a change to this plan would come to.
async fn preview(person: &Person, label: &str) -> Page {
    let page = person.visit("/billing").await;
    let link = page.link(label).unwrap_or_else(|| panic!("no {label}: {}", page.text()));
    person.visit(&link).await
}

/// All that allowances ever gave to an org.
async fn granted(world: &World, org_id: &str) -> i64 {
    let text = "select amount from grants where org_id = $1 and source_kind = 'allowance'";
    let rows = world.rows::<(i64,)>(sql(text).bind(org_id)).await;
    rows.into_iter().map(|row| row.0).sum::<i64>() / 1_000_000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_up_is_previewed_to_the_cent_and_the_credit_and_applies_at_once() {
    // B6, B8
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    subscribe(&world, &ada).await;
    assert_eq!(shop.program.consume("a", "image", 25).await.status, 200);
    world.advance(10 * DAY).await;
    assert_eq!(shop.standing().await.0, "1500");
    let page = preview(&ada, "Preview Team, $99 a month").await;
    page.must_say("This applies now");
    page.must_say("10,000, instead of 2,000");
    let portal = ada.fill(&page, "confirm_change", &[]).await;
    assert!(portal.url.as_str().starts_with(&world.stripe), "{}", portal.url);
    assert_eq!(tier(&world, &shop.org_id).await, "pro", "nothing changes before it is confirmed");
    let back = ada.fill(&portal, "/switch", &[]).await;
    assert_eq!(back.url.path(), "/billing");
    world.settle().await;
    assert_eq!(tier(&world, &shop.org_id).await, "team");
    let text = "select total from invoices where org_id = $1 and status = 'paid'
         order by created_at desc limit 1";
    let total = world.rows::<(i64,)>(sql(text).bind(&shop.org_id)).await.remove(0).0;
    let charged = server::units::money(total, "usd");
    assert!(page.says(&charged), "{charged} was charged, but told: {}", page.text());
    let added = granted(&world, &shop.org_id).await - 2000;
    let told = format!("+{},{:03}", added / 1000, added % 1000);
    assert!(page.says(&told), "{told} were added, but told: {}", page.text());
    assert_eq!(shop.standing().await.0, (1500 + added).to_string(), "what is used stays used");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_down_waits_for_the_end_of_the_period_and_can_be_taken_back() {
    // B9
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, TEAM).await;
    world.advance(5 * DAY).await;
    let plan = async || {
        let page = preview(&ada, "Preview Pro, $29 a month").await;
        page.must_say("This applies on");
        page.must_say("Charged now Nothing");
        let portal = ada.fill(&page, "confirm_change", &[]).await;
        ada.fill(&portal, "/switch", &[]).await;
        world.settle().await;
    };
    plan().await;
    let page = ada.visit("/billing").await;
    page.must_say("Changes to Pro by the month on");
    assert!(page.link("Preview").is_none(), "one change at a time: {}", page.text());
    assert_eq!(
        (shop.standing().await.0.as_str(), tier(&world, &shop.org_id).await.as_str()),
        ("10000", "team")
    );
    assert_eq!(told(&world, &shop.org_id, "plan_scheduled").await, 1);
    ada.fill(&page, "undo_change", &[]).await.must_say("the plan stays as it is");
    world.settle().await;
    assert!(!ada.visit("/billing").await.says("Changes to"));
    plan().await;
    assert_eq!(told(&world, &shop.org_id, "plan_scheduled").await, 2);
    world.advance(27 * DAY).await;
    world.advance(2 * 3600).await;
    assert_eq!(
        (shop.standing().await.0.as_str(), tier(&world, &shop.org_id).await.as_str()),
        ("2000", "pro")
    );
    assert!(!ada.visit("/billing").await.says("Changes to"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn up_and_down_in_one_period_never_gives_more_than_the_highest_plan() {
    // B7, B9: by an operator, who may also move down at once.
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "loops").await;
    shop.subscribe(&world, PRO).await;
    world.advance(3 * DAY).await;
    for round in 0..3 {
        shop.scene.switch(TEAM).await;
        world.settle().await;
        let most = granted(&world, &shop.org_id).await;
        assert!((9_000..=10_000).contains(&most), "{most} in round {round}");
        assert_eq!(tier(&world, &shop.org_id).await, "team");
        shop.scene.switch(PRO).await;
        world.settle().await;
        assert_eq!(granted(&world, &shop.org_id).await, most, "nothing is taken away");
        assert_eq!(tier(&world, &shop.org_id).await, "pro");
    }
    world.advance(29 * DAY).await;
    assert_eq!(shop.standing().await.0, "2000", "the next period is what is paid then");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_replaced_by_another_line_is_the_same_period() {
    // B7, B10: some ways of changing a plan take one line away and add another.
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "lines").await;
    shop.subscribe(&world, PRO).await;
    world.advance(10 * DAY).await;
    let prices = [shop.scene.price(TEAM).await, shop.scene.price(PRO).await];
    let mut most = 0;
    for price in prices.iter().chain(&prices) {
        let path = format!("subscriptions/{}", shop.scene.id("plan"));
        let plan = shop.scene.stripe.get(&path).await;
        let item = plan["items"]["data"][0]["id"].as_str().expect("an item").to_owned();
        let fields = [
            ("items[0][id]", item.as_str()),
            ("items[0][deleted]", "true"),
            ("items[1][price]", price),
            ("proration_behavior", "always_invoice"),
        ];
        shop.scene.change(&fields).await;
        world.settle().await;
        let now = granted(&world, &shop.org_id).await;
        assert!(most == 0 || most == now, "{most} became {now}");
        most = now;
    }
    assert!((6_000..9_000).contains(&most), "{most}");
    assert_eq!(tier(&world, &shop.org_id).await, "pro");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_billing_cycle_that_begins_anew_is_a_new_period_with_its_own_credits() {
    // B21
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "anchor").await;
    shop.subscribe(&world, PRO).await;
    assert_eq!(shop.program.consume("a", "image", 50).await.status, 200);
    world.advance(12 * DAY).await;
    assert_eq!(shop.standing().await.0, "1000");
    shop.scene.change(&[("billing_cycle_anchor", "now")]).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "2000");
    let text = "select period_start, period_end from grants where org_id = $1
         and source_kind = 'allowance' order by period_start";
    let periods = world.rows::<(i64, i64)>(sql(text).bind(&shop.org_id)).await;
    assert_eq!(periods.len(), 2);
    assert!(periods[1].0 < periods[0].1, "it begins within the one before: {periods:?}");
    world.advance(25 * DAY).await;
    assert_eq!(shop.standing().await.0, "2000", "it is served through");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_that_begin_on_the_31st_meet_and_keep_their_day() {
    // B17, B19
    let world = World::with(WorldOptions::nothing_free()).await;
    let now = world.engine.clock.now();
    let day = server::clock::date_time(now);
    let january = server::clock::parse_rfc3339(&format!("{}-01-31T12:00:00Z", day.year() + 1));
    let wait = (january.expect("a day") - now) / 1000;
    world.advance(wait).await;
    let mut month = Shop::open(&world, "month").await;
    month.subscribe(&world, PRO).await;
    let mut year = Shop::open(&world, "year").await;
    year.subscribe(&world, "turnpike_pro_year").await;
    for _ in 0..9 {
        world.advance(15 * DAY).await;
        assert_eq!(month.standing().await.0, "2000");
        assert_eq!(year.standing().await.0, "2000");
    }
    for shop in [&month, &year] {
        let text = "select period_start, period_end from grants where org_id = $1
             and source_kind = 'allowance' order by period_start";
        let periods = world.rows::<(i64, i64)>(sql(text).bind(&shop.org_id)).await;
        assert!(periods.windows(2).all(|two| two[0].1 == two[1].0), "{periods:?}");
        let starts: Vec<u8> = periods.iter().map(|p| server::clock::date_time(p.0).day()).collect();
        let february = if starts[1] == 29 { 29 } else { 28 };
        assert_eq!(starts, [31, february, 31, 30, 31]);
    }
    // A change in the middle of the year counts from the month in which it was made. (B8)
    year.scene.switch("turnpike_team_year").await;
    world.settle().await;
    assert_eq!(year.standing().await.0, "10000");
    world.advance(31 * DAY).await;
    assert_eq!(year.standing().await.0, "10000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_says_what_to_do_first() {
    // B11
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    let team = shop.scene.price(TEAM).await;
    let path = format!("/billing/change?price={team}");
    shop.scene.change(&[("cancel_at_period_end", "true")]).await;
    world.settle().await;
    ada.visit(&path).await.must_say("Keep it first");
    let page = ada.visit("/billing").await;
    ada.fill(&page, "keep_plan", &[]).await.must_say("The plan goes on.");
    ada.visit(&path).await.must_say("This applies now");
    for (price, says) in [("price_unknown", "not offered"), ("", "Not found")] {
        ada.visit(&format!("/billing/change?price={price}")).await.must_say(says);
    }
    let own = shop.scene.price(PRO).await;
    ada.visit(&format!("/billing/change?price={own}")).await.must_say("the plan you have");
    let bob = world.sign_up("Bob").await;
    bob.visit(&path).await.must_say("There is no plan to change");
    world.end().await;
}
