//! The ceilings of a tier, the order of the checks, and prices by model.

use serde_json::{Value, json};
use server::audit::Actor;
use server::blocks::{self, NewBlock};
use server::clock::{DAY, MINUTE};
use server::units::Credits;
use server::{caps, credits};
use tests::{Answer, Program, World, WorldOptions};

use crate::calls::{batch, capture_of, held, hold, item_codes, said, uses};

fn limited(lines: &str) -> WorldOptions {
    WorldOptions::nothing_free().limits(lines)
}

fn item(key: &str, meter: &str, over: &str) -> Value {
    json!({ "key": key, "meter": meter, "quantity": 1, "over": over })
}

fn ask(meter: &str, model: &str) -> Value {
    json!({ "meter": meter, "model": model, "quantity": 10_000_000 })
}

fn retry_after(answer: &Answer) -> i64 {
    let value = answer.headers.get("retry-after").expect("a time to wait");
    value.to_str().expect("text").parse().expect("seconds")
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_in_a_minute_are_told_to_wait_and_use_up_no_key() {
    let world = World::with(limited("requests_per_minute = 3")).await;
    let program = world.program("Minute", 100).await;
    world.pass_to_next(MINUTE).await;
    // A use, a hold and an item of a batch count one each.
    uses(&program, "a", "text", 1).await;
    let open = held(&program, "b", "text", 1).await;
    let item = |key: &str| json!([{ "key": key, "meter": "text", "quantity": 1 }]);
    assert_eq!(item_codes(&batch(&program, item("c")).await), [(200, "")]);
    for answer in [program.consume("d", "text", 1).await, hold(&program, "e", "text", 1).await] {
        assert_eq!(said(&answer), (429, "rate_limited"), "{:?}", answer.body);
        assert!((1..=60).contains(&retry_after(&answer)));
        assert_ne!(answer.body["error"]["retry_with_new_key"], true);
    }
    assert_eq!(item_codes(&batch(&program, item("f")).await), [(429, "rate_limited")]);
    // Neither replays nor what ends a hold are counted, nor are questions.
    assert!(program.consume("a", "text", 1).await.replayed());
    assert_eq!(capture_of(&program, &open, "g", 1).await.status, 200);
    let asked = program.post("authorize", None, &json!({ "meter": "text" })).await;
    assert_eq!(asked.body["code"], "rate_limited");
    world.pass_to_next(MINUTE).await;
    for key in ["d", "h"] {
        assert!(!program.consume(key, "text", 1).await.replayed());
    }
    assert_eq!(item_codes(&batch(&program, item("f")).await), [(200, "")]);
    assert_eq!(said(&program.consume("i", "text", 1).await), (429, "rate_limited"));
    assert_eq!(program.available().await, "94");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_and_replays_do_not_count_as_requests() {
    let world = World::with(limited("requests_per_minute = 2")).await;
    let program = world.program("Denied", 10).await;
    world.pass_to_next(MINUTE).await;
    for n in 0..5 {
        let denied = program.consume(&format!("big{n}"), "text", 11).await;
        assert_eq!(said(&denied), (402, "insufficient_credits"));
    }
    uses(&program, "a", "text", 1).await;
    for _ in 0..5 {
        assert!(program.consume("a", "text", 1).await.replayed());
    }
    uses(&program, "b", "text", 1).await;
    assert_eq!(said(&program.consume("c", "text", 1).await), (429, "rate_limited"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_used_up_is_refused_until_the_next_one() {
    let world = World::with(limited("requests_per_day = 2")).await;
    let program = world.program("Day", 100).await;
    world.pass_to_next(DAY).await;
    uses(&program, "a", "text", 1).await;
    let open = held(&program, "b", "text", 1).await;
    let refused = program.consume("c", "text", 1).await;
    assert_eq!(said(&refused), (403, "limit_reached"));
    assert_eq!(refused.body["error"]["retry_with_new_key"], true);
    assert_eq!(refused.body["error"]["decision"]["next_step"]["kind"], "upgrade");
    assert_eq!(capture_of(&program, &open, "d", 1).await.status, 200);
    world.pass_to_next(DAY).await;
    // This denial is a decision, and stays one.
    assert!(program.consume("c", "text", 1).await.replayed());
    uses(&program, "e", "text", 1).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_is_used_up_is_refused_until_the_next_one() {
    let world = World::with(limited("requests_per_period = 2\nimage_per_period = 1")).await;
    let program = world.program("Period", 100).await;
    uses(&program, "a", "image", 1).await;
    assert_eq!(said(&program.consume("b", "image", 1).await), (403, "limit_reached"));
    uses(&program, "c", "text", 1).await;
    assert_eq!(said(&program.consume("d", "text", 1).await), (403, "limit_reached"));
    // Another day of the same month changes nothing.
    world.pass(5 * 86_400).await;
    assert_eq!(said(&program.consume("e", "text", 1).await), (403, "limit_reached"));
    world.pass(32 * 86_400).await;
    uses(&program, "f", "image", 1).await;
    uses(&program, "g", "text", 1).await;
    assert_eq!(said(&program.consume("h", "text", 1).await), (403, "limit_reached"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_has_ceilings_of_its_own() {
    let world = World::with(limited("image_per_minute = 1\ntext_per_day = 2")).await;
    let program = world.program("Meters", 1000).await;
    world.pass_to_next(DAY).await;
    uses(&program, "a", "image", 1).await;
    let refused = program.consume("b", "image", 1).await;
    assert_eq!(said(&refused), (429, "rate_limited"));
    assert!((1..=60).contains(&retry_after(&refused)));
    uses(&program, "c", "text", 1).await;
    held(&program, "d", "text", 1).await;
    assert_eq!(said(&program.consume("e", "text", 1).await), (403, "limit_reached"));
    world.pass_to_next(MINUTE).await;
    uses(&program, "b", "image", 1).await;
    assert_eq!(said(&program.consume("f", "text", 1).await), (403, "limit_reached"));
    world.pass_to_next(DAY).await;
    uses(&program, "g", "text", 1).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_that_happened_is_not_refused_by_the_ceilings_of_a_day() {
    // D18, D22: an item is refused by them only where it says that it may be.
    let world = World::with(limited("text_per_day = 1")).await;
    let program = world.program("Happened", 100).await;
    cap_at(&world, &program.org_id, 3).await;
    world.pass_to_next(DAY).await;
    uses(&program, "a", "text", 1).await;
    let answers = batch(
        &program,
        json!([
            item("b", "text", "deny"),
            item("c", "text", "debt"),
            item("d", "image", "use_available"),
            item("e", "image", "debt"),
        ]),
    )
    .await;
    let expected = [(403, "limit_reached"), (200, ""), (402, "cap_reached"), (200, "")];
    assert_eq!(item_codes(&answers), expected);
    world.end().await;
}

async fn cap_at(world: &World, org_id: &str, credits: i64) {
    let now = world.engine.clock.now();
    let cap = Credits::from_whole(credits).map(|credits| (credits, true));
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let actor = Actor::Operator("tests".to_owned());
    caps::set(&mut tx, org_id, cap, actor, now).await.expect("set");
    tx.commit().await.expect("committed");
}

async fn block(world: &World, org_id: &str, blocked: bool) {
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    credits::lock_wallet(&mut tx, org_id, now).await.expect("locked");
    let (kind, subject, reason) = ("admin", "a talk", "we have to talk");
    if blocked {
        let new = NewBlock { org_id, kind, subject, reason, since: now };
        blocks::put(&mut tx, &new, now).await.expect("put");
    } else {
        blocks::lift_except(&mut tx, org_id, subject, None, now).await.expect("lifted");
    }
    tx.commit().await.expect("committed");
}

/// Asks for it in every way there is; the code must be the same.
async fn refused(program: &Program, key: &str, body: &Value, code: &str) {
    let asked = program.post("authorize", None, body).await;
    assert_eq!((asked.status.as_u16(), asked.body["code"].as_str()), (200, Some(code)), "{body}");
    let consumed = program.post("consume", Some(key), body).await;
    let held = program.post("holds", Some(&format!("{key}-hold")), body).await;
    for answer in [&consumed, &held] {
        assert_eq!(answer.code(), code, "{body} {:?}", answer.body);
        assert_eq!(answer.body["error"]["decision"]["code"], code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_run_in_one_order_and_each_has_its_own_code() {
    // D21: every ask is wrong in all the later ways, too.
    let options = limited("input_tokens_per_day = 1")
        .catalog("models = [\"small-*\"]", "models = [\"small-*\", \"odd-*\"]");
    let world = World::with(options).await;
    let program = world.program("Order", 1).await;
    world.pass_to_next(DAY).await;
    cap_at(&world, &program.org_id, 1).await;
    let first = json!({ "meter": "input_tokens", "model": "small-1", "quantity": 2 });
    assert_eq!(program.post("consume", Some("first"), &first).await.status, 200);
    block(&world, &program.org_id, true).await;
    refused(&program, "a", &ask("video", "huge-1"), "blocked").await;
    block(&world, &program.org_id, false).await;
    refused(&program, "b", &ask("video", "huge-1"), "feature_not_included").await;
    refused(&program, "c", &ask("input_tokens", "huge-1"), "model_not_included").await;
    refused(&program, "d", &ask("input_tokens", "odd-1"), "price_unknown").await;
    refused(&program, "e", &ask("input_tokens", "small-1"), "limit_reached").await;
    refused(&program, "f", &ask("output_tokens", "small-1"), "cap_reached").await;
    cap_at(&world, &program.org_id, 1_000_000).await;
    refused(&program, "g", &ask("output_tokens", "small-1"), "insufficient_credits").await;
    assert_eq!(program.available().await, "0.999");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_what_is_asked_is_checked_before_the_key() {
    // D21, D3
    let world = World::with_free(0).await;
    let program = world.program("First", 10).await;
    let stranger = Program::new(&world.url, "tp_test_nobody", &program.org_id);
    let bad = stranger.post_text("consume", Some("k"), "{".to_owned()).await;
    assert_eq!(said(&bad), (401, "unauthenticated"));
    uses(&program, "k", "text", 1).await;
    let bad = program.post_text("consume", Some("k"), "{".to_owned()).await;
    assert_eq!(said(&bad), (400, "invalid_request"));
    block(&world, &program.org_id, true).await;
    // What was done before a block is still answered, and another body is still a mistake.
    assert!(program.consume("k", "text", 1).await.replayed());
    assert_eq!(said(&program.consume("k", "text", 2).await), (422, "idempotency_key_reused"));
    assert_eq!(said(&program.consume("k2", "text", 1).await), (403, "blocked"));
    world.end().await;
}

const MODELS: &str = "version = \"models\"
[meters.words]\nlabel = \"Words\"\nunit = \"word\"
[meters.words.models]\n\"a*\" = \"1\"\n\"ab*\" = \"2\"\n\"abc\" = \"3\"
[meters.pages]\nlabel = \"Pages\"\nunit = \"page\"\nrate = \"0.1\"
[meters.pages.models]\n\"x*\" = \"0.000001\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_model_has_its_own_price_and_none_is_never_free() {
    // D14
    let any = "models = [\"*\"]";
    let options = WorldOptions::nothing_free().catalog("models = [\"small-*\"]", any).rates(MODELS);
    let world = World::with(options).await;
    let program = world.program("Models", 100).await;
    let cases = [
        ("words", Some("a"), Some("1")),
        ("words", Some("abx"), Some("2")),
        ("words", Some("abc"), Some("3")),
        ("words", Some("abcd"), Some("2")),
        ("words", Some("b"), None),
        ("words", Some("A"), None),
        ("words", None, None),
        ("pages", None, Some("0.1")),
        ("pages", Some("any"), Some("0.1")),
        ("pages", Some("x1"), Some("0.000001")),
    ];
    for (n, (meter, model, price)) in cases.into_iter().enumerate() {
        let body = json!({ "meter": meter, "model": model, "quantity": 1 });
        let answer = program.post("consume", Some(&format!("k{n}")), &body).await;
        match price {
            Some(price) => assert_eq!(answer.body["credits"], price, "{body} {:?}", answer.body),
            None => assert_eq!(said(&answer), (403, "price_unknown"), "{body}"),
        }
    }
    assert_eq!(program.available().await, "91.799999");
    world.end().await;
}
