//! Several copies of the product over one database, lost answers, lost locks, and neighbours.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use serde_json::json;
use server::credits;
use server::db::{Db, Dialect, Tx, sql};
use server::error::Error;
use server::gate::{self, Caller, Operation, Request, Use};
use server::units::Quantity;
use tests::{Answer, Program, Site, World};

use crate::calls::{capture_of, held, hold, said, standing, uses};

fn at(url: &str, program: &Program) -> Program {
    Program::new(url, &program.secret, &program.org_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_sell_the_last_credits_once() {
    // D1
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let here = world.program("Race", 10).await;
    let there = at(&other.url, &here);
    let tries = (0..60).map(|n| {
        let program = if n % 2 == 0 { &here } else { &there };
        async move { program.consume(&format!("k{n}"), "text", 1).await }
    });
    let answers = join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    let refused = answers.iter().filter(|answer| answer.code() == "insufficient_credits");
    assert_eq!(refused.count(), 50);
    assert_eq!(here.available().await, "0");
    other.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_that_arrive_at_two_copies_have_one_effect() {
    // D2, D4
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let here = world.program("Twins", 1000).await;
    let there = at(&other.url, &here);
    for round in 0..5 {
        let key = format!("k{round}");
        let twins = join_all((0..10).map(|n| {
            let (program, key) = (if n % 2 == 0 { &here } else { &there }, key.as_str());
            async move { program.consume(key, "image", 1).await }
        }));
        let twins: Vec<Answer> = twins.await;
        assert!(twins.iter().all(|twin| twin.status == 200 && twin.body == twins[0].body));
        assert_eq!(twins.iter().filter(|twin| !twin.replayed()).count(), 1);
    }
    let hold = held(&here, "h", "text", 50).await;
    let (one, two) =
        tokio::join!(capture_of(&here, &hold, "c1", 50), capture_of(&there, &hold, "c2", 50));
    let mut said = [said(&one), said(&two)];
    said.sort_unstable();
    assert_eq!(said, [(200, ""), (409, "hold_not_open")]);
    assert_eq!(standing(&here).await, ("850".to_owned(), "0".to_owned()));
    other.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_that_waits_too_long_is_told_so_and_finds_its_answer_under_the_key() {
    // D4
    let world = World::with_free(0).await;
    let program = world.program("Slow", 100).await;
    // The key's last use is on record, so that the next request writes nothing but its own.
    assert_eq!(program.available().await, "100");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    credits::lock_wallet(&mut tx, &program.org_id, now).await.expect("locked");
    let twins = join_all((0..2).map(|_| program.consume("k", "text", 1))).await;
    for twin in &twins {
        assert_eq!(said(twin), (409, "idempotency_in_progress"));
    }
    drop(tx);
    // It was taken, so it is done, and done once.
    let answer = program.consume("k", "text", 1).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(program.available().await, "99");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_asked_for_again_and_nothing_happens_twice() {
    // D2, D25
    let world = World::with_free(0).await;
    let program = world.program("Lost", 1000).await;
    for n in 0..40 {
        let key = format!("k{n}");
        // The caller hangs up at some moment between the question and the answer.
        let patience = Duration::from_micros(n * 150);
        let first = tokio::time::timeout(patience, program.consume(&key, "text", 1)).await;
        let again = program.consume(&key, "text", 1).await;
        assert_eq!(again.status, 200, "{:?}", again.body);
        if let Ok(first) = first {
            assert_eq!(first.body, again.body);
        }
    }
    assert_eq!(program.available().await, "960");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_gone_charges_nobody_and_another_goes_on_with_the_same_key() {
    // D25
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let here = world.program("Fails", 100).await;
    let there = at(&other.url, &here);
    uses(&there, "a", "text", 1).await;
    // It takes no more work, but still answers.
    other.engine.gate.drain().await;
    let refused = there.consume("b", "text", 1).await;
    assert_eq!(said(&refused), (503, "unavailable"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(said(&hold(&there, "h", "text", 1).await), (503, "unavailable"));
    let items = json!({ "items": [{ "key": "i", "meter": "text", "quantity": 1 }] });
    let told = there.post("usage/batch", None, &items).await;
    assert_eq!(told.body["data"][0]["status"], 503, "{:?}", told.body);
    other.end().await;
    assert_eq!(here.available().await, "99");
    let fresh = here.consume("b", "text", 1).await;
    assert_eq!((fresh.status.as_u16(), fresh.replayed()), (200, false));
    assert!(here.consume("a", "text", 1).await.replayed());
    assert_eq!(here.post("usage/batch", None, &items).await.body["data"][0]["status"], 200);
    assert_eq!(here.available().await, "97");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_cannot_be_done_never_fails_its_neighbours() {
    // D24
    let world = World::with_free(0).await;
    let broken = world.program("Broken", 100).await;
    let mut neighbours = Vec::new();
    for name in ["Ada", "Bob", "Cid", "Dan", "Eve"] {
        neighbours.push(world.program(name, 100).await);
    }
    // The wallet's row says less than its grants do: the database refuses what comes of a use.
    let set = |available: i64| {
        let text = "update wallets set available = $2 where org_id = $1";
        sql(text).bind(broken.org_id.as_str()).bind(available)
    };
    world.tamper(set(0)).await;
    let tries = (0..60).map(|n| {
        let program = if n % 6 == 0 { &broken } else { &neighbours[n % 5] };
        async move { (n % 6 == 0, program.consume(&format!("k{n}"), "text", 1).await) }
    });
    for (is_broken, answer) in join_all(tries).await {
        match is_broken {
            true => assert_eq!(said(&answer), (500, "internal")),
            false => assert_eq!(answer.status, 200, "{:?}", answer.body),
        }
    }
    assert_eq!(broken.available().await, "100", "nothing was half done");
    world.tamper(set(100_000_000)).await;
    let answer = broken.consume("k0", "text", 1).await;
    assert_eq!((answer.status.as_u16(), answer.replayed()), (200, false));
    world.end().await;
}

/// Queues one use for each of these orgs at the gate, so that what waits is taken together.
fn queue<'a>(
    world: &'a World,
    programs: &[Program],
) -> Vec<impl Future<Output = Result<gate::Answer, Error>> + 'a> {
    let asked = programs.iter().map(|program| {
        let used = Use {
            meter: "text".to_owned(),
            quantity: Quantity::parse("1").expect("a quantity"),
            model: None,
            feature: None,
            run: None,
            member: None,
            cost: None,
            metadata: None,
        };
        let request = Request {
            org_id: program.org_id.clone(),
            caller: Caller::System,
            key: server::ids::secret(),
            fingerprint: String::new(),
            what: Operation::Consume(used),
        };
        let mut answer = Box::pin(world.engine.gate.submit(request));
        // The first look at it hands the request over.
        assert!((&mut answer).now_or_never().is_none());
        answer
    });
    asked.collect()
}

async fn lock_all(site: &Site, programs: &[Program]) -> Tx {
    let mut tx = site.engine.db.begin().await.expect("a transaction");
    for program in programs {
        let now = site.engine.clock.now();
        credits::lock_wallet(&mut tx, &program.org_id, now).await.expect("free");
    }
    tx
}

/// Until the gate has locked one of these wallets and waits for another; never longer than the
/// database needs to find a circle.
async fn until_locked(world: &World, programs: &[Program]) {
    let ids: Vec<String> = programs.iter().map(|program| program.org_id.clone()).collect();
    let any = world.engine.db.dialect().any("org_id", 1);
    let text = format!("select org_id from wallets where {any} for update skip locked");
    for _ in 0..1000 {
        let mut tx = world.engine.db.begin().await.expect("a transaction");
        let free: Vec<(String,)> = tx.all(sql(text.clone()).bind(ids.clone())).await.expect("read");
        if free.len() < ids.len() {
            return;
        }
        drop(tx);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_that_somebody_locks_in_the_wrong_order_cost_time_and_no_answer() {
    // D24: the gate locks in the order of the ids; whoever does not, meets it in a circle. The
    // database undoes one of the two; if that is the gate, it does its work again.
    let world = World::with_free(0).await;
    let (one, two) = (world.another(None).await, world.another(None).await);
    let mut programs = Vec::new();
    for n in 0..18 {
        programs.push(world.program(&format!("Org{n}"), 100).await);
    }
    programs.sort_by(|a, b| a.org_id.cmp(&b.org_id));
    let (first, rest) = programs.split_at(6);
    let (lower, upper) = rest.split_at(6);
    let has_rows_to_lock = world.engine.db.dialect() == Dialect::Postgres;
    // Something keeps the gate busy, so that what comes meanwhile shares a transaction.
    let busy = lock_all(&one, first).await;
    let mut answers = queue(&world, first);
    if has_rows_to_lock {
        let mut stranger = lock_all(&two, upper).await;
        answers.extend(queue(&world, rest));
        drop(busy);
        until_locked(&world, lower).await;
        for program in lower.iter().rev() {
            let now = two.engine.clock.now();
            if credits::lock_wallet(&mut stranger, &program.org_id, now).await.is_err() {
                break;
            }
        }
    } else {
        // One writer: everybody waits for it, and for nothing else.
        answers.extend(queue(&world, rest));
        drop(busy);
    }
    for answer in join_all(answers).await {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    for program in &programs {
        assert_eq!(program.available().await, "99");
    }
    one.end().await;
    two.end().await;
    world.end().await;
}

/// Sends it with the same key until there is an answer, as a client does.
async fn insists(program: &Program, key: &str) -> Answer {
    for _ in 0..50 {
        let answer = program.consume(key, "text", 1).await;
        if answer.status.as_u16() < 500 {
            return answer;
        }
        tokio::task::yield_now().await;
    }
    panic!("no answer to {key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cuts_its_connections_costs_repeats_and_no_double_charge() {
    // D24: as when it is replaced by its standby.
    let world = World::with_free(0).await;
    let program = world.program("Cut", 1000).await;
    let db = Db::connect(&world.database.url).await.expect("connected");
    let cuts = async {
        let text = "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and usename = current_user
                 and pid <> pg_backend_pid()";
        for _ in 0..10 {
            if db.dialect() == Dialect::Postgres {
                // It may cut its own other connections, too.
                drop(db.one::<(i64,)>(sql(text)).await);
            }
            tokio::task::yield_now().await;
        }
    };
    let uses = join_all((0..100).map(|n| {
        let program = &program;
        async move { insists(program, &format!("k{n}")).await }
    }));
    let (answers, ()) = tokio::join!(uses, cuts);
    assert!(answers.iter().all(|answer| answer.status == 200));
    db.close().await;
    // What was cut while it lay idle is found out by its first use, and every connection has its
    // turn in these.
    for _ in 0..50 {
        program.get("balance").await;
    }
    assert_eq!(program.available().await, "900");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orgs_at_two_copies_never_wait_for_each_other_forever() {
    // D24
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let mut programs = Vec::new();
    for n in 0..6 {
        programs.push(world.program(&format!("Org{n}"), 100).await);
    }
    let copies = [&world.url, &other.url];
    let uses = (0..120).map(|n: usize| {
        // One copy hears of the orgs in one order, the other in the opposite one.
        let index = if n.is_multiple_of(2) { (n / 2) % 6 } else { 5 - (n / 2) % 6 };
        let program = at(copies[n % 2], &programs[index]);
        async move { program.consume(&format!("k{n}"), "text", 1).await }
    });
    for answer in join_all(uses).await {
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
    for program in &programs {
        assert_eq!(program.available().await, "80");
    }
    other.end().await;
    world.end().await;
}
