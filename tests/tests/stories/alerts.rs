//! Alerts and caps: told in the very transaction that crosses a threshold, once each.

use futures::future::join_all;
use serde_json::json;
use server::audit::Actor;
use server::units::Credits;
use server::{caps, mail, notices};
use tests::World;

use crate::calls::{
    batch, capture_of, held, hold, item_codes, release, reverse, said, subscriber, uses,
    world_with_overage,
};

async fn titles(world: &World, org_id: &str) -> Vec<String> {
    let notices = notices::list(&world.engine.db, org_id, 100).await.expect("notices");
    let mut titles: Vec<String> = notices.into_iter().map(|notice| notice.title).collect();
    titles.sort();
    titles
}

/// Sets a ceiling on overage, in minor units.
async fn cap_overage(world: &World, org_id: &str, most: i64, hard: bool) {
    let ceiling = caps::Ceiling { credits: None, overage_money: Some(most), hard };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    let actor = Actor::Operator("tests".to_owned());
    caps::set_ceiling(&mut tx, org_id, ceiling, actor, now).await.expect("set");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_threshold_of_the_allowance_is_told_once_and_mailed() {
    // D23, I11
    let world = World::new().await;
    let program = world.program("Alerts", 0).await;
    assert_eq!(program.consume("a", "text", 69).await.status, 200);
    assert!(titles(&world, &program.org_id).await.is_empty());
    let crossers = (0..20).map(|n| {
        let program = program.clone();
        async move { program.consume(&format!("c{n}"), "text", 1).await }
    });
    assert!(join_all(crossers).await.iter().all(|answer| answer.status == 200));
    assert_eq!(titles(&world, &program.org_id).await, ["70% of your allowance used"]);
    assert_eq!(program.consume("z", "text", 11).await.status, 200);
    let all =
        ["100% of your allowance used", "70% of your allowance used", "90% of your allowance used"];
    assert_eq!(titles(&world, &program.org_id).await, all);
    world.settle().await;
    let letters = mail::mailbox(&world.engine.db, 100).await.expect("the mailbox");
    let alerts = letters.iter().filter(|letter| letter.subject.contains('%')).count();
    assert_eq!(alerts, 3, "{letters:?}");
    // The next month arms them anew.
    world.advance(32 * 86_400).await;
    assert_eq!(program.consume("next", "text", 75).await.status, 200);
    assert_eq!(titles(&world, &program.org_id).await.len(), 4);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_cap_refuses_with_balance_left_and_a_soft_one_only_tells() {
    // D22
    let world = World::with_free(0).await;
    let program = world.program("Caps", 1000).await;
    let set = async |credits, hard| {
        let mut tx = world.engine.db.begin().await.expect("a transaction");
        let cap = Credits::from_whole(credits).map(|credits| (credits, hard));
        let actor = Actor::Operator("tests".to_owned());
        let now = world.engine.clock.now();
        caps::set(&mut tx, &program.org_id, cap, actor, now).await.expect("set");
        tx.commit().await.expect("committed");
    };
    set(50, true).await;
    assert_eq!(program.consume("a", "text", 50).await.status, 200);
    let refused = program.consume("b", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "cap_reached"));
    assert_eq!(refused.body["error"]["decision"]["next_step"]["kind"], "raise_cap");
    assert_eq!(program.available().await, "950");
    assert_eq!(titles(&world, &program.org_id).await.len(), 3);
    set(60, false).await;
    let warned = program.consume("c", "text", 20).await;
    assert_eq!(warned.status, 200, "{:?}", warned.body);
    assert_eq!(warned.body["warnings"][0]["code"], "cap_reached");
    let told = titles(&world, &program.org_id).await;
    assert_eq!(told.iter().filter(|title| title.contains("cap")).count(), 5, "{told:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_and_items_cross_thresholds_too_and_a_reversal_does_not_tell_twice() {
    // D23, I11
    let world = World::new().await;
    let program = world.program("Crossers", 0).await;
    let told = async || titles(&world, &program.org_id).await.len();
    let hold = held(&program, "h", "text", 95).await;
    assert_eq!(told().await, 0, "what is held is not used");
    let usage = capture_of(&program, &hold, "c", 75).await;
    assert_eq!(told().await, 1);
    assert_eq!(reverse(&program, usage.body["id"].as_str().expect("id"), "r").await.status, 200);
    uses(&program, "again", "text", 75).await;
    assert_eq!(told().await, 1, "the same threshold of the same period");
    let item =
        |key: &str, quantity: i64| json!({ "key": key, "meter": "text", "quantity": quantity });
    let answers = batch(&program, json!([item("a", 16), item("b", 20)])).await;
    assert_eq!(item_codes(&answers), [(200, ""), (200, "")]);
    let all =
        ["100% of your allowance used", "70% of your allowance used", "90% of your allowance used"];
    let titles = titles(&world, &program.org_id).await;
    let of_allowance: Vec<&String> = titles.iter().filter(|one| one.contains('%')).collect();
    assert_eq!(of_allowance, all, "{titles:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_on_overage_is_in_money_and_refuses_or_tells() {
    // D22: two minor units a credit, so 100 of them are 50 credits past the allowance.
    let world = world_with_overage(100).await;
    let program = subscriber(&world, "Bounded").await;
    cap_overage(&world, &program.org_id, 100, true).await;
    let first = program.consume("a", "text", 140).await;
    assert_eq!((first.status.as_u16(), &first.body["overage"]), (200, &json!("40")));
    let over = program.consume("b", "text", 11).await;
    assert_eq!((over.status.as_u16(), over.code()), (402, "cap_reached"));
    assert_eq!(program.consume("c", "text", 10).await.status, 200);
    let told = titles(&world, &program.org_id).await;
    for threshold in [70, 90, 100] {
        let title = format!("{threshold}% of your cap on overage used");
        assert_eq!(told.iter().filter(|one| **one == title).count(), 1, "{told:?}");
    }
    cap_overage(&world, &program.org_id, 100, false).await;
    let soft = program.consume("d", "text", 1).await;
    assert_eq!(soft.status, 200, "{:?}", soft.body);
    assert_eq!(soft.body["warnings"][0]["code"], "cap_reached");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_open_holds_set_aside_as_overage_counts_for_the_cap_on_it() {
    // D22: two minor units a credit, so 100 of them are 50 credits past the allowance.
    let world = world_with_overage(100).await;
    let program = subscriber(&world, "Holder").await;
    cap_overage(&world, &program.org_id, 100, true).await;
    let capped = (402, "cap_reached");
    let first = held(&program, "h1", "text", 130).await;
    // Alone it would be 42 minor units; with what the first may cost it is 102.
    assert_eq!(said(&hold(&program, "h2", "text", 21).await), capped);
    assert_eq!(said(&program.consume("a", "text", 21).await), capped);
    let second = held(&program, "h3", "text", 20).await;
    assert_eq!(said(&hold(&program, "h4", "text", 1).await), capped);
    // Captured it is used instead of held, and counts once.
    let usage = capture_of(&program, &first, "c1", 130).await;
    assert_eq!((usage.status.as_u16(), &usage.body["overage"]), (200, &json!("30")));
    assert_eq!(said(&program.consume("b", "text", 1).await), capped);
    // Given back it is free again.
    assert_eq!(release(&program, &second, "r").await.status, 200);
    assert_eq!(said(&program.consume("c", "text", 21).await), capped);
    assert_eq!(uses(&program, "d", "text", 20).await["overage"], json!("20"));
    assert_eq!(said(&program.consume("e", "text", 1).await), capped);
    world.end().await;
}
