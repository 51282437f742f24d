//! What the pages say about credits and money: each credit counted once, what a contract bills, and
//! lists that keep their filters.

use server::audit::Actor;
use server::clock;
use server::contracts::{self, NewContract};
use tests::{Program, Shop, World, WorldOptions};

use crate::calls::uses;
use crate::purchase::{buy_pack, subscribe};
use crate::recharge::PACK;

const DAY: i64 = 86_400;

/// A contract with these terms, made by an operator.
async fn agree(world: &World, org_id: &str, key: &str, terms: &str) {
    let new = NewContract {
        org_id: org_id.to_owned(),
        agreed: contracts::parse(&format!("currency = \"usd\"\n{terms}")).expect("terms"),
        key: key.to_owned(),
        actor: Actor::Operator("tests".to_owned()),
        reason: "they asked".to_owned(),
    };
    contracts::create(&world.engine, new).await.expect("made");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_months_of_a_contract_are_not_counted_besides_themselves() {
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let terms = "name = \"Acme\"\nreplaces = true\nincluded_credits = 1000\nfeatures = [\"text\"]";
    agree(&world, &shop.org_id, "k", terms).await;
    uses(&shop.program, "a", "text", 30).await;
    let page = ada.visit("/dashboard").await;
    page.must_say("Acme, by contract");
    page.must_say("30 of 1,000 credits");
    page.must_say("Remaining 970 970 in all");
    shop.buy_pack(&world, PACK).await;
    let page = ada.visit("/dashboard").await;
    page.must_say("Remaining 970 plus 500 bought");
    page.must_say("Bought credits 500");
    world.give(&shop.org_id, 25, "sorry").await;
    ada.visit("/dashboard").await.must_say("Remaining 970 plus 525 besides");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_carried_over_is_part_of_the_allowance_and_not_besides_it() {
    let carries = "included_credits = 2000\nrollover_max = 300";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", carries);
    let world = World::with(options).await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    subscribe(&world, &ada).await;
    world.advance(31 * DAY).await;
    world.advance(2 * 3_600).await;
    assert_eq!(shop.standing().await.0, "2300");
    let page = ada.visit("/dashboard").await;
    page.must_say("Remaining 2,300 2,300 in all");
    assert!(!page.says("besides"), "{}", page.text());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_bought_during_a_trial_is_counted_once() {
    let terms = "included_credits = 2000\ntrial_days = 14\ntrial_credits = 300";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", terms);
    let world = World::with(options).await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    subscribe(&world, &ada).await;
    ada.visit("/dashboard").await.must_say("Remaining 300 300 in all");
    buy_pack(&world, &ada, PACK).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "800");
    let page = ada.visit("/dashboard").await;
    page.must_say("800 credits left");
    page.must_say("Remaining 300 plus 500 bought");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_that_is_billed_in_money_is_never_shown_as_free() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    let terms = "name = \"Acme\"\nreplaces = true\nincluded_credits = 1000\n\
                 features = [\"text\", \"image\"]\n[meters]\nimage = 99";
    agree(&world, &shop.org_id, "k", terms).await;
    uses(&shop.program, "a", "image", 3).await;
    let page = ada.visit("/usage").await;
    page.must_say("1 request, billed in money");
    page.must_say("Image 1 billed in money");
    page.must_say("$2.97");
    assert_eq!(page.link("billed in money").as_deref(), Some("/billing#billed"));
    assert!(!page.says("Image 0"), "{}", page.text());
    let page = ada.visit("/dashboard").await;
    page.must_say("1 use in this period, billed in money.");
    assert!(!page.says("Image 0"), "{}", page.text());
    uses(&shop.program, "b", "text", 7).await;
    let page = ada.visit("/usage").await;
    page.must_say("7 credits and what is billed in money, in 2 requests");
    page.must_say("Text 1 7 Image 1 billed in money");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_billing_page_says_what_a_contract_bills_and_what_is_to_come() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    ada.visit("/billing").await.must_say("Free plan, nothing to pay.");
    let terms = "name = \"Pictures\"\nfeatures = [\"image\"]\n[meters]\nimage = 99";
    agree(&world, &shop.org_id, "beside", terms).await;
    let page = ada.visit("/billing").await;
    page.must_say("Free plan. What is billed after use stands below.");
    assert_eq!(page.link("What is billed").as_deref(), Some("#billed"));
    page.must_say("Image $0.99 each");
    let starts = world.engine.clock.now() + 10 * DAY * clock::SECOND;
    let terms = format!(
        "name = \"Acme\"\nreplaces = true\nstarts = \"{}\"\n[limits]\nseats = 50",
        clock::rfc3339(starts)
    );
    agree(&world, &shop.org_id, "instead", &terms).await;
    let page = ada.visit("/billing").await;
    page.must_say(&format!("Acme To come from {} (UTC) Seats up to 50", clock::day(starts)));
    page.must_say("Pictures In force from");
    world.advance(10 * DAY + 60).await;
    let page = ada.visit("/billing").await;
    page.must_say("Acme, by contract. What is billed stands below.");
    assert!(!page.says("nothing to pay"), "{}", page.text());
    let text = page.text();
    let at = |words: &str| text.find(words).expect(words);
    assert!(at("Billed after use") < at("Choose a plan"), "what holds comes first: {text}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_to_the_newest_lines_keeps_the_filters() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    for line in 0..26 {
        used_once(&shop.program, line).await;
    }
    let page = ada.visit("/usage?span=30d&meter=text").await;
    let older = ada.visit(&page.link("Older").expect("a second page")).await;
    let newest = older.link("Newest").expect("a way back");
    assert_eq!(newest, "/usage?span=30d&meter=text");
    assert_eq!(ada.visit(&newest).await.link("Older"), page.link("Older"));
    world.end().await;
}

async fn used_once(program: &Program, line: usize) {
    uses(program, &format!("line-{line}"), "text", 1).await;
}
