//! The catalog comes from Stripe's metadata; a mistake hides one product and nothing else.

use serde_json::Value;
use server::catalog;
use tests::{Shop, Stripe, World, WorldOptions};

use crate::trials::tier;

const DAY: i64 = 86_400;

/// Changes a product as somebody does in Stripe's dashboard.
async fn edit(world: &World, product: &str, metadata: &[(&str, &str)]) {
    let form: Vec<(String, String)> = metadata
        .iter()
        .map(|(key, value)| (format!("metadata[{key}]"), (*value).to_owned()))
        .collect();
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/products/{product}", world.stripe))
        .bearer_auth("sk_test_simulator")
        .form(&form)
        .send()
        .await
        .expect("the simulator answers");
    assert!(answer.status().is_success(), "{}", answer.text().await.expect("why"));
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_with_bad_metadata_is_hidden_and_reported_and_the_rest_is_sold() {
    // C3
    let world = World::new().await;
    for bad in ["1e9", "-1", "many", "", "1.5"] {
        edit(&world, "turnpike_pro", &[("included_credits", bad)]).await;
        let found = catalog::current(&world.engine.db).await.expect("a catalog");
        let tiers: Vec<&str> = found.tiers.iter().map(|tier| tier.tier.as_str()).collect();
        assert_eq!(tiers, ["free", "team"], "{bad:?}");
        let told = found.problems.iter().any(|problem| problem.object_id == "turnpike_pro");
        assert!(told, "{bad:?} is reported");
        let page = world.stranger().visit("/pricing").await;
        assert!(page.says("Team") && !page.says("Choose Pro"), "{}", page.text());
    }
    catalog::refresh(&world.engine).await.expect("a start in this state succeeds");
    edit(&world, "turnpike_pro", &[("included_credits", "2500")]).await;
    let page = world.stranger().visit("/pricing").await;
    page.must_say("2,500");
    page.must_say("Choose Pro");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_twice_changes_nothing_and_a_dry_run_changes_nothing_at_all() {
    let world = World::new().await;
    let file = catalog::CatalogFile::parse(catalog::BUILT_IN).expect("the example");
    let before = world.ask("events?limit=100").await;
    let again = catalog::push(&world.engine, &file, catalog::PushOptions::default()).await;
    assert!(again.expect("pushed").changes.is_empty());
    edit(&world, "turnpike_team", &[("included_credits", "1")]).await;
    let dry = catalog::PushOptions { dry_run: true, ..Default::default() };
    let planned = catalog::push(&world.engine, &file, dry).await.expect("planned");
    assert!(!planned.changes.is_empty());
    let drift = catalog::check(&world.engine, &file).await.expect("checked");
    assert!(!drift.is_empty(), "the drift is seen, because nothing was pushed");
    let after = world.ask("events?limit=100").await;
    let count = |events: &Value| events["data"].as_array().map_or(0, Vec::len);
    assert_eq!(count(&after), count(&before) + 1, "only the edit was an event");
    world.end().await;
}

/// What a tier includes now, by the pricing page's data.
async fn included(world: &World, tier: &str) -> String {
    let found = catalog::current(&world.engine.db).await.expect("a catalog");
    let tier = found.tiers.iter().find(|found| found.tier == tier).expect("the tier");
    tier.terms.included.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_renamed_tier_applies_from_the_next_period_on() {
    // C1, C6
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "renamed").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    edit(&world, "turnpike_pro", &[("tier", "solo"), ("included_credits", "2500")]).await;
    edit(&world, "turnpike_pro", &[("limit.keys", "20")]).await;
    let plan = async || shop.program.get("entitlements").await.body;
    assert_eq!(plan().await["limits"]["keys"], 10);
    assert_eq!(tier(&world, &shop.org_id).await, "pro");
    assert_eq!(shop.standing().await.0, "2000");
    assert_eq!(included(&world, "solo").await, "2500");
    world.advance(32 * DAY).await;
    assert_eq!(plan().await["limits"]["keys"], 20);
    assert_eq!(tier(&world, &shop.org_id).await, "solo");
    assert_eq!(shop.standing().await.0, "2500");
    // Going back finds the version that was there before.
    edit(&world, "turnpike_pro", &[("tier", "pro"), ("included_credits", "2000")]).await;
    edit(&world, "turnpike_pro", &[("limit.keys", "10")]).await;
    let text = "select id from tier_versions where product_id = 'turnpike_pro'";
    let versions = world.rows::<(String,)>(server::db::sql(text)).await.len();
    edit(&world, "turnpike_pro", &[("limit.keys", "20")]).await;
    edit(&world, "turnpike_pro", &[("limit.keys", "10")]).await;
    let after = world.rows::<(String,)>(server::db::sql(text)).await.len();
    assert!(after <= versions + 1, "{versions} became {after}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_price_is_not_sold_and_those_who_have_it_keep_it() {
    // C2
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "archived").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let price = shop.scene.price("turnpike_pro_month").await;
    shop.scene.stripe.post(&format!("prices/{price}"), &[("active", "false")]).await;
    world.settle().await;
    let found = catalog::current(&world.engine.db).await.expect("a catalog");
    let pro = found.tiers.iter().find(|tier| tier.tier == "pro").expect("sold by the year");
    assert!(pro.prices.iter().all(|sold| sold.id != price));
    let page = world.stranger().visit("/pricing").await;
    assert!(!page.html.contains(&price), "it is not offered");
    world.advance(32 * DAY).await;
    assert_eq!(shop.standing().await.0, "2000");
    assert_eq!(tier(&world, &shop.org_id).await, "pro");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_hundred_prices_are_read_and_conflicts_are_decided_and_told() {
    // C4, C5
    let world = World::new().await;
    let stripe = Stripe::at(&world.stripe);
    for amount in 0..105 {
        let amount = (5_000 + amount).to_string();
        let fields = [
            ("product", "turnpike_team"),
            ("currency", "usd"),
            ("unit_amount", amount.as_str()),
            ("recurring[interval]", "month"),
        ];
        stripe.post("prices", &fields).await;
    }
    world.settle().await;
    let found = catalog::current(&world.engine.db).await.expect("a catalog");
    let team = found.tiers.iter().find(|tier| tier.tier == "team").expect("the tier");
    let monthly: Vec<&str> = team
        .prices
        .iter()
        .filter(|price| price.interval == Some(catalog::Interval::Month))
        .filter_map(|price| price.lookup_key.as_deref())
        .collect();
    assert_eq!(monthly, ["turnpike_team_month"], "the one with a name is sold");
    let text = "select count(*) from catalog_prices where product_id = 'turnpike_team'";
    assert_eq!(world.rows::<(i64,)>(server::db::sql(text)).await, [(107,)]);
    let told = found.problems.iter().filter(|problem| problem.name == "price").count();
    assert_eq!(told, 105, "each that is not sold is told");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_currencies_are_apart_and_an_org_stays_in_its_own() {
    // C7
    let both = "monthly = 2900\ncurrencies = { eur = { monthly = 2700, yearly = 27000 } }";
    let jpy = "amount = 1000\ncurrencies = { jpy = 1500 }";
    let options =
        WorldOptions::nothing_free().catalog("monthly = 2900", both).catalog("amount = 1000", jpy);
    let world = World::with(options).await;
    let page = world.stranger().visit("/pricing").await;
    assert!(page.says("$29") && !page.says("€27"), "{}", page.text());
    let page = world.stranger().visit("/pricing?currency=eur").await;
    assert!(page.says("€27") && !page.says("$29"), "{}", page.text());
    world.stranger().visit("/pricing?currency=xxx").await.must_say("$29");
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.subscribe(&world, "turnpike_pro_month_eur").await;
    assert_eq!(shop.standing().await.0, "2000", "credits are the same in any currency");
    let page = ada.visit("/billing").await;
    page.must_say("€27.00 a month");
    assert!(page.link("Preview Team").is_none(), "it is not sold in euros: {}", page.text());
    let link = page.link("Preview Pro, €270 a year").expect("the year in euros");
    ada.visit(&link).await.must_say("This applies now");
    let dollars = shop.scene.price("turnpike_team_month").await;
    let other = ada.visit(&format!("/billing/change?price={dollars}")).await;
    other.must_say("stays in the currency");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_products_tag_on_a_price_keeps_it_from_being_sold() {
    // C9
    let world = World::new().await;
    let stripe = Stripe::at(&world.stripe);
    let price = stripe.get("prices?lookup_keys[]=turnpike_team_month").await;
    let id = price["data"][0]["id"].as_str().expect("an id");
    stripe.post(&format!("prices/{id}"), &[("metadata[product]", "other")]).await;
    world.settle().await;
    let found = catalog::current(&world.engine.db).await.expect("a catalog");
    let team = found.tiers.iter().find(|tier| tier.tier == "team").expect("by the year");
    assert!(team.prices.iter().all(|sold| sold.id != id));
    assert!(found.problems.iter().any(|problem| problem.object_id == id));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn add_ons_are_pushed_found_again_and_their_drift_is_told() {
    let world = World::new().await;
    let found = catalog::current(&world.engine.db).await.expect("a catalog");
    let boost = found.addons.iter().find(|addon| addon.tier == "boost").expect("the add-on");
    assert_eq!((boost.prices.len(), boost.terms.included.to_string().as_str()), (2, "1000"));
    let file = catalog::CatalogFile::parse(catalog::BUILT_IN).expect("the example");
    assert!(catalog::check(&world.engine, &file).await.expect("checked").is_empty());
    edit(&world, "turnpike_addon_boost", &[("included_credits", "9")]).await;
    let drift = catalog::check(&world.engine, &file).await.expect("checked");
    assert_eq!(drift, ["to update turnpike_addon_boost: metadata.included_credits"]);
    let mended = catalog::push(&world.engine, &file, catalog::PushOptions::default()).await;
    assert_eq!(mended.expect("pushed").changes.len(), 1);
    assert!(catalog::check(&world.engine, &file).await.expect("checked").is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_prices_are_written_only_where_that_is_said() {
    let world = World::new().await;
    let mut config = server::config::Config::clone(&world.engine.config);
    config.stripe_secret_key = server::config::Secret::new("sk_live_tests");
    config.database_url = format!("sqlite://{}", world.folder().join("live.db").display());
    config.migrate_on_start = true;
    let engine = server::engine::Engine::start(config).await.expect("started");
    let file = catalog::CatalogFile::parse(catalog::BUILT_IN).expect("the example");
    let refused = catalog::push(&engine, &file, catalog::PushOptions::default()).await;
    let message = refused.expect_err("refused").to_string();
    assert!(message.contains("--live"), "{message}");
    engine.stop().await;
    world.end().await;
}
