//! Lists are walked page by page, and a walk survives an error.

use crate::{Error, GroupBy, Retry, UsageFilter};
use serde_json::{Value, json};

use super::scripted::{Scripted, error, ok, patient, usage};

fn movement(id: &str) -> Value {
    json!({ "object": "movement", "id": id, "seq": 1, "kind": "consume", "credits": "-20",
        "cause": "1 image", "usage": "usage_1", "balance": "80", "at": "2026-11-02T10:00:00Z" })
}

fn page(data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "data": data, "has_more": has_more })
}

#[tokio::test]
async fn a_statement_is_walked_to_its_end() {
    let server = Scripted::new([
        ok(page(vec![movement("op_9"), movement("op_8")], true)),
        ok(page(vec![movement("op_7")], false)),
    ])
    .await;
    let mut pages = server.client().ledger().limit(2);
    let mut ids = Vec::new();
    while let Some(page) = pages.next_page().await.expect("a page") {
        ids.extend(page.data.into_iter().map(|movement| movement.id));
    }
    assert_eq!(ids, ["op_9", "op_8", "op_7"]);
    assert!(pages.next_page().await.expect("nothing").is_none(), "the end stays the end");
    let lines: Vec<String> = server.asked().into_iter().map(|one| one.line).collect();
    assert_eq!(lines, ["GET /v1/ledger?limit=2", "GET /v1/ledger?limit=2&starting_after=op_8"]);
}

#[tokio::test]
async fn a_page_that_failed_is_asked_for_again() {
    let server = Scripted::new([
        ok(page(vec![movement("op_9")], true)),
        error(503, "unavailable"),
        ok(page(vec![movement("op_8")], false)),
    ])
    .await;
    let once = Retry { attempts: 1, ..patient() };
    let mut pages = server.client_with(once).ledger().starting_after("op_10");
    assert_eq!(pages.next_page().await.expect("a page").expect("more").data[0].id, "op_9");
    let failed = pages.next_page().await;
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
    assert_eq!(pages.next_page().await.expect("a page").expect("more").data[0].id, "op_8");
    let asked = server.asked();
    assert_eq!(asked[0].line, "GET /v1/ledger?starting_after=op_10");
    assert_eq!(asked[1].line, asked[2].line);
}

#[tokio::test]
async fn usage_is_filtered_and_summed_up() {
    let group = |value: &str| {
        let (object, credits) = ("usage_group", "3");
        json!({ "object": object, "value": value, "credits": credits, "count": 2 })
    };
    let mut line = usage("usage_1", "1");
    for written in ["from", "balance", "warnings"] {
        line.as_object_mut().expect("an object").remove(written);
    }
    let server = Scripted::new([
        ok(page(vec![line], false)),
        ok(page(vec![group("b c")], true)),
        ok(page(Vec::new(), true)),
    ])
    .await;
    let client = server.client();
    let filter = UsageFilter {
        from: Some("2026-11-01T00:00:00Z".to_owned()),
        run: Some("a&b".to_owned()),
        ..UsageFilter::default()
    };
    let listed = client.usage(&filter).next_page().await.expect("a page").expect("more");
    assert!(listed.data[0].balance.is_none() && listed.data[0].from.is_empty());
    let mut groups = client.usage_by(&filter, GroupBy::Member);
    let first = groups.next_page().await.expect("a page").expect("more");
    assert_eq!((first.data[0].value.as_str(), first.data[0].count), ("b c", 2));
    assert!(groups.next_page().await.expect("a page").expect("more").data.is_empty());
    assert!(groups.next_page().await.expect("the end").is_none(), "an empty page leads nowhere");
    let asked = server.asked();
    let common = "from=2026-11-01T00%3A00%3A00Z&run=a%26b";
    assert_eq!(asked[0].line, format!("GET /v1/usage?{common}"));
    let grouped = format!("GET /v1/usage?{common}&group_by=member");
    assert_eq!(asked[1].line, grouped);
    assert_eq!(asked[2].line, format!("{grouped}&starting_after=b+c"));
}
