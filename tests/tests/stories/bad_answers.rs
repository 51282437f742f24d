//! Answers of Stripe that are not what they should be: null where there was something, fields that
//! are missing, older shapes, words that nobody knows, and a page of somebody in between.

use serde_json::{Value, json};
use server::audit::Actor;
use server::db::sql;
use server::findings::{self, Finding};
use server::webhooks::{self, process_due};
use tests::hook::{deliver, event};
use tests::{Shop, Wire, World, WorldOptions};

const PRO: &str = "turnpike_pro_month";
const TEAM: &str = "turnpike_team_month";
const PACK: &str = "turnpike_pack_500";
const DAY: i64 = 86_400;
const HTML: &str = "<html><body><h1>This network wants you to sign in</h1></body></html>";

/// A world at the end of a line that can be spoiled.
async fn world() -> (Wire, World) {
    let wire = Wire::start().await;
    let stripe = Some(wire.url.clone());
    let world = World::with(WorldOptions { stripe, ..WorldOptions::nothing_free() }).await;
    (wire, world)
}

async fn end(wire: Wire, world: World) {
    world.end().await;
    wire.end().await;
}

async fn status(world: &World, id: &str) -> String {
    let text = sql("select status from stripe_events where id = $1").bind(id);
    world.rows::<(String,)>(text).await.pop().expect("stored").0
}

async fn open_findings(world: &World) -> Vec<Finding> {
    findings::list(&world.engine.db, true, 100).await.expect("read")
}

/// Everything that is waiting is tried until it is done or given up. Answers how many turns the
/// worker had something to do.
async fn until_nothing_is_tried(world: &World) -> usize {
    for turn in 0..40 {
        let tried = process_due(&world.engine, 1_000).await.expect("the worker goes on");
        let text = "select count(*) from stripe_events where status = 'pending'";
        if world.rows::<(i64,)>(sql(text)).await[0].0 == 0 {
            return turn;
        }
        assert!(tried < 1_000, "the same events are tried again and again");
        world.pass(3_700).await;
    }
    panic!("some events are never done and never given up");
}

/// Makes every object in an answer what `change` makes of it, those within lists too.
fn each(body: &mut Value, change: &impl Fn(&mut Value)) {
    match body {
        Value::Array(list) => list.iter_mut().for_each(|one| each(one, change)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|one| each(one, change));
            change(body);
        }
        _ => {}
    }
}

