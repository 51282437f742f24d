//! The poll beside deliveries of the same events.

use std::time::Duration;

use serde_json::{Value, json};
use server::db::{Tx, sql};
use server::reconciliation;
use server::stripe::envelope;
use server::webhooks::{self, Arrival};
use tests::{Shop, World, WorldOptions};

/// Keeps an event as a delivery is kept, in a transaction that goes on.
async fn keep(world: &World, tx: &mut Tx, event: &Value) {
    let payload = event.to_string();
    let read = envelope::parse(payload.as_bytes()).expect("an event");
    let arrival = Arrival::now(&world.engine, "webhook");
    webhooks::keep(tx, &read, &payload, &arrival).await.expect("kept");
}

/// Until somebody in this database waits for a lock.
async fn somebody_waits(world: &World) {
    let text = "select count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'";
    let waiting = async {
        while world.rows::<(i64,)>(sql(text)).await[0].0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the poll waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_and_a_delivery_of_the_same_events_do_not_wait_in_a_ring() {
    // A14
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "Ring").await;
    world.settle().await;
    let known: Vec<(String,)> = world.rows(sql("select id from stripe_events")).await;
    world.control("faults", json!({ "webhooks": { "drop": 1.0 } })).await;
    shop.scene.subscribe("turnpike_pro_month", &[]).await;
    let id = |event: &Value| event["id"].as_str().expect("an id").to_owned();
    let mut fresh = shop.scene.stripe.events().await;
    fresh.retain(|event| !known.contains(&(id(event),)));
    fresh.sort_by_key(id);
    let (first, last) = (fresh.first().expect("events"), fresh.last().expect("events"));
    assert_ne!(id(first), id(last));
    // A delivery of both is under way while the poll comes upon them.
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    keep(&world, &mut tx, first).await;
    let engine = world.engine.clone();
    let poll = tokio::spawn(async move { reconciliation::poll_events(&engine).await });
    if world.database.is_postgres() {
        somebody_waits(&world).await;
    }
    keep(&world, &mut tx, last).await;
    tx.commit().await.expect("committed");
    let found = poll.await.expect("it ends").expect("polled");
    assert_eq!(found, fresh.len() - 2, "all but the two that were delivered");
    world.settle().await;
    world.end().await;
}
