//! What a capture charges: more or less than was held, several lines, at the pinned price, in the
//! period it falls into.

use serde_json::{Value, json};
use server::units::Credits;
use tests::{Program, World, WorldOptions};

use crate::calls::{
    capture, capture_of, held, held_for, hold_with, id, look, release, said, standing, subscriber,
    uses, world_with_overage,
};

fn over(quantity: i64, policy: &str) -> Value {
    json!({ "quantity": quantity, "over": policy })
}

#[tokio::test(flavor = "multi_thread")]
async fn use_beyond_a_hold_is_refused_unless_told_otherwise_and_the_hold_stays_open() {
    // D8
    let world = World::with_free(0).await;
    let program = world.program("Deny", 100).await;
    let hold = held(&program, "h", "text", 10).await;
    let denied = capture_of(&program, &hold, "c", 15).await;
    assert_eq!(said(&denied), (402, "insufficient_credits"));
    assert_eq!(denied.body["error"]["retry_with_new_key"], true);
    // The denial is stored with its key.
    let again = capture_of(&program, &hold, "c", 15).await;
    assert!(again.replayed());
    assert_eq!(again.body, denied.body);
    assert_eq!(capture(&program, &hold, "d", &over(15, "deny")).await.status, 402);
    assert_eq!(look(&program, &hold).await["status"], "open");
    assert_eq!(standing(&program).await, ("90".to_owned(), "10".to_owned()));
    assert_eq!(capture_of(&program, &hold, "e", 10).await.body["credits"], "10");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_beyond_a_hold_may_be_taken_from_what_is_available() {
    // D8
    let world = World::with_free(0).await;
    let program = world.program("Available", 20).await;
    let hold = held(&program, "h", "text", 10).await;
    // 12 more than was held, and 10 are there: refused as a whole.
    for (key, policy) in [("a", "use_available"), ("b", "overage")] {
        let denied = capture(&program, &hold, key, &over(22, policy)).await;
        assert_eq!(said(&denied), (402, "insufficient_credits"), "{policy}");
        assert_eq!(look(&program, &hold).await["status"], "open");
    }
    let usage = capture(&program, &hold, "c", &over(15, "use_available")).await;
    assert_eq!(usage.body["credits"], "15", "{:?}", usage.body);
    assert_eq!((&usage.body["overage"], &usage.body["debt"]), (&json!("0"), &json!("0")));
    assert_eq!(standing(&program).await, ("5".to_owned(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_beyond_a_hold_may_be_billed_as_overage_where_the_tier_allows_it() {
    // D8
    let world = world_with_overage(20).await;
    let program = subscriber(&world, "Overage").await;
    let hold = held(&program, "h", "text", 10).await;
    let usage = capture(&program, &hold, "c", &over(25, "overage")).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    assert_eq!((&usage.body["credits"], &usage.body["overage"]), (&json!("25"), &json!("5")));
    assert_eq!(usage.body["debt"], "0");
    assert_eq!(standing(&program).await, ("0".to_owned(), "0".to_owned()));
    assert_eq!(program.get("balance").await.body["overage"], "5");
    // A hold past every grant sets aside what there is; the rest is billed when it is used.
    world.give(&program.org_id, 10, "more").await;
    let hold = held(&program, "h2", "text", 15).await;
    assert_eq!(standing(&program).await, ("0".to_owned(), "15".to_owned()));
    assert_eq!(program.get("balance").await.body["overage"], "5", "not before it is used");
    let usage = capture_of(&program, &hold, "c2", 12).await;
    assert_eq!((&usage.body["credits"], &usage.body["overage"]), (&json!("12"), &json!("2")));
    assert_eq!(program.get("balance").await.body["overage"], "7");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_beyond_a_hold_may_become_a_debt_that_the_next_pack_pays_first() {
    // D8
    let world = World::with_free(0).await;
    let program = world.program("Debt", 20).await;
    let hold = held(&program, "h", "text", 10).await;
    let usage = capture(&program, &hold, "c", &over(25, "debt")).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    assert_eq!((&usage.body["credits"], &usage.body["debt"]), (&json!("25"), &json!("5")));
    assert_eq!(usage.body["overage"], "0");
    let balance = program.get("balance").await.body;
    assert_eq!((&balance["available"], &balance["debt"]), (&json!("0"), &json!("5")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explicit_zero_is_zero_and_what_was_delivered_is_billed() {
    // D13
    let world = World::with_free(0).await;
    let program = world.program("Stream", 100).await;
    let hold = held(&program, "h", "text", 10).await;
    let nothing = capture_of(&program, &hold, "c", 0).await;
    assert_eq!(nothing.status, 200, "{:?}", nothing.body);
    assert_eq!((&nothing.body["credits"], &nothing.body["quantity"]), (&json!("0"), &json!(0)));
    assert_eq!(nothing.body["from"], json!([]));
    assert_eq!(look(&program, &hold).await["status"], "captured");
    assert_eq!(standing(&program).await, ("100".to_owned(), "0".to_owned()));
    // The stream broke off: the provider counted this much, and that is what is billed.
    let body = json!({ "meter": "output_tokens", "quantity": 5000, "model": "small-1" });
    let hold = id(&hold_with(&program, "s", &body).await);
    assert_eq!(standing(&program).await, ("90".to_owned(), "10".to_owned()));
    let body = json!({ "lines": [
        { "meter": "input_tokens", "quantity": 1000 },
        { "meter": "output_tokens", "quantity": 2000, "model": "small-1" },
    ], "cost": 1234 });
    let usage = capture(&program, &hold, "sc", &body).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    assert_eq!((&usage.body["credits"], &usage.body["cost"]), (&json!("4.5"), &json!(1234)));
    let lines = usage.body["lines"].as_array().expect("lines");
    let told: Vec<(&str, &str)> = lines
        .iter()
        .filter_map(|line| Some((line["meter"].as_str()?, line["credits"].as_str()?)))
        .collect();
    assert_eq!(told, [("input_tokens", "0.5"), ("output_tokens", "4")]);
    assert_eq!(program.available().await, "95.5");
    let by_meter = program.get("usage?group_by=meter").await.body;
    assert_eq!(by_meter["data"].as_array().expect("groups").len(), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_were_charged_together_are_listed_one_by_one() {
    let world = World::with_free(0).await;
    let program = world.program("Pages", 100).await;
    for round in 0..2 {
        let hold = held(&program, &format!("h{round}"), "text", 40).await;
        let lines = json!({ "lines": [
            { "meter": "text", "quantity": 1 },
            { "meter": "image", "quantity": 1 },
            { "meter": "text", "quantity": 2 },
        ] });
        let usage = capture(&program, &hold, &format!("c{round}"), &lines).await;
        assert_eq!(usage.body["credits"], "23", "{:?}", usage.body);
    }
    let whole = program.get("usage?limit=100").await.body;
    let ids = |body: &Value| -> Vec<String> {
        let data = body["data"].as_array().expect("a list").iter();
        data.filter_map(|line| line["id"].as_str().map(str::to_owned)).collect()
    };
    let whole = ids(&whole);
    assert_eq!(whole.len(), 6);
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = program.get(&format!("usage?limit=1{after}")).await.body;
        paged.extend(ids(&page));
        if page["has_more"] != true {
            break;
        }
        after = format!("&starting_after={}", paged.last().expect("a line"));
    }
    assert_eq!(paged, whole);
    let grouped = program.get("usage?group_by=meter").await.body;
    assert_eq!(grouped["data"].as_array().map(Vec::len), Some(2));
    world.end().await;
}

fn card(version: &str, text: &str, image: &str) -> String {
    let meter = |name: &str, rate: &str| {
        format!("[meters.{name}]\nlabel = \"{name}\"\nunit = \"{name}\"\nrate = \"{rate}\"\n")
    };
    format!("version = \"{version}\"\n{}{}", meter("text", text), meter("image", image))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_charged_by_the_rate_card_it_was_made_under() {
    // D15
    let options = WorldOptions::nothing_free().rates(&card("spring", "1", "20"));
    let world = World::with(options).await;
    let program = world.program("Pinned", 1000).await;
    let one = held(&program, "h1", "text", 10).await;
    let two = held(&program, "h2", "text", 30).await;
    let late = held_for(&program, "h3", 10, 60).await;
    // The product is started anew with another card.
    let newer = world.another(Some(&card("summer", "3", "40"))).await;
    let after = Program::new(&newer.url, &program.secret, &program.org_id);
    let usage = capture_of(&after, &one, "c1", 10).await;
    let told = (&usage.body["credits"], &usage.body["rate_card"]);
    assert_eq!(told, (&json!("10"), &json!("spring")), "{:?}", usage.body);
    let lines = json!({ "lines": [
        { "meter": "text", "quantity": 5 }, { "meter": "image", "quantity": 1 },
    ] });
    let usage = capture(&after, &two, "c2", &lines).await;
    let told = (&usage.body["credits"], &usage.body["rate_card"]);
    assert_eq!(told, (&json!("25"), &json!("spring")), "{:?}", usage.body);
    world.pass(61).await;
    newer.look_at_the_clock().await;
    let usage = capture_of(&after, &late, "c3", 10).await;
    let told = (&usage.body["credits"], &usage.body["late"]);
    assert_eq!(told, (&json!("10"), &json!(true)), "{:?}", usage.body);
    let usage = uses(&after, "n", "text", 10).await;
    assert_eq!((&usage["credits"], &usage["rate_card"]), (&json!("30"), &json!("summer")));
    assert_eq!(program.available().await, "925");
    newer.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_a_model_is_pinned_in_the_hold() {
    // D15
    let world = World::with_free(0).await;
    let program = world.program("Right", 100).await;
    let body = json!({ "meter": "output_tokens", "quantity": 1000, "model": "small-1" });
    let hold = id(&hold_with(&program, "h", &body).await);
    let models = ("models = [\"small-*\"]", "models = [\"tiny-*\"]".to_owned());
    let nothing = ("included_credits = 100", "included_credits = 0".to_owned());
    world.push_changed(&[nothing, models]).await;
    let refused = hold_with(&program, "h2", &body).await;
    assert_eq!(said(&refused), (403, "model_not_included"));
    let usage = capture_of(&program, &hold, "c", 1000).await;
    assert_eq!((usage.status.as_u16(), &usage.body["credits"]), (200, &json!("2")));
    world.end().await;
}

/// Opens a period of thirty days from now, as a paid invoice does.
async fn open_period(world: &World, org_id: &str, credits: i64, rollover: i64, invoice: &str) {
    let now = world.engine.clock.now();
    let whole = |credits| Credits::from_whole(credits).expect("fits");
    let allowance = server::credits::Allowance {
        org_id: org_id.to_owned(),
        item: "si_1".to_owned(),
        period: (now, now + 30 * server::clock::DAY),
        target: whole(credits),
        rollover_max: whole(rollover),
        grace_until: now + 33 * server::clock::DAY,
        invoice: invoice.to_owned(),
        reason: "Pro".to_owned(),
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    server::credits::set_allowance(&mut tx, allowance, now).await.expect("set");
    tx.commit().await.expect("committed");
}

async fn cap_at(world: &World, org_id: &str, credits: i64) {
    let now = world.engine.clock.now();
    let cap = Credits::from_whole(credits).map(|credits| (credits, true));
    let actor = server::audit::Actor::Operator("tests".to_owned());
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    server::caps::set(&mut tx, org_id, cap, actor, now).await.expect("set");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_across_the_turn_of_the_period_is_charged_to_its_grants_and_counts_in_the_new_one() {
    // D16
    let world = World::with_free(0).await;
    let program = world.program("Turn", 0).await;
    open_period(&world, &program.org_id, 100, 0, "in_1").await;
    cap_at(&world, &program.org_id, 70).await;
    uses(&program, "a", "text", 10).await;
    world.pass(30 * 86_400 - 600).await;
    let hold = held_for(&program, "h", 60, 7200).await;
    world.pass(700).await;
    open_period(&world, &program.org_id, 100, 0, "in_2").await;
    // What was left of the old month is gone; what was held of it is not.
    assert_eq!(standing(&program).await, ("100".to_owned(), "60".to_owned()));
    let usage = capture_of(&program, &hold, "c", 40).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    // The 20 that return belong to the old month, and lapse.
    assert_eq!(standing(&program).await, ("100".to_owned(), "0".to_owned()));
    // The use counts in the month of the capture: 40 of its cap of 70 are gone.
    assert_eq!(said(&program.consume("b", "text", 31).await), (402, "cap_reached"));
    uses(&program, "c2", "text", 30).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_carried_over_is_carried_over_and_spent_first() {
    // D16
    let world = World::with_free(0).await;
    let program = world.program("Carry", 0).await;
    open_period(&world, &program.org_id, 100, 30, "in_1").await;
    uses(&program, "a", "text", 50).await;
    world.pass(30 * 86_400 + 60).await;
    open_period(&world, &program.org_id, 100, 30, "in_2").await;
    assert_eq!(program.available().await, "130");
    let usage = uses(&program, "b", "text", 40).await;
    let from = usage["from"].as_array().expect("parts").iter();
    let parts: Vec<&str> = from.filter_map(|part| part["credits"].as_str()).collect();
    assert_eq!(parts, ["30", "10"]);
    // What was carried over is not carried on without end: 30 again, not 60.
    world.pass(30 * 86_400 + 60).await;
    open_period(&world, &program.org_id, 100, 30, "in_3").await;
    assert_eq!(program.available().await, "130");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_holds_count_against_the_cap() {
    // D22
    let world = World::with_free(0).await;
    let program = world.program("Caps", 1000).await;
    cap_at(&world, &program.org_id, 50).await;
    let hold = held(&program, "h", "text", 40).await;
    assert_eq!(said(&program.consume("a", "text", 20).await), (402, "cap_reached"));
    let second = hold_with(&program, "h2", &json!({ "meter": "text", "quantity": 20 })).await;
    assert_eq!(said(&second), (402, "cap_reached"));
    assert_eq!(release(&program, &hold, "r").await.status, 200);
    uses(&program, "b", "text", 20).await;
    // A capture of what was held needs no room that it does not have already.
    let hold = held(&program, "h3", "text", 30).await;
    assert_eq!(capture_of(&program, &hold, "c", 30).await.status, 200);
    world.end().await;
}
