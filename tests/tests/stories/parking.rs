//! Wallets whose books disagree: parked for debits, readable, rebuilt from their entries.

use serde_json::json;
use server::audit::Actor;
use server::credits::{self, Disagreement, Source};
use server::db::sql;
use server::gate;
use tests::{Program, World};

use crate::calls::{
    batch, capture_of, extend, held, hold, hold_with, id, item_codes, release, reverse, said,
    standing, uses,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_wallet_is_read_and_not_debited() {
    // F1
    let world = World::with_free(0).await;
    let (program, other) = (world.program("Parked", 100).await, world.program("Fine", 100).await);
    let usage = uses(&program, "before", "text", 10).await;
    let body = json!({ "meter": "text", "quantity": 20, "run": "r1" });
    let open = id(&hold_with(&program, "open", &body).await);
    let text = "update wallets set parked_at = $2, parked_reason = 'a test' where org_id = $1";
    let now = world.engine.clock.now();
    world.tamper(sql(text).bind(program.org_id.as_str()).bind(now)).await;
    let parked = (403, "wallet_parked");
    let used = usage["id"].as_str().expect("an id");
    let run = program.post("runs/r1/release", Some("i"), &json!({})).await;
    for answer in [
        program.consume("a", "text", 1).await,
        hold(&program, "b", "text", 1).await,
        capture_of(&program, &open, "c", 1).await,
        release(&program, &open, "d").await,
        extend(&program, &open, "e", 60).await,
        reverse(&program, used, "f").await,
        // Before everything else that may be wrong.
        program.consume("h", "video", 1).await,
        run,
    ] {
        assert_eq!(said(&answer), parked, "{:?}", answer.body);
    }
    let items = json!([{ "key": "g", "meter": "text", "quantity": 1 }]);
    assert_eq!(item_codes(&batch(&program, items).await), [parked]);
    // After the key.
    assert!(program.consume("before", "text", 10).await.replayed());
    let asked = program.post("authorize", None, &json!({ "meter": "text" })).await;
    assert_eq!(asked.body["code"], "wallet_parked");
    // Reading goes on, and so does everybody else.
    for path in ["balance", "ledger", "usage", "entitlements", "runs/r1"] {
        assert_eq!(program.get(path).await.status, 200, "{path}");
    }
    uses(&other, "a", "text", 1).await;
    let text = "update wallets set parked_at = null, parked_reason = null";
    world.tamper(sql(text)).await;
    assert!(program.consume("a", "text", 1).await.replayed(), "a denial stays one");
    uses(&program, "a2", "text", 1).await;
    assert_eq!(capture_of(&program, &open, "c2", 20).await.status, 200);
    assert_eq!(standing(&program).await, ("69".to_owned(), "0".to_owned()));
    world.end().await;
}

fn auditor() -> Actor {
    Actor::Operator("auditor".to_owned())
}

async fn audit(world: &World, org_id: Option<&str>) -> Vec<Disagreement> {
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    credits::audit_books(db, org_id, &auditor(), now).await.expect("audited")
}

async fn repair(world: &World, org_id: &str) -> Vec<Disagreement> {
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    credits::repair(db, org_id, &auditor(), "rebuilt from its entries", now).await.expect("done")
}

/// How often the auditor did this to the org.
async fn on_record(world: &World, org_id: &str, action: &str) -> i64 {
    let text = "select count(*) from audits
         where org_id = $1 and action = $2 and actor_id = 'auditor' and reason is not null";
    world.rows::<(i64,)>(sql(text).bind(org_id).bind(action)).await[0].0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_whose_books_disagree_is_parked_until_it_is_rebuilt() {
    // F1
    let world = World::with_free(0).await;
    let (program, other) = (world.program("Parked", 100).await, world.program("Fine", 100).await);
    uses(&program, "before", "text", 10).await;
    let open = id(&hold(&program, "open", "text", 20).await);
    assert!(audit(&world, None).await.is_empty(), "sound books park nobody");
    let text = "update wallets set available = available + 1000000 where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str())).await;
    for _ in 0..2 {
        let found = audit(&world, None).await;
        assert!(!found.is_empty());
        assert!(found.iter().all(|one| one.org_id == program.org_id), "{found:?}");
    }
    assert_eq!(on_record(&world, &program.org_id, "wallet.park").await, 1, "parked once");
    assert_eq!(said(&program.consume("a", "text", 1).await), (403, "wallet_parked"));
    assert_eq!(program.get("balance").await.status, 200);
    uses(&other, "a", "text", 1).await;
    // What is still wrong is not waved through.
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    let early = credits::unpark(db, &program.org_id, &auditor(), "it looks fine", now).await;
    assert!(early.is_err());
    assert!(repair(&world, &program.org_id).await.is_empty());
    assert_eq!(standing(&program).await, ("70".to_owned(), "20".to_owned()));
    uses(&program, "b", "text", 1).await;
    assert_eq!(capture_of(&program, &open, "c", 20).await.status, 200);
    assert_eq!(on_record(&world, &program.org_id, "wallet.repair").await, 1);
    assert_eq!(on_record(&world, &other.org_id, "wallet.park").await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_is_run_twice_changes_nothing_more() {
    // F1, F5
    let world = World::with_free(0).await;
    let program = world.program("Twice", 100).await;
    uses(&program, "a", "text", 10).await;
    held(&program, "h", "text", 20).await;
    let text = "update grants set remaining = remaining - 5000000, consumed = consumed + 5000000
         where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str())).await;
    let org = Some(program.org_id.as_str());
    assert!(!audit(&world, org).await.is_empty());
    assert_eq!(said(&program.consume("b", "text", 1).await), (403, "wallet_parked"));
    for _ in 0..2 {
        assert!(repair(&world, &program.org_id).await.is_empty());
        assert!(audit(&world, org).await.is_empty());
        assert_eq!(standing(&program).await, ("70".to_owned(), "20".to_owned()));
    }
    uses(&program, "c", "text", 70).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_looks_at_the_books_every_day() {
    // F1
    let world = World::with_free(0).await;
    let program = world.program("Daily", 100).await;
    uses(&program, "a", "text", 10).await;
    let text = "update wallets set available = available - 1 where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str())).await;
    world.advance(86_401).await;
    assert_eq!(said(&program.consume("b", "text", 1).await), (403, "wallet_parked"));
    assert!(repair(&world, &program.org_id).await.is_empty());
    uses(&program, "c", "text", 90).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_balances_of_a_statement_are_rebuilt_too() {
    // F1, F5
    let world = World::with_free(0).await;
    let program = world.program("Shown", 100).await;
    let org = program.org_id.as_str();
    uses(&program, "a", "text", 10).await;
    // A balance that is wrong before anybody looks is told to what is booked after it.
    let text = "update wallets set available = available + 7000000 where org_id = $1";
    world.tamper(sql(text).bind(org)).await;
    uses(&program, "b", "text", 10).await;
    assert!(!audit(&world, Some(org)).await.is_empty());
    world.give(org, 50, "while it is parked").await;
    assert_eq!(shown(&program).await, ["137", "87", "90", "100"]);
    assert!(repair(&world, org).await.is_empty());
    assert_eq!(shown(&program).await, ["130", "80", "90", "100"]);
    // What a statement shows is looked at by itself, and the operation that is wrong is named.
    let named = "select id from operations where org_id = $1 and seq = 3";
    let (third,): (String,) = world.rows(sql(named).bind(org)).await.remove(0);
    for (column, says) in [
        ("available_change", "what an operation changed must be what its entries sum to"),
        ("available_after", "the credits after an operation must be those before it"),
        ("held_after", "the held credits after an operation must be those before it"),
    ] {
        let text = format!("update operations set {column} = {column} + 1 where id = $1");
        world.tamper(sql(text).bind(&third)).await;
        let found = audit(&world, Some(org)).await;
        let told = |one: &Disagreement| one.subject == third && one.message.starts_with(says);
        assert!(found.iter().any(told) && found.len() <= 2, "{column}: {found:?}");
        assert!(found.iter().all(|one| !one.parks), "{column}: {found:?}");
        assert_eq!(on_record(&world, org, "wallet.park").await, 1, "{column}: only shown");
        assert!(repair(&world, org).await.is_empty(), "{column}");
        assert_eq!(shown(&program).await, ["130", "80", "90", "100"], "{column}");
    }
    // Nobody waits for it: neither who uses, nor who is unparked after something else.
    let text = "update operations set available_after = available_after + 1 where id = $1";
    world.tamper(sql(text).bind(&third)).await;
    assert_eq!(audit(&world, None).await.len(), 2, "it, and the one that follows from it");
    uses(&program, "c", "text", 129).await;
    let text = "update wallets set parked_at = 1, parked_reason = 'a test' where org_id = $1";
    world.tamper(sql(text).bind(org)).await;
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    assert!(credits::unpark(db, org, &auditor(), "it was a test", now).await.expect("unparked"));
    uses(&program, "d", "text", 1).await;
    assert!(repair(&world, org).await.is_empty());
    assert_eq!(shown(&program).await, ["0", "1", "130", "80", "90", "100"]);
    world.end().await;
}

/// The balance after each movement, newest first.
async fn shown(program: &Program) -> Vec<String> {
    let ledger = program.get("ledger").await.body;
    let movements = ledger["data"].as_array().expect("a list").iter();
    movements.map(|one| one["balance"].as_str().expect("credits").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_cannot_book_what_is_due_is_read_and_given_to_and_keeps_nobody_waiting() {
    // F1, F9: the others' wallets are older and younger than the one that is wrong.
    let world = World::with_free(0).await;
    let mut programs = Vec::new();
    for (name, seconds) in [("Older", 60), ("Wrong", 60), ("Younger", 120)] {
        let program = world.program(name, 0).await;
        let made = world.give_as(&program.org_id, Source::Promo, 50, name, Some(seconds)).await;
        assert!(made.is_some());
        uses(&program, "before", "text", 40).await;
        programs.push(program);
    }
    let wrong = &programs[1];
    // More will lapse than the wallet has.
    let text = "update grants set remaining = amount, consumed = 0 where org_id = $1";
    world.tamper(sql(text).bind(wrong.org_id.as_str())).await;
    world.pass(61).await;
    // It is not parked yet, and what fails in it is its own affair.
    assert_eq!(gate::sweep(&world.engine).await.expect("swept"), 1);
    assert_eq!(lapsed(&world).await, [programs[0].org_id.as_str()]);
    assert!(!audit(&world, None).await.is_empty());
    // What is due is subtracted for readers, although nobody can book it.
    assert_eq!(standing(wrong).await, ("0".to_owned(), "0".to_owned()));
    for path in ["balance", "ledger", "usage", "entitlements"] {
        assert_eq!(wrong.get(path).await.status, 200, "{path}");
    }
    assert_eq!(said(&wrong.consume("a", "text", 1).await), (403, "wallet_parked"));
    world.give(&wrong.org_id, 7, "while it is parked").await;
    assert_eq!(wrong.available().await, "7");
    world.pass(60).await;
    assert_eq!(gate::sweep(&world.engine).await.expect("swept"), 1);
    let served = [&programs[0], &programs[2]].map(|program| program.org_id.as_str());
    assert_eq!(lapsed(&world).await, served);
    assert_eq!(gate::sweep(&world.engine).await.expect("swept"), 0, "parked wallets wait");
    // Mended, it books what waited.
    assert!(repair(&world, &wrong.org_id).await.is_empty());
    assert_eq!(gate::sweep(&world.engine).await.expect("swept"), 1);
    assert_eq!(lapsed(&world).await.len(), 3);
    uses(wrong, "b", "text", 7).await;
    world.end().await;
}

/// The orgs of which something lapsed in the books, the oldest first.
async fn lapsed(world: &World) -> Vec<String> {
    let text = "select operations.org_id from operations join orgs on orgs.id = operations.org_id
         where kind = 'expire' order by orgs.created_at, orgs.id";
    world.rows::<(String,)>(sql(text)).await.into_iter().map(|(org_id,)| org_id).collect()
}
