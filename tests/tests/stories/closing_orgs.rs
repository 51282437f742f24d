//! Orgs that are closed for good: nobody gets in, nothing is charged, and the books stay.

use serde_json::json;
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::auth::accounts;
use server::autorecharge::{self, Wish};
use server::closing::{self, Closed};
use server::contracts::{self, Contract, NewContract};
use server::db::sql;
use server::error::{Error, Result};
use server::units::Credits;
use server::worker;
use tests::{Page, Person, Program, Shop, World, WorldOptions};

use crate::recharge::{attempts, payments, plain_world, spend, wanting};

const PRO: &str = "turnpike_pro_month";
const PACK: &str = "turnpike_pack_500";

fn operator() -> Actor {
    Actor::Operator("tests".to_owned())
}

async fn close(world: &World, org_id: &str, reason: &str) -> Result<Closed> {
    let closed = close_now(world, org_id, reason).await?;
    world.settle().await;
    Ok(closed)
}

/// Closes an org while something is still on its way.
async fn close_now(world: &World, org_id: &str, reason: &str) -> Result<Closed> {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    let closed = closing::close(&mut tx, org_id, &operator(), reason, now).await?;
    tx.commit().await.expect("committed");
    Ok(closed)
}

/// Why an org is not closed.
async fn refusal(world: &World, org_id: &str) -> String {
    match close(world, org_id, "they left").await.expect_err("refused") {
        Error::Conflict(message) => message,
        other => panic!("{other:?}"),
    }
}

async fn count(world: &World, text: &'static str, org_id: &str) -> i64 {
    world.rows::<(i64,)>(sql(text).bind(org_id)).await.remove(0).0
}

/// A contract that begins now.
async fn contract(world: &World, org_id: &str) -> Contract {
    let terms = "name = \"Acme\"\ncurrency = \"usd\"\nfeatures = [\"video\"]";
    let new = NewContract {
        org_id: org_id.to_owned(),
        agreed: contracts::parse(terms).expect("terms"),
        key: "k".to_owned(),
        actor: operator(),
        reason: "they asked".to_owned(),
    };
    contracts::create(&world.engine, new).await.expect("made")
}

/// What is open about an org: kinds, and what each is about.
async fn findings(world: &World, org_id: &str) -> Vec<(String, String)> {
    let text = "select kind, subject from findings where org_id = $1 and resolved_at is null
         order by kind, subject";
    world.rows(sql(text).bind(org_id)).await
}

