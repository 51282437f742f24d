//! The life of a hold: by hand, and around a piece of work.

use std::io;
use std::time::Duration;

use crate::{Captured, Code, Error, Hold, HoldStatus, Key, Line, NewHold, Over, WithHold};
use serde_json::json;

use super::scripted::{Scripted, Step, error, hold, ok, told, usage};

fn key() -> Key {
    Key::parse("job-1").expect("a key")
}

fn tokens() -> NewHold {
    NewHold::of("text", 1_000).member("user_1")
}

/// Method, path and key of everything that was asked.
fn lines(server: &Scripted) -> Vec<(String, Option<String>)> {
    let asked = server.asked().into_iter();
    asked.map(|one| (one.line.clone(), one.header("idempotency-key").map(str::to_owned))).collect()
}

fn expected(lines: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    lines.iter().map(|(line, key)| ((*line).to_owned(), Some((*key).to_owned()))).collect()
}

#[tokio::test]
async fn a_hold_is_kept_extended_captured_by_lines_and_its_usage_reversed() {
    let mut lined = usage("usage_1", "7");
    lined["lines"] = json!([{ "id": "usage_1", "meter": "in", "model": "m", "quantity": 5,
        "credits": "3" }, { "id": "usage_2", "meter": "out", "model": null, "quantity": 0.5,
        "credits": "4" }]);
    lined["hold"] = json!("hold_1");
    let mut reversed = usage("usage_1", "7");
    reversed["reversed_at"] = json!("2026-11-02T11:00:00Z");
    let server = Scripted::new([
        ok(hold("hold_1", "open")),
        ok(hold("hold_1", "open")),
        ok(hold("hold_1", "open")),
        ok(lined),
        ok(reversed),
        ok(json!({ "object": "run_release", "run": "r1", "released": ["hold_2"], "credits": "10",
            "balance": { "available": "90", "held": "0" } })),
    ])
    .await;
    let client = server.client();
    let hold = client.hold(&tokens(), &key()).await.expect("held");
    assert_eq!((&hold.status, hold.credits.to_string().as_str()), (&HoldStatus::Open, "10"));
    let found: Hold = client.find_hold("hold_1").await.expect("found");
    let extended = client.extend(&found, Duration::from_secs(90), &key()).await.expect("extended");
    let lines = [Line::of("in", 5).model("m"), Line::of("out", 1)];
    let captured = Captured::lines(lines).over(Over::Overage).cost(12);
    let usage = client.capture(&extended, &captured, &key()).await.expect("captured");
    assert_eq!((usage.lines.len(), usage.hold.as_deref()), (2, Some("hold_1")));
    assert_eq!(usage.lines[1].quantity.micros(), 500_000);
    let usage = client.reverse(&usage.id, "it was cut off", &key()).await.expect("reversed");
    assert!(usage.reversed_at.is_some());
    let released = client.release_run("r1", &key()).await.expect("released");
    assert_eq!(released.released, ["hold_2"]);
    let asked = server.asked();
    assert_eq!(asked[1].line, "GET /v1/holds/hold_1");
    assert_eq!(asked[2].line, "POST /v1/holds/hold_1/extend");
    assert_eq!(asked[2].json(), json!({ "ttl_seconds": 90 }));
    let body = json!({ "over": "overage", "cost": 12, "lines": [
        { "meter": "in", "quantity": "5", "model": "m" }, { "meter": "out", "quantity": "1" }] });
    assert_eq!(asked[3].json(), body);
    assert_eq!(asked[4].line, "POST /v1/usage/usage_1/reverse");
    assert_eq!(asked[4].json(), json!({ "reason": "it was cut off" }));
    assert_eq!(asked[5].line, "POST /v1/runs/r1/release");
}

#[tokio::test]
async fn work_that_is_done_is_charged_by_what_it_used() {
    let server = Scripted::new([ok(hold("hold_1", "open")), ok(usage("usage_1", "3"))]).await;
    let client = server.client();
    // In a task, as a web server runs its requests.
    let task = tokio::spawn(async move {
        client
            .with_hold(&tokens(), &key(), async |hold| {
                tokio::task::yield_now().await;
                Ok::<_, io::Error>((Captured::quantity(312), format!("made under {}", hold.id)))
            })
            .await
    });
    let (usage, text) = task.await.expect("joined").expect("done");
    assert_eq!((usage.id.as_str(), text.as_str()), ("usage_1", "made under hold_1"));
    let steps = [("POST /v1/holds", "job-1"), ("POST /v1/holds/hold_1/capture", "job-1:capture")];
    assert_eq!(lines(&server), expected(&steps));
    assert_eq!(server.asked()[1].json(), json!({ "quantity": "312" }));
}

