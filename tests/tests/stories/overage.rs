//! What goes past every credit is billed after the period: once, rounded once, and found again
//! after a crash.

use serde_json::{Value, json};
use server::clock::{MINUTE, Millis, SECOND};
use server::db::sql;
use server::overage;
use tests::{Shop, World, WorldOptions};

use crate::calls::{batch, reverse, uses, world_with_overage};

const HOUR: i64 = 3_600;
/// Longer than a turn of whoever posts.
const TURN: i64 = 11 * 60;

/// A line as it stands in our rows.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Line {
    pub meter: String,
    pub number: i64,
    pub amount: i64,
    pub item_id: Option<String>,
    pub invoice_id: Option<String>,
    pub posted_at: Option<Millis>,
}

/// The lines of an org, in the order in which they were made.
pub async fn lines(world: &World, org_id: &str) -> Vec<Line> {
    let text = "select meter, number, amount, item_id, invoice_id, posted_at from billed_lines
         where org_id = $1 order by number, meter";
    world.rows(sql(text).bind(org_id)).await
}

/// What those lines say: meter, number, minor units.
pub fn said(lines: &[Line]) -> Vec<(&str, i64, i64)> {
    lines.iter().map(|line| (line.meter.as_str(), line.number, line.amount)).collect()
}

/// The invoice items of a customer at Stripe that stand for lines, newest first.
pub async fn items(shop: &mut Shop) -> Vec<Value> {
    let customer = shop.scene.customer().await;
    items_of(&shop.scene.stripe, &customer).await
}

/// The same of any customer.
pub async fn items_of(stripe: &tests::Stripe, customer: &str) -> Vec<Value> {
    let list = stripe.get(&format!("invoiceitems?customer={customer}&limit=100")).await;
    let all = list["data"].as_array().expect("a list").iter();
    all.filter(|item| item["metadata"]["billed_line"].is_string()).cloned().collect()
}

/// Goes to so many seconds after the end of the wallet's period.
pub async fn past_the_period(world: &World, org_id: &str, seconds: i64) {
    let text = "select period_end from wallets where org_id = $1";
    let rows: Vec<(Millis,)> = world.rows(sql(text).bind(org_id)).await;
    let left = rows[0].0 - world.engine.clock.now();
    world.advance(left.max(0) / SECOND + 1 + seconds).await;
}

