//! What operators do with the books: find what is wrong, mend it, and correct what an org has.

use futures::future::join_all;
use serde_json::json;
use server::audit::Actor;
use server::credits::{self, Adjusted, Adjustment, Disagreement, NewGrant, Source};
use server::db::sql;
use server::engine::Engine;
use server::error::{Error, Result};
use server::units::Credits;
use tests::World;

use crate::calls::{capture_of, held, kinds, said, standing, uses};

/// What is changed behind the product's back, how it is changed back, and what must be said of it.
/// `$1` is the org.
const BROKEN: [(&str, &str, &str); 13] = [
    (
        "update wallets set held = held + 1 where org_id = $1",
        "update wallets set held = held - 1 where org_id = $1",
        "what its open holds took",
    ),
    (
        "update wallets set debt = debt + 1 where org_id = $1",
        "update wallets set debt = debt - 1 where org_id = $1",
        "the debt of a wallet",
    ),
    (
        "update wallets set seq = seq + 1 where org_id = $1",
        "update wallets set seq = seq - 1 where org_id = $1",
        "must be the one it counts: expected 5, found 6",
    ),
    (
        "update operations set seq = 50 where org_id = $1 and seq = 5",
        "update operations set seq = 5 where org_id = $1 and seq = 50",
        "numbered without a gap: expected 50, found 5",
    ),
    (
        "update grants set consumed = consumed - 5, expired = expired + 5 where org_id = $1",
        "update grants set consumed = consumed + 5, expired = expired - 5 where org_id = $1",
        "the expired credits of a grant",
    ),
    (
        "update grants set ended_at = created_at where org_id = $1",
        "update grants set ended_at = null where org_id = $1",
        "a grant that has ended must be empty",
    ),
    (
        "update usages set credits = credits + 1000000 where org_id = $1",
        "update usages set credits = credits - 1000000 where org_id = $1",
        "must cost what it consumed: expected 10, found 11",
    ),
    (
        "update usages set reversed_at = at where org_id = $1",
        "update usages set reversed_at = null where org_id = $1",
        "what a wallet consumed must be what its usages cost: expected 15, found 0",
    ),
    (
        "update usages set seq = seq + 100 where org_id = $1",
        "update usages set seq = seq - 100 where org_id = $1",
        "a usage must belong to an operation",
    ),
    (
        "update decisions set subject = 'gone' || subject where org_id = $1",
        "update decisions set subject = substr(subject, 5) where org_id = $1",
        "what a decision allowed must be there",
    ),
    (
        "update holds set credits = credits + 1 where org_id = $1",
        "update holds set credits = credits - 1 where org_id = $1",
        "an open hold must be what its entries sum to",
    ),
    (
        "update holds set operation_id = 'gone' || operation_id where org_id = $1",
        "update holds set operation_id = substr(operation_id, 5) where org_id = $1",
        "an open hold must be what its entries sum to: expected 0, found 20",
    ),
    (
        "update ledger_entries set grant_id = 'gone' || grant_id
             where operation_id in (select id from operations where org_id = $1)",
        "update ledger_entries set grant_id = substr(grant_id, 5)
             where operation_id in (select id from operations where org_id = $1)",
        "an entry must be about a grant of its own wallet",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_the_books_is_found_and_named() {
    // F1
    let world = World::with_free(0).await;
    let (program, other) = (world.program("Wrong", 100).await, world.program("Right", 100).await);
    uses(&program, "a", "text", 10).await;
    uses(&other, "a", "text", 10).await;
    held(&program, "h", "text", 20).await;
    let captured = held(&program, "c", "text", 5).await;
    assert_eq!(capture_of(&program, &captured, "d", 5).await.status, 200);
    let org = program.org_id.as_str();
    for (breaks, mends, says) in BROKEN {
        assert!(world.tamper(sql(breaks).bind(org)).await > 0, "{breaks}");
        for asked in [Some(org), None] {
            let found = verify(&world, asked).await;
            assert!(found.iter().any(|one| one.message.contains(says)), "{breaks}: {found:?}");
            assert!(found.iter().all(|one| one.org_id == org), "{breaks}: {found:?}");
        }
        assert_eq!(verify(&world, Some(&other.org_id)).await, [], "{breaks}");
        world.tamper(sql(mends).bind(org)).await;
        assert_eq!(verify(&world, None).await, [], "{mends}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_no_operation_is_told_and_parks_nobody() {
    // F1
    let world = World::with_free(0).await;
    let program = world.program("Whose", 100).await;
    let text = "insert into ledger_entries
             (operation_id, line, from_account, to_account, amount)
         values ('op_none', 0, 'granted', 'available', 5)";
    world.tamper(sql(text)).await;
    let found = audit(&world, None).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].org_id.as_str(), found[0].subject.as_str()), ("", "op_none"));
    uses(&program, "a", "text", 1).await;
    world.tamper(sql("delete from ledger_entries where operation_id = 'op_none'")).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_entries_do_not_tell_stays_parked_until_it_is_mended_by_hand() {
    // F1, F5
    let world = World::with_free(0).await;
    let program = world.program("Hand", 100).await;
    let org = program.org_id.as_str();
    uses(&program, "a", "text", 10).await;
    let breaks = "update usages set credits = credits + 1000000 where org_id = $1";
    world.tamper(sql(breaks).bind(org)).await;
    // A repair that leaves something wrong parks the wallet itself.
    assert!(!repair(&world, org).await.is_empty());
    assert_eq!(said(&program.consume("b", "text", 1).await), (403, "wallet_parked"));
    let unpark = |reason| {
        let (db, now) = (&world.engine.db, world.engine.clock.now());
        async move { credits::unpark(db, org, &olga(), reason, now).await }
    };
    let refused = unpark("looks good").await;
    let why = "be what its usages cost: expected 10, found 11";
    assert!(matches!(&refused, Err(Error::Conflict(said)) if said.contains(why)), "{refused:?}");
    assert_eq!(said(&program.consume("c", "text", 1).await), (403, "wallet_parked"));
    let mends = "update usages set credits = credits - 1000000 where org_id = $1";
    world.tamper(sql(mends).bind(org)).await;
    // Mended, and still parked until somebody answers for it.
    assert_eq!(said(&program.consume("d", "text", 1).await), (403, "wallet_parked"));
    assert!(matches!(unpark("").await, Err(Error::Invalid { field, .. }) if field == "reason"));
    assert!(unpark("the usage was put right").await.expect("unparked"));
    assert!(!unpark("again").await.expect("nothing to do"));
    uses(&program, "e", "text", 1).await;
    let text = "select action, coalesce(reason, '') from audits
         where org_id = $1 and action like 'wallet.%' order by action";
    let deeds: Vec<(String, String)> = world.rows(sql(text).bind(org)).await;
    let deeds: Vec<&str> = deeds.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(deeds, ["wallet.park", "wallet.repair", "wallet.unpark"]);
    let nobody = "org_nobody";
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    let done = credits::repair(db, nobody, &olga(), "R", now).await;
    assert!(matches!(done, Err(Error::NotFound(_))), "{done:?}");
    let done = credits::unpark(db, nobody, &olga(), "R", now).await;
    assert!(matches!(done, Err(Error::NotFound(_))), "{done:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_writes_every_column_anew_and_says_what_it_found() {
    // F1
    let world = World::with_free(0).await;
    let program = world.program("Anew", 100).await;
    let org = program.org_id.as_str();
    uses(&program, "a", "text", 10).await;
    let open = held(&program, "h", "text", 20).await;
    let breaks = "update wallets set available = 7, held = 8, debt = 9, seq = seq + 3
         where org_id = $1";
    world.tamper(sql(breaks).bind(org)).await;
    // A grant that nobody reads any more, with everything in the wrong place.
    let breaks = "update grants set remaining = 0, held = 0, consumed = 1, expired = amount - 4,
             clawed_back = 1, debt_paid = 2, ended_at = created_at
         where org_id = $1";
    world.tamper(sql(breaks).bind(org)).await;
    assert!(audit(&world, None).await.len() >= 10);
    assert_eq!(repair(&world, org).await, []);
    assert_eq!(standing(&program).await, ("70".to_owned(), "20".to_owned()));
    assert_eq!(capture_of(&program, &open, "c", 20).await.status, 200);
    uses(&program, "b", "text", 70).await;
    let text = "select detail from audits where org_id = $1 and action = 'wallet.repair'";
    let (detail,) = world.rows::<(String,)>(sql(text).bind(org)).await.remove(0);
    let detail: serde_json::Value = serde_json::from_str(&detail).expect("JSON");
    let (before, after) = (&detail["before"], &detail["after"]);
    assert_eq!(before["available"], "0.000007");
    assert_eq!((&before["parked"], &after["parked"]), (&json!(true), &json!(false)));
    assert_eq!((&after["available"], &after["held"]), (&json!("70"), &json!("20")));
    assert_eq!((&after["debt"], &after["seq"]), (&json!("0"), &json!(3)));
    assert_eq!(detail["left_count"], 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_is_made_once_per_key() {
    // F6
    let world = World::with_free(0).await;
    let another = world.another(None).await;
    let (program, other) = (world.program("Ada", 100).await, world.program("Bob", 0).await);
    world.give_as(&program.org_id, Source::Promo, 30, "promo", None).await.expect("granted");
    let gift = wanted(&program.org_id, 50, "gift");
    let engines = [&world.engine, &another.engine, &world.engine, &another.engine];
    let clicks = join_all(engines.map(|engine| adjust(engine, gift.clone()))).await;
    let made: Vec<Adjusted> = clicks.into_iter().map(|made| made.expect("adjusted")).collect();
    assert_eq!(made.iter().filter(|made| !made.replayed).count(), 1, "{made:?}");
    assert!(made.iter().all(|one| one.id == made[0].id && one.credits == credits_of(50)));
    assert_eq!(program.available().await, "180");
    // What is taken away is taken in burn order: the promotion first.
    let less = adjust(&world.engine, wanted(&program.org_id, -40, "less")).await.expect("taken");
    assert_eq!((less.credits, less.replayed), (credits_of(-40), false));
    assert_eq!(program.available().await, "140");
    let balance = program.get("balance").await.body;
    assert!(!balance["grants"].to_string().contains("promo"), "{balance}");
    assert!(adjust(&world.engine, wanted(&program.org_id, -40, "less")).await.expect("").replayed);
    assert_eq!(program.available().await, "140");
    assert_eq!(kinds(&program, 1).await, ["adjust"]);
    // Another content under the same key is a mistake; another org is another key.
    for changed in [
        wanted(&program.org_id, -41, "less"),
        wanted(&program.org_id, 40, "less"),
        Adjustment { reason: "else".to_owned(), ..wanted(&program.org_id, -40, "less") },
    ] {
        let refused = adjust(&world.engine, changed).await;
        assert!(matches!(&refused, Err(Error::Conflict(_))), "{refused:?}");
    }
    assert!(!adjust(&world.engine, wanted(&other.org_id, 50, "gift")).await.expect("").replayed);
    assert_eq!(other.available().await, "50");
    let text = "select count(*) from audits where action = 'wallet.adjust' and actor_id = 'Olga'";
    assert_eq!(world.rows::<(i64,)>(sql(text)).await, [(3,)]);
    another.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_never_takes_what_is_not_there() {
    // F6, I3
    let world = World::with_free(0).await;
    let program = world.program("Bare", 100).await;
    let org = program.org_id.as_str();
    held(&program, "h", "text", 60).await;
    let refused = adjust(&world.engine, wanted(org, -41, "k")).await;
    let Err(Error::Invalid { field, message }) = refused else { panic!("{refused:?}") };
    assert_eq!(field, "credits");
    assert!(message.contains("41") && message.contains("40"), "{message}");
    assert_eq!(standing(&program).await, ("40".to_owned(), "60".to_owned()));
    let long = "x".repeat(501);
    for wrong in [
        wanted(org, 0, "k"),
        wanted(org, 1_000_000_001, "k"),
        wanted(org, -1_000_000_001, "k"),
        wanted(org, 1, ""),
        wanted(org, 1, &"k".repeat(256)),
        Adjustment { reason: String::new(), ..wanted(org, 1, "k") },
        Adjustment { reason: long, ..wanted(org, 1, "k") },
    ] {
        let refused = adjust(&world.engine, wrong).await;
        assert!(matches!(&refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    let refused = adjust(&world.engine, wanted("org_nobody", 1, "k")).await;
    assert!(matches!(&refused, Err(Error::NotFound(_))), "{refused:?}");
    // Refusals used nothing up: the key is still free.
    assert!(!adjust(&world.engine, wanted(org, -40, "k")).await.expect("taken").replayed);
    assert_eq!(program.available().await, "0");
    // Nothing is taken from a parked wallet; what it is given, it is given.
    let text = "update wallets set parked_at = 1, parked_reason = 'a test' where org_id = $1";
    world.tamper(sql(text).bind(org)).await;
    adjust(&world.engine, wanted(org, 5, "more")).await.expect("given");
    let refused = adjust(&world.engine, wanted(org, -1, "less")).await;
    assert!(matches!(&refused, Err(Error::Conflict(_))), "{refused:?}");
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    assert!(credits::unpark(db, org, &olga(), "it was a test", now).await.expect("unparked"));
    uses(&program, "a", "text", 5).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_grants_by_hand_to_each_of_two_orgs() {
    // F6, I6
    let world = World::with_free(0).await;
    let (ada, bob) = (world.program("Ada", 0).await, world.program("Bob", 0).await);
    for (program, amount) in [(&ada, 10), (&bob, 20)] {
        let org = program.org_id.as_str();
        assert!(credits::manual_grant(&world.engine.db, org, "sorry").await.expect("").is_none());
        for first in [true, false] {
            let made = grant(&world.engine, org, amount, "sorry").await.expect("granted or was");
            assert_eq!(made.is_some(), first);
        }
        uses(program, "all", "text", amount).await;
        // Spent to the end, it still says what the key has done.
        let known = credits::manual_grant(&world.engine.db, org, "sorry").await.expect("read");
        let known = known.expect("a grant");
        assert_eq!((known.org_id.as_str(), known.amount), (org, credits_of(amount)));
        assert!(known.ended_at.is_some());
        let text = "select actor_id from audits where action = 'wallet.grant' and org_id = $1";
        let told: Vec<(String,)> = world.engine.db.all(sql(text).bind(org)).await.expect("read");
        assert_eq!(told, [("Olga".to_owned(),)]);
    }
    world.end().await;
}

fn olga() -> Actor {
    Actor::Operator("Olga".to_owned())
}

fn credits_of(whole: i64) -> Credits {
    Credits::from_whole(whole).expect("fits")
}

async fn verify(world: &World, org_id: Option<&str>) -> Vec<Disagreement> {
    credits::verify(&world.engine.db, org_id).await.expect("verified")
}

async fn audit(world: &World, org_id: Option<&str>) -> Vec<Disagreement> {
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    credits::audit_books(db, org_id, &olga(), now).await.expect("audited")
}

async fn repair(world: &World, org_id: &str) -> Vec<Disagreement> {
    let (db, now) = (&world.engine.db, world.engine.clock.now());
    credits::repair(db, org_id, &olga(), "the books disagree", now).await.expect("repaired")
}

fn wanted(org_id: &str, credits: i64, key: &str) -> Adjustment {
    Adjustment {
        org_id: org_id.to_owned(),
        credits: credits_of(credits),
        key: key.to_owned(),
        actor: olga(),
        reason: "as agreed by telephone".to_owned(),
    }
}

async fn adjust(engine: &Engine, wanted: Adjustment) -> Result<Adjusted> {
    let mut tx = engine.db.begin().await?;
    let made = credits::adjust(&mut tx, wanted, engine.clock.now()).await?;
    tx.commit().await?;
    Ok(made)
}

/// What the command `grant` does.
async fn grant(engine: &Engine, org_id: &str, amount: i64, key: &str) -> Result<Option<String>> {
    let new = Adjustment { reason: "sorry".to_owned(), ..wanted(org_id, amount, key) };
    let mut tx = engine.db.begin().await?;
    let made = credits::grant_by_hand(&mut tx, new, engine.clock.now()).await?;
    tx.commit().await?;
    Ok(made)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_downwards_is_nothing_that_a_refund_took_back() {
    // E9, F6
    let world = World::with_free(0).await;
    let program = world.program("Corrects", 0).await;
    let org = program.org_id.as_str();
    let new = NewGrant {
        org_id: org.to_owned(),
        source: Source::Pack,
        source_ref: "pi_1".to_owned(),
        amount: credits_of(100),
        effective_at: None,
        expires_at: None,
        payment: Some("pi_1".to_owned()),
        actor: olga(),
        reason: "sorry".to_owned(),
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    credits::grant(&mut tx, new, now).await.expect("granted");
    tx.commit().await.expect("committed");
    adjust(&world.engine, wanted(org, -30, "k")).await.expect("taken");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let tenth = credits::Share::of(1, 10);
    credits::claw_back(&mut tx, org, "pi_1", tenth, now).await.expect("clawed");
    tx.commit().await.expect("committed");
    assert_eq!(program.available().await, "60");
    world.end().await;
}
