//! The inbox: crashes, several workers at once, outages and refusals of the API, one customer's
//! trouble, strangers, the other mode, and long silences.

use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use server::audit::Actor;
use server::db::sql;
use server::findings::{self, Finding};
use server::stripe::inbox;
use server::webhooks::{self, process_due};
use sha2::Sha256;
use tests::{Shop, World, WorldOptions};

/// What the Pro plan includes in a month, in credits.
const PRO: &str = "2000";

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

/// Delivers an event as Stripe does.
async fn deliver(world: &World, event: &Value) -> u16 {
    let (at, body) = (now(), event.to_string());
    let secret = server::config::SIMULATOR_WEBHOOK_SECRET;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{at}.{body}").as_bytes());
    let signature = format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()));
    let request = reqwest::Client::new().post(format!("{}/webhooks/stripe", world.url));
    let request = request.header("stripe-signature", signature).body(body);
    request.send().await.expect("an answer").status().as_u16()
}

fn event(id: &str, kind: &str, object: Value) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "created": now(), "livemode": false,
        "api_version": "2026-09-30.endive", "data": { "object": object },
    })
}

async fn status(world: &World, id: &str) -> String {
    let text = sql("select status from stripe_events where id = $1").bind(id);
    world.rows::<(String,)>(text).await.pop().expect("stored").0
}

async fn open_findings(world: &World) -> Vec<Finding> {
    findings::list(&world.engine.db, true, 100).await.expect("read")
}

/// What every grant, block and entitlement of an org is, without ids that are made anew.
async fn state(world: &World, org_id: &str) -> Vec<(String, String)> {
    let grants = "select source_kind, source_ref || ' ' || amount || ' ' || remaining || ' ' ||
             coalesce(payment, '') from grants where org_id = $1 order by source_kind, source_ref";
    let mut all: Vec<(String, String)> = world.rows(sql(grants).bind(org_id)).await;
    let rights = "select kind, name || ' ' || source_kind || ' ' || coalesce(amount, 0)
         from entitlements where org_id = $1 order by kind, name, source_kind";
    all.extend(world.rows::<(String, String)>(sql(rights).bind(org_id)).await);
    let plans = "select tier, status || ' ' || subscription_id from org_plans where org_id = $1";
    all.extend(world.rows::<(String, String)>(sql(plans).bind(org_id)).await);
    let blocks = "select kind, subject from blocks where org_id = $1 and lifted_at is null";
    all.extend(world.rows::<(String, String)>(sql(blocks).bind(org_id)).await);
    all
}

async fn pro() -> (World, Shop) {
    let world = World::with(WorldOptions::nothing_free()).await;
    let shop = Shop::open(&world, "Ada").await;
    (world, shop)
}

