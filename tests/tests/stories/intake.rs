//! How news of Stripe come in: whose signature counts, news that come late or by several ways,
//! types that a newer version knows, buyers from a link, other products, and outages.

use serde_json::{Value, json};
use server::audit::Actor;
use server::db::sql;
use server::findings;
use server::reconciliation;
use server::webhooks::{self, process_due};
use tests::hook::{deliver, deliver_as, event, now, signature};
use tests::{Shop, Stripe, World, WorldOptions};

use crate::purchase::{buy_pack, subscribe};

const PRO: &str = "turnpike_pro_month";
const PACK: &str = "turnpike_pack_500";
const DAY: i64 = 86_400;

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

/// How many events there are of each status.
async fn statuses(world: &World) -> Vec<(String, i64)> {
    let text = "select status, count(*) from stripe_events group by status order by status";
    world.rows(sql(text)).await
}

async fn count(world: &World, status: &str) -> i64 {
    let text = sql("select count(*) from stripe_events where status = $1").bind(status);
    world.rows::<(i64,)>(text).await[0].0
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_rolled_the_old_and_the_new_one_count_and_without_any_nothing_does() {
    // A1
    let secrets = "whsec_new, whsec_simulator";
    let vars = vec![("STRIPE_WEBHOOK_SECRET".to_owned(), secrets.to_owned())];
    let rolled = World::with(WorldOptions { vars, ..WorldOptions::nothing_free() }).await;
    let body = event("evt_rolled", "moon.landed", json!({ "id": "moon" })).to_string();
    let (at, body) = (now(), body.as_bytes());
    let v1 = |secret: &str| signature(secret, at, body);
    let cases = [
        (format!("t={at},v1={}", v1("whsec_new")), 200),
        (format!("t={at},v1={}", v1("whsec_simulator")), 200),
        (format!("t={at},v1={},v1={}", v1("whsec_gone"), v1("whsec_new")), 200),
        (format!("t={at},v1={},v0={}", v1("whsec_gone"), v1("whsec_new")), 400),
        (format!("t={at},v1={}", v1("")), 400),
    ];
    for (header, expected) in cases {
        assert_eq!(deliver_as(&rolled.url, &header, body).await, expected, "{header}");
    }
    assert_eq!(count(&rolled, "ignored").await, 1, "four deliveries, one event");
    // Without a secret the endpoint is off, and an empty one opens nothing.
    let vars = [("STRIPE_SECRET_KEY", "sk_test_other"), ("STRIPE_API_BASE", &rolled.stripe)];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let stripe = Some(rolled.stripe.clone());
    let off = World::with(WorldOptions { vars, stripe, empty_catalog: true, ..Default::default() });
    let off = off.await;
    for secret in ["", "whsec_simulator"] {
        let header = format!("t={at},v1={}", v1(secret));
        assert_eq!(deliver_as(&off.url, &header, body).await, 400, "{secret:?}");
    }
    assert!(statuses(&off).await.is_empty());
    off.end().await;
    rolled.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_again_twenty_days_later_is_known_and_changes_nothing() {
    // A2
    let world = world().await;
    let mut shop = Shop::open(&world, "Later").await;
    shop.subscribe(&world, PRO).await;
    shop.buy_pack(&world, PACK).await;
    assert_eq!(shop.program.consume("a", "text", 2_100).await.status, 200);
    let told = shop.scene.stripe.events().await;
    world.advance(20 * DAY).await;
    let kept = "select id, attempts, settled_at from stripe_events order by id";
    let before: Vec<(String, i64, Option<i64>)> = world.rows(sql(kept)).await;
    for event in &told {
        let path = format!("events/{}/resend", event["id"].as_str().expect("an id"));
        world.control(&path, json!({ "times": 2 })).await;
    }
    world.settle().await;
    let after: Vec<(String, i64, Option<i64>)> = world.rows(sql(kept)).await;
    assert!(before.len() >= told.len() && told.len() > 10, "{}", told.len());
    assert_eq!(after, before, "none is stored or worked on again");
    assert_eq!(shop.standing().await.0, "400");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_whichever_way_a_payment_is_heard_of_it_is_granted_once() {
    // A3: the page that people come back to, the comparison, the list of events, other event ids,
    // and at last the webhooks.
    let world = world().await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    world.control("webhooks/hold", json!({ "hold": true })).await;
    let back = buy_pack(&world, &ada, PACK).await;
    assert_eq!(back.url.path(), "/billing/return");
    assert_eq!(shop.standing().await.0, "500", "who comes back has it");
    ada.visit(back.url.as_str()).await.must_say("Your credits are here");
    let plan = reconciliation::plan(&world.engine).await.expect("planned");
    let missing = plan.steps.iter().any(|step| step.kind == "paid_without_grant");
    assert!(!missing, "{:#?}", plan.steps);
    let operator = server::audit::Actor::Operator("tests".to_owned());
    reconciliation::apply(&world.engine, &plan, &operator).await.expect("applied");
    assert!(reconciliation::poll_events(&world.engine).await.expect("polled") > 3);
    process_due(&world.engine, 100).await.expect("works");
    let text = "select payload from stripe_events where type = 'checkout.session.completed'";
    let (payload,): (String,) = world.rows(sql(text)).await.remove(0);
    for kind in ["checkout.session.completed", "checkout.session.async_payment_succeeded"] {
        let mut again: Value = serde_json::from_str(&payload).expect("JSON");
        again["id"] = json!(format!("evt_again_{kind}"));
        again["type"] = json!(kind);
        assert_eq!(deliver(&world, &again).await, 200);
    }
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "500");
    let grants = "select count(*) from grants where org_id = $1 and source_kind = 'pack'";
    assert_eq!(world.rows::<(i64,)>(sql(grants).bind(&shop.org_id)).await, [(1,)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_nobody_knew_is_kept_and_acted_on_after_an_upgrade() {
    // A9
    let world = world().await;
    let mut shop = Shop::open(&world, "Early").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    world.control("faults", json!({ "webhooks": { "drop": 1.0 } })).await;
    shop.subscribe(&world, PRO).await;
    let invoice = shop.scene.id("first").to_owned();
    let object = json!({ "id": invoice, "object": "invoice", "customer": customer });
    let told = event("evt_new", "bill.settled", object);
    assert_eq!(deliver(&world, &told).await, 200);
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    webhooks::replay(&mut tx, "evt_new", &Actor::System, world.engine.clock.now())
        .await
        .expect("replayed");
    tx.commit().await.expect("committed");
    process_due(&world.engine, 100).await.expect("works");
    let status = async || {
        let text = "select status from stripe_events where id = 'evt_new'";
        world.rows::<(String,)>(sql(text)).await.remove(0).0
    };
    assert_eq!(status().await, "ignored", "this version still does not know it");
    assert_eq!(shop.standing().await.0, "0");
    // The next version knows what it means.
    let upgrade = "update stripe_events set type = 'invoice.paid' where id = 'evt_new'";
    assert_eq!(world.tamper(sql(upgrade)).await, 1);
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    webhooks::replay(&mut tx, "evt_new", &Actor::System, world.engine.clock.now())
        .await
        .expect("replayed");
    tx.commit().await.expect("committed");
    process_due(&world.engine, 100).await.expect("works");
    assert_eq!(status().await, "processed");
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_buys_by_a_link_that_names_an_org_is_that_orgs_customer() {
    // A10
    let world = world().await;
    let shop = Shop::open(&world, "Linked").await;
    let stripe = &shop.scene.stripe;
    let buyer = stripe.post("customers", &[("email", "linked@example.com")]).await;
    let buyer = buyer["id"].as_str().expect("an id").to_owned();
    let (pack, plan) = (shop.scene.price(PACK).await, shop.scene.price(PRO).await);
    let back = format!("{}/_sim/idle", world.stripe);
    let open = async |mode: &str, price: &str, org: &str| {
        let fields = [
            ("mode", mode),
            ("customer", buyer.as_str()),
            ("client_reference_id", org),
            ("line_items[0][price]", price),
            ("line_items[0][quantity]", "1"),
            ("success_url", &back),
        ];
        let session = stripe.post("checkout/sessions", &fields).await;
        shop.scene.pay(&session, "4242424242424242").await;
        world.settle().await;
    };
    // A reference to nobody is parked and found.
    open("payment", &pack, "org_nobody").await;
    let found = findings::list(&world.engine.db, true, 10).await.expect("read");
    let about = found.iter().filter(|one| one.kind == webhooks::UNMATCHED).count();
    assert!(about >= 1 && count(&world, "unmatched").await >= 1, "{found:?}");
    assert_eq!(shop.standing().await.0, "0");
    open("payment", &pack, &shop.org_id).await;
    assert_eq!(shop.standing().await.0, "500");
    open("subscription", &plan, &shop.org_id).await;
    assert_eq!(shop.standing().await.0, "2500");
    // Now that the buyer is known, what was parked comes, too.
    world.pass(6 * 3_600 + 60).await;
    world.settle().await;
    assert_eq!((shop.standing().await.0.as_str(), count(&world, "unmatched").await), ("3000", 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_products_events_are_known_after_one_look_erased_and_counted() {
    // A11
    let world = world().await;
    let stripe = Stripe::at(&world.stripe);
    let product = stripe.post("products", &[("name", "Theirs")]).await;
    let price = [
        ("product", product["id"].as_str().expect("an id")),
        ("currency", "usd"),
        ("unit_amount", "900"),
        ("recurring[interval]", "month"),
    ];
    let price = stripe.post("prices", &price).await;
    for label in [Some("other"), None] {
        let mut fields = vec![("email", "private@example.com")];
        fields.extend(label.map(|tag| ("metadata[product]", tag)));
        let customer = stripe.post("customers", &fields).await;
        let customer = customer["id"].as_str().expect("an id").to_owned();
        let attach = "payment_methods/pm_card_visa/attach";
        let card = stripe.post(attach, &[("customer", &customer)]).await;
        let fields = [
            ("customer", customer.as_str()),
            ("items[0][price]", price["id"].as_str().expect("an id")),
            ("default_payment_method", card["id"].as_str().expect("an id")),
        ];
        stripe.post("subscriptions", &fields).await;
        world.settle().await;
        let text = "select type, payload from stripe_events
             where customer_id = $1 and status in ('foreign', 'ignored') order by type";
        let kept: Vec<(String, Option<String>)> = world.rows(sql(text).bind(&customer)).await;
        let types: Vec<&str> = kept.iter().map(|row| row.0.as_str()).collect();
        for kind in ["customer.subscription.created", "invoice.paid", "charge.succeeded"] {
            assert!(types.contains(&kind), "{label:?}: {types:?}");
        }
        assert!(kept.iter().all(|row| row.1.is_none()), "not a word of theirs is kept: {kept:?}");
    }
    for status in ["pending", "unmatched", "dead"] {
        assert_eq!(count(&world, status).await, 0, "{status}");
    }
    for table in ["customers", "subscriptions", "invoices", "findings"] {
        let rows = world.rows::<(i64,)>(sql(format!("select count(*) from {table}"))).await;
        assert_eq!(rows, [(0,)], "{table}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_is_down_the_last_known_state_counts_and_then_its_grace() {
    // A17
    let world = world().await;
    world.to_july().await;
    let mut shop = Shop::open(&world, "Offline").await;
    shop.subscribe(&world, PRO).await;
    let down = json!({ "api": { "status": 500, "count": 1_000_000 }, "webhooks": { "drop": 1.0 } });
    world.control("faults", down).await;
    world.pass(10 * DAY).await;
    assert_eq!(shop.program.consume("a", "image", 10).await.status, 200);
    // The period turns, and nobody hears whether the next one is paid.
    world.pass(22 * DAY).await;
    process_due(&world.engine, 100).await.expect("works");
    assert_eq!(shop.program.consume("b", "image", 10).await.status, 200, "within the grace");
    assert_eq!(shop.standing().await.0, "1600");
    assert_eq!(crate::trials::tier(&world, &shop.org_id).await, "pro");
    world.pass(3 * DAY).await;
    let refused = shop.program.consume("c", "image", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "insufficient_credits"));
    // It is back, and so is what was paid meanwhile.
    world.control("faults", json!({ "api": null, "webhooks": {} })).await;
    world.control("clock", json!({ "advance_seconds": 35 * DAY })).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_of_our_own_calls_is_worked_on_meanwhile_and_changes_nothing() {
    // A18
    let terms = "included_credits = 2000\nper_seat = true";
    let options = WorldOptions::nothing_free().catalog("included_credits = 2000", terms);
    let world = World::with(options).await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    world.control("faults", json!({ "webhooks": { "before_answer": true } })).await;
    subscribe(&world, &ada).await;
    world.advance(10 * DAY).await;
    // The worker hears of the change while the page still waits for Stripe's answer.
    let page = ada.visit("/billing").await;
    let change = async {
        let form = [("seats", "3")];
        ada.fill(&page, "set_seats", &form).await.must_say("You have 3 seats.");
    };
    let works = async {
        for _ in 0..200 {
            process_due(&world.engine, 100).await.expect("works");
            tokio::task::yield_now().await;
        }
    };
    futures::join!(change, works);
    let after = shop.standing().await;
    world.settle().await;
    assert_eq!(shop.standing().await, after, "the echo finds it as it is");
    let text = "select quantity from subscription_items";
    assert_eq!(world.rows::<(i64,)>(sql(text)).await, [(3,)]);
    let text = "select count(*) from stripe_events
         where type = 'customer.subscription.updated' and status = 'processed'";
    assert!(world.rows::<(i64,)>(sql(text)).await[0].0 >= 1, "{:?}", statuses(&world).await);
    for status in ["pending", "unmatched", "dead"] {
        assert_eq!(count(&world, status).await, 0, "{status}");
    }
    let kept = shop.scene.stripe.events().await.len();
    let stored = statuses(&world).await.iter().map(|row| row.1).sum::<i64>();
    assert_eq!(usize::try_from(stored).expect("fits"), kept, "none was dropped");
    world.end().await;
}