/// The product's own backend, acting for an org.
async fn backend(world: &World, org_id: &str) -> reqwest::Response {
    let new = NewKey {
        org: None,
        name: "backend".to_owned(),
        scopes: vec![Scope::Read, Scope::Use],
        created_by: operator(),
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let made = api_keys::create(&mut tx, new, false, world.engine.clock.now()).await;
    tx.commit().await.expect("committed");
    let client = reqwest::Client::new();
    let request = client.get(format!("{}/v1/balance", world.url));
    let request = request.bearer_auth(made.expect("a key").1).header("turnpike-org", org_id);
    request.send().await.expect("an answer")
}

async fn sign_in(person: &Person, password: &str) -> Page {
    let page = person.visit("/sign-in").await;
    let values = [("email", person.email.as_str()), ("password", password)];
    person.fill(&page, "sign_in", &values).await
}

/// The org wants a pack whenever it has less than one credit.
async fn want_recharge(world: &World, org_id: &str) {
    let text = "select price_id from catalog_prices where lookup_key = $1";
    let price_id = world.rows::<(String,)>(sql(text).bind(PACK)).await.remove(0).0;
    let threshold = Credits::from_whole(1).expect("fits");
    let wish = Wish { threshold, price_id, monthly_max: 5_000 };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    autorecharge::save(&mut tx, org_id, &wish, operator(), now).await.expect("saved");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_org_lets_nobody_in_and_keeps_its_books() {
    // B20
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    shop.buy_pack(&world, PACK).await;
    shop.card(&world, "pm_card_visa").await;
    want_recharge(&world, &shop.org_id).await;
    assert_eq!(shop.program.consume("a", "text", 10).await.status, 200);
    assert_eq!(backend(&world, &shop.org_id).await.status(), 200);
    let keys_page = ada.visit("/keys").await;
    let ledger = "select count(*) from operations where org_id = $1";
    let before = count(&world, ledger, &shop.org_id).await;
    let empty = close(&world, &shop.org_id, "").await.expect_err("without a reason");
    assert!(matches!(empty, Error::Invalid { .. }), "{empty}");
    assert_eq!(close(&world, &shop.org_id, "they left").await.expect("closed"), Closed { keys: 1 });
    // Programs: by the org's own key, and by the backend's.
    let refused = shop.program.consume("b", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (401, "unauthenticated"));
    assert_eq!(backend(&world, &shop.org_id).await.status(), 404);
    // People: with a session, with a form that was open, and with their password.
    for path in ["/dashboard", "/billing", "/credits", "/usage", "/keys", "/settings"] {
        let page = ada.visit(path).await;
        assert_eq!((page.status, page.url.path()), (200, "/sign-in"), "{path}");
    }
    let form = keys_page.forms().into_iter().find(|one| one.action.contains("key"));
    let sent = ada.submit(&keys_page, &form.expect("a form").with("name", "again")).await;
    assert!(sent.status < 500 && sent.url.path() == "/sign-in", "{} {}", sent.status, sent.url);
    sign_in(&ada, "not the passphrase").await.must_say("do not match");
    let told = sign_in(&ada, &ada.password).await;
    assert_eq!((told.status < 500, told.url.path()), (true, "/sign-in"));
    told.must_say("was closed");
    ada.visit("/pricing").await.must_say("Pro");
    // The books and the customer stay; nothing is charged any more.
    assert_eq!(count(&world, ledger, &shop.org_id).await, before);
    let frozen = "select count(*) from grants where org_id = $1 and frozen_at is not null";
    assert_eq!(count(&world, frozen, &shop.org_id).await, 0);
    let armed = "select count(*) from recharge_settings where org_id = $1 and enabled";
    assert_eq!(count(&world, armed, &shop.org_id).await, 0);
    let customer = shop.scene.customer().await;
    let kept = shop.scene.stripe.get(&format!("customers/{customer}")).await;
    assert!(kept["deleted"].is_null(), "{kept}");
    let audited = "select count(*) from audits
         where org_id = $1 and action = 'orgs.close' and reason = 'they left'";
    assert_eq!(count(&world, audited, &shop.org_id).await, 1);
    let again = close(&world, &shop.org_id, "twice").await.expect_err("closed before");
    assert!(matches!(again, Error::NotFound(_)), "{again}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_is_not_closed_while_something_of_it_goes_on() {
    // B20
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "Paying").await;
    shop.subscribe(&world, PRO).await;
    let plan = shop.scene.id("plan").to_owned();
    let message = refusal(&world, &shop.org_id).await;
    assert!(message.contains(&plan) && message.contains("Cancel it"), "{message}");
    shop.scene.change(&[("cancel_at_period_end", "true")]).await;
    world.settle().await;
    let message = refusal(&world, &shop.org_id).await;
    assert!(message.contains(&plan) && message.contains("until"), "{message}");
    assert_eq!(shop.program.consume("a", "text", 1).await.status, 200, "nothing was closed");
    shop.scene.cancel_now().await;
    world.settle().await;
    let contract = contract(&world, &shop.org_id).await;
    let message = refusal(&world, &shop.org_id).await;
    assert!(message.contains(&contract.id), "{message}");
    contracts::end(&world.engine, &contract.id, operator(), "over").await.expect("ended");
    close(&world, &shop.org_id, "they left").await.expect("closed");
    assert_eq!(shop.program.get("balance").await.status, 401);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_org_goes_on_there() {
    // B20
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let first = world.org_of(&ada).await;
    let made = accounts::create_org(&world.engine, "Second", &ada.email, operator()).await;
    let second = made.expect("made");
    close(&world, &first, "merged").await.expect("closed");
    assert_eq!(ada.visit("/dashboard").await.url.path(), "/sign-in");
    let page = sign_in(&ada, &ada.password).await;
    assert_eq!(page.url.path(), "/dashboard");
    page.must_say("Second");
    let secret = world.key(&second, &[Scope::Read]).await;
    let program = Program::new(&world.url, &secret, &second);
    assert_eq!(program.get("balance").await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_after_the_closing_is_told_to_somebody() {
    // B20
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "Slow").await;
    let session = shop.scene.checkout("payment", PACK, &[]).await;
    world.settle().await;
    close(&world, &shop.org_id, "they left").await.expect("closed");
    shop.scene.pay(&session, "4242424242424242").await;
    world.settle().await;
    let text = "select kind, message from findings where org_id = $1 and resolved_at is null";
    let found: Vec<(String, String)> = world.rows(sql(text).bind(&shop.org_id)).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "paid_after_closing");
    assert!(found[0].1.contains("Refund it"), "{}", found[0].1);
    let granted = "select count(*) from grants where org_id = $1";
    assert_eq!(count(&world, granted, &shop.org_id).await, 1, "the books tell what was paid");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_bought_after_the_closing_is_told_whatever_it_includes() {
    // B20: features only, and a trial that nothing is paid for yet.
    let trial: &[(&str, &str)] = &[("subscription_data[trial_period_days]", "14")];
    let trying = "included_credits = 2000\ntrial_days = 14";
    for (terms, fields) in [("included_credits = 0", &[][..]), (trying, trial)] {
        let options = WorldOptions::nothing_free().catalog("included_credits = 2000", terms);
        let world = World::with(options).await;
        let mut shop = Shop::open(&world, "Late").await;
        let session = shop.scene.checkout("subscription", PRO, fields).await;
        world.settle().await;
        close(&world, &shop.org_id, "they left").await.expect("closed");
        shop.scene.pay(&session, "4242424242424242").await;
        world.settle().await;
        let path = format!("checkout/sessions/{}", session["id"].as_str().expect("an id"));
        let bought = shop.scene.stripe.get(&path).await["subscription"].clone();
        let bought = bought.as_str().expect("a subscription").to_owned();
        let found = findings(&world, &shop.org_id).await;
        assert_eq!(found, [("paid_after_closing".to_owned(), bought)]);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_an_org_close_with_it() {
    // B15, B20
    let world = World::with(WorldOptions::nothing_free()).await;
    let ada = world.sign_up("Ada").await;
    let shop = Shop::of(&world, &ada).await;
    let price = shop.scene.price(PRO).await;
    let prices = ada.visit("/pricing").await;
    let mut forms = prices.forms().into_iter().filter(|form| form.action.contains("subscribe"));
    let form = forms.find_map(|form| {
        let sells = form.fields.iter().any(|(_, value)| *value == price);
        if sells { Some(form) } else { form.pressed(&price) }
    });
    let open = ada.submit(&prices, &form.expect("it is sold")).await;
    open.must_say("Pro");
    let agreed = contract(&world, &shop.org_id).await;
    let actor = operator();
    let refused = closing::close_with_pages(&world.engine, &shop.org_id, &actor, "they left").await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let path = "checkout/sessions?status=open";
    let payable = shop.scene.stripe.get(path).await["data"].clone();
    assert_eq!(payable.as_array().map(Vec::len), Some(1), "an org that stays keeps its page");
    contracts::end(&world.engine, &agreed.id, operator(), "over").await.expect("ended");
    let closed = closing::close_with_pages(&world.engine, &shop.org_id, &actor, "they left").await;
    closed.expect("closed");
    assert_eq!(shop.scene.stripe.get(path).await["data"], json!([]));
    Person::stranger(&world.url).visit(open.url.as_str()).await.must_say("expired");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recharge_that_was_begun_is_not_charged_after_the_closing() {
    // B20, E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Begun", "pm_card_visa").await;
    let fault = json!({ "kind": "server_error", "status": 403, "count": 1_000_000,
                        "method": "POST", "path": "/v1/payment_intents" });
    world.control("faults", json!({ "api": fault })).await;
    spend(&shop, "a", 150).await;
    world.settle().await;
    assert_eq!(attempts(&world, &shop).await, [("open".to_owned(), None)]);
    close(&world, &shop.org_id, "they left").await.expect("closed");
    world.control("faults", json!({ "api": null })).await;
    world.advance(3 * 3_600).await;
    let expected = [("canceled".to_owned(), Some("org_closed".to_owned()))];
    assert_eq!(attempts(&world, &shop).await, expected);
    assert!(payments(&mut shop).await.is_empty(), "nothing is charged");
    assert!(findings(&world, &shop.org_id).await.is_empty(), "and nothing is left to mend");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recharge_that_was_paid_unheard_is_told_after_the_closing() {
    // B20, E2
    let world = plain_world().await;
    let mut shop = wanting(&world, "Unheard", "pm_card_visa").await;
    world.control("webhooks/hold", json!({ "hold": true })).await;
    let fault = json!({ "kind": "reset_after", "count": 3, "method": "POST",
                        "path": "/v1/payment_intents" });
    world.control("faults", json!({ "api": fault })).await;
    spend(&shop, "a", 150).await;
    while worker::run_once(&world.engine).await.expect("the worker runs") > 0 {}
    assert_eq!(attempts(&world, &shop).await, [("open".to_owned(), None)]);
    close_now(&world, &shop.org_id, "they left").await.expect("closed");
    world.control("webhooks/hold", json!({ "hold": false })).await;
    world.settle().await;
    assert_eq!(attempts(&world, &shop).await, [("succeeded".to_owned(), None)]);
    let paid = payments(&mut shop).await;
    assert_eq!(paid.len(), 1);
    let payment = paid[0]["id"].as_str().expect("an id").to_owned();
    let found = findings(&world, &shop.org_id).await;
    assert_eq!(found, [("paid_after_closing".to_owned(), payment)]);
    world.end().await;
}