fn is_a(object: &Value, kind: &str) -> bool {
    object["object"] == kind
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_null_and_fields_that_nobody_needs_change_nothing() {
    let (wire, world) = world().await;
    let mut shop = Shop::open(&world, "Null").await;
    shop.card(&world, "pm_card_visa").await;
    wire.spoil(|path, mut body| {
        let needless = [
            "description",
            "number",
            "hosted_invoice_url",
            "invoice_pdf",
            "livemode",
            "cancel_at",
            "ended_at",
            "trial_end",
            "default_payment_method",
            "schedule",
            "url",
            "client_reference_id",
            "email",
            "test_clock",
            "billing_mode",
            "plan",
        ];
        if path.starts_with("/v1/products") || path.starts_with("/v1/prices") {
            return body.to_string();
        }
        each(&mut body, &|object| {
            let Some(fields) = object.as_object_mut() else { return };
            for name in needless {
                fields.remove(name);
            }
            if fields.contains_key("metadata") {
                fields.insert("metadata".to_owned(), Value::Null);
            }
        });
        body.to_string()
    });
    shop.subscribe(&world, PRO).await;
    let payment = shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.standing().await.0, "2500");
    shop.refund(&world, &payment, 500).await;
    assert_eq!(shop.standing().await.0, "2250");
    shop.scene.change(&[("cancel_at_period_end", "true")]).await;
    world.settle().await;
    assert!(open_findings(&world).await.is_empty(), "{:?}", open_findings(&world).await);
    let text = "select count(*) from stripe_events where status in ('pending', 'dead')";
    assert_eq!(world.rows::<(i64,)>(sql(text)).await, [(0,)]);
    end(wire, world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_what_is_needed_is_set_aside_told_and_done_when_it_is_mended() {
    // A13, A7
    type Lose = fn(&mut Value);
    let cases: [(&str, &str, Lose); 4] = [
        ("subscription", "customer.subscription.updated", |object| {
            for item in object["items"]["data"].as_array_mut().into_iter().flatten() {
                item.as_object_mut().map(|item| item.remove("current_period_end"));
            }
        }),
        ("subscription", "customer.subscription.updated", |object| {
            object.as_object_mut().map(|object| object.remove("status"));
        }),
        ("invoice", "invoice.paid", |object| {
            object.as_object_mut().map(|object| object.remove("lines"));
        }),
        ("invoice", "invoice.paid", |object| {
            for line in object["lines"]["data"].as_array_mut().into_iter().flatten() {
                line.as_object_mut().map(|line| line.remove("period"));
            }
        }),
    ];
    for (kind, told, lose) in cases {
        let (wire, world) = world().await;
        let mut shop = Shop::open(&world, "Lacks").await;
        shop.card(&world, "pm_card_visa").await;
        wire.spoil(move |_, mut body| {
            each(&mut body, &|object| {
                if is_a(object, kind) {
                    lose(object);
                }
            });
            body.to_string()
        });
        shop.scene.subscribe(PRO, &[]).await;
        let pack = shop.scene.price(PACK).await;
        assert!(pack.starts_with("price_"));
        shop.scene.buy(PACK, "4242424242424242").await;
        world.settle().await;
        let turns = until_nothing_is_tried(&world).await;
        assert!((10..25).contains(&turns), "{turns} turns");
        // Nothing is guessed of it, and what is whole came through.
        let grants = "select source_kind from grants where org_id = $1";
        let grants: Vec<(String,)> = world.rows(sql(grants).bind(&shop.org_id)).await;
        if kind == "invoice" {
            assert_eq!(grants, [("pack".to_owned(),)], "{told}");
        }
        assert!(grants.contains(&("pack".to_owned(),)), "{told}");
        let found = open_findings(&world).await;
        let subject = if kind == "invoice" { "first" } else { "plan" };
        let about = shop.scene.id(subject);
        let dead = found.iter().find(|one| one.subject == about).expect("it is told");
        assert_eq!(dead.kind, webhooks::DEAD);
        assert!(dead.message.contains("events replay --failed"), "{}", dead.message);
        wire.mend();
        let mut tx = world.engine.db.begin().await.expect("a transaction");
        let now = world.engine.clock.now();
        assert!(webhooks::replay_failed(&mut tx, &Actor::System, now).await.expect("replayed") > 0);
        tx.commit().await.expect("committed");
        until_nothing_is_tried(&world).await;
        assert_eq!(shop.standing().await.0, "2500", "{told}");
        assert!(open_findings(&world).await.is_empty(), "{:?}", open_findings(&world).await);
        end(wire, world).await;
    }
}

/// A subscription and an invoice as they were before the period moved to the items and the
/// references into `parent` and `pricing`.
fn before_basil(object: &mut Value) {
    if is_a(object, "subscription") {
        for name in ["current_period_start", "current_period_end"] {
            object[name] = object["items"]["data"][0][name].clone();
            for item in object["items"]["data"].as_array_mut().into_iter().flatten() {
                item.as_object_mut().map(|item| item.remove(name));
            }
        }
    } else if is_a(object, "invoice") {
        let details = object["parent"]["subscription_details"].clone();
        object["subscription"] = details["subscription"].clone();
        object["paid"] = json!(object["status"] == "paid");
        object.as_object_mut().map(|object| object.remove("parent"));
    } else if is_a(object, "line_item") {
        let details = object["parent"]["subscription_item_details"].clone();
        let price = object["pricing"]["price_details"]["price"].clone();
        object["subscription_item"] = details["subscription_item"].clone();
        object["proration"] = json!(details["proration"] == true);
        object["price"] = json!({ "id": price, "object": "price" });
        object["type"] = json!("subscription");
        for name in ["parent", "pricing"] {
            object.as_object_mut().map(|object| object.remove(name));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_the_shape_of_an_older_version_are_read_alike() {
    // A13
    let mut ends = Vec::new();
    for is_old in [false, true] {
        let (wire, world) = world().await;
        if is_old {
            wire.spoil(|_, mut body| {
                each(&mut body, &before_basil);
                body.to_string()
            });
        }
        let mut shop = Shop::open(&world, "Shapes").await;
        shop.subscribe(&world, PRO).await;
        let began = shop.standing().await.0;
        world.advance(12 * DAY).await;
        shop.scene.switch(TEAM).await;
        world.settle().await;
        shop.scene.change(&[("cancel_at_period_end", "true")]).await;
        world.settle().await;
        let tier = crate::trials::tier(&world, &shop.org_id).await;
        let text = "select ends_at is not null from subscriptions where org_id = $1";
        let ending: Vec<(bool,)> = world.rows(sql(text).bind(&shop.org_id)).await;
        // The clock runs on between the two lives: whole days are what they share.
        let (credits, _) = shop.standing().await;
        let credits: i64 = credits.parse().expect("whole credits");
        ends.push((began, credits / 10, tier, ending));
        assert!(open_findings(&world).await.is_empty(), "{:?}", open_findings(&world).await);
        end(wire, world).await;
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!((ends[0].0.as_str(), ends[0].2.as_str()), ("2000", "team"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_no_answer_is_waited_out_and_nothing_is_given_up() {
    // A17
    let (wire, world) = world().await;
    let mut shop = Shop::open(&world, "Captive").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    shop.subscribe(&world, PRO).await;
    for nonsense in [HTML, "", "{\"id\": \"sub_"] {
        wire.spoil(move |_, _| nonsense.to_owned());
        let id = format!("evt_captive_{}", nonsense.len());
        let plan = shop.scene.id("plan").to_owned();
        let object = json!({ "id": plan, "object": "subscription", "customer": customer });
        let told = event(&id, "customer.subscription.updated", object);
        assert_eq!(deliver(&world, &told).await, 200);
        for _ in 0..20 {
            process_due(&world.engine, 100).await.expect("the worker goes on");
            world.pass(3_700).await;
        }
        assert_eq!(status(&world, &id).await, "pending", "{nonsense:?}");
        assert_eq!(shop.program.consume(&id, "text", 1).await.status, 200);
        wire.mend();
        process_due(&world.engine, 100).await.expect("the worker goes on");
        assert_eq!(status(&world, &id).await, "processed", "{nonsense:?}");
    }
    end(wire, world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_nobody_knows_is_never_guessed() {
    let (wire, world) = world().await;
    let mut shop = Shop::open(&world, "Words").await;
    shop.subscribe(&world, PRO).await;
    wire.spoil(|_, mut body| {
        each(&mut body, &|object| {
            if is_a(object, "subscription") {
                object["status"] = json!("hibernating");
            }
        });
        body.to_string()
    });
    shop.scene.change(&[("metadata[note]", "x")]).await;
    world.settle().await;
    until_nothing_is_tried(&world).await;
    let text = "select status from subscriptions where org_id = $1";
    let known = world.rows::<(String,)>(sql(text).bind(&shop.org_id)).await;
    assert_eq!(known, [("active".to_owned(),)], "the last known state counts");
    let found = open_findings(&world).await;
    assert_eq!((found.len(), found[0].kind.as_str()), (1, webhooks::DEAD), "{found:?}");
    assert!(found[0].message.contains("hibernating"), "{}", found[0].message);
    end(wire, world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_stops_being_paid_takes_its_credits_and_gives_them_back_when_it_is_again() {
    // E16
    for word in ["void", "uncollectible"] {
        let (wire, world) = world().await;
        let mut shop = Shop::open(&world, "Unpaid").await;
        let invoice = shop.subscribe(&world, PRO).await;
        assert_eq!(shop.program.consume("a", "text", 500).await.status, 200);
        let object = json!({ "id": invoice, "object": "invoice" });
        let tell = async |id: &str, kind: &str| {
            assert_eq!(deliver(&world, &event(id, kind, object.clone())).await, 200);
            world.settle().await;
        };
        let first = invoice.clone();
        wire.spoil(move |_, mut body| {
            each(&mut body, &|object| {
                if object["id"] == first.as_str() {
                    object["status"] = json!(word);
                }
            });
            body.to_string()
        });
        for id in ["evt_one", "evt_two"] {
            tell(id, "invoice.updated").await;
            assert_eq!(shop.standing().await, ("0".to_owned(), "500".to_owned()), "{word}");
        }
        assert_eq!(shop.news(&world).await.len(), 1, "told once");
        wire.mend();
        tell("evt_three", "invoice.paid").await;
        assert_eq!(shop.standing().await, ("1500".to_owned(), "0".to_owned()), "{word}");
        end(wire, world).await;
    }
}
