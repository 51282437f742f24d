//! Trials: what they give, that their end is announced, and what follows with and without a card.

use server::db::sql;
use tests::{Shop, World, WorldOptions};

use crate::calls::{held_for, release};
use crate::purchase::subscribe;

const DAY: i64 = 86_400;

/// A world whose plan Pro can be tried for two weeks with 300 credits.
async fn trying() -> World {
    let terms = "included_credits = 2000\ntrial_days = 14\ntrial_credits = 300";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", terms);
    World::with(options).await
}

/// How often an org was told this.
pub async fn told(world: &World, org_id: &str, kind: &str) -> usize {
    let text = "select title from notices where org_id = $1 and kind = $2";
    world.rows::<(String,)>(sql(text).bind(org_id).bind(kind)).await.len()
}

/// The tier that an org is on.
pub async fn tier(world: &World, org_id: &str) -> String {
    let now = world.engine.clock.now();
    let entitled = server::entitlements::of(&world.engine.db, org_id, now).await;
    entitled.expect("read").plan.tier
}

async fn status(world: &World, org_id: &str) -> String {
    let text = "select status from subscriptions where org_id = $1 order by created_at desc";
    let rows = world.rows::<(String,)>(sql(text).bind(org_id)).await;
    rows.into_iter().next().map(|row| row.0).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_gives_its_credits_is_announced_once_and_becomes_the_plan() {
    // B4
    let world = trying().await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    subscribe(&world, &ada).await;
    assert_eq!(status(&world, &shop.org_id).await, "trialing");
    assert_eq!(shop.standing().await.0, "300");
    ada.visit("/billing").await.must_say("On trial until");
    assert_eq!(tier(&world, &shop.org_id).await, "pro");
    assert_eq!(shop.program.consume("a", "image", 5).await.status, 200);
    assert_eq!(told(&world, &shop.org_id, "trial_ending").await, 0);
    world.advance(11 * DAY + 3600).await;
    assert_eq!(told(&world, &shop.org_id, "trial_ending").await, 1);
    world.advance(DAY).await;
    assert_eq!(told(&world, &shop.org_id, "trial_ending").await, 1, "once");
    assert_eq!(shop.standing().await.0, "200");
    world.advance(2 * DAY + 7200).await;
    assert_eq!(status(&world, &shop.org_id).await, "active");
    assert_eq!(shop.standing().await.0, "2000", "what is paid, and not what was tried as well");
    let text = "select source_kind from grants where org_id = $1 order by source_kind";
    let kinds = world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await;
    let kinds: Vec<&str> = kinds.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(kinds, ["allowance", "trial"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_trial_and_the_first_payment_nobody_stands_empty() {
    // B4, B5: the first invoice is paid an hour after the trial's end.
    let world = trying().await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    subscribe(&world, &ada).await;
    world.advance(13 * DAY).await;
    world.advance(DAY + 60).await;
    assert_eq!(shop.standing().await.0, "300");
    assert_eq!(shop.program.consume("a", "text", 10).await.status, 200);
    world.advance(2 * 3600).await;
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_without_a_card_pauses_and_goes_on_when_there_is_one() {
    // B4, B14
    let world = trying().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let (customer, price) =
        (shop.scene.customer().await, shop.scene.price("turnpike_pro_month").await);
    let fields = [
        ("customer", customer.as_str()),
        ("items[0][price]", &price),
        ("trial_period_days", "5"),
        ("trial_settings[end_behavior][missing_payment_method]", "pause"),
    ];
    shop.scene.stripe.post("subscriptions", &fields).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "300");
    world.advance(3 * DAY).await;
    let text = "select detail from notices where org_id = $1 and kind = 'trial_ending'";
    let said = world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await;
    assert!(said.len() == 1 && said[0].0.contains("Add a card"), "{said:?}");
    world.advance(3 * DAY).await;
    assert_eq!(status(&world, &shop.org_id).await, "paused");
    let refused = shop.program.consume("a", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
    let page = ada.visit("/billing").await;
    page.must_say("Paused");
    // Without a card the way leads to Stripe's page for one.
    let portal = ada.fill(&page, "resume_plan", &[]).await;
    let card =
        [("number", "4242424242424242"), ("expiry", "12 / 34"), ("cvc", "123"), ("name", "Ada")];
    ada.fill(&portal, "/card", &card).await;
    world.settle().await;
    let page = ada.visit("/billing?from=portal").await;
    ada.fill(&page, "resume_plan", &[]).await.must_say("The plan goes on.");
    world.settle().await;
    assert_eq!(status(&world, &shop.org_id).await, "active");
    assert_eq!(shop.standing().await.0, "2000");
    assert_eq!(shop.program.consume("b", "text", 1).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_cancelled_ends_with_its_credits_and_there_is_no_second_one() {
    // B4, B12
    let world = trying().await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    subscribe(&world, &ada).await;
    let text = "select subscription_id from subscriptions where org_id = $1";
    let id = world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await.remove(0).0;
    shop.scene.stripe.delete(&format!("subscriptions/{id}"), &[]).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "0");
    assert_eq!(told(&world, &shop.org_id, "canceled").await, 1);
    subscribe(&world, &ada).await;
    assert_eq!(status(&world, &shop.org_id).await, "active");
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_trial_is_told_although_the_event_that_says_so_is_lost() {
    // B4, A15: Stripe's clock stands still here, so that it sends nothing.
    let world = trying().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    subscribe(&world, &ada).await;
    world.pass(10 * DAY).await;
    world.settle().await;
    assert_eq!(told(&world, &org, "trial_ending").await, 0);
    world.pass(2 * DAY).await;
    world.settle().await;
    assert_eq!(told(&world, &org, "trial_ending").await, 1);
    world.settle().await;
    assert_eq!(told(&world, &org, "trial_ending").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_moved_takes_its_credits_with_it() {
    // B4
    let world = trying().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let trial = [("subscription_data[trial_period_days]", "14")];
    shop.scene.subscribe("turnpike_pro_month", &trial).await;
    world.settle().await;
    world.advance(10 * DAY).await;
    let now = world.engine.clock.now() / server::clock::SECOND;
    let ends_in = async |shop: &mut Shop, days: i64| {
        let end = (now + days * DAY).to_string();
        shop.scene.change(&[("trial_end", &end), ("proration_behavior", "none")]).await;
        world.settle().await;
        let text = "select expires_at from grants where org_id = $1 and source_kind = 'trial'";
        let ends = world.rows::<(i64,)>(sql(text).bind(&shop.org_id)).await;
        assert_eq!(ends, [((now + (days + 3) * DAY) * server::clock::SECOND,)], "with its grace");
    };
    ends_in(&mut shop, 60).await;
    // Ended sooner again, but later than it first was.
    ends_in(&mut shop, 20).await;
    world.advance(10 * DAY).await;
    assert_eq!(status(&world, &shop.org_id).await, "trialing");
    assert_eq!(shop.standing().await.0, "300", "it is there to the end");
    world.advance(11 * DAY).await;
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_a_trial_that_is_over_does_not_come_back() {
    // B4, D11: a hold that is open while the plan begins to be paid.
    let world = trying().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let trial = [("subscription_data[trial_period_days]", "14")];
    shop.scene.subscribe("turnpike_pro_month", &trial).await;
    world.settle().await;
    world.advance(14 * DAY - 3_600).await;
    let hold = held_for(&shop.program, "h", 40, 20 * 3_600).await;
    world.advance(4 * 3_600).await;
    assert_eq!(shop.standing().await.0, "2000");
    // Stripe still says when the trial ended, with everything that is changed after it.
    shop.scene.change(&[("metadata[seen]", "again")]).await;
    world.settle().await;
    assert_eq!(release(&shop.program, &hold, "r").await.status, 200);
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_already_gets_no_credits_to_try() {
    // B4: a trial in Stripe's dashboard is a way to give time away.
    let world = trying().await;
    let mut shop = Shop::open(&world, "pays").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    assert_eq!(shop.standing().await.0, "2000");
    world.advance(5 * DAY).await;
    let end = world.engine.clock.now() / server::clock::SECOND + 20 * DAY;
    shop.scene.change(&[("trial_end", &end.to_string())]).await;
    world.settle().await;
    assert_eq!(status(&world, &shop.org_id).await, "trialing");
    assert_eq!(shop.standing().await.0, "2000");
    world.advance(21 * DAY).await;
    assert_eq!(status(&world, &shop.org_id).await, "active");
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}