#[tokio::test]
async fn work_that_fails_gives_its_credits_back() {
    let server = Scripted::new([ok(hold("hold_1", "open")), ok(hold("hold_1", "released"))]).await;
    let work = async |_: &Hold| Err::<(Captured, ()), _>(io::Error::other("the model is away"));
    let done = server.client().with_hold(&tokens(), &key(), work).await;
    let Err(WithHold::Failed { error, release: None }) = done else { panic!("{done:?}") };
    assert_eq!(error.to_string(), "the model is away");
    let steps = [("POST /v1/holds", "job-1"), ("POST /v1/holds/hold_1/release", "job-1:release")];
    assert_eq!(lines(&server), expected(&steps));
    assert_eq!(server.asked()[1].json(), json!({}));
}

#[tokio::test]
async fn a_release_that_fails_as_well_is_told() {
    let server = Scripted::new([ok(hold("hold_1", "open")), error(409, "hold_not_open")]).await;
    let work = async |_: &Hold| Err::<(Captured, ()), _>(io::Error::other("the model is away"));
    let done = server.client().with_hold(&tokens(), &key(), work).await;
    let Err(WithHold::Failed { release: Some(release), .. }) = done else { panic!("{done:?}") };
    assert_eq!(release.code(), Some(&Code::HoldNotOpen));
}

#[tokio::test]
async fn work_is_not_begun_without_a_hold() {
    for code in ["insufficient_credits", "operation_reversed"] {
        let status = if code == "operation_reversed" { 409 } else { 402 };
        let server = Scripted::new([error(status, code)]).await;
        let mut begun = false;
        let done = server
            .client()
            .with_hold(&tokens(), &key(), async |_| {
                begun = true;
                Ok::<_, io::Error>((Captured::quantity(1), ()))
            })
            .await;
        let Err(WithHold::NotHeld(error)) = done else { panic!("{done:?}") };
        assert_eq!(error.code().map(Code::as_str), Some(code));
        assert!(!begun);
        server.asked_once();
    }
}

#[tokio::test]
async fn work_that_could_not_be_charged_comes_back_with_what_it_takes_to_try_again() {
    // D8
    let mut denied = told("insufficient_credits");
    denied["retry_with_new_key"] = json!(true);
    let denied = Step::Answer(402, Vec::new(), json!({ "error": denied }));
    let server =
        Scripted::new([ok(hold("hold_1", "open")), denied, ok(usage("usage_1", "12"))]).await;
    let client = server.client();
    let done = client
        .with_hold(&tokens(), &key(), async |_| {
            Ok::<_, io::Error>((Captured::quantity(1_200), "a long text"))
        })
        .await;
    let Err(WithHold::NotCaptured { error, made, captured, hold, key }) = done else {
        panic!("{done:?}");
    };
    assert_eq!((made, key.as_str()), ("a long text", "job-1:capture"));
    assert!(matches!(error, Error::Denied(denial) if denial.retry_with_new_key));
    let again = captured.over(Over::Debt);
    let usage = client.capture(&*hold, &again, &Key::new()).await.expect("captured");
    assert_eq!(usage.credits.to_string(), "12");
    assert_eq!(server.asked()[2].json(), json!({ "quantity": "1200", "over": "debt" }));
}

#[tokio::test]
async fn a_key_without_room_for_its_steps_holds_nothing() {
    let server = Scripted::new([]).await;
    let long = Key::parse("k".repeat(250)).expect("a key");
    let work = async |_: &Hold| Ok::<_, io::Error>((Captured::quantity(1), ()));
    let done = server.client().with_hold(&tokens(), &long, work).await;
    assert!(matches!(done, Err(WithHold::NotHeld(Error::Invalid { field: "key", .. }))));
    assert!(server.asked().is_empty());
}
