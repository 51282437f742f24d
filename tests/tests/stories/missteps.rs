//! What people and crashes do between two steps: two pages for a plan, a change that was begun and
//! never finished, subscriptions to something else, and two customers made at one moment.

use serde_json::{Value, json};
use server::db::sql;
use tests::{Form, Page, Person, Shop, World, WorldOptions};

use crate::trials::{tier, told};

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";
const TEAM: &str = "turnpike_team_month";
const CARD: [(&str, &str); 4] =
    [("number", "4242424242424242"), ("expiry", "12 / 34"), ("cvc", "123"), ("name", "Ada")];

/// The open findings of a kind, by what they are about.
async fn found(world: &World, kind: &str) -> Vec<String> {
    let text = "select subject from findings where kind = $1 and resolved_at is null";
    let rows = world.rows::<(String,)>(sql(text).bind(kind)).await;
    rows.into_iter().map(|row| row.0).collect()
}

/// The events that wait for something.
async fn waiting(world: &World) -> Vec<(String, String)> {
    let text = "select type, status from stripe_events
         where status not in ('processed', 'ignored', 'foreign')";
    world.rows(sql(text)).await
}

/// What refuses an org's use, not lifted yet.
async fn blocks(world: &World, org_id: &str) -> Vec<(String,)> {
    let text = "select kind from blocks where org_id = $1 and lifted_at is null";
    world.rows(sql(text).bind(org_id)).await
}

/// Subscribes a customer to something that is no plan of ours, charged to a card that fails from
/// the second month on; answers the subscription.
async fn retainer(shop: &mut Shop, customer: &str) -> String {
    let fields = [
        ("currency", "usd"),
        ("unit_amount", "100"),
        ("recurring[interval]", "month"),
        ("product_data[name]", "Something else"),
    ];
    let price = shop.scene.stripe.post("prices", &fields).await;
    let price = price["id"].as_str().expect("an id");
    let fields = [("customer", customer), ("items[0][price]", price)];
    let other = shop.scene.stripe.post("subscriptions", &fields).await;
    let id = other["id"].as_str().expect("an id").to_owned();
    let path = "payment_methods/pm_card_chargeCustomerFail/attach";
    let card = shop.scene.stripe.post(path, &[("customer", customer)]).await;
    let card = [("default_payment_method", card["id"].as_str().expect("an id"))];
    shop.scene.stripe.post(&format!("subscriptions/{id}"), &card).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_that_is_not_paid_refuses_nothing_and_is_nobodys_plan() {
    // C9, B13
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "both").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    shop.subscribe(&world, PRO).await;
    let other = retainer(&mut shop, &customer).await;
    world.settle().await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3_600).await;
    let status = "select status from subscriptions where subscription_id = $1";
    let unpaid: Vec<(String,)> = world.rows(sql(status).bind(&other)).await;
    assert_eq!(unpaid[0].0, "past_due");
    world.advance(8 * DAY).await;
    assert!(blocks(&world, &shop.org_id).await.is_empty());
    assert_eq!(shop.program.consume("a", "text", 1).await.status, 200);
    assert_eq!(told(&world, &shop.org_id, "payment_failed").await, 0);
    assert_eq!(found(&world, "unknown_price").await, std::slice::from_ref(&other));
    shop.scene.stripe.delete(&format!("subscriptions/{other}"), &[]).await;
    world.settle().await;
    assert_eq!(told(&world, &shop.org_id, "canceled").await, 0);
    assert_eq!(tier(&world, &shop.org_id).await, "pro");
    assert_eq!(shop.program.consume("b", "text", 1).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_becomes_something_else_is_a_plan_that_changed_and_refuses_nothing() {
    // C9
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "became").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    shop.subscribe(&world, PRO).await;
    shop.scene.use_card("pm_card_chargeCustomerFail").await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3_600).await;
    assert_eq!(blocks(&world, &shop.org_id).await, [("past_due".to_owned(),)]);
    assert_eq!(told(&world, &shop.org_id, "payment_failed").await, 1);
    let other = retainer(&mut shop, &customer).await;
    let other = shop.scene.stripe.get(&format!("subscriptions/{other}")).await;
    let price = other["items"]["data"][0]["price"]["id"].as_str().expect("a price").to_owned();
    let plan = shop.scene.stripe.get(&format!("subscriptions/{}", shop.scene.id("plan"))).await;
    let item = plan["items"]["data"][0]["id"].as_str().expect("an item").to_owned();
    let fields = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", &price),
        ("proration_behavior", "none"),
    ];
    shop.scene.change(&fields).await;
    world.settle().await;
    assert_eq!(tier(&world, &shop.org_id).await, "free");
    assert!(blocks(&world, &shop.org_id).await.is_empty(), "it is no plan of ours any more");
    assert_eq!(told(&world, &shop.org_id, "payment_failed").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_begun_and_never_finished_is_in_nobodys_way() {
    // B9, B16
    let seats = "included_credits = 2000\nper_seat = true";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", seats);
    let world = World::with(options).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    world.advance(DAY).await;
    let set = async |seats: &'static str| {
        let page = ada.visit("/billing").await;
        let page = ada.fill(&page, "set_seats", &[("seats", seats)]).await;
        world.settle().await;
        world.advance(60).await;
        page
    };
    set("3").await.must_say("You have 3 seats.");
    for (then, says) in [("4", "You have 4 seats."), ("2", "Until then nothing changes.")] {
        // The schedule is made, and everything that would finish or release it fails.
        let path = "/v1/subscription_schedules/";
        let fault = json!({ "kind": "server_error", "status": 400, "count": 100, "path": path });
        world.control("faults", json!({ "api": fault })).await;
        let page = set("1").await;
        assert!(!page.says("Until then nothing changes."), "{}", page.text());
        world.control("faults", json!({ "api": null })).await;
        let begun = "select schedule_id, next_at from subscriptions where schedule_id is not null";
        let begun: Vec<(String, Option<i64>)> = world.rows(sql(begun)).await;
        assert!(begun.len() == 1 && begun[0].1.is_none(), "{begun:?}");
        set(then).await.must_say(says);
        let path = format!("subscription_schedules/{}", begun[0].0);
        assert_eq!(shop.scene.stripe.get(&path).await["status"], "released");
    }
    ada.visit("/billing").await.must_say("Changes to 2 × Pro by the month on");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stripe_alone_has_planned_is_not_thrown_away() {
    // B9: an operator lets the plan end with its schedule, or go on in the same way.
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, PRO).await;
    let plan = shop.scene.id("plan").to_owned();
    let from = [("from_subscription", plan.as_str())];
    let made = shop.scene.stripe.post("subscription_schedules", &from).await;
    let path = format!("subscription_schedules/{}", made["id"].as_str().expect("an id"));
    let (start, end) = (&made["phases"][0]["start_date"], &made["phases"][0]["end_date"]);
    let (start, end) = (start.to_string(), end.to_string());
    let price = shop.scene.price(PRO).await;
    let fields = [
        ("phases[0][items][0][price]", price.as_str()),
        ("phases[0][start_date]", &start),
        ("phases[0][end_date]", &end),
        ("phases[1][items][0][price]", &price),
        ("phases[1][duration][interval]", "month"),
        ("phases[1][duration][interval_count]", "6"),
    ];
    shop.scene.stripe.post(&path, &fields).await;
    world.settle().await;
    let team = shop.scene.price(TEAM).await;
    let page = ada.visit(&format!("/billing/change?price={team}")).await;
    ada.fill(&page, "confirm_change", &[]).await.must_say("Stripe has something planned");
    assert_eq!(shop.scene.stripe.get(&path).await["status"], "active");
    world.end().await;
}

