//! The people of an org: one balance for all, and a ceiling for each where the org sets one.

use serde_json::{Value, json};
use server::audit::Actor;
use server::caps;
use server::db::sql;
use server::units::Credits;
use tests::{Answer, Program, World, WorldOptions};

use crate::calls::{capture_of, hold_with, id, look, reverse, said};
use crate::hold_expiry::CHARGING;

fn by(member: &str, quantity: i64) -> Value {
    json!({ "meter": "text", "quantity": quantity, "member": member })
}

async fn uses_as(program: &Program, key: &str, member: &str, quantity: i64) -> Answer {
    program.post("consume", Some(key), &by(member, quantity)).await
}

async fn cap(world: &World, org_id: &str, member: &str, credits: Option<i64>) {
    let now = world.engine.clock.now();
    let credits = credits.map(|credits| Credits::from_whole(credits).expect("fits"));
    let actor = Actor::Operator("tests".to_owned());
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    caps::set_member(&mut tx, org_id, member, credits, actor, now).await.expect("set");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_one_balance_and_their_use_is_told_apart() {
    // D28
    let world = World::with_free(0).await;
    let program = world.program("Shared", 100).await;
    assert_eq!(uses_as(&program, "a", "ann", 10).await.body["member"], "ann");
    assert_eq!(uses_as(&program, "b", "ben", 20).await.status, 200);
    assert_eq!(uses_as(&program, "c", "ann", 5).await.status, 200);
    assert_eq!(program.consume("d", "text", 1).await.status, 200);
    let groups = program.get("usage?group_by=member").await.body;
    let told: Vec<(&str, &str, i64)> = groups["data"]
        .as_array()
        .expect("groups")
        .iter()
        .filter_map(|group| {
            let (value, credits) = (group["value"].as_str()?, group["credits"].as_str()?);
            Some((value, credits, group["count"].as_i64()?))
        })
        .collect();
    let mut told = told;
    told.sort_unstable();
    assert_eq!(told, [("", "1", 1), ("ann", "15", 2), ("ben", "20", 1)]);
    let own = program.get("usage?member=ann").await.body;
    assert_eq!(own["data"].as_array().expect("a list").len(), 2);
    // Whoever leaves takes nothing with them.
    assert_eq!(program.available().await, "64");
    assert_eq!(uses_as(&program, "e", "new", 64).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_at_their_ceiling_is_refused_and_the_others_go_on() {
    // D28
    let world = World::with_free(0).await;
    let program = world.program("Ceiling", 1000).await;
    cap(&world, &program.org_id, "ann", Some(30)).await;
    assert_eq!(uses_as(&program, "a", "ann", 20).await.status, 200);
    let refused = uses_as(&program, "b", "ann", 11).await;
    assert_eq!(said(&refused), (402, "cap_reached"));
    assert!(uses_as(&program, "b", "ann", 11).await.replayed());
    assert_eq!(uses_as(&program, "c", "ben", 500).await.status, 200);
    assert_eq!(program.consume("d", "text", 100).await.status, 200);
    // What is held is spoken for, and what returns is free again.
    let hold = id(&hold_with(&program, "h", &by("ann", 10)).await);
    assert_eq!(said(&uses_as(&program, "e", "ann", 1).await), (402, "cap_reached"));
    assert_eq!(capture_of(&program, &hold, "hc", 4).await.status, 200);
    assert_eq!(uses_as(&program, "f", "ann", 6).await.status, 200);
    assert_eq!(said(&uses_as(&program, "g", "ann", 1).await), (402, "cap_reached"));
    cap(&world, &program.org_id, "ann", None).await;
    assert_eq!(uses_as(&program, "i", "ann", 100).await.status, 200);
    // In the next period the ceiling counts anew.
    cap(&world, &program.org_id, "ann", Some(30)).await;
    assert_eq!(said(&uses_as(&program, "j", "ann", 1).await), (402, "cap_reached"));
    world.advance(32 * 86_400).await;
    assert_eq!(uses_as(&program, "k", "ann", 30).await.status, 200);
    assert_eq!(said(&uses_as(&program, "l", "ann", 1).await), (402, "cap_reached"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_used_before_the_ceiling_was_set_counts_too() {
    // D28
    let world = World::with_free(0).await;
    let program = world.program("Before", 1000).await;
    let usage = uses_as(&program, "a", "ann", 40).await;
    cap(&world, &program.org_id, "ann", Some(50)).await;
    assert_eq!(said(&uses_as(&program, "b", "ann", 11).await), (402, "cap_reached"));
    assert_eq!(uses_as(&program, "c", "ann", 10).await.status, 200);
    // What is taken back makes room.
    assert_eq!(reverse(&program, &id(&usage), "r").await.status, 200);
    assert_eq!(uses_as(&program, "d", "ann", 40).await.status, 200);
    assert_eq!(said(&uses_as(&program, "e", "ann", 1).await), (402, "cap_reached"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_counts_for_its_member_whoever_books_that_its_time_is_over() {
    // D11, D28: here a grant comes first, and not the gate.
    let world = World::with(WorldOptions::nothing_free().rates(CHARGING)).await;
    let program = world.program("Granted", 200).await;
    let org_id = program.org_id.as_str();
    cap(&world, org_id, "ann", Some(85)).await;
    let body = json!({ "meter": "text", "quantity": 80, "member": "ann", "ttl_seconds": 60 });
    let hold = id(&hold_with(&program, "h", &body).await);
    world.pass(61).await;
    world.give(org_id, 10, "later").await;
    let text = "select status from holds where id = $1";
    let booked: Vec<(String,)> = world.rows(sql(text).bind(hold.as_str())).await;
    assert_eq!(booked, [("expired".to_owned(),)], "the grant books what is due");
    assert_eq!(said(&uses_as(&program, "a", "ann", 6).await), (402, "cap_reached"));
    assert_eq!(uses_as(&program, "b", "ann", 5).await.status, 200);
    assert_eq!(said(&uses_as(&program, "c", "ann", 1).await), (402, "cap_reached"));
    assert_eq!(uses_as(&program, "d", "ben", 20).await.status, 200);
    // What is taken back makes room, for her alone.
    let ended = look(&program, &hold).await;
    let usage = ended["usage"].as_str().expect("a usage");
    assert_eq!(reverse(&program, usage, "r").await.status, 200);
    assert_eq!(said(&uses_as(&program, "e", "ann", 81).await), (402, "cap_reached"));
    assert_eq!(uses_as(&program, "f", "ann", 80).await.status, 200);
    world.end().await;
}
