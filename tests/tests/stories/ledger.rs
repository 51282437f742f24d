//! The books: grants that lapse or are yet to come, sweeps, parking, and repairs.

use futures::future::join_all;
use serde_json::json;
use server::audit::Actor;
use server::clock::DAY;
use server::credits::{self, Adjustment, NewGrant, Source};
use server::db::{Db, sql};
use server::engine::Engine;
use server::gate;
use server::units::Credits;
use tests::World;

use crate::calls::{hold, said, uses};

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_lapses_for_readers_at_once_and_in_the_books_when_somebody_comes() {
    // D17, I8
    let world = World::with_free(0).await;
    let program = world.program("Lapses", 10).await;
    world.give_as(&program.org_id, Source::Promo, 50, "promo", Some(60)).await.expect("granted");
    assert_eq!(program.available().await, "60");
    world.pass(60).await;
    // At its very last moment it is over, although nobody has booked that yet.
    assert_eq!(program.available().await, "10");
    let booked = "select count(*) from operations where kind = 'expire'";
    assert_eq!(world.rows::<(i64,)>(sql(booked)).await, [(0,)]);
    assert_eq!(said(&program.consume("a", "text", 11).await), (402, "insufficient_credits"));
    uses(&program, "b", "text", 10).await;
    world.settle().await;
    assert_eq!(world.rows::<(i64,)>(sql(booked)).await, [(1,)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_yet_to_come_is_not_spent() {
    // D17, I8
    let world = World::with_free(0).await;
    let program = world.program("Tomorrow", 10).await;
    let tomorrow = Some(world.engine.clock.now() + DAY);
    let promo = NewGrant {
        source: Source::Promo,
        amount: Credits::from_whole(50).expect("fits"),
        effective_at: tomorrow,
        ..by_hand(&program.org_id, "promo")
    };
    let promo = give(&world.engine, promo).await.expect("granted");
    assert_eq!(program.available().await, "10");
    assert_eq!(said(&program.consume("a", "text", 11).await), (402, "insufficient_credits"));
    assert_eq!(said(&hold(&program, "h", "text", 11).await), (402, "insufficient_credits"));
    let usage = uses(&program, "b", "text", 4).await;
    assert_ne!(usage["from"][0]["grant"], json!(promo));
    world.pass(86_401).await;
    assert_eq!(program.available().await, "56");
    assert_eq!(uses(&program, "c", "text", 50).await["from"][0]["grant"], json!(promo));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweepers_at_once_book_each_expiry_once() {
    // F9
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let mut programs = Vec::new();
    for name in ["Ada", "Bob", "Cid", "Dan"] {
        let program = world.program(name, 100).await;
        for n in 0..3 {
            let key = format!("{name}-{n}");
            world.give_as(&program.org_id, Source::Promo, 10, &key, Some(60 + n)).await;
        }
        programs.push(program);
    }
    world.pass(120).await;
    other.look_at_the_clock().await;
    let engines = [&world.engine, &other.engine, &world.engine, &other.engine];
    let swept = join_all(engines.map(gate::sweep)).await;
    assert!(swept.iter().all(Result::is_ok), "{swept:?}");
    let text = "select count(*), count(distinct grant_id) from ledger_entries
         where to_account = 'expired'";
    assert_eq!(world.rows::<(i64, i64)>(sql(text)).await, [(12, 12)]);
    for program in &programs {
        assert_eq!(program.available().await, "100");
    }
    other.end().await;
    world.end().await;
}

/// What the operator's command gives.
fn by_hand(org_id: &str, key: &str) -> NewGrant {
    NewGrant {
        org_id: org_id.to_owned(),
        source: Source::Manual,
        source_ref: format!("{org_id}:{key}"),
        amount: Credits::from_whole(10).expect("fits"),
        effective_at: None,
        expires_at: None,
        payment: None,
        actor: Actor::Operator("Olga".to_owned()),
        reason: "sorry for the outage".to_owned(),
    }
}

async fn give(engine: &Engine, grant: NewGrant) -> Option<String> {
    let mut tx = engine.db.begin().await.expect("a transaction");
    let now = engine.clock.now();
    let made = credits::grant(&mut tx, grant, now).await.expect("granted, or was before");
    tx.commit().await.expect("committed");
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_clicks_twice_gives_once() {
    // F6, I6
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let program = world.program("Sorry", 0).await;
    let engines = [&world.engine, &other.engine, &world.engine, &other.engine];
    let clicks = engines.map(|engine| give(engine, by_hand(&program.org_id, "click")));
    let made: Vec<String> = join_all(clicks).await.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(program.available().await, "10");
    assert!(give(&world.engine, by_hand(&program.org_id, "another")).await.is_some());
    assert_eq!(program.available().await, "20");
    let text = "select actor_kind, actor_id, reason from operations where org_id = $1";
    let told: Vec<(String, String, String)> =
        world.rows(sql(text).bind(program.org_id.as_str())).await;
    assert_eq!(told.len(), 2);
    for (kind, who, why) in told {
        assert_eq!((kind.as_str(), who.as_str()), ("operator", "Olga"));
        assert_eq!(why, "sorry for the outage");
    }
    other.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_goes_on_while_the_database_is_migrated() {
    // F10
    let world = World::with_free(0).await;
    let program = world.program("Goes", 1000).await;
    let db = Db::connect(&world.database.url).await.expect("connected");
    let migrations = async {
        for _ in 0..10 {
            db.migrate().await.expect("migrated");
        }
    };
    let consumed = join_all((0..100).map(|n| {
        let program = &program;
        async move { program.consume(&format!("k{n}"), "text", 1).await }
    }));
    let (answers, ()) = tokio::join!(consumed, migrations);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(program.available().await, "900");
    db.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_is_sent_twice_is_made_once() {
    // F6
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let program = world.program("Corrected", 100).await;
    let correct = async |engine: &Engine, credits: i64, key: &str| {
        let wanted = Adjustment {
            org_id: program.org_id.clone(),
            credits: Credits::from_whole(credits).expect("fits"),
            key: key.to_owned(),
            actor: Actor::Operator("Olga".to_owned()),
            reason: "counted wrong".to_owned(),
        };
        let mut tx = engine.db.begin().await.expect("a transaction");
        let made = credits::adjust(&mut tx, wanted, engine.clock.now()).await?;
        tx.commit().await.expect("committed");
        Ok::<_, server::error::Error>(made.replayed)
    };
    let engines = [&world.engine, &other.engine, &world.engine, &other.engine];
    for (credits, key, available) in [(10, "more", "110"), (-30, "less", "80")] {
        let clicks = join_all(engines.map(|engine| correct(engine, credits, key))).await;
        let fresh = clicks.into_iter().filter(|made| matches!(made, Ok(false))).count();
        assert_eq!(fresh, 1, "{key}");
        assert_eq!(program.available().await, available);
    }
    assert!(correct(&world.engine, 11, "more").await.is_err(), "the key stands for something else");
    assert!(correct(&world.engine, -81, "all").await.is_err(), "more than there is");
    assert_eq!(program.available().await, "80");
    other.end().await;
    world.end().await;
}
