//! Reconciliation: what Stripe has and we do not, what we have and Stripe does not, and that
//! looking is not touching.

use std::collections::BTreeMap;

use serde_json::json;
use server::audit::Actor;
use server::db::sql;
use server::findings::{self, Finding};
use server::reconciliation::{self, Plan};
use tests::{Shop, World, WorldOptions};

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

/// From now on no webhook arrives.
async fn cut_the_line(world: &World) {
    world.control("faults", json!({ "webhooks": { "drop": 1.0 } })).await;
}

async fn plan(world: &World) -> Plan {
    reconciliation::plan(&world.engine).await.expect("planned")
}

async fn apply(world: &World, plan: &Plan) -> reconciliation::Applied {
    let operator = Actor::Operator("tests".to_owned());
    let applied = reconciliation::apply(&world.engine, plan, &operator).await.expect("applied");
    world.settle().await;
    applied
}

async fn no_difference(world: &World) {
    let found = plan(world).await;
    assert!(found.steps.is_empty(), "{:#?}", found.steps);
}

/// How many differences of each kind.
fn kinds(plan: &Plan) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for step in &plan.steps {
        *kinds.entry(step.kind).or_default() += 1;
    }
    kinds
}

async fn audits(world: &World) -> i64 {
    let text = "select count(*) from audits where action = 'reconciliation.apply'";
    world.rows::<(i64,)>(sql(text)).await[0].0
}

