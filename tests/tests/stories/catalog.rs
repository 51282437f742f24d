//! The catalog comes from Stripe's metadata; a mistake hides one product and nothing else.

use serde_json::Value;
use server::catalog;
use tests::World;

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
