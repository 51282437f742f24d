//! Money that is given back of a plan's invoice: refunds, credit notes, invoices that are voided.

use serde_json::Value;
use server::db::sql;
use server::refunds::{self, InvoiceState};
use tests::{Shop, World, WorldOptions};

use crate::refunds::{everything_again, work_on_everything_again};

const PRO: &str = "turnpike_pro_month";
const DAY: i64 = 86_400;

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

/// What can be spent; nothing may be owed.
async fn left(shop: &Shop) -> String {
    let (available, debt) = shop.standing().await;
    assert_eq!(debt, "0");
    available
}

async fn status_of(world: &World, shop: &Shop) -> String {
    let text = "select status from subscriptions where org_id = $1";
    world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await.remove(0).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refunded_invoice_takes_its_share_of_the_allowance_and_leaves_the_plan() {
    // E15
    let world = world().await;
    let mut shop = Shop::open(&world, "Pro").await;
    let invoice = shop.subscribe(&world, PRO).await;
    assert_eq!(left(&shop).await, "2000");
    let payment = shop.payment_of(&invoice).await;
    // 1000 of 2900 cents of 2000 credits, rounded down for the one who takes.
    shop.refund(&world, &payment, 1_000).await;
    assert_eq!(left(&shop).await, "1310.344828");
    shop.refund(&world, &payment, 1_900).await;
    assert_eq!(left(&shop).await, "0");
    everything_again(&world, 6).await;
    assert_eq!(left(&shop).await, "0");
    // Whether the plan goes on is for the subscription to say, and it does.
    assert_eq!(status_of(&world, &shop).await, "active");
    let entitled = shop.program.get("entitlements").await.body;
    assert_eq!(entitled["sources"][0]["source_name"], "Pro", "{entitled}");
    world.advance(32 * DAY).await;
    assert_eq!(left(&shop).await, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refunded_year_takes_its_share_of_the_months_to_come_too() {
    // E15, B17
    let world = world().await;
    let mut shop = Shop::open(&world, "Year").await;
    let invoice = shop.subscribe(&world, "turnpike_pro_year").await;
    assert_eq!(left(&shop).await, "2000");
    let payment = shop.payment_of(&invoice).await;
    shop.refund(&world, &payment, 14_500).await;
    assert_eq!(left(&shop).await, "1000");
    for _ in 0..2 {
        world.advance(31 * DAY).await;
        assert_eq!(left(&shop).await, "1000");
    }
    assert_eq!(shop.news(&world).await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refunded_upgrade_takes_what_the_upgrade_added() {
    // E15, B8
    let world = world().await;
    let mut shop = Shop::open(&world, "Up").await;
    shop.subscribe(&world, PRO).await;
    world.advance(10 * DAY).await;
    shop.scene.switch("turnpike_team_month").await;
    world.settle().await;
    let more = left(&shop).await;
    assert_ne!(more, "2000");
    let invoice = shop.scene.newest_invoice("paid").await;
    let payment = shop.payment_of(&invoice).await;
    let paid = shop.scene.stripe.get(&format!("payment_intents/{payment}")).await;
    let amount = paid["amount"].as_i64().expect("an amount");
    shop.refund(&world, &payment, amount).await;
    assert_eq!(left(&shop).await, "2000");
    everything_again(&world, 8).await;
    assert_eq!(left(&shop).await, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_carried_over_goes_back_with_the_invoice_it_came_from() {
    // E15, B5
    let carries = "included_credits = 2000\nrollover_max = 300";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", carries);
    let world = World::with(options).await;
    let mut shop = Shop::open(&world, "Carried").await;
    let invoice = shop.subscribe(&world, PRO).await;
    assert_eq!(shop.program.consume("a", "text", 1_000).await.status, 200);
    world.advance(32 * DAY).await;
    assert_eq!(left(&shop).await, "2300");
    let payment = shop.payment_of(&invoice).await;
    // A tenth: 200 of the 700 that lapsed. The 300 that were carried over lapsed nowhere else.
    shop.refund(&world, &payment, 290).await;
    assert_eq!(left(&shop).await, "2300");
    // Four tenths: 800 of the 1000 that were left are gone, so 200 are all that was carried over.
    shop.refund(&world, &payment, 870).await;
    assert_eq!(left(&shop).await, "2200");
    everything_again(&world, 4).await;
    assert_eq!(left(&shop).await, "2200");
    shop.refund(&world, &payment, 1_740).await;
    assert_eq!(shop.standing().await, ("2000".to_owned(), "1000".to_owned()));
    world.end().await;
}

async fn note(world: &World, shop: &Shop, fields: &[(&str, &str)]) -> String {
    let note: Value = shop.scene.stripe.post("credit_notes", fields).await;
    world.settle().await;
    note["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_note_counts_as_a_refund_of_its_invoice_and_once() {
    // F14
    let world = world().await;
    let mut shop = Shop::open(&world, "Note").await;
    let invoice = shop.subscribe(&world, PRO).await;
    // A quarter of it to the customer's balance.
    let fields = [("invoice", invoice.as_str()), ("amount", "725"), ("credit_amount", "725")];
    note(&world, &shop, &fields).await;
    assert_eq!(left(&shop).await, "1500");
    everything_again(&world, 2).await;
    // A quarter of it to the card: the note and its refund are one and the same money.
    let fields = [("invoice", invoice.as_str()), ("amount", "725"), ("refund_amount", "725")];
    note(&world, &shop, &fields).await;
    assert_eq!(left(&shop).await, "1000");
    // The rest in another way, which Stripe only takes note of.
    let fields =
        [("invoice", invoice.as_str()), ("amount", "1450"), ("out_of_band_amount", "1450")];
    note(&world, &shop, &fields).await;
    assert_eq!(left(&shop).await, "0");
    everything_again(&world, 5).await;
    assert_eq!(left(&shop).await, "0");
    let kinds: Vec<String> = shop.news(&world).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["refunded", "refunded", "refunded"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_note_before_the_payment_counts_until_it_is_voided() {
    // F14, E14
    for (keeps, expected) in [(true, "1000"), (false, "2000")] {
        let world = world().await;
        let mut shop = Shop::open(&world, "Lowered").await;
        shop.subscribe(&world, PRO).await;
        shop.scene.use_card("pm_card_chargeCustomerFail").await;
        world.advance(31 * DAY + 7_200).await;
        let open = shop.scene.newest_invoice("open").await;
        let credited = note(&world, &shop, &[("invoice", &open), ("amount", "1450")]).await;
        assert!(shop.news(&world).await.is_empty(), "it has paid for nothing yet");
        if !keeps {
            shop.scene.stripe.post(&format!("credit_notes/{credited}/void"), &[]).await;
        }
        shop.scene.use_card("pm_card_visa").await;
        shop.scene.pay_open().await;
        world.settle().await;
        assert_eq!(left(&shop).await, expected);
        everything_again(&world, 6).await;
        assert_eq!(left(&shop).await, expected);
        world.end().await;
    }
}

async fn set_void(world: &World, shop: &Shop, invoice: &str, customer: &str, void: bool) {
    let state = InvoiceState {
        invoice_id: invoice,
        org_id: &shop.org_id,
        customer_id: customer,
        currency: "usd",
        total: 2_900,
        void,
    };
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    refunds::set_invoice(&mut tx, &state, now).await.expect("set");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_is_voided_after_its_grant_takes_all_of_it() {
    // E16
    let world = world().await;
    let mut shop = Shop::open(&world, "Void").await;
    let invoice = shop.subscribe(&world, PRO).await;
    let customer = shop.scene.customer().await;
    assert_eq!(shop.program.consume("a", "text", 500).await.status, 200);
    for _ in 0..2 {
        set_void(&world, &shop, &invoice, &customer, true).await;
        assert_eq!(shop.standing().await, ("0".to_owned(), "500".to_owned()));
    }
    assert_eq!(shop.news(&world).await.len(), 1);
    // Stripe says that it is paid: the next look at it puts everything back.
    work_on_everything_again(&world, 3).await;
    assert_eq!(left(&shop).await, "1500");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_never_granted_anything_may_be_voided() {
    // E16
    let world = world().await;
    let mut shop = Shop::open(&world, "Never").await;
    shop.subscribe(&world, PRO).await;
    shop.scene.use_card("pm_card_chargeCustomerFail").await;
    world.advance(31 * DAY + 7_200).await;
    let open = shop.scene.newest_invoice("open").await;
    shop.scene.stripe.post(&format!("invoices/{open}/void"), &[]).await;
    world.settle().await;
    let text = "select status from invoices where invoice_id = $1";
    assert_eq!(world.rows::<(String,)>(sql(text).bind(&open)).await, [("void".to_owned(),)]);
    assert_eq!(world.rows::<(i64,)>(sql("select count(*) from money_backs")).await, [(0,)]);
    assert!(shop.news(&world).await.is_empty());
    world.end().await;
}
