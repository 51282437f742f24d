//! Usage told afterwards, many items at once. Each item stands for itself: it has its own key, its
//! own answer, and a bad one never fails its neighbours. (D26)

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::response::IntoResponse as _;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::body::{self, Wrong};
use super::fields::{self, Told};
use super::query::Query;
use crate::api_keys;
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::Error;
use crate::gate::{Answer, Caller, Item, Operation, Over, Request};
use crate::http::BODY_MAX;
use crate::http::caller::MayUse;
use crate::http::error::{ApiError, Fault};
use crate::rates::RateCard;

/// How many items a batch may have.
const ITEMS_MAX: usize = 1000;

const PATH: &str = "/v1/usage/batch";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchBody<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemBody<'a> {
    key: String,
    meter: String,
    #[serde(borrow)]
    quantity: &'a RawValue,
    model: Option<String>,
    run: Option<String>,
    member: Option<String>,
    over: Option<String>,
    at: Option<String>,
    cost: Option<i64>,
    metadata: Option<Map<String, Value>>,
}

/// What an item that cannot be read is still known by.
#[derive(Deserialize)]
struct KeyOf {
    key: Option<String>,
}

/// The answers, in the order of the items.
#[derive(Serialize)]
pub struct BatchAnswer {
    object: &'static str,
    data: Vec<ItemAnswer>,
}

#[derive(Serialize)]
struct ItemAnswer {
    key: Option<String>,
    /// What the item would have been answered alone.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
}

/// An error's body, of which an item shows the inside.
#[derive(Deserialize)]
struct Envelope {
    error: Box<RawValue>,
}

/// `POST /v1/usage/batch`: needs no key of its own and minds none.
pub async fn batch(
    State(engine): State<Engine>,
    MayUse(caller): MayUse,
    RawQuery(raw): RawQuery,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<BatchAnswer>, ApiError> {
    Query::parse(raw.as_deref(), &[])?;
    let bytes = body::bytes(bytes)?;
    let items = read_batch(&bytes)?;
    let now = engine.clock.now();
    // All at once, so that they share transactions.
    let answers = items.into_iter().enumerate().map(|(index, raw)| {
        let (engine, caller) = (&engine, &caller);
        async move { answer(engine, caller, index, raw, now).await }
    });
    Ok(Json(BatchAnswer { object: "batch", data: join_all(answers).await }))
}

async fn answer(
    engine: &Engine,
    caller: &api_keys::Caller,
    index: usize,
    raw: &RawValue,
    now: Millis,
) -> ItemAnswer {
    let within = |wrong: Wrong| ApiError::from(wrong.within(&format!("items[{index}]")));
    let (key, item) = match read_item(raw, &engine.rates, now) {
        Ok(read) => read,
        Err(wrong) => return refused(key_of(raw), within(wrong)).await,
    };
    let request = Request {
        org_id: caller.org_id.clone(),
        caller: Caller::Key { id: caller.key_id.clone() },
        key: key.clone(),
        fingerprint: body::fingerprint("POST", PATH, &normal(&item)),
        what: Operation::Item(item),
    };
    let answer = engine.gate.submit(request).await;
    match answer.and_then(|answer| show(&key, &answer)) {
        Ok(shown) => shown,
        Err(Error::Invalid { field, message }) => {
            refused(Some(key), within(Wrong::new(field, message))).await
        }
        Err(error) => refused(Some(key), error.into()).await,
    }
}

/// The items, unread: one that is wrong in itself is that item's own affair.
pub fn read_batch(bytes: &[u8]) -> Result<Vec<&RawValue>, Wrong> {
    let BatchBody { items } = body::json("The body", bytes).map_err(|wrong| {
        let param = if wrong.param.is_empty() { "items".to_owned() } else { wrong.param };
        Wrong::new(param, wrong.message)
    })?;
    if !(1..=ITEMS_MAX).contains(&items.len()) {
        return Err(Wrong::new("items", format!("items must have 1 to {ITEMS_MAX} of them.")));
    }
    Ok(items)
}

/// An item and its key.
pub fn read_item(raw: &RawValue, rates: &RateCard, now: Millis) -> Result<(String, Item), Wrong> {
    let body: ItemBody = body::json("The item", raw.get().as_bytes())?;
    if !body::is_key(&body.key) {
        return Err(body::not_a_key("key"));
    }
    let what = Told {
        meter: body.meter,
        quantity: body::quantity(body.quantity)?,
        model: body.model,
        feature: None,
        run: body.run,
        member: body.member,
        cost: body.cost,
        metadata: body.metadata,
    };
    let what = what.check(rates)?;
    let over = fields::over(body.over.as_deref(), Over::Debt)?;
    let at = fields::at(body.at.as_deref(), now)?;
    Ok((body.key, Item { what, over, at }))
}

fn key_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str::<KeyOf>(raw.get()).ok().and_then(|found| found.key)
}

