//! Webhooks under everything that Stripe and the network may do to them: repeats, other ids for the
//! same fact, wrong order, old and thin shapes, and what is spoiled on the way.

use serde_json::{Value, json};
use server::db::sql;
use server::findings;
use tests::{Shop, World, WorldOptions};

/// Every story of mischief ends like the one without. `trace` is what the mischief leaves in what
/// was kept.
async fn purchase_under(faults: Value, trace: Option<&str>) {
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "Ada").await;
    world.control("faults", json!({ "webhooks": faults })).await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    shop.buy_pack(&world, "turnpike_pack_500").await;
    // What was spoiled on the way is sent again, a little later each time.
    for _ in 0..4 {
        world.advance(120).await;
    }
    assert_eq!(shop.standing().await.0, "2500", "{faults}");
    let text = "select source_kind, count(*) from grants where org_id = $1 and amount > 0
         and source_kind in ('allowance', 'pack') group by source_kind order by source_kind";
    let grants: Vec<(String, i64)> = world.rows(sql(text).bind(&shop.org_id)).await;
    assert_eq!(grants, [("allowance".to_owned(), 1), ("pack".to_owned(), 1)], "{faults}");
    let found = findings::list(&world.engine.db, true, 100).await.expect("read");
    assert!(found.is_empty(), "{faults}: {found:?}");
    if let Some(trace) = trace {
        let text = "select count(*) from stripe_events where type || ' ' || payload like $1";
        let (count,) = world.rows::<(i64,)>(sql(text).bind(trace)).await[0];
        assert!(count > 0, "{faults} leaves no {trace}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_fact_told_many_times_in_any_order_grants_once() {
    // A2, A3, A4, A16
    let faults = json!({
        "duplicate": 1.0, "new_id": 1.0, "shuffle": true, "unknown_type": 0.5, "seed": 7,
    });
    purchase_under(faults, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_the_shape_of_another_version_are_acted_on() {
    // A13
    let trace = Some("%\"api_version\": \"2024-06-20\"%");
    purchase_under(json!({ "old_version": 1.0, "seed": 3 }), trace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_only_name_their_object_are_acted_on() {
    // A13
    let trace = Some("%related_object%");
    purchase_under(json!({ "thin": 1.0, "seed": 3 }), trace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spoiled_on_the_way_is_refused_and_taken_when_it_comes_again() {
    // A1
    let faults = json!({
        "bad_signature": 0.4, "old_timestamp": 0.4, "truncated": 0.4, "huge": 0.4, "seed": 11,
    });
    purchase_under(faults, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_before_the_answer_that_caused_it_is_not_lost() {
    // A18
    purchase_under(json!({ "before_answer": true, "seed": 5 }), None).await;
}