async fn invoice(shop: &Shop, id: &str) -> Value {
    shop.scene.stripe.get(&format!("invoices/{id}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn overage_goes_onto_the_renewals_invoice_one_line_a_meter() {
    // E5, I12
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Over").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let used = uses(&shop.program, "a", "text", 15).await;
    assert_eq!(used["billed"], json!({ "amount": "10", "currency": "usd" }));
    uses(&shop.program, "b", "text", 2).await;
    uses(&shop.program, "c", "image", 1).await;
    let voice = uses(&shop.program, "d", "voice", 1).await;
    assert_eq!(voice["billed"], json!({ "amount": "0.5", "currency": "usd" }));
    let listed = shop.program.get("usage?meter=voice").await.body;
    assert_eq!(listed["data"][0]["billed"], voice["billed"]);
    world.advance(HOUR).await;
    assert_eq!(lines(&world, &shop.org_id).await, [], "the period is not over");
    past_the_period(&world, &shop.org_id, 60).await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!(said(&made), [("image", 0, 40), ("text", 0, 14), ("voice", 0, 1)]);
    let renewal = made[0].invoice_id.clone().expect("on the renewal's draft");
    assert!(made.iter().all(|line| line.invoice_id.as_ref() == Some(&renewal)));
    assert_eq!(invoice(&shop, &renewal).await["status"], "draft");
    world.advance(2 * HOUR).await;
    let paid = invoice(&shop, &renewal).await;
    assert_eq!((&paid["status"], &paid["total"]), (&json!("paid"), &json!(2900 + 40 + 14 + 1)));
    // Again and again: nothing more.
    world.advance(TURN).await;
    assert_eq!(overage::post_due(&world.engine).await.expect("posted"), 0);
    let all = items(&mut shop).await;
    assert_eq!(all.len(), 3);
    let text = all.iter().find(|item| item["amount"] == 14).expect("the texts");
    let told = text["description"].as_str().expect("a description");
    assert!(told.starts_with("Text beyond the included credits: 7 credits, "), "{told}");
    assert_eq!(text["metadata"]["org_id"], shop.org_id);
    world.end().await;
}

/// A shop whose use is billed, of which Stripe has the line and nobody heard so.
pub async fn whose_line_was_lost(world: &World) -> Shop {
    let mut shop = Shop::open(world, "Lost").await;
    shop.subscribe(world, "turnpike_pro_month").await;
    uses(&shop.program, "a", "text", 15).await;
    let fault = json!({ "kind": "reset_after", "method": "POST", "path": "/v1/invoiceitems",
                        "count": 3 });
    world.control("faults", json!({ "api": fault })).await;
    past_the_period(world, &shop.org_id, 60).await;
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_answer_was_lost_is_found_again() {
    // E5
    let world = world_with_overage(10).await;
    let mut shop = whose_line_was_lost(&world).await;
    let lost = lines(&world, &shop.org_id).await;
    assert_eq!((said(&lost), lost[0].posted_at), (vec![("text", 0, 10)], None));
    assert_eq!(items(&mut shop).await.len(), 1, "it was done, but nobody heard so");
    // More than a day later no key is remembered any more.
    world.control("faults", json!({ "api": [] })).await;
    world.advance(26 * HOUR).await;
    let found = lines(&world, &shop.org_id).await;
    let all = items(&mut shop).await;
    assert_eq!(all.len(), 1);
    assert_eq!(found[0].item_id.as_deref(), all[0]["id"].as_str());
    assert!(found[0].posted_at.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_the_row_and_the_answer_leaves_one_item() {
    // E5, A6
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Dies").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    uses(&shop.program, "a", "text", 15).await;
    past_the_period(&world, &shop.org_id, 60).await;
    assert_eq!(items(&mut shop).await.len(), 1);
    // As if it had died after Stripe's answer and before its own commit, with the line in hand.
    let forget = "update billed_lines set posted_at = null, item_id = null, invoice_id = null,
             lease_until = $1";
    let lease = world.engine.clock.now() + 5 * MINUTE;
    world.tamper(sql(forget).bind(lease)).await;
    assert_eq!(overage::post_due(&world.engine).await.expect("posted"), 0, "somebody has it");
    world.advance(TURN).await;
    let made = lines(&world, &shop.org_id).await;
    assert!(made[0].posted_at.is_some() && made[0].item_id.is_some());
    assert_eq!(items(&mut shop).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_line_makes_another_and_what_is_taken_back_a_negative_one() {
    // E6
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Late").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    uses(&shop.program, "a", "text", 15).await;
    let image = uses(&shop.program, "b", "image", 1).await;
    past_the_period(&world, &shop.org_id, 60).await;
    // The renewal is not paid yet, so this still counts in the old period.
    uses(&shop.program, "c", "text", 3).await;
    world.advance(TURN).await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!(said(&made), [("image", 0, 40), ("text", 0, 10), ("text", 1, 6)]);
    let renewal = made[0].invoice_id.clone().expect("a draft");
    assert_eq!(made[2].invoice_id.as_ref(), Some(&renewal), "still a draft");
    // The invoice goes out, and nobody tells us.
    world.control("webhooks/hold", json!({ "hold": true })).await;
    world.pass(2 * HOUR).await;
    world.control("clock", json!({ "advance_seconds": 2 * HOUR })).await;
    uses(&shop.program, "d", "text", 4).await;
    reverse(&shop.program, image["id"].as_str().expect("an id"), "r").await;
    assert_eq!(overage::post_due(&world.engine).await.expect("posted"), 2);
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!(said(&made)[2..], [("image", 1, -40), ("text", 1, 6), ("text", 2, 8)]);
    assert_eq!(invoice(&shop, &renewal).await["total"], 2900 + 40 + 10 + 6);
    let all = items(&mut shop).await;
    let waiting: Vec<&Value> = all.iter().filter(|item| item["invoice"].is_null()).collect();
    assert_eq!(waiting.len(), 2, "they wait for the next invoice");
    for item in waiting {
        let told = item["description"].as_str().expect("a description");
        assert!(told.ends_with("(the whole period, less what was invoiced before)"), "{told}");
    }
    past_the_period(&world, &shop.org_id, 60 + 2 * HOUR).await;
    let last = shop.scene.stripe.get("invoices?limit=1").await["data"][0].clone();
    assert_eq!((&last["status"], &last["total"]), (&json!("paid"), &json!(2900 - 40 + 8)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_told_after_its_period_is_billed_with_the_next_and_marked() {
    // D18, E6
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Told").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let then = server::clock::rfc3339(world.engine.clock.now());
    past_the_period(&world, &shop.org_id, 60 + 2 * HOUR).await;
    let item =
        json!({ "key": "a", "meter": "text", "quantity": 12, "at": then, "over": "overage" });
    let told = batch(&shop.program, json!([item])).await;
    assert_eq!(told[0]["usage"]["billed"]["amount"], "4", "{told:?}");
    past_the_period(&world, &shop.org_id, 60).await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!(said(&made), [("text", 0, 4)]);
    let told = items(&mut shop).await[0]["description"].as_str().map(str::to_owned);
    let told = told.expect("a description");
    assert!(told.ends_with("(some of it earlier, and told late)"), "{told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yearly_plan_is_billed_each_month_on_an_invoice_of_its_own() {
    // B17, E5
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Yearly").await;
    shop.subscribe(&world, "turnpike_pro_year").await;
    uses(&shop.program, "a", "text", 110).await;
    uses(&shop.program, "b", "image", 1).await;
    past_the_period(&world, &shop.org_id, 60).await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!(said(&made), [("image", 0, 40), ("text", 0, 200)]);
    let own = made[0].invoice_id.clone().expect("an invoice");
    assert_eq!(made[1].invoice_id.as_ref(), Some(&own), "one invoice for the month");
    world.advance(2 * HOUR).await;
    let paid = invoice(&shop, &own).await;
    assert_eq!((&paid["status"], &paid["total"]), (&json!("paid"), &json!(240)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_ends_is_billed_at_once() {
    // B12, E5
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Ends").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    uses(&shop.program, "a", "text", 60).await;
    let plan = shop.scene.id("plan").to_owned();
    shop.scene.stripe.delete(&format!("subscriptions/{plan}"), &[]).await;
    world.settle().await;
    world.advance(TURN).await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!(said(&made), [("text", 0, 100)]);
    world.advance(2 * HOUR).await;
    let own = made[0].invoice_id.clone().expect("an invoice");
    assert_eq!(invoice(&shop, &own).await["total"], 100);
    assert_eq!(items(&mut shop).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_post_a_line_once() {
    // E5, F9
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Twice").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    uses(&shop.program, "a", "text", 15).await;
    uses(&shop.program, "b", "image", 1).await;
    let other = world.another(None).await;
    let ends = "select period_end from wallets where org_id = $1";
    let rows: Vec<(Millis,)> = world.rows(sql(ends).bind(&shop.org_id)).await;
    world.pass((rows[0].0 - world.engine.clock.now()) / SECOND + 60).await;
    other.engine.clock.refresh(&other.engine.db).await.expect("read");
    let (ours, theirs) =
        tokio::join!(overage::post_due(&world.engine), overage::post_due(&other.engine));
    assert_eq!(ours.expect("posted") + theirs.expect("posted"), 2);
    assert_eq!(items(&mut shop).await.len(), 2);
    other.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_was_deleted_is_billed_nothing_and_somebody_is_told() {
    // B20, E5
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Gone").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    uses(&shop.program, "a", "text", 15).await;
    let customer = shop.scene.customer().await;
    shop.scene.stripe.delete(&format!("customers/{customer}"), &[]).await;
    world.settle().await;
    world.advance(TURN).await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!((said(&made), made[0].posted_at), (vec![("text", 0, 10)], None));
    let found = server::findings::list(&world.engine.db, true, 10).await.expect("read");
    let told = found.iter().find(|one| one.kind == "billed_not_invoiced").expect("a finding");
    assert!(told.message.contains("was deleted at Stripe"), "{}", told.message);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_billed_at_the_price_it_was_made_at() {
    // D15, E5
    let world = world_with_overage(10).await;
    let mut shop = Shop::open(&world, "Held").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let hold = crate::calls::held(&shop.program, "h", "text", 30).await;
    let dearer = "update org_plans set overage_price = 9000000 where org_id = $1";
    world.tamper(sql(dearer).bind(&shop.org_id)).await;
    let used = crate::calls::capture_of(&shop.program, &hold, "c", 30).await;
    assert_eq!(used.body["billed"], json!({ "amount": "40", "currency": "usd" }));
    let used = uses(&shop.program, "a", "text", 1).await;
    assert_eq!(used["billed"]["amount"], "9");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_billing_page_tells_what_is_billed_so_far_and_what_was() {
    let world = World::with(
        WorldOptions::nothing_free()
            .catalog("included_credits = 2000", "included_credits = 10")
            .catalog(
                "models = [\"small-*\", \"large-*\"]\noverage = \"deny\"",
                "models = [\"small-*\", \"large-*\"]\noverage = \"allow\"\noverage_price = \"2\"",
            ),
    )
    .await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    assert!(!ada.visit("/billing").await.says("Billed after use"));
    uses(&shop.program, "a", "text", 510).await;
    let page = ada.visit("/billing").await;
    page.must_say("Billed after use");
    page.must_say("Text, past the included credits");
    page.must_say("$10.00");
    past_the_period(&world, &shop.org_id, 60 + 2 * HOUR).await;
    ada.visit("/billing").await.must_say("Text beyond the included credits: 500 credits");
    world.end().await;
}
