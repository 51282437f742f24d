//! The webhook endpoint: signatures, repeats, strangers, and two products in one account.

use hmac::{Hmac, Mac as _};
use reqwest::StatusCode;
use serde_json::json;
use server::audit::Actor;
use sha2::Sha256;
use tests::{World, WorldOptions};

const SECRET: &str = server::config::SIMULATOR_WEBHOOK_SECRET;

fn signature(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

async fn deliver(world: &World, signature: Option<String>, body: &str) -> StatusCode {
    let url = format!("{}/webhooks/stripe", world.url);
    let request = reqwest::Client::new().post(url).body(body.to_owned());
    let request = match signature {
        Some(signature) => request.header("stripe-signature", signature),
        None => request,
    };
    request.send().await.expect("an answer").status()
}

async fn stored(world: &World) -> i64 {
    let text = server::db::sql("select count(*) from stripe_events");
    world.engine.db.one::<(i64,)>(text).await.expect("counted").0
}

fn event(id: &str, kind: &str) -> String {
    json!({
        "id": id, "object": "event", "type": kind, "created": now(), "livemode": false,
        "api_version": "2026-09-30.endive",
        "data": { "object": { "id": "thing_1", "object": "thing", "metadata": null } },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_old_and_broken_events_are_refused_and_not_stored() {
    // A1
    let world = World::new().await;
    let before = stored(&world).await;
    let body = event("evt_bad", "customer.updated");
    let cases = [
        None,
        Some(String::new()),
        Some(signature("whsec_other", now(), &body)),
        Some(signature(SECRET, now() - 301, &body)),
        Some(signature(SECRET, now(), "something else")),
        Some(signature("", now(), &body)),
    ];
    for case in cases {
        assert_eq!(deliver(&world, case.clone(), &body).await, 400, "{case:?}");
    }
    let nonsense = "this is not JSON";
    let signed = signature(SECRET, now(), nonsense);
    assert_eq!(deliver(&world, Some(signed), nonsense).await, 400);
    let huge = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let signed = signature(SECRET, now(), &huge);
    assert_eq!(deliver(&world, Some(signed), &huge).await, 413);
    assert_eq!(stored(&world).await, before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_types_are_kept_and_repeats_are_stored_once() {
    // A2, A4, A9
    let world = World::new().await;
    let before = stored(&world).await;
    let body = event("evt_unknown", "moon.landed");
    let twins = (0..8).map(|_| deliver(&world, Some(signature(SECRET, now(), &body)), &body));
    let answers = futures::future::join_all(twins).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(stored(&world).await, before + 1);
    world.settle().await;
    world.end().await;
}

async fn status(world: &World, id: &str) -> String {
    let statement = server::db::sql("select status from stripe_events where id = $1").bind(id);
    world.engine.db.one::<(String,)>(statement).await.expect("stored").0
}

/// Passes the pause before the next try, on our clock alone, and lets the worker go on.
async fn next_try(world: &World) {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    world.engine.clock.advance(&mut tx, 2 * 3_600).await.expect("moved");
    tx.commit().await.expect("committed");
    server::webhooks::process_due(&world.engine, 100).await.expect("the worker goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_is_down_events_wait_and_are_never_given_up() {
    // A17
    let world = World::new().await;
    world.control("faults", json!({ "api": { "status": 500, "count": 1_000_000 } })).await;
    let body = event("evt_waits", "product.updated").replace("thing_1", "turnpike_pro");
    assert_eq!(deliver(&world, Some(signature(SECRET, now(), &body)), &body).await, 200);
    for _ in 0..3 {
        next_try(&world).await;
        assert_eq!(status(&world, "evt_waits").await, "pending");
    }
    world.control("faults", json!({ "api": { "status": 500, "count": 0 } })).await;
    next_try(&world).await;
    assert_eq!(status(&world, "evt_waits").await, "processed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_event_is_set_aside_in_the_end_and_holds_up_nobody() {
    // A7, A8
    let world = World::new().await;
    let poison = event("evt_poison", "customer.subscription.updated");
    let poison = poison.replace("\"id\":\"thing_1\",", "");
    assert_eq!(deliver(&world, Some(signature(SECRET, now(), &poison)), &poison).await, 200);
    let good = event("evt_good", "product.updated").replace("thing_1", "turnpike_pro");
    assert_eq!(deliver(&world, Some(signature(SECRET, now(), &good)), &good).await, 200);
    next_try(&world).await;
    assert_eq!(status(&world, "evt_good").await, "processed");
    let mut tries = 1;
    while status(&world, "evt_poison").await == "pending" {
        tries += 1;
        assert!(tries < 40, "it is set aside in the end");
        next_try(&world).await;
    }
    assert_eq!(status(&world, "evt_poison").await, "dead");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let time = world.engine.clock.now();
    server::webhooks::replay(&mut tx, "evt_poison", &Actor::System, time).await.expect("replayed");
    tx.commit().await.expect("committed");
    assert_eq!(status(&world, "evt_poison").await, "pending", "a person may try it again");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_products_in_one_account_never_see_each_other() {
    // A11, F13
    let one = World::new().await;
    let options = WorldOptions {
        tag: Some("other".to_owned()),
        stripe: Some(one.stripe.clone()),
        ..Default::default()
    };
    let two = World::with(options).await;
    let ada = one.sign_up("Ada").await;
    let org = one.org_of(&ada).await;
    let page = ada.visit("/pricing").await;
    let form = page.forms().into_iter().find(|form| form.action.contains("subscribe"));
    let card = ada.submit(&page, &form.expect("a plan to buy")).await;
    let payment =
        [("number", "4242424242424242"), ("expiry", "12 / 34"), ("cvc", "123"), ("name", "Ada")];
    ada.fill(&card, "/c/pay/", &payment).await;
    one.settle().await;
    two.settle().await;
    let balance = server::gate::standing(&one.engine, &org).await.expect("a balance");
    assert!(balance.available > server::units::Credits::from_whole(1000).expect("fits"));
    // The other product heard of it, kept no word of it and did nothing.
    let text =
        "select count(*) from stripe_events where status = 'foreign' and payload is not null";
    let kept = two.engine.db.one::<(i64,)>(server::db::sql(text)).await.expect("counted").0;
    assert_eq!(kept, 0);
    for table in ["grants", "customers", "subscriptions"] {
        let text = format!("select count(*) from {table}");
        let rows = two.engine.db.one::<(i64,)>(server::db::sql(text)).await.expect("counted").0;
        assert_eq!(rows, 0, "{table}");
    }
    for (world, foreign) in [(&one, "other_"), (&two, "turnpike_")] {
        let text = "select count(*) from catalog_prices where lookup_key like $1";
        let statement = server::db::sql(text).bind(format!("{foreign}%"));
        let rows = world.engine.db.one::<(i64,)>(statement).await.expect("counted").0;
        assert_eq!(rows, 0, "{foreign}");
    }
    two.end().await;
    one.end().await;
}