/// An item for the fingerprint; its key is not part of what it asks.
fn normal(item: &Item) -> Value {
    let over = fields::over_word(item.over);
    json!([fields::normal(&item.what), over, item.at])
}

/// The gate's answer to an item.
fn show(key: &str, answer: &Answer) -> Result<ItemAnswer, Error> {
    let (usage, error) = match answer.status {
        200 => (Some(RawValue::from_string(answer.body.to_string())?), None),
        _ => (None, Some(serde_json::from_str::<Envelope>(&answer.body)?.error)),
    };
    let key = Some(key.to_owned());
    Ok(ItemAnswer { key, status: answer.status, usage, error, replayed: answer.replayed })
}

/// An item that never came to the gate, or got no answer there: it shows what a request of its own
/// would have been answered.
async fn refused(key: Option<String>, error: ApiError) -> ItemAnswer {
    let response = error.into_response();
    let status = response.status().as_u16();
    if let Some(Fault(fault)) = response.extensions().get::<Fault>() {
        tracing::error!(key, "an item of a batch: {fault}");
    }
    let body = to_bytes(response.into_body(), BODY_MAX).await.unwrap_or_default();
    let error = serde_json::from_slice::<Envelope>(&body).ok().map(|envelope| envelope.error);
    ItemAnswer { key, status, usage: None, error, replayed: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::v1::cases::{long_name, rates, wrong_param};

    const NOW: Millis = 1_793_700_000_000;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn every_mistake_in_an_item_names_its_field() {
        // D26
        let long = format!(r#"{{"key":"{}","meter":"text","quantity":1}}"#, "k".repeat(256));
        let run = format!(r#"{{"key":"k","meter":"text","quantity":1,"run":"{}"}}"#, long_name());
        let late = r#"{"key":"k","meter":"text","quantity":1,"at":"2999-01-01T00:00:00Z"}"#;
        let cases = [
            (r#"{"key":"k","meter":"text","quantity":1}"#, None),
            (r#"{"key":"k","meter":"text","quantity":"0.5","over":"deny","cost":75}"#, None),
            (r#"{"key":"k","meter":"text","quantity":1,"at":"2020-01-01T00:00:00Z"}"#, None),
            (r#"{"meter":"text","quantity":1}"#, Some("key")),
            (r#"{"key":"","meter":"text","quantity":1}"#, Some("key")),
            (r#"{"key":"é","meter":"text","quantity":1}"#, Some("key")),
            (r#"{"key":null,"meter":"text","quantity":1}"#, Some("key")),
            (r#"{"key":7,"meter":"text","quantity":1}"#, Some("key")),
            (long.as_str(), Some("key")),
            (r#"{"key":"k","quantity":1}"#, Some("meter")),
            (r#"{"key":"k","meter":"smoke","quantity":1}"#, Some("meter")),
            (r#"{"key":"k","meter":"text"}"#, Some("quantity")),
            (r#"{"key":"k","meter":"text","quantity":0}"#, Some("quantity")),
            (r#"{"key":"k","meter":"text","quantity":1,"over":"all"}"#, Some("over")),
            (r#"{"key":"k","meter":"text","quantity":1,"at":5}"#, Some("at")),
            (late, Some("at")),
            (r#"{"key":"k","meter":"text","quantity":1,"feature":"f"}"#, Some("feature")),
            (r#"{"key":"k","meter":"text","quantity":1,"cost":-1}"#, Some("cost")),
            (r#"{"key":"k","meter":"text","quantity":1,"metadata":1}"#, Some("metadata")),
            (run.as_str(), Some("run")),
            (r#"["k","text",1,null,null,null,null,null,null,null]"#, Some("")),
            ("7", Some("")),
            ("null", Some("")),
        ];
        for (body, wrong) in cases {
            let read = read_item(&raw(body), &rates(), NOW);
            assert_eq!(wrong_param(&read), wrong, "{body}: {read:?}");
        }
    }

    #[test]
    fn a_batch_has_1_to_1000_items_whatever_they_are() {
        let items = |count: usize| format!(r#"{{"items":[{}]}}"#, vec!["7"; count].join(","));
        for good in [1, 1000] {
            let text = items(good);
            assert_eq!(read_batch(text.as_bytes()).map(|items| items.len()), Ok(good));
        }
        let (none, many) = (items(0), items(1001));
        let bad = [
            (none.as_str(), "items"),
            (many.as_str(), "items"),
            ("", "items"),
            ("{}", "items"),
            ("[]", "items"),
            ("[[]]", "items"),
            ("{", "items"),
            (r#"{"items":{}}"#, "items"),
            (r#"{"items":null}"#, "items"),
            (r#"{"items":[1],"key":"k"}"#, "key"),
        ];
        for (body, param) in bad {
            assert_eq!(read_batch(body.as_bytes()).expect_err(body).param, param, "{body}");
        }
        let broken = read_batch(br#"{"items":[1,{"key":]}"#).expect_err("no JSON");
        assert!(broken.param.starts_with("items"), "{broken:?}");
    }

    #[test]
    fn the_key_is_no_part_of_what_an_item_asks() {
        // D3
        let form = |body: &str| {
            let (_, item) = read_item(&raw(body), &rates(), NOW).expect("good");
            normal(&item).to_string()
        };
        let first = form(r#"{"key":"a","meter":"text","quantity":1}"#);
        assert_eq!(form(r#"{"quantity":1.0,"key":"b","meter":"text","over":"debt"}"#), first);
        let others = [
            r#"{"key":"a","meter":"text","quantity":1,"over":"deny"}"#,
            r#"{"key":"a","meter":"text","quantity":1,"at":"2020-01-01T00:00:00Z"}"#,
            r#"{"key":"a","meter":"text","quantity":1,"run":"r"}"#,
        ];
        for other in others {
            assert_ne!(form(other), first, "{other}");
        }
    }

    #[tokio::test]
    async fn an_item_is_answered_as_if_it_came_alone() {
        let answer = |status, body: &str| Answer {
            status,
            body: body.into(),
            replayed: status == 402,
            retry_after_seconds: None,
        };
        let text = |item: &ItemAnswer| serde_json::to_string(item).expect("JSON");
        let done = show("k", &answer(200, r#"{"object":"usage"}"#)).expect("JSON");
        assert_eq!(text(&done), r#"{"key":"k","status":200,"usage":{"object":"usage"}}"#);
        let denied = show("k", &answer(402, r#"{"error":{"code":"cap_reached"}}"#)).expect("JSON");
        let shown = r#"{"key":"k","status":402,"error":{"code":"cap_reached"},"replayed":true}"#;
        assert_eq!(text(&denied), shown);
        let wrong = read_item(&raw(r#"{"key":"k"}"#), &rates(), NOW).expect_err("too little");
        let wrong = refused(key_of(&raw(r#"{"key":"k"}"#)), wrong.within("items[3]").into()).await;
        assert_eq!((wrong.key.as_deref(), wrong.status), (Some("k"), 400));
        assert!(text(&wrong).contains(r#""param":"items[3].meter""#), "{}", text(&wrong));
        let full = refused(None, Error::Unavailable.into()).await;
        assert_eq!(full.status, 503);
        assert!(text(&full).starts_with(r#"{"key":null,"status":503,"error":{"type":"api_error""#));
    }
}
