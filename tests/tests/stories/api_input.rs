//! Bad input to `/v1`: refused with the field's name and the bound, and nothing happens.

use serde_json::json;
use tests::World;

use crate::calls::{held, look, standing};

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_by_name_and_cost_nothing() {
    // D19
    let world = World::with_free(0).await;
    let program = world.program("Input", 100).await;
    let cases = [
        (r#"{"meter":"teleport","quantity":1}"#, "meter"),
        (r#"{"meter":"text","quantity":0}"#, "quantity"),
        (r#"{"meter":"text","quantity":-1}"#, "quantity"),
        (r#"{"meter":"text","quantity":0.0000001}"#, "quantity"),
        (r#"{"meter":"text","quantity":1e30}"#, "quantity"),
        (r#"{"meter":"text","quantity":1000000000001}"#, "quantity"),
        (r#"{"meter":"text","quantity":"1e3"}"#, "quantity"),
        (r#"{"meter":"text","quantity":"NaN"}"#, "quantity"),
        (r#"{"meter":"text","quantity":null}"#, "quantity"),
        (r#"{"meter":"text","quantity":[1]}"#, "quantity"),
        (r#"{"meter":"text"}"#, "quantity"),
        (r#"{"quantity":1}"#, "meter"),
        (r#"{"meter":"text","quantity":1,"colour":"red"}"#, "colour"),
        (r#"{"meter":"text","quantity":1,"cost":-1}"#, "cost"),
        (r#"{"meter":"text","quantity":1,"cost":"1"}"#, "cost"),
        (r#"{"meter":"text","quantity":1,"metadata":7}"#, "metadata"),
        (r#"{"meter":"text","quantity":1,"model":""}"#, "model"),
    ];
    for (number, (body, param)) in cases.into_iter().enumerate() {
        let key = format!("bad-{number}");
        let answer = program.post_text("consume", Some(&key), body.to_owned()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "invalid_request"), "{body}");
        assert_eq!(answer.param(), param, "{body} {:?}", answer.body);
        // A refused form uses up no key.
        let good = json!({ "meter": "text", "quantity": "0.5" });
        assert_eq!(program.post("consume", Some(&key), &good).await.status, 200);
    }
    for body in ["", "{", "[]", "7", "NaN", r#"{"meter":"text","quantity":NaN}"#] {
        let answer = program.post_text("consume", Some("x"), body.to_owned()).await;
        assert_eq!(answer.code(), "invalid_request", "{body}");
    }
    assert_eq!(program.available().await, "91.5");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quantities_may_be_written_in_every_exact_way() {
    let world = World::with_free(0).await;
    let program = world.program("Ways", 100).await;
    for (number, (text, credits)) in
        [("2", "2"), ("1.5", "1.5"), ("15e-1", "1.5"), (r#""0.25""#, "0.25"), ("1E1", "10")]
            .into_iter()
            .enumerate()
    {
        let body = format!(r#"{{"meter":"text","quantity":{text}}}"#);
        let answer = program.post_text("consume", Some(&format!("q{number}")), body).await;
        assert_eq!(answer.body["credits"], credits, "{text} {:?}", answer.body);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_headers_and_paths_are_checked() {
    let world = World::with_free(0).await;
    let program = world.program("Headers", 10).await;
    let body = json!({ "meter": "text", "quantity": 1 });
    let keyless = program.post("consume", None, &body).await;
    assert_eq!((keyless.status.as_u16(), keyless.code()), (400, "idempotency_key_required"));
    let long = program.post("consume", Some(&"k".repeat(256)), &body).await;
    assert_eq!((long.status.as_u16(), long.param()), (400, "Idempotency-Key"));
    let unknown = program.post("teleport", Some("k"), &body).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, "not_found"));
    let huge = "x".repeat((1 << 20) + 1);
    let large = program.post_text("consume", Some("k"), huge).await;
    assert_eq!((large.status.as_u16(), large.code()), (413, "too_large"));
    let limit = program.get("ledger?limit=101").await;
    assert_eq!((limit.status.as_u16(), limit.param()), (400, "limit"));
    let group = program.get("usage?group_by=colour").await;
    assert_eq!((group.status.as_u16(), group.param()), (400, "group_by"));
    assert_eq!(program.available().await, "10");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_words_about_holds_are_refused_by_name_and_change_nothing() {
    // D19
    let world = World::with_free(0).await;
    let program = world.program("Holds", 100).await;
    let hold = held(&program, "open", "text", 10).await;
    let on = |act: &str| format!("holds/{hold}/{act}");
    let cases = [
        ("holds".to_owned(), r#"{"meter":"text","quantity":0}"#, "quantity"),
        ("holds".to_owned(), r#"{"meter":"text","quantity":1e18}"#, "quantity"),
        ("holds".to_owned(), r#"{"meter":"text"}"#, "quantity"),
        ("holds".to_owned(), r#"{"meter":"text","quantity":1,"ttl_seconds":0}"#, "ttl_seconds"),
        ("holds".to_owned(), r#"{"meter":"text","quantity":1,"ttl_seconds":86401}"#, "ttl_seconds"),
        ("holds".to_owned(), r#"{"meter":"text","quantity":1,"cost":1}"#, "cost"),
        (on("capture"), "{}", "quantity"),
        (on("capture"), r#"{"quantity":-1}"#, "quantity"),
        (on("capture"), r#"{"quantity":1,"over":"maybe"}"#, "over"),
        (on("capture"), r#"{"lines":[]}"#, "lines"),
        (on("capture"), r#"{"quantity":1,"lines":[{"meter":"text","quantity":1}]}"#, "lines"),
        (on("capture"), r#"{"lines":[{"meter":"smoke","quantity":1}]}"#, "lines[0].meter"),
        (on("capture"), r#"{"lines":[{"meter":"text","quantity":-1}]}"#, "lines[0].quantity"),
        (on("extend"), "{}", "ttl_seconds"),
        (on("extend"), r#"{"ttl_seconds":-5}"#, "ttl_seconds"),
        (on("release"), r#"{"why":"so"}"#, "why"),
        ("runs/r1/release".to_owned(), r#"{"why":"so"}"#, "why"),
    ];
    for (path, body, param) in cases {
        let answer = program.post_text(&path, Some("k"), body.to_owned()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "invalid_request"), "{body}");
        assert_eq!(answer.param(), param, "{path} {body} {:?}", answer.body);
    }
    for act in ["capture", "release", "extend"] {
        let body = if act == "extend" { r#"{"ttl_seconds":60}"# } else { r#"{"quantity":1}"# };
        let body = if act == "release" { "{}" } else { body };
        let keyless = program.post_text(&on(act), None, body.to_owned()).await;
        assert_eq!(keyless.code(), "idempotency_key_required", "{act}");
        let path = format!("holds/hold_none/{act}");
        let lost = program.post_text(&path, Some("k"), body.to_owned()).await;
        assert_eq!((lost.status.as_u16(), lost.code()), (404, "not_found"), "{act}");
    }
    assert_eq!(program.get("holds/hold_none").await.code(), "not_found");
    assert_eq!(look(&program, &hold).await["status"], "open");
    assert_eq!(standing(&program).await, ("90".to_owned(), "10".to_owned()));
    world.end().await;
}
