//! What is sent again, and with which key; and that no answer is never a yes.

use std::time::Duration;

use crate::{
    Ask, Captured, Client, Code, Error, Failure, Item, Key, NewHold, Retry, Use, WithHold,
};
use serde_json::json;

use super::scripted::{self, Scripted, Step, error, ok, patient, told, usage};

fn key() -> Key {
    Key::parse("job-1").expect("a key")
}

#[tokio::test]
async fn a_request_without_an_answer_is_sent_again_with_its_key() {
    // D2
    let later =
        Step::Answer(429, vec![("retry-after", "0")], json!({ "error": told("rate_limited") }));
    let server = Scripted::new([
        Step::Break,
        error(503, "unavailable"),
        Step::Text(502, "<html>Bad gateway</html>"),
        error(500, "internal"),
        error(409, "idempotency_in_progress"),
        later,
        Step::Answer(200, vec![("idempotent-replayed", "true")], usage("usage_1", "20")),
    ])
    .await;
    let what = Use::of("image", 1).member("user_1").note("page", "playground");
    let usage = server.client().consume(&what, &key()).await.expect("charged");
    assert!(usage.replayed, "it was done by an attempt that got no answer");
    let asked = server.asked();
    assert_eq!(asked.len(), 7);
    assert!(asked.iter().all(|one| *one == asked[0]), "the same request each time: {asked:?}");
    assert_eq!(asked[0].line, "POST /v1/consume");
    assert_eq!(asked[0].header("idempotency-key"), Some("job-1"));
    let body = json!({ "meter": "image", "quantity": "1", "member": "user_1",
        "metadata": { "page": "playground" } });
    assert_eq!(asked[0].json(), body);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_repeated() {
    // D2
    // As many answers as a slow machine may need.
    let held = (0..9).map(|_| ok(scripted::hold("hold_1", "open")));
    let server = Scripted::new([Step::Hang].into_iter().chain(held)).await;
    let retry = Retry { attempt_timeout: Duration::from_millis(500), ..patient() };
    let new = NewHold::of("text", 1_000).ttl(Duration::from_secs(60));
    let hold = server.client_with(retry).hold(&new, &key()).await.expect("held");
    assert_eq!((hold.id.as_str(), hold.replayed), ("hold_1", false));
    let asked = server.asked();
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[0].header("idempotency-key"), Some("job-1"));
}

#[tokio::test]
async fn a_gate_that_stays_away_is_an_error_after_so_many_attempts() {
    // D25
    let away = (0..5).map(|_| error(503, "unavailable"));
    let server = Scripted::new(away).await;
    let retry = Retry { attempts: 3, ..patient() };
    let answer = server.client_with(retry).consume(&Use::of("image", 1), &key()).await;
    let last = Failure::Status { status: 503, code: Some(Code::Unavailable) };
    assert_eq!(answer, Err(Error::Unreachable { attempts: 3, last }));
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_gate_that_is_not_there_is_an_error() {
    // D25
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let retry = Retry { attempts: 2, ..patient() };
    let client = Client::builder(&url).secret(scripted::SECRET).retry(retry).direct();
    let client = client.build().expect("a client");
    let answer = client.authorize(&Ask::meter("image", 1)).await;
    let error = answer.expect_err("nobody answered");
    let Error::Unreachable { attempts: 2, last: Failure::Connection(told) } = &error else {
        panic!("{error:?}");
    };
    assert!(!told.contains(scripted::SECRET), "{told}");
    let mut begun = false;
    let made = client
        .with_hold(&NewHold::of("text", 1), &key(), async |_| {
            begun = true;
            Ok::<_, Error>((Captured::quantity(1), ()))
        })
        .await;
    assert!(matches!(made, Err(WithHold::NotHeld(Error::Unreachable { .. }))), "{made:?}");
    assert!(!begun, "no answer is no yes");
}

#[tokio::test]
async fn the_deadline_ends_every_waiting() {
    // D25
    let server = Scripted::new((0..100).map(|_| Step::Hang)).await;
    let retry = Retry {
        attempts: u32::MAX,
        deadline: Duration::from_millis(300),
        attempt_timeout: Duration::from_millis(50),
        ..patient()
    };
    let answer = server.client_with(retry).balance().await;
    let Err(Error::Unreachable { last: Failure::Timeout, .. }) = answer else {
        panic!("{answer:?}");
    };
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let body = json!({ "error": told("rate_limited") });
    let server = Scripted::new([Step::Answer(429, vec![("retry-after", "3600")], body)]).await;
    let error = server.client().consume(&Use::of("image", 1), &key()).await.expect_err("limited");
    let Error::Denied(denial) = error else { panic!("{error:?}") };
    assert_eq!(denial.code, Code::RateLimited);
    assert_eq!(denial.retry_after, Some(Duration::from_secs(3600)));
    server.asked_once();
}

#[tokio::test]
async fn a_twin_that_is_never_done_leaves_its_fate_open() {
    // D4
    let server = Scripted::new((0..9).map(|_| error(409, "idempotency_in_progress"))).await;
    let retry = Retry { attempts: 2, ..patient() };
    let answer = server.client_with(retry).consume(&Use::of("image", 1), &key()).await;
    let last = Failure::Status { status: 409, code: Some(Code::IdempotencyInProgress) };
    assert_eq!(answer, Err(Error::Unreachable { attempts: 2, last }));
}

#[tokio::test]
async fn an_answer_that_counts_is_not_asked_for_again() {
    for (status, code) in [
        (400, "invalid_request"),
        (401, "unauthenticated"),
        (402, "insufficient_credits"),
        (403, "blocked"),
        (404, "not_found"),
        (409, "operation_reversed"),
        (413, "too_large"),
        (422, "idempotency_key_reused"),
        (429, "rate_limited"),
    ] {
        let server = Scripted::new([error(status, code)]).await;
        let answer = server.client().consume(&Use::of("image", 1), &key()).await;
        let error = answer.expect_err(code);
        assert_eq!(error.code().map(Code::as_str), Some(code), "{error:?}");
        server.asked_once();
    }
}

#[tokio::test]
async fn a_batch_is_sent_again_because_its_items_have_keys() {
    let server = Scripted::new([
        error(503, "unavailable"),
        ok(json!({ "data": [{ "key": "job-1", "status": 200,
        "usage": usage("usage_1", "2"), "replayed": true }] })),
    ])
    .await;
    let items = [Item::of(key(), "image", 1)];
    let answer = server.client().batch(&items).await.expect("answered");
    assert!(answer.all().expect("charged")[0].replayed);
    let asked = server.asked();
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[0].header("idempotency-key"), None);
    assert_eq!(asked[0].json()["items"][0]["key"], "job-1");
}