async fn open_findings(world: &World) -> Vec<Finding> {
    findings::list(&world.engine.db, true, 100).await.expect("read")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_nobody_heard_of_paid_and_got_back_is_found_at_once() {
    // E7, F2
    let world = world().await;
    let mut shop = Shop::open(&world, "Eve").await;
    cut_the_line(&world).await;
    shop.scene.buy("turnpike_pack_500", "4242424242424242").await;
    shop.scene.refund(400).await;
    let customers = "select count(*) from customers";
    assert_eq!(world.rows::<(i64,)>(sql(customers)).await, [(0,)]);
    let found = plan(&world).await;
    let expected = [("money_back_missing", 1), ("paid_without_grant", 1)];
    assert_eq!(kinds(&found), BTreeMap::from(expected), "{:#?}", found.steps);
    apply(&world, &found).await;
    assert_eq!(shop.standing().await.0, "300", "two fifths of the pack were given back");
    no_difference(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_and_never_heard_of_is_granted_under_its_normal_key() {
    // A15, F2, F5
    let world = world().await;
    let mut shop = Shop::open(&world, "Ada").await;
    shop.card(&world, "pm_card_visa").await;
    cut_the_line(&world).await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    shop.buy_pack(&world, "turnpike_pack_500").await;
    assert_eq!(shop.standing().await.0, "0");

    let found = plan(&world).await;
    let expected = [("paid_without_grant", 2), ("subscription_missing", 1)];
    assert_eq!(kinds(&found), BTreeMap::from(expected), "{:#?}", found.steps);
    assert!(found.steps.iter().all(|step| step.org_id.as_deref() == Some(&shop.org_id)));
    // Looking changed nothing, and looking again finds the same.
    assert_eq!(shop.standing().await.0, "0");
    assert_eq!(kinds(&plan(&world).await), BTreeMap::from(expected));
    assert_eq!(audits(&world).await, 0);

    let applied = apply(&world, &found).await;
    assert_eq!((applied.done.len(), applied.failed.len()), (3, 0), "{applied:?}");
    assert_eq!(shop.standing().await.0, "2500");
    assert_eq!(audits(&world).await, 3);
    no_difference(&world).await;

    // The same plan once more, and then everything that the line had kept back.
    apply(&world, &found).await;
    world.control("faults", json!({ "webhooks": {} })).await;
    world.advance(5 * 60 + 1).await;
    assert_eq!(shop.standing().await.0, "2500");
    let text = "select count(*) from grants where org_id = $1 and amount > 0";
    assert_eq!(world.rows::<(i64,)>(sql(text).bind(&shop.org_id)).await, [(2,)]);
    no_difference(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_at_stripe_ends_here() {
    // F4
    let world = world().await;
    let mut shop = Shop::open(&world, "Ada").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    shop.buy_pack(&world, "turnpike_pack_500").await;
    no_difference(&world).await;
    cut_the_line(&world).await;
    let path = format!("subscriptions/{}", shop.scene.id("plan"));
    shop.scene.stripe.delete(&path, &[]).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "2500");

    let found = plan(&world).await;
    assert_eq!(kinds(&found), BTreeMap::from([("subscription_differs", 1)]));
    assert_eq!(found.steps[0].detail["ours"]["status"], "active");
    assert_eq!(found.steps[0].detail["stripe"]["status"], "canceled");
    apply(&world, &found).await;
    assert_eq!(shop.standing().await.0, "500", "the pack stays");
    no_difference(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_without_a_payment_are_found_and_never_taken_by_themselves() {
    // F3
    let world = world().await;
    let mut shop = Shop::open(&world, "Ada").await;
    let payment = shop.buy_pack(&world, "turnpike_pack_500").await;
    let text = "update grants set payment = 'pi_nobodyknows' where payment = $1";
    assert_eq!(world.tamper(sql(text).bind(&payment)).await, 1);

    reconciliation::nightly(&world.engine).await.expect("reconciled");
    let found = open_findings(&world).await;
    let kinds: Vec<&str> = found.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds, ["grant_without_payment"], "{found:?}");
    assert_eq!(found[0].org_id.as_deref(), Some(&*shop.org_id));
    assert_eq!(shop.standing().await.0, "500");

    // Found again, it is still the one; dismissed, it is closed until it is seen again.
    world.pass(60).await;
    reconciliation::nightly(&world.engine).await.expect("reconciled");
    let again = open_findings(&world).await;
    assert_eq!((again.len(), &again[0].id), (1, &found[0].id));
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    findings::dismiss(&mut tx, &found[0].id, "known to us", &Actor::System, now)
        .await
        .expect("dismissed");
    tx.commit().await.expect("committed");
    assert!(open_findings(&world).await.is_empty());

    let text = "update grants set payment = $1 where payment = 'pi_nobodyknows'";
    world.tamper(sql(text).bind(&payment)).await;
    reconciliation::nightly(&world.engine).await.expect("reconciled");
    assert!(open_findings(&world).await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_was_stopped_goes_on_where_it_was() {
    // F5
    let world = world().await;
    let mut shops = Vec::new();
    for name in ["Ada", "Bob", "Cyd"] {
        let mut shop = Shop::open(&world, name).await;
        shop.card(&world, "pm_card_visa").await;
        shops.push(shop);
    }
    cut_the_line(&world).await;
    for shop in &mut shops {
        shop.subscribe(&world, "turnpike_pro_month").await;
    }
    // Nobody's invoice can be read, and one subscription.
    let path = format!("/v1/subscriptions/{}", shops[1].scene.id("plan"));
    let faults = json!([
        { "status": 500, "count": 1_000, "path": "/v1/invoices/in_" },
        { "status": 500, "count": 1_000, "path": path },
    ]);
    let found = plan(&world).await;
    assert_eq!(found.steps.len(), 6, "{:#?}", found.steps);
    world.control("faults", json!({ "api": faults })).await;
    let applied = apply(&world, &found).await;
    assert_eq!((applied.done.len(), applied.failed.len()), (2, 4), "{applied:?}");
    world.control("faults", json!({ "api": null })).await;
    let rest = plan(&world).await;
    assert_eq!(rest.steps.len(), 4);
    let applied = apply(&world, &rest).await;
    assert_eq!((applied.done.len(), applied.failed.len()), (4, 0), "{applied:?}");
    for shop in &shops {
        assert_eq!(shop.standing().await.0, "2000");
    }
    assert_eq!(audits(&world).await, 10);
    no_difference(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nightly_look_mends_what_is_missing_and_says_so() {
    // F2, E10, E14
    let world = world().await;
    let mut shop = Shop::open(&world, "Ada").await;
    let payment = shop.buy_pack(&world, "turnpike_pack_500").await;
    cut_the_line(&world).await;
    shop.refund(&world, &payment, 1).await;
    let customer = shop.scene.customer().await;
    let path = format!("customers/{customer}");
    shop.scene.stripe.post(&path, &[("email", "new@example.com")]).await;
    let found = plan(&world).await;
    let expected = [("customer_differs", 1), ("money_back_missing", 1)];
    assert_eq!(kinds(&found), BTreeMap::from(expected), "{:#?}", found.steps);

    // Its events are read first, and what they are about is on its way.
    reconciliation::nightly(&world.engine).await.expect("reconciled");
    assert!(open_findings(&world).await.is_empty());
    world.settle().await;
    no_difference(&world).await;

    let left = "select type, coalesce(last_error, '') from stripe_events where status = 'pending'";
    assert_eq!(world.rows::<(String, String)>(sql(left)).await, []);
    // Stripe never made an event of this: only comparing finds it.
    let refunds = "update refunds set status = 'pending'";
    assert_eq!(world.tamper(sql(refunds)).await, 1);
    let emails = "update customers set email = 'old@example.com'";
    assert_eq!(world.tamper(sql(emails)).await, 1);
    world.pass(60).await;
    reconciliation::nightly(&world.engine).await.expect("reconciled");
    no_difference(&world).await;
    assert!(open_findings(&world).await.is_empty());
    let gone = findings::list(&world.engine.db, false, 100).await.expect("read");
    let mended = gone.iter().filter(|finding| finding.resolved_at.is_some()).count();
    assert_eq!((gone.len(), mended), (2, 2), "{gone:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_products_customers_are_none_of_our_differences() {
    // A11
    let world = world().await;
    let shop = Shop::open(&world, "Ada").await;
    let stripe = &shop.scene.stripe;
    let label = [("email", "x@example.com"), ("metadata[product]", "other")];
    let other = stripe.post("customers", &label).await;
    let other = other["id"].as_str().expect("an id").to_owned();
    let product = stripe.post("products", &[("name", "Theirs")]).await;
    let price = [
        ("product", product["id"].as_str().expect("an id")),
        ("currency", "usd"),
        ("unit_amount", "900"),
        ("recurring[interval]", "month"),
    ];
    let price = stripe.post("prices", &price).await;
    let card = "payment_methods/pm_card_visa/attach";
    let card = stripe.post(card, &[("customer", &other)]).await;
    let fields = [
        ("customer", other.as_str()),
        ("items[0][price]", price["id"].as_str().expect("an id")),
        ("default_payment_method", card["id"].as_str().expect("an id")),
    ];
    stripe.post("subscriptions", &fields).await;
    world.settle().await;
    let found = plan(&world).await;
    assert!(found.steps.is_empty(), "{:#?}", found.steps);
    assert_eq!(found.seen["subscriptions"], 1);
    assert_eq!(found.seen["our_subscriptions"], 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_stripe_never_heard_of_is_left_to_a_person() {
    // F4
    let world = world().await;
    let mut shop = Shop::open(&world, "Ada").await;
    let customer = shop.card(&world, "pm_card_visa").await;
    let text = "insert into subscriptions (subscription_id, customer_id, org_id, status, \
             created_at, synced_at)
         values ('sub_nobodyknows', $1, $2, 'active', 0, 0)";
    assert_eq!(world.tamper(sql(text).bind(&customer).bind(&shop.org_id)).await, 1);
    let found = plan(&world).await;
    assert_eq!(kinds(&found), BTreeMap::from([("subscription_unknown", 1)]));
    let applied = apply(&world, &found).await;
    assert_eq!(applied.left, ["sub_nobodyknows"]);
    let text = "select status from subscriptions where subscription_id = 'sub_nobodyknows'";
    assert_eq!(world.rows::<(String,)>(sql(text)).await, [("active".to_owned(),)]);
    world.tamper(sql("delete from subscriptions where subscription_id = 'sub_nobodyknows'")).await;
    world.end().await;
}
