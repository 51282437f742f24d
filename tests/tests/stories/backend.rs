//! What a product's own backend does: every call through the client, and the playground, which is
//! such a backend and asks with a service key.

use std::convert::Infallible;
use std::time::Duration;

use client::{
    Ask, Captured, Code, Error, GroupBy, Hold, HoldStatus, Item, Key, Line, NewHold, Over,
    StepKind, UsageFilter, Use, WithHold,
};
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use tests::{Person, World};

fn key(text: &str) -> Key {
    Key::parse(text).expect("a key")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_charges_and_is_denied_through_the_client() {
    // D2, D3, D5
    let world = World::with_free(0).await;
    let gate = world.program("Backend", 100).await.client();
    let what = Use::of("image", 2).run("r1").member("user_1").cost(75).note("a", "b");
    let first = gate.consume(&what, &key("a")).await.expect("charged");
    assert_eq!((first.credits.to_string().as_str(), first.replayed), ("40", false));
    let again = gate.consume(&what, &key("a")).await.expect("charged");
    assert!(again.replayed && again.id == first.id, "{again:?}");
    let other = gate.consume(&Use::of("image", 1), &key("a")).await.expect_err("another request");
    assert_eq!(other.code(), Some(&Code::IdempotencyKeyReused));
    let yes = gate.authorize(&Ask::meter("image", 1)).await.expect("an answer");
    assert!(yes.allowed && yes.id.is_none(), "{yes:?}");
    let no = gate.authorize(&Ask::meter("image", 4)).await.expect("an answer");
    assert!(matches!(no.require(), Err(Error::Denied(_))));
    let denied = gate.consume(&Use::of("image", 4), &key("b")).await.expect_err("too much");
    let Error::Denied(denial) = denied else { panic!("{denied:?}") };
    assert_eq!((&denial.code, denial.retry_with_new_key), (&Code::InsufficientCredits, true));
    assert_eq!(denial.next_step().expect("a way").kind, StepKind::TopUp);
    let id = denial.decision.and_then(|decision| decision.id).expect("stored");
    let stored = gate.decision(&id).await.expect("found");
    assert_eq!((stored.allowed, stored.code), (false, Code::InsufficientCredits));
    let missing = gate.consume(&Use::of("smoke", 1), &key("c")).await.expect_err("no meter");
    assert!(matches!(missing, Error::Refused(no) if no.param.as_deref() == Some("meter")));
    let balance = gate.balance().await.expect("a balance");
    assert_eq!(balance.available.to_string(), "60");
    let entitled = gate.entitlements().await.expect("entitlements");
    assert!(entitled.has_feature("image") && !entitled.has_feature("video"));
    let reversed = gate.reverse(&first.id, "it was cut off", &key("d")).await.expect("reversed");
    assert!(reversed.reversed_at.is_some());
    assert_eq!(gate.balance().await.expect("a balance").available.to_string(), "100");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_holds_extends_captures_and_releases_through_the_client() {
    // D7, D27
    let world = World::with_free(0).await;
    let gate = world.program("Holder", 100).await.client();
    let new = NewHold::of("text", 30).run("r1").ttl(Duration::from_secs(60));
    let hold = gate.hold(&new, &key("h1")).await.expect("held");
    assert_eq!((&hold.status, hold.credits.to_string().as_str()), (&HoldStatus::Open, "30"));
    let longer = gate.extend(&hold, Duration::from_secs(3_600), &key("e")).await.expect("extended");
    assert!(longer.expires_at > hold.expires_at, "{} {}", hold.expires_at, longer.expires_at);
    let lines = Captured::lines([Line::of("text", 5), Line::of("image", 1)]).over(Over::Deny);
    let usage = gate.capture(&hold, &lines, &key("c")).await.expect("captured");
    assert_eq!((usage.credits.to_string().as_str(), usage.lines.len()), ("25", 2));
    let found = gate.find_hold(&hold).await.expect("found");
    assert_eq!((found.status, found.captured.to_string().as_str()), (HoldStatus::Captured, "25"));
    let twice = gate.release(&hold, &key("r")).await.expect_err("over");
    assert_eq!(twice.code(), Some(&Code::HoldNotOpen));
    let (usage, text) = gate
        .with_hold(&new, &key("h2"), async |_| {
            Ok::<_, Infallible>((Captured::quantity(12), "a text"))
        })
        .await
        .expect("done");
    assert_eq!((usage.credits.to_string().as_str(), text), ("12", "a text"));
    let away = async |_: &Hold| Err::<(Captured, ()), _>("away");
    let failed = gate.with_hold(&new, &key("h3"), away).await;
    assert!(matches!(failed, Err(WithHold::Failed { error: "away", release: None })));
    let again = gate.with_hold(&new, &key("h3"), away).await;
    let Err(WithHold::NotHeld(error)) = again else { panic!("it was given back: {again:?}") };
    assert_eq!(error.code(), Some(&Code::OperationReversed));
    let _open = gate.hold(&new, &key("h4")).await.expect("held");
    let report = gate.run("r1").await.expect("a report");
    assert_eq!((report.open_holds.count, report.credits.to_string().as_str()), (1, "37"));
    let released = gate.release_run("r1", &key("rr")).await.expect("released");
    assert_eq!((released.released.len(), released.credits.to_string().as_str()), (1, "30"));
    let balance = gate.balance().await.expect("a balance");
    let both = (balance.available.to_string(), balance.held.to_string());
    assert_eq!(both, ("63".to_owned(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_tells_many_uses_at_once_and_reads_its_lists() {
    // D26
    let world = World::with_free(0).await;
    let gate = world.program("Lister", 100).await.client();
    let item = |index: u32| Item::of(key(&format!("i{index}")), "text", index).run("r1");
    let items = [item(1), item(2), Item::of(key("bad"), "smoke", 1), item(3)];
    let answer = gate.batch(&items).await.expect("answered");
    let failed: Vec<_> = answer.failed().map(|(key, _)| key.as_str()).collect();
    assert_eq!(failed, ["bad"]);
    let again = gate.batch(&items[..2]).await.expect("answered").all().expect("charged");
    assert!(again.iter().all(|usage| usage.replayed), "{again:?}");
    let mut credits = Vec::new();
    let mut pages = gate.usage(&UsageFilter::default()).limit(2);
    while let Some(page) = pages.next_page().await.expect("a page") {
        assert!(page.data.len() <= 2);
        credits.extend(page.data.into_iter().map(|usage| usage.credits.to_string()));
    }
    credits.sort();
    assert_eq!(credits, ["1", "2", "3"]);
    let filter = UsageFilter { run: Some("r1".to_owned()), ..UsageFilter::default() };
    let groups = gate.usage_by(&filter, GroupBy::Meter).next_page().await.expect("a page");
    let group = groups.expect("one page").data.remove(0);
    assert_eq!((group.value.as_str(), group.count), ("text", 3));
    let mut balances = Vec::new();
    let mut pages = gate.ledger().limit(1);
    while let Some(page) = pages.next_page().await.expect("a page") {
        balances.extend(page.data.into_iter().map(|movement| movement.balance.to_string()));
    }
    assert_eq!((balances.len(), balances[0].as_str(), balances[3].as_str()), (4, "94", "100"));
    world.end().await;
}

/// Makes a text on the playground, which must succeed.
async fn make_text(ada: &Person, prompt: &str) {
    let page = ada.visit("/playground").await;
    let form = page.form("/api/play").with("work", "text").with("prompt", prompt);
    ada.submit(&page, &form).await.must_say("Made offline from your words.");
}

async fn service_keys(world: &World) -> Vec<String> {
    let keys = api_keys::list_service(&world.engine.db, "playground").await.expect("read");
    keys.into_iter().map(|key| key.id).collect()
}

async fn revoke(world: &World, id: &str) {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    api_keys::revoke_service(&mut tx, id, Actor::System, now).await.expect("revoked");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playground_holds_and_captures_a_text_with_a_service_key() {
    // D7
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    make_text(&ada, "a toll gate").await;
    let text = "select u.quantity, u.hold_id, u.member, k.org_id, k.name from usages u
         join api_keys k on k.id = u.api_key_id where u.org_id = $1";
    let statement = server::db::sql(text).bind(org.as_str());
    type Row = (i64, Option<String>, Option<String>, Option<String>, String);
    let rows: Vec<Row> = world.rows(statement).await;
    let [(quantity, hold, member, owner, name)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((*quantity, name.as_str(), owner), (1_000_000, "playground", &None));
    assert!(hold.is_some() && member.as_deref().is_some_and(|who| who.starts_with("user_")));
    let standing = server::gate::standing(&world.engine, &org).await.expect("a balance");
    let both = (standing.available.to_string(), standing.held.to_string());
    assert_eq!(both, ("99".to_owned(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playground_form_with_other_words_under_the_same_key_makes_nothing() {
    // D3
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let page = ada.visit("/playground").await;
    let form = page.form("/api/play").with("work", "text").with("prompt", "a toll gate");
    ada.submit(&page, &form).await.must_say("1 credit");
    let other = ada.submit(&page, &form.with("prompt", "a railway")).await;
    assert!(!other.says("Made offline"), "{}", other.text());
    let standing = server::gate::standing(&world.engine, &world.org_of(&ada).await).await;
    assert_eq!(standing.expect("a balance").available.to_string(), "99");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playgrounds_key_is_replaced_when_revoked_and_forgotten_ones_go() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let forgotten = NewKey {
        org: None,
        name: "playground".to_owned(),
        scopes: vec![Scope::Use],
        created_by: Actor::System,
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    let made = api_keys::create(&mut tx, forgotten, false, now).await.expect("a key");
    tx.commit().await.expect("committed");
    world.pass(6 * 86_400).await;
    make_text(&ada, "one").await;
    let both = service_keys(&world).await;
    assert_eq!((both.len(), &both[0]), (2, &made.0.id), "another process may still use it");
    make_text(&ada, "two").await;
    assert_eq!(service_keys(&world).await, both, "the key is kept");
    world.pass(2 * 86_400).await;
    revoke(&world, &both[1]).await;
    make_text(&ada, "three").await;
    let new = service_keys(&world).await;
    assert_eq!(new.len(), 1, "the old one is forgotten: {new:?}");
    assert!(!both.contains(&new[0]));
    world.end().await;
}