/// The form on the page of prices that subscribes to this price.
fn choice(page: &Page, price: &str) -> Form {
    let mut forms = page.forms().into_iter().filter(|form| form.action.contains("subscribe"));
    let sells = |form: Form| match form.fields.iter().any(|(_, value)| value == price) {
        true => Some(form),
        false => form.pressed(price),
    };
    forms.find_map(sells).unwrap_or_else(|| panic!("no {price} to buy: {}", page.text()))
}

/// Chooses a plan; answers what comes of it, the card's page as a rule.
async fn choose(person: &Person, price: &str) -> Page {
    let page = person.visit("/pricing").await;
    person.submit(&page, &choice(&page, price)).await
}

/// The sessions of Stripe's that can still be paid.
async fn payable(shop: &Shop) -> Vec<Value> {
    let list = shop.scene.stripe.get("checkout/sessions?status=open").await;
    list["data"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_pages_for_plans_only_the_last_one_can_be_paid() {
    // B15
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    let (pro, team) = (shop.scene.price(PRO).await, shop.scene.price(TEAM).await);
    let first = choose(&ada, &pro).await;
    first.must_say("Pro");
    assert_eq!(choose(&ada, &pro).await.url, first.url, "the same page for the same plan");
    let second = choose(&ada, &team).await;
    second.must_say("Team");
    ada.visit(first.url.as_str()).await.must_say("expired");
    ada.fill(&second, "/c/pay/", &CARD).await;
    world.settle().await;
    assert_eq!(tier(&world, &shop.org_id).await, "team");
    assert_eq!(shop.standing().await.0, "10000");
    assert!(payable(&shop).await.is_empty());
    assert!(found(&world, "several_subscriptions").await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_a_plan_closes_when_another_one_was_paid() {
    // B15: by a page that the product has not opened itself, and while nobody is told.
    for told in [true, false] {
        let world = World::with(WorldOptions::nothing_free()).await;
        let ada = world.sign_up("Ada").await;
        let mut shop = Shop::of(&world, &ada).await;
        shop.card(&world, "pm_card_visa").await;
        let (pro, team) = (shop.scene.price(PRO).await, shop.scene.price(TEAM).await);
        let first = choose(&ada, &pro).await;
        if told {
            shop.subscribe(&world, TEAM).await;
            ada.visit(first.url.as_str()).await.must_say("expired");
        } else {
            // Paid, and not heard of: whoever opens another one hears of it first.
            world.control("webhooks/hold", json!({ "hold": true })).await;
            let buyer = Person::stranger(&world.url);
            let card = buyer.visit(first.url.as_str()).await;
            buyer.fill(&card, "/c/pay/", &CARD).await;
            let page = choose(&ada, &team).await;
            assert_eq!(page.url.path(), "/billing/change", "{}", page.text());
            world.control("webhooks/hold", json!({ "hold": false })).await;
            world.settle().await;
        }
        assert!(payable(&shop).await.is_empty());
        assert!(found(&world, "several_subscriptions").await.is_empty());
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_pages_that_are_opened_at_one_moment_never_two_can_be_paid() {
    // B15
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    let (pro, team) = (shop.scene.price(PRO).await, shop.scene.price(TEAM).await);
    for prices in [[&pro, &team, &pro], [&pro, &pro, &pro]] {
        let [a, b, c] = prices.map(|price| choose(&ada, price));
        tokio::join!(a, b, c);
        let mut open = payable(&shop).await;
        if open.is_empty() {
            // Each may have closed another's page: whoever comes again gets one.
            choose(&ada, prices[0]).await;
            open = payable(&shop).await;
        }
        assert_eq!(open.len(), 1, "{open:#?}");
        let rows = "select session_id from checkouts where status = 'open'";
        let rows: Vec<(String,)> = world.rows(sql(rows)).await;
        assert_eq!(rows[0].0, open[0]["id"].as_str().expect("an id"));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_trials_that_are_begun_at_one_moment_give_their_credits_once() {
    // B4, B15
    let terms = "included_credits = 2000\ntrial_days = 14\ntrial_credits = 300";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", terms);
    let world = World::with(options).await;
    let mut shop = Shop::open(&world, "twice").await;
    let trial = [("subscription_data[trial_period_days]", "14")];
    let first = shop.scene.checkout("subscription", PRO, &trial).await;
    let second = shop.scene.checkout("subscription", PRO, &trial).await;
    world.control("webhooks/hold", json!({ "hold": true })).await;
    shop.scene.pay(&first, "4242424242424242").await;
    shop.scene.pay(&second, "4242424242424242").await;
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "300");
    assert_eq!(found(&world, "several_subscriptions").await, [shop.org_id.clone()]);
    // Whichever is cancelled: the other one goes on, and there is nothing to try once more.
    let text = "select subscription_id from subscriptions where org_id = $1";
    let both: Vec<(String,)> = world.rows(sql(text).bind(&shop.org_id)).await;
    assert_eq!(both.len(), 2);
    shop.scene.stripe.delete(&format!("subscriptions/{}", both[0].0), &[]).await;
    world.settle().await;
    assert!(found(&world, "several_subscriptions").await.is_empty());
    assert_eq!(tier(&world, &shop.org_id).await, "pro");
    let given = "select source_ref from grants where source_kind = 'trial'";
    assert_eq!(world.rows::<(String,)>(sql(given)).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_made_twice_is_no_payment_and_one_that_pays_is() {
    // A10, A11
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "one").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    let label =
        [("metadata[product]", "turnpike"), ("metadata[org_id]", &shop.org_id), ("name", "two")];
    let stray = shop.scene.stripe.post("customers", &label).await;
    let stray = stray["id"].as_str().expect("an id").to_owned();
    world.settle().await;
    let path = "payment_methods/pm_card_visa/attach";
    let card = shop.scene.stripe.post(path, &[("customer", &stray)]).await;
    let card = [("invoice_settings[default_payment_method]", card["id"].as_str().expect("an id"))];
    shop.scene.stripe.post(&format!("customers/{stray}"), &card).await;
    world.settle().await;
    assert!(waiting(&world).await.is_empty(), "{:?}", waiting(&world).await);
    assert!(found(&world, "event_unmatched").await.is_empty());
    let known: Vec<(String,)> = world.rows(sql("select customer_id from customers")).await;
    assert_eq!(known, [(customer,)]);
    // Through which somebody buys has to be looked at.
    let price = shop.scene.price(PRO).await;
    let fields = [("customer", stray.as_str()), ("items[0][price]", &price)];
    shop.scene.stripe.post("subscriptions", &fields).await;
    world.settle().await;
    assert!(!found(&world, "event_unmatched").await.is_empty());
    assert_eq!(shop.standing().await.0, "0");
    world.end().await;
}
