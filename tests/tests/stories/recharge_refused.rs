//! Auto-recharge that is not paid: declines, cards that are gone, banks that want to be asked, and
//! the page that says so.

use serde_json::json;
use server::autorecharge::Pause;
use tests::{Shop, Wire, World, WorldOptions};

use crate::recharge::{
    PACK, attempts, available, payments, plain_world, setting, spend, switch_on, told, wanting,
};

const HOUR: i64 = 3_600;

/// Falls below the threshold, and lets everything follow.
async fn run_low(world: &World, shop: &Shop) {
    spend(shop, "low", 150).await;
    world.settle().await;
}

fn declines(count: usize, code: &str) -> Vec<(String, Option<String>)> {
    vec![("failed".to_owned(), Some(code.to_owned())); count]
}

#[tokio::test(flavor = "multi_thread")]
async fn declines_wait_twice_as_long_each_time_then_pause_until_there_is_another_card() {
    // E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Declined", "pm_card_chargeCustomerFail").await;
    run_low(&world, &shop).await;
    assert_eq!(attempts(&world, &shop).await, declines(1, "generic_decline"));
    let first = told(&world, &shop).await;
    assert_eq!(first.get("recharge_failed"), Some(&1), "told at the first: {first:?}");
    // Whoever goes on using credits meanwhile causes nothing.
    spend(&shop, "more", 10).await;
    world.advance(HOUR - 60).await;
    assert_eq!(attempts(&world, &shop).await.len(), 1);
    world.advance(120).await;
    assert_eq!(attempts(&world, &shop).await.len(), 2);
    assert_eq!(told(&world, &shop).await, first, "the second is not told");
    world.advance(HOUR + 600).await;
    assert_eq!(attempts(&world, &shop).await.len(), 2, "two hours this time");
    world.advance(HOUR).await;
    assert_eq!(attempts(&world, &shop).await, declines(3, "generic_decline"));
    assert_eq!(setting(&world, &shop).await.pause(), Some(Pause::Declined));
    assert_eq!(told(&world, &shop).await.get("recharge_paused"), Some(&1));
    world.advance(3 * 24 * HOUR).await;
    spend(&shop, "still", 10).await;
    world.settle().await;
    assert_eq!(attempts(&world, &shop).await.len(), 3, "nothing is tried while it is paused");
    assert_eq!(available(&shop).await, "30");
    // Another card is tried at once.
    shop.card(&world, "pm_card_visa").await;
    assert_eq!(available(&shop).await, "530");
    let after = setting(&world, &shop).await;
    assert_eq!((after.pause(), after.failures), (None, 0));
    let open = payments(&mut shop).await;
    let open = open.iter().filter(|one| one["status"] == json!("requires_payment_method"));
    assert_eq!(open.count(), 0, "what was declined can not be paid later");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_the_bank_took_back_pauses_at_once() {
    // E2
    let wire = Wire::start().await;
    let stripe = Some(wire.url.clone());
    let world = World::with(WorldOptions { stripe, ..WorldOptions::nothing_free() }).await;
    let mut shop = wanting(&world, "Lost", "pm_card_visa").await;
    // The card is reported lost: nothing about the customer says so until it is charged.
    wire.spoil(|path, mut body| {
        if path.starts_with("/v1/customers/") && body["object"] == "customer" {
            let card = &mut body["invoice_settings"]["default_payment_method"];
            card["id"] = json!("pm_card_chargeDeclinedLostCard");
        }
        body.to_string()
    });
    run_low(&world, &shop).await;
    assert_eq!(attempts(&world, &shop).await, declines(1, "lost_card"));
    assert_eq!(setting(&world, &shop).await.pause(), Some(Pause::Declined));
    let told = told(&world, &shop).await;
    assert_eq!((told.get("recharge_paused"), told.get("recharge_failed")), (Some(&1), None));
    world.advance(48 * HOUR).await;
    assert_eq!(payments(&mut shop).await.len(), 1);
    world.end().await;
    wire.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_wants_a_confirmation_is_left_to_the_customer() {
    // E3
    let world = plain_world().await;
    let mut shop = wanting(&world, "Asked", "pm_card_authenticationRequired").await;
    run_low(&world, &shop).await;
    let canceled = ("canceled".to_owned(), Some("authentication_required".to_owned()));
    assert_eq!(attempts(&world, &shop).await, [canceled]);
    assert_eq!(available(&shop).await, "50", "no credit before the payment");
    assert_eq!(setting(&world, &shop).await.pause(), Some(Pause::Authentication));
    assert_eq!(told(&world, &shop).await.get("recharge_needs_you"), Some(&1));
    let paid = payments(&mut shop).await;
    assert_eq!(paid.len(), 1);
    assert_eq!(paid[0]["status"], json!("canceled"), "nobody can pay it any more");
    world.advance(48 * HOUR).await;
    assert_eq!(attempts(&world, &shop).await.len(), 1);
    // Whoever buys a pack in person has confirmed.
    shop.buy_pack(&world, PACK).await;
    assert_eq!(available(&shop).await, "550");
    assert!(setting(&world, &shop).await.is_armed());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_takes_days_grants_when_it_arrives_and_counts_as_declined_when_not() {
    // E3
    let world = plain_world().await;
    let mut shop = Shop::open(&world, "Debited").await;
    let keep = [("payment_intent_data[setup_future_usage]", "off_session")];
    let session = shop.scene.checkout("payment", PACK, &keep).await;
    shop.scene.pay(&session, "DE89370400440532013000").await;
    shop.scene.keep("session", &session);
    shop.scene.settle("succeeded").await;
    world.settle().await;
    assert_eq!(available(&shop).await, "500");
    switch_on(&world, &shop, 400, 100_000).await;
    run_low(&world, &shop).await;
    let waiting = [("processing".to_owned(), None)];
    assert_eq!(attempts(&world, &shop).await, waiting);
    spend(&shop, "more", 10).await;
    world.advance(2 * HOUR).await;
    assert_eq!(attempts(&world, &shop).await, waiting, "one is under way");
    assert_eq!(available(&shop).await, "340", "no credit before the payment");
    let answer = async |shop: &mut Shop, outcome: &str| {
        let payment = payments(shop).await[0]["id"].as_str().expect("an id").to_owned();
        let path = format!("payment_intents/{payment}/settle");
        world.control(&path, json!({ "outcome": outcome })).await;
        world.settle().await;
    };
    answer(&mut shop, "succeeded").await;
    assert_eq!(available(&shop).await, "840");
    spend(&shop, "again", 500).await;
    world.settle().await;
    answer(&mut shop, "failed").await;
    let came = attempts(&world, &shop).await;
    let failed = ("failed".to_owned(), Some("insufficient_funds".to_owned()));
    assert_eq!(came, [("succeeded".to_owned(), None), failed]);
    assert_eq!(setting(&world, &shop).await.failures, 1);
    assert_eq!(available(&shop).await, "340");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_gone_pauses_and_a_pack_that_is_gone_too() {
    let world = plain_world().await;
    let mut shop = wanting(&world, "Cardless", "pm_card_visa").await;
    let customer = shop.scene.customer().await;
    let cards = shop.scene.stripe.get(&format!("customers/{customer}/payment_methods")).await;
    for card in cards["data"].as_array().expect("a list") {
        let id = card["id"].as_str().expect("an id");
        shop.scene.stripe.post(&format!("payment_methods/{id}/detach"), &[]).await;
    }
    world.settle().await;
    run_low(&world, &shop).await;
    assert!(attempts(&world, &shop).await.is_empty());
    assert_eq!(setting(&world, &shop).await.pause(), Some(Pause::NoCard));
    assert_eq!(told(&world, &shop).await.get("recharge_paused"), Some(&1));
    // The pack is taken off the shelf, then there is a card again.
    let price = shop.scene.price(PACK).await;
    shop.scene.stripe.post(&format!("prices/{price}"), &[("active", "false")]).await;
    world.settle().await;
    shop.card(&world, "pm_card_visa").await;
    assert!(attempts(&world, &shop).await.is_empty());
    assert_eq!(setting(&world, &shop).await.pause(), Some(Pause::PriceGone));
    assert_eq!(told(&world, &shop).await.get("recharge_paused"), Some(&2));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disputed_payment_switches_auto_recharge_off_until_it_is_saved_again() {
    // E11
    let world = plain_world().await;
    let mut shop = wanting(&world, "Disputed", "pm_card_visa").await;
    run_low(&world, &shop).await;
    assert_eq!(available(&shop).await, "550");
    let payment = payments(&mut shop).await[0]["id"].as_str().expect("an id").to_owned();
    shop.dispute(&world, &payment, json!({})).await;
    assert_eq!(available(&shop).await, "50", "what it bought waits");
    assert_eq!(setting(&world, &shop).await.pause(), Some(Pause::Dispute));
    assert_eq!(payments(&mut shop).await.len(), 1, "nothing is bought in its place");
    // Another card changes nothing about that.
    shop.card(&world, "pm_card_mastercard").await;
    assert_eq!(setting(&world, &shop).await.pause(), Some(Pause::Dispute));
    switch_on(&world, &shop, 100, 100_000).await;
    assert_eq!(available(&shop).await, "550");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_billing_page_switches_it_on_and_off_and_says_what_is_wrong_under_the_fields() {
    let world = plain_world().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let pack = shop.scene.price(PACK).await;
    let save = async |threshold: &str, pack: &str, most: &str| {
        let page = ada.visit("/billing").await;
        let values = [("threshold", threshold), ("pack", pack), ("monthly_max", most)];
        ada.fill(&page, "save_recharge", &values).await
    };
    save("100", &pack, "50").await.must_say("There is no card to charge yet. Add one first.");
    shop.card(&world, "pm_card_visa").await;
    world.give(&shop.org_id, 200, "page").await;
    let few = save("few", &pack, "50").await;
    few.must_say("must be a decimal number");
    assert_eq!(few.form("save_recharge").value("threshold"), Some("few"), "what was typed stays");
    save("1,00", &pack, "50").await.must_say("between groups of three digits only");
    save("0", &pack, "50").await.must_say("The threshold is more than 0");
    let all = save("-5", "price_unknown", "12,50").await;
    for (field, says) in [
        ("threshold", "more than 0"),
        ("pack", "Choose one of the packs"),
        ("monthly_max", "such as 100 or 1,250.50"),
    ] {
        let told = all.find(&format!("#recharge [data-error-for={field}]")).unwrap_or_default();
        assert!(told.contains(says), "{field} says “{told}”");
    }
    let form = all.form("save_recharge");
    assert_eq!((form.value("threshold"), form.value("monthly_max")), (Some("-5"), Some("12,50")));
    save("100", &pack, "12,50").await.must_say("Enter an amount such as 100 or 1,250.50.");
    save("100", &pack, "9.99").await.must_say("This is less than one pack costs");
    save("100", "price_unknown", "50").await.must_say("Choose one of the packs");
    let page = save("100", &pack, "50.00").await;
    page.must_say("Auto-recharge is on.");
    for words in ["fewer than 100 credits are left", "Visa ending in 4242", "$0.00 of at most $50"]
    {
        page.must_say(words);
    }
    run_low(&world, &shop).await;
    let page = ada.visit("/billing").await;
    page.must_say("$10.00 of at most $50.00");
    page.must_say("The last purchases");
    assert_eq!(page.form("save_recharge").value("monthly_max"), Some("50"));
    ada.fill(&page, "stop_recharge", &[]).await.must_say("Auto-recharge is off.");
    spend(&shop, "off", 500).await;
    world.settle().await;
    assert_eq!(payments(&mut shop).await.len(), 1);
    world.end().await;
}
