//! Holds that nobody ended: released or charged by their meter's wish, once, whoever comes first.

use futures::future::join_all;
use serde_json::json;
use server::credits::Source;
use server::gate;
use tests::{World, WorldOptions};

use crate::calls::{
    capture, capture_of, extend, held_for, hold_with, look, release, said, standing, uses,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_whose_client_died_is_given_back_when_its_time_is_over() {
    // D11
    let world = World::with_free(0).await;
    let program = world.program("Died", 100).await;
    let hold = held_for(&program, "h", 40, 60).await;
    world.pass(30).await;
    assert_eq!(standing(&program).await, ("60".to_owned(), "40".to_owned()));
    world.pass(31).await;
    // Readers see it before anybody has booked it.
    assert_eq!(standing(&program).await, ("100".to_owned(), "0".to_owned()));
    assert_eq!(look(&program, &hold).await["status"], "expired");
    // And so does whoever spends.
    uses(&program, "c", "text", 100).await;
    let ended = look(&program, &hold).await;
    assert_eq!((&ended["captured"], &ended["usage"]), (&json!("0"), &json!(null)));
    assert_eq!(said(&extend(&program, &hold, "e", 60).await), (409, "hold_not_open"));
    assert_eq!(said(&release(&program, &hold, "r").await), (409, "hold_not_open"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_gives_back_what_idle_wallets_hold() {
    // D11
    let world = World::with_free(0).await;
    let programs = [world.program("Idle", 100).await, world.program("Asleep", 100).await];
    let mut holds = Vec::new();
    for program in &programs {
        holds.push(held_for(program, "h", 40, 60).await);
    }
    world.advance(61).await;
    let text = "select status from holds order by id";
    let statuses: Vec<(String,)> = world.rows(server::db::sql(text)).await;
    assert!(statuses.iter().all(|(status,)| status == "expired"), "{statuses:?}");
    for program in &programs {
        assert_eq!(standing(program).await, ("100".to_owned(), "0".to_owned()));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_is_done_with_a_lapsed_grant_that_a_hold_keeps_open() {
    // D11, F9: or a hundred such wallets would keep it from everybody else.
    let world = World::with_free(0).await;
    let program = world.program("Kept", 0).await;
    world.give_as(&program.org_id, Source::Promo, 50, "promo", Some(60)).await.expect("granted");
    let hold = held_for(&program, "h", 20, 86_400).await;
    world.pass(61).await;
    assert_eq!(gate::sweep(&world.engine).await.expect("swept"), 1);
    assert_eq!(gate::sweep(&world.engine).await.expect("swept"), 0);
    assert_eq!(standing(&program).await, ("0".to_owned(), "20".to_owned()));
    assert_eq!(capture_of(&program, &hold, "c", 5).await.status, 200);
    assert_eq!(standing(&program).await, ("0".to_owned(), "0".to_owned()));
    world.end().await;
}

/// A rate card whose one meter wants its holds charged when their time is over.
pub const CHARGING: &str = "version = \"charging\"
[meters.text]\nlabel = \"Text\"\nunit = \"text\"\nrate = \"1\"\non_expiry = \"charge\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_may_want_a_hold_charged_when_its_time_is_over() {
    // D11
    let world = World::with(WorldOptions::nothing_free().rates(CHARGING)).await;
    let program = world.program("Charged", 100).await;
    let hold = held_for(&program, "h", 40, 60).await;
    assert_eq!(look(&program, &hold).await["on_expiry"], "charge");
    world.advance(61).await;
    assert_eq!(standing(&program).await, ("60".to_owned(), "0".to_owned()));
    let ended = look(&program, &hold).await;
    assert_eq!(ended["captured"], "40", "{ended}");
    let usage = ended["usage"].as_str().expect("a usage");
    let listed = program.get("usage").await.body;
    assert_eq!(
        (&listed["data"][0]["id"], &listed["data"][0]["credits"]),
        (&json!(usage), &json!("40"))
    );
    for answer in [
        capture_of(&program, &hold, "late", 40).await,
        release(&program, &hold, "late").await,
        extend(&program, &hold, "late", 60).await,
    ] {
        assert_eq!(said(&answer), (409, "hold_not_open"), "{:?}", answer.body);
    }
    // One that is captured in time is charged what was used.
    let hold = held_for(&program, "h2", 40, 60).await;
    assert_eq!(capture_of(&program, &hold, "c", 5).await.status, 200);
    world.advance(61).await;
    assert_eq!(standing(&program).await, ("55".to_owned(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_charged_when_its_time_is_over_counts_for_the_member_and_the_alerts() {
    // D11, D23, D28
    let world = World::with(WorldOptions::default().rates(CHARGING)).await;
    let program = world.program("Counts", 0).await;
    let now = world.engine.clock.now();
    let ceiling = server::units::Credits::from_whole(85);
    let actor = server::audit::Actor::Operator("tests".to_owned());
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    server::caps::set_member(&mut tx, &program.org_id, "ann", ceiling, actor, now)
        .await
        .expect("set");
    tx.commit().await.expect("committed");
    let body = json!({ "meter": "text", "quantity": 80, "member": "ann", "ttl_seconds": 60 });
    assert_eq!(hold_with(&program, "h", &body).await.status, 200);
    world.advance(61).await;
    let told = server::notices::list(&world.engine.db, &program.org_id, 100).await;
    let told: Vec<String> = told.expect("notices").into_iter().map(|one| one.title).collect();
    assert_eq!(told, ["70% of your allowance used"]);
    let uses = |quantity: i64| json!({ "meter": "text", "quantity": quantity, "member": "ann" });
    let over = program.post("consume", Some("a"), &uses(6)).await;
    assert_eq!(said(&over), (402, "cap_reached"));
    assert_eq!(program.post("consume", Some("b"), &uses(5)).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_capture_is_a_fresh_use_and_says_so() {
    // D10
    let world = World::with_free(0).await;
    let program = world.program("Late", 100).await;
    let hold = held_for(&program, "h", 50, 60).await;
    world.pass(61).await;
    let usage = capture_of(&program, &hold, "c", 30).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    let told = (&usage.body["credits"], &usage.body["late"], &usage.body["hold"]);
    assert_eq!(told, (&json!("30"), &json!(true), &json!(hold)));
    assert_eq!(standing(&program).await, ("70".to_owned(), "0".to_owned()));
    let ended = look(&program, &hold).await;
    assert_eq!((&ended["status"], &ended["captured"]), (&json!("expired"), &json!("30")));
    assert!(capture_of(&program, &hold, "c", 30).await.replayed());
    assert_eq!(said(&capture_of(&program, &hold, "d", 30).await), (409, "hold_not_open"));
    assert_eq!(program.available().await, "70");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_capture_finds_what_is_left_and_no_more() {
    // D10
    let world = World::with_free(0).await;
    let program = world.program("Emptied", 50).await;
    let hold = held_for(&program, "h", 50, 60).await;
    world.pass(61).await;
    uses(&program, "a", "text", 30).await;
    let denied = capture_of(&program, &hold, "c", 50).await;
    assert_eq!(said(&denied), (402, "insufficient_credits"));
    assert_eq!(program.available().await, "20");
    // The work was done, so it may be told to become a debt.
    let body = json!({ "quantity": 50, "over": "debt" });
    let usage = capture(&program, &hold, "d", &body).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    assert_eq!((&usage.body["late"], &usage.body["debt"]), (&json!(true), &json!("30")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_and_the_sweepers_that_meet_a_hold_at_its_end_charge_it_once() {
    // D10, F9
    let world = World::with_free(0).await;
    let other = world.another(None).await;
    let program = world.program("Meet", 1000).await;
    let mut holds = Vec::new();
    for n in 0..10 {
        holds.push(held_for(&program, &format!("h{n}"), 10, 60).await);
    }
    world.pass(61).await;
    other.look_at_the_clock().await;
    let captures = holds.iter().enumerate().map(|(n, hold)| {
        let program = &program;
        async move { capture_of(program, hold, &format!("c{n}"), 7).await }
    });
    let sweeps = [&world.engine, &other.engine, &world.engine].map(gate::sweep);
    let (answers, swept) = tokio::join!(join_all(captures), join_all(sweeps));
    assert!(swept.iter().all(Result::is_ok), "{swept:?}");
    for answer in answers {
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert_eq!(answer.body["late"], true);
    }
    assert_eq!(standing(&program).await, ("930".to_owned(), "0".to_owned()));
    other.end().await;
    world.end().await;
}