#[tokio::test(flavor = "multi_thread")]
async fn replaying_the_whole_inbox_changes_nothing() {
    // A6, I14
    let (world, mut shop) = pro().await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    shop.buy_pack(&world, "turnpike_pack_500").await;
    let (before, standing) = (state(&world, &shop.org_id).await, shop.standing().await);
    let ids: Vec<(String,)> =
        world.rows(sql("select id from stripe_events where status = 'processed'")).await;
    assert!(ids.len() > 8, "a purchase is told by many events: {}", ids.len());
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    for (id,) in ids.iter().rev() {
        webhooks::replay(&mut tx, id, &Actor::System, world.engine.clock.now())
            .await
            .expect("replayed");
    }
    tx.commit().await.expect("committed");
    world.settle().await;
    assert_eq!(state(&world, &shop.org_id).await, before);
    assert_eq!(shop.standing().await, standing);
    for (id,) in &ids {
        assert_eq!(status(&world, id).await, "processed");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_had_taken_is_taken_by_another() {
    // A5
    let (world, mut shop) = pro().await;
    shop.scene.subscribe("turnpike_pro_month", &[]).await;
    while world.ask("idle").await["idle"] != json!(true) {
        tokio::task::yield_now().await;
    }
    // A worker claims everything and is never heard of again.
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let taken = inbox::claim(&mut tx, 100, world.engine.clock.now()).await.expect("claimed");
    tx.commit().await.expect("committed");
    assert!(taken.len() > 3, "{}", taken.len());
    assert_eq!(process_due(&world.engine, 1_000).await.expect("works"), 0, "it is being worked on");
    assert_eq!(shop.standing().await.0, "0");
    world.pass(31).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, PRO);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_and_a_returning_customer_at_once_are_as_one() {
    // A4, A16
    let (world, mut shop) = pro().await;
    let other = world.another(None).await;
    shop.scene.subscribe("turnpike_pro_month", &[]).await;
    while world.ask("idle").await["idle"] != json!(true) {
        tokio::task::yield_now().await;
    }
    let plan = shop.scene.id("plan").to_owned();
    let claim = inbox::Claim::default();
    let looks =
        (0..4).map(|_| server::subscriptions::sync::subscription(&world.engine, &plan, &claim));
    let (one, two, looked) = futures::join!(
        process_due(&world.engine, 1_000),
        process_due(&other.engine, 1_000),
        futures::future::join_all(looks),
    );
    one.expect("works");
    two.expect("works");
    // Overtaken again and again, a look gives up and is made anew; it never writes an older view.
    assert!(looked.iter().any(Result::is_ok), "{looked:?}");
    world.pass(60).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, PRO);
    other.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_answers_many_events_and_one_customers_trouble_is_its_own() {
    // A8
    let (world, mut ada) = pro().await;
    ada.subscribe(&world, "turnpike_pro_month").await;
    let mut bob = Shop::open(&world, "Bob").await;
    bob.subscribe(&world, "turnpike_pro_month").await;
    let (plan, customer) = (ada.scene.id("plan").to_owned(), ada.scene.customer().await);
    // Counts the calls about her subscription, and makes each fail.
    let path = format!("/v1/subscriptions/{plan}");
    let fault = json!({ "kind": "server_error", "path": path, "count": 1_000 });
    world.control("faults", json!({ "api": fault })).await;
    for number in 0..30 {
        let object = json!({ "id": plan, "object": "subscription", "customer": customer });
        let id = format!("evt_many_{number}");
        let told = event(&id, "customer.subscription.updated", object);
        assert_eq!(deliver(&world, &told).await, 200);
    }
    bob.scene.change(&[("cancel_at_period_end", "true")]).await;
    ada.scene.buy("turnpike_pack_500", "4242424242424242").await;
    world.settle().await;
    let left = world.ask("faults").await["api"][0]["count"].as_i64().expect("a count");
    // One look tries thrice; on a slow machine it comes again meanwhile.
    assert!((1..=9).contains(&(1_000 - left)), "not a look for each: {left} of 1000 are left");
    assert_eq!(status(&world, "evt_many_0").await, "pending");
    assert_eq!(ada.standing().await.0, "2500", "her other objects are looked at");
    let text = "select ends_at from subscriptions where org_id = $1";
    let ends: Vec<(Option<i64>,)> = world.rows(sql(text).bind(&bob.org_id)).await;
    assert!(ends[0].0.is_some(), "the other customer goes on");
    world.control("faults", json!({ "api": null })).await;
    world.pass(3_600).await;
    world.settle().await;
    assert_eq!(status(&world, "evt_many_29").await, "processed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_calls_are_made_again_later_and_nothing_is_given_up() {
    // A17
    let (world, mut shop) = pro().await;
    let fault = json!({ "kind": "rate_limit", "method": "GET", "count": 3 });
    shop.scene.subscribe("turnpike_pro_month", &[]).await;
    world.control("faults", json!({ "api": fault })).await;
    world.settle().await;
    world.pass(600).await;
    world.settle().await;
    let text = sql("select id from stripe_events where status in ('dead', 'pending')");
    assert!(world.rows::<(String,)>(text).await.is_empty());
    assert_eq!(shop.standing().await.0, PRO);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_json_and_calls_without_an_answer_are_tried_again() {
    // A17
    let (world, mut shop) = pro().await;
    shop.scene.subscribe("turnpike_pro_month", &[]).await;
    let faults = json!([
        { "kind": "html", "status": 502, "method": "GET", "count": 4 },
        { "kind": "reset", "method": "GET", "count": 4 },
        { "kind": "lock_timeout", "method": "GET", "count": 4 },
    ]);
    world.control("faults", json!({ "api": faults })).await;
    for _ in 0..6 {
        world.settle().await;
        world.pass(700).await;
    }
    world.settle().await;
    assert_eq!(shop.standing().await.0, PRO);
    assert!(open_findings(&world).await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_whom_nobody_knows_is_parked_and_found() {
    // A10
    let (world, shop) = pro().await;
    let stripe = &shop.scene.stripe;
    let stranger = stripe.post("customers", &[("email", "who@example.com")]).await;
    let stranger = stranger["id"].as_str().expect("an id").to_owned();
    let path = "payment_methods/pm_card_visa/attach";
    let card = stripe.post(path, &[("customer", &stranger)]).await;
    let card = card["id"].as_str().expect("an id").to_owned();
    let price = shop.scene.price("turnpike_pro_month").await;
    let fields = [
        ("customer", stranger.as_str()),
        ("items[0][price]", &price),
        ("default_payment_method", &card),
    ];
    let made = stripe.post("subscriptions", &fields).await;
    let made = made["id"].as_str().expect("an id").to_owned();
    world.settle().await;
    let found = open_findings(&world).await;
    let about: Vec<&str> = found.iter().map(|finding| finding.subject.as_str()).collect();
    assert!(about.contains(&made.as_str()), "{about:?}");
    assert!(found.iter().all(|finding| finding.kind == webhooks::UNMATCHED), "{found:?}");
    let parked = sql("select id from stripe_events where status = 'unmatched' and object_id = $1");
    assert!(!world.rows::<(String,)>(parked.bind(&made)).await.is_empty());
    // Somebody says whose it is; what was parked is tried again by itself.
    let label = [("metadata[product]", "turnpike"), ("metadata[org_id]", &shop.org_id)];
    stripe.post(&format!("customers/{stranger}"), &label).await;
    world.pass(6 * 3_600 + 60).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, PRO);
    let left = open_findings(&world).await;
    assert!(left.is_empty(), "{left:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_can_never_succeed_is_found_and_goes_when_it_is_replayed() {
    // A7
    let (world, mut shop) = pro().await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let plan = shop.scene.id("plan").to_owned();
    let fault = json!({ "kind": "server_error", "status": 400, "count": 1_000_000,
        "path": format!("/v1/subscriptions/{plan}") });
    world.control("faults", json!({ "api": fault })).await;
    let object = json!({ "id": plan, "object": "subscription" });
    let told = event("evt_dead", "customer.subscription.updated", object);
    assert_eq!(deliver(&world, &told).await, 200);
    for _ in 0..20 {
        process_due(&world.engine, 100).await.expect("works");
        world.pass(3_700).await;
    }
    assert_eq!(status(&world, "evt_dead").await, "dead");
    let found = open_findings(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind.as_str(), found[0].subject.as_str()), (webhooks::DEAD, &*plan));
    world.control("faults", json!({ "api": null })).await;
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let put_back = webhooks::replay_failed(&mut tx, &Actor::System, world.engine.clock.now()).await;
    tx.commit().await.expect("committed");
    assert_eq!(put_back.expect("replayed"), 1);
    process_due(&world.engine, 100).await.expect("works");
    assert_eq!(status(&world, "evt_dead").await, "processed");
    assert!(open_findings(&world).await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_other_mode_are_kept_without_effect_and_found() {
    // A12, I15
    let (world, mut shop) = pro().await;
    let customer = shop.scene.customer().await;
    let object = json!({ "id": "sub_live", "object": "subscription", "customer": customer });
    let mut told = event("evt_live", "customer.subscription.created", object);
    told["livemode"] = json!(true);
    for _ in 0..2 {
        assert_eq!(deliver(&world, &told).await, 200);
    }
    world.settle().await;
    assert_eq!(status(&world, "evt_live").await, "mode_mismatch");
    let found = open_findings(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, webhooks::MODE_MISMATCH);
    let rows: Vec<(String,)> = world.rows(sql("select subscription_id from subscriptions")).await;
    assert!(rows.is_empty());
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let replayed =
        webhooks::replay(&mut tx, "evt_live", &Actor::System, world.engine.clock.now()).await;
    assert!(replayed.is_err(), "it can never be acted on here");
    drop(tx);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_stays_ended_however_late_old_news_come() {
    // A16
    let (world, mut shop) = pro().await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let plan = shop.scene.id("plan").to_owned();
    shop.scene.stripe.delete(&format!("subscriptions/{plan}"), &[]).await;
    world.settle().await;
    let ended = state(&world, &shop.org_id).await;
    let text = "select status from subscriptions where subscription_id = $1";
    let canceled: Vec<(String,)> = world.rows(sql(text).bind(&plan)).await;
    assert_eq!(canceled[0].0, "canceled");
    let object = json!({ "id": plan, "object": "subscription", "status": "active" });
    for kind in ["customer.subscription.created", "customer.subscription.updated"] {
        assert_eq!(deliver(&world, &event(kind, kind, object.clone())).await, 200);
    }
    world.settle().await;
    assert_eq!(state(&world, &shop.org_id).await, ended);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_no_webhook_brings_are_read_from_the_list() {
    // A14
    let (world, mut shop) = pro().await;
    world.control("faults", json!({ "webhooks": { "drop": 1.0 } })).await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    assert_eq!(shop.standing().await.0, "0");
    world.advance(5 * 60 + 1).await;
    assert_eq!(shop.standing().await.0, PRO);
    let polled = "select count(*) from stripe_events where source = 'poll'";
    let (polled,) = world.rows::<(i64,)>(sql(polled)).await[0];
    assert!(polled > 5, "{polled}");
    // The same list again brings nothing new.
    let found = server::reconciliation::poll_events(&world.engine).await.expect("polled");
    assert_eq!(found, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_longer_than_stripe_remembers_is_told() {
    // A14
    let (world, _) = pro().await;
    let text = "update settings set value = $1 where name = 'stripe_events_watermark'";
    let long_ago = (now() - 31 * 24 * 3_600).to_string();
    assert_eq!(world.tamper(sql(text).bind(long_ago)).await, 1);
    server::reconciliation::poll_events(&world.engine).await.expect("polled");
    let found = open_findings(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, "events_gap");
    assert!(found[0].message.contains("--days 32"), "{}", found[0].message);
    // Read up to now, there is no new gap.
    server::reconciliation::poll_events(&world.engine).await.expect("polled");
    assert_eq!(open_findings(&world).await.len(), 1);
    world.end().await;
}
