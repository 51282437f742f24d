//! Events that are not what they should be: every one is refused at the door, done with, or set
//! aside where somebody sees it; none is dropped, and none keeps the worker busy for ever.

use serde_json::{Value, json};
use server::db::sql;
use server::findings;
use server::stripe::inbox::Claim;
use server::subscriptions::sync;
use server::webhooks::endpoint::EVENTS;
use server::webhooks::{self, process_due};
use tests::hook::{deliver, deliver_raw, event};
use tests::{Shop, World, WorldOptions};

const PRO: &str = "turnpike_pro_month";

async fn world() -> (World, Shop) {
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "Ada").await;
    shop.card(&world, "pm_card_visa").await;
    shop.subscribe(&world, PRO).await;
    (world, shop)
}

async fn stored(world: &World) -> i64 {
    world.rows::<(i64,)>(sql("select count(*) from stripe_events")).await[0].0
}

async fn status(world: &World, id: &str) -> String {
    let text = sql("select status from stripe_events where id = $1").bind(id);
    world.rows::<(String,)>(text).await.pop().unwrap_or_else(|| panic!("{id} was dropped")).0
}

/// Lets the worker try until nothing is pending.
async fn until_nothing_is_tried(world: &World) {
    for _ in 0..40 {
        process_due(&world.engine, 10_000).await.expect("the worker goes on");
        let text = "select count(*) from stripe_events where status = 'pending'";
        if world.rows::<(i64,)>(sql(text)).await[0].0 == 0 {
            return;
        }
        world.pass(3_700).await;
    }
    panic!("some events are never done and never given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_event_are_refused_and_leave_nothing_behind() {
    // A1
    let (world, shop) = world().await;
    let before = stored(&world).await;
    let whole = event("evt_whole", "invoice.paid", json!({ "id": "in_1", "object": "invoice" }));
    let whole = whole.to_string();
    let deep = format!(
        "{{\"id\":\"evt_deep\",\"type\":\"x\",\"data\":{{\"object\":{}{}}}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let long = "x".repeat(256);
    let huge = format!("{{\"id\":\"evt_huge\",\"type\":\"x\",\"y\":\"{}\"}}", "y".repeat(1 << 20));
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("nothing", Vec::new(), 400),
        ("white space", b" \n ".to_vec(), 400),
        ("truncated", whole.as_bytes()[..whole.len() / 2].to_vec(), 400),
        ("one byte too few", whole.as_bytes()[..whole.len() - 1].to_vec(), 400),
        ("twice", format!("{whole}{whole}").into_bytes(), 400),
        ("no UTF-8", [whole.as_bytes(), b"\xff"].concat(), 400),
        ("no JSON", b"<html><body>502 Bad Gateway</body></html>".to_vec(), 400),
        ("a list", format!("[{whole}]").into_bytes(), 400),
        ("null", b"null".to_vec(), 400),
        ("nested without end", deep.into_bytes(), 400),
        ("no id", json!({ "type": "invoice.paid" }).to_string().into_bytes(), 400),
        ("no type", json!({ "id": "evt_1" }).to_string().into_bytes(), 400),
        ("a null id", json!({ "id": null, "type": "x" }).to_string().into_bytes(), 400),
        ("an empty id", json!({ "id": "", "type": "x" }).to_string().into_bytes(), 400),
        ("a long id", json!({ "id": long, "type": "x" }).to_string().into_bytes(), 400),
        ("a long type", json!({ "id": "evt_1", "type": long }).to_string().into_bytes(), 400),
        ("huge", huge.into_bytes(), 413),
    ];
    for (name, body, expected) in cases {
        assert_eq!(deliver_raw(&world, &body).await, expected, "{name}");
    }
    assert_eq!(stored(&world).await, before);
    // The endpoint is as it was.
    assert_eq!(deliver(&world, &event("evt_fine", "x", json!({}))).await, 200);
    assert_eq!(stored(&world).await, before + 1);
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_odd_shapes_are_taken_and_come_to_an_end_that_somebody_sees() {
    // A7, A8, A13
    let (world, shop) = world().await;
    let (plan, kind) = (shop.scene.id("plan").to_owned(), "customer.subscription.updated");
    let odd = |id: &str, change: &dyn Fn(&mut Value)| {
        let object = json!({ "id": plan, "object": "subscription", "metadata": null });
        let mut made = event(id, kind, object);
        change(&mut made);
        made
    };
    let lose = |made: &mut Value, name: &str| {
        made.as_object_mut().map(|made| made.remove(name));
    };
    let thin = json!({ "id": plan, "type": "subscription", "url": "/v1/subscriptions/x" });
    let cases = [
        // What names its object is done, whatever else it says.
        (odd("evt_null", &|_| {}), "processed"),
        (odd("evt_bare", &|made| made["data"]["object"] = json!({ "id": plan })), "processed"),
        (odd("evt_timeless", &|made| lose(made, "created")), "processed"),
        (odd("evt_unversioned", &|made| lose(made, "api_version")), "processed"),
        (odd("evt_moded", &|made| lose(made, "livemode")), "processed"),
        (odd("evt_future", &|made| made["api_version"] = json!("2031-01-01.zebra")), "processed"),
        (odd("evt_more", &|made| made["surprise"] = json!([{ "deep": [1, 2] }])), "processed"),
        (odd("evt_words", &|made| made["created"] = json!("yesterday")), "processed"),
        (
            odd("evt_expanded", &|made| {
                made["data"]["object"]["customer"] = json!({ "id": "cus_none", "deleted": true });
            }),
            "processed",
        ),
        (
            odd("evt_thin", &|made| {
                lose(made, "data");
                made["object"] = json!("v2.core.event");
                made["type"] = json!(format!("v1.{kind}"));
                made["created"] = json!("2026-10-01T00:00:00.000Z");
                made["related_object"] = thin.clone();
            }),
            "processed",
        ),
        // What names nothing can never be done.
        (odd("evt_dataless", &|made| lose(made, "data")), "dead"),
        (odd("evt_datanull", &|made| made["data"] = Value::Null), "dead"),
        (odd("evt_objectless", &|made| made["data"] = json!({})), "dead"),
        (odd("evt_list", &|made| made["data"]["object"] = json!([plan])), "dead"),
        (odd("evt_text", &|made| made["data"]["object"] = json!(plan)), "dead"),
        (odd("evt_number", &|made| made["data"]["object"]["id"] = json!(7)), "dead"),
        (odd("evt_idnull", &|made| made["data"]["object"]["id"] = Value::Null), "dead"),
    ];
    for (made, _) in &cases {
        assert_eq!(deliver(&world, made).await, 200, "{made}");
    }
    until_nothing_is_tried(&world).await;
    let found = findings::list(&world.engine.db, true, 100).await.expect("read");
    for (made, expected) in &cases {
        let id = made["id"].as_str().expect("an id");
        assert_eq!(status(&world, id).await, *expected, "{made}");
        let told = found.iter().any(|one| one.kind == webhooks::DEAD && one.subject == id);
        assert_eq!(told, *expected == "dead", "{id}: {found:?}");
    }
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_what_stripe_does_not_have_are_done_with_and_change_nothing() {
    // A10, A16
    let (world, mut shop) = world().await;
    let customer = shop.scene.customer().await;
    let grants = "select id, amount, remaining from grants order by id";
    let before: Vec<(String, i64, i64)> = world.rows(sql(grants)).await;
    let mut ids = Vec::new();
    for kind in EVENTS {
        for (whose, name) in [("ours", &*customer), ("nobodys", "cus_nobody")] {
            let id = format!("evt_{whose}_{kind}");
            let kind_of = kind.rsplit_once('.').map_or(kind, |(kind, _)| kind);
            let object = match kind_of {
                "customer" if whose == "ours" => continue,
                "customer" => json!({ "id": name, "object": "customer", "metadata": null }),
                _ => {
                    let missing = format!("{}_nowhere", kind_of.replace('.', "_"));
                    json!({ "id": missing, "object": kind_of, "customer": name, "metadata": null })
                }
            };
            assert_eq!(deliver(&world, &event(&id, kind, object)).await, 200);
            ids.push(id);
        }
    }
    until_nothing_is_tried(&world).await;
    assert!(ids.len() > 100, "{}", ids.len());
    for id in ids {
        let status = status(&world, &id).await;
        assert!(matches!(&*status, "processed" | "foreign"), "{id} is {status}");
    }
    assert!(findings::list(&world.engine.db, true, 10).await.expect("read").is_empty());
    let after: Vec<(String, i64, i64)> = world.rows(sql(grants)).await;
    assert_eq!(after, before);
    assert_eq!(crate::trials::tier(&world, &shop.org_id).await, "pro");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_ours_named_in_anothers_event_lends_it_nothing() {
    // A10: what an event says of its customer is a hint; whose the object is, Stripe says.
    let (world, mut shop) = world().await;
    let mut bob = Shop::open(&world, "Bob").await;
    bob.subscribe(&world, PRO).await;
    let adas = shop.scene.customer().await;
    let bobs = bob.scene.id("plan").to_owned();
    bob.scene.change(&[("cancel_at_period_end", "true")]).await;
    let object = json!({ "id": bobs, "object": "subscription", "customer": adas });
    let told = event("evt_mixed", "customer.subscription.updated", object);
    assert_eq!(deliver(&world, &told).await, 200);
    world.settle().await;
    assert_eq!(status(&world, "evt_mixed").await, "processed");
    let text = "select org_id, ends_at is not null from subscriptions order by org_id";
    let rows: Vec<(String, bool)> = world.rows(sql(text)).await;
    let mut expected = vec![(shop.org_id.clone(), false), (bob.org_id.clone(), true)];
    expected.sort();
    assert_eq!(rows, expected);
    let claim = Claim::default();
    sync::subscription(&world.engine, &bobs, &claim).await.expect("looked at");
    assert_eq!((shop.standing().await.0, bob.standing().await.0), ("2000".into(), "2000".into()));
    world.end().await;
}
