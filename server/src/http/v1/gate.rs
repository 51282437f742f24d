//! The gate's first two routes: may it run, and charge it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::body::{self, Wrong};
use super::fields::{self, Told};
use super::keyed::Keyed;
use super::query::Query;
use crate::engine::Engine;
use crate::gate::{self, AuthorizeRequest, Decision, Operation, Use};
use crate::http::caller::MayRead;
use crate::http::error::ApiError;
use crate::rates::RateCard;
use crate::units::{MICRO, Quantity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizeBody<'a> {
    feature: Option<String>,
    model: Option<String>,
    meter: Option<String>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumeBody<'a> {
    meter: String,
    #[serde(borrow)]
    quantity: &'a RawValue,
    model: Option<String>,
    feature: Option<String>,
    run: Option<String>,
    member: Option<String>,
    cost: Option<i64>,
    metadata: Option<Map<String, Value>>,
}

/// `POST /v1/authorize`
pub async fn authorize(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    RawQuery(raw): RawQuery,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Decision>, ApiError> {
    Query::parse(raw.as_deref(), &[])?;
    let mut request = read_authorize(&body::bytes(bytes)?, &engine.rates)?;
    request.org_id = caller.org_id;
    Ok(Json(gate::authorize(&engine, &request).await?))
}

/// `POST /v1/consume`
pub async fn consume(State(engine): State<Engine>, keyed: Keyed) -> Result<Response, ApiError> {
    let used = read_consume(&keyed.body, &engine.rates)?;
    let parsed = fields::normal(&used);
    keyed.submit(&engine, "/v1/consume", &parsed, Operation::Consume(used)).await
}

/// A question, for an org that is still to be named.
pub fn read_authorize(bytes: &[u8], rates: &RateCard) -> Result<AuthorizeRequest, Wrong> {
    let body: AuthorizeBody = body::json("The body", bytes)?;
    fields::name("feature", body.feature.as_deref())?;
    fields::name("model", body.model.as_deref())?;
    let quantity = body.quantity.map(body::quantity).transpose()?;
    match (&body.meter, quantity) {
        (Some(meter), quantity) => {
            let one = Quantity::from_micros(MICRO);
            fields::cost_of(rates, meter, body.model.as_deref(), quantity.unwrap_or(one))?;
        }
        (None, Some(_)) => {
            return Err(Wrong::new("meter", "meter is missing: a quantity of what?"));
        }
        (None, None) => {}
    }
    Ok(AuthorizeRequest {
        org_id: String::new(),
        feature: body.feature,
        model: body.model,
        meter: body.meter,
        quantity,
    })
}

/// A use to be charged.
pub fn read_consume(bytes: &[u8], rates: &RateCard) -> Result<Use, Wrong> {
    let body: ConsumeBody = body::json("The body", bytes)?;
    let told = Told {
        meter: body.meter,
        quantity: body::quantity(body.quantity)?,
        model: body.model,
        feature: body.feature,
        run: body.run,
        member: body.member,
        cost: body.cost,
        metadata: body.metadata,
    };
    told.check(rates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::v1::cases::{long_name, rates, wrong_param};

    #[test]
    fn every_mistake_in_a_consume_names_its_field() {
        // D19
        let notes = "y".repeat(4096);
        let big = format!(r#"{{"meter":"text","quantity":1,"metadata":{{"a":"{notes}"}}}}"#);
        let long = format!(r#"{{"meter":"text","quantity":1,"run":"{}"}}"#, long_name());
        let cases = [
            (r#"{"meter":"text","quantity":1}"#, None),
            (r#"{"meter":"text","quantity":"0.5","model":null,"cost":75}"#, None),
            (r#"{"meter":"text","quantity":1e3,"metadata":{"a":[1,{"b":null}]}}"#, None),
            ("", Some("")),
            ("[]", Some("")),
            ("null", Some("")),
            ("\"meter\"", Some("")),
            (r#"{"meter":"text","quantity":1"#, Some("")),
            (r#"{"meter":"text","quantity":1}}"#, Some("")),
            (r#"{"quantity":1}"#, Some("meter")),
            (r#"{"meter":"text"}"#, Some("quantity")),
            (r#"{"meter":"smoke","quantity":1}"#, Some("meter")),
            (r#"{"meter":7,"quantity":1}"#, Some("meter")),
            (r#"{"meter":"text","quantity":0}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":-1}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":0.0000001}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":1e30}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":NaN}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":null}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":"1e3"}"#, Some("quantity")),
            (r#"{"meter":"video","quantity":1000000000000}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":1,"colour":"red"}"#, Some("colour")),
            (r#"{"meter":"text","quantity":1,"meter":"text"}"#, Some("meter")),
            (r#"{"meter":"text","quantity":1,"model":""}"#, Some("model")),
            (r#"{"meter":"text","quantity":1,"feature":"a\nb"}"#, Some("feature")),
            (long.as_str(), Some("run")),
            (r#"{"meter":"text","quantity":1,"member":["a"]}"#, Some("member")),
            (r#"{"meter":"text","quantity":1,"cost":-1}"#, Some("cost")),
            (r#"{"meter":"text","quantity":1,"cost":0.5}"#, Some("cost")),
            (r#"{"meter":"text","quantity":1,"cost":1000000000000001}"#, Some("cost")),
            (r#"{"meter":"text","quantity":1,"metadata":"notes"}"#, Some("metadata")),
            (r#"["text",1,null,null,null,null,null,null]"#, Some("")),
            (big.as_str(), Some("metadata")),
        ];
        for (body, wrong) in cases {
            let read = read_consume(body.as_bytes(), &rates());
            assert_eq!(wrong_param(&read), wrong, "{body}: {read:?}");
            let named = read
                .as_ref()
                .err()
                .zip(wrong)
                .is_none_or(|(error, wrong)| error.message.to_lowercase().contains(wrong));
            assert!(named, "{body}: {read:?}");
        }
    }

    #[test]
    fn every_mistake_in_an_authorize_names_its_field() {
        let cases = [
            ("{}", None),
            ("[null,null,null,null]", Some("")),
            (r#"{"feature":"export"}"#, None),
            (r#"{"meter":"text"}"#, None),
            (r#"{"meter":"text","quantity":2}"#, None),
            (r#"{"quantity":2}"#, Some("meter")),
            (r#"{"meter":"smoke"}"#, Some("meter")),
            (r#"{"meter":"text","quantity":0}"#, Some("quantity")),
            (r#"{"run":"r1"}"#, Some("run")),
            (r#"{"model":7}"#, Some("model")),
        ];
        for (body, wrong) in cases {
            let read = read_authorize(body.as_bytes(), &rates());
            assert_eq!(wrong_param(&read), wrong, "{body}: {read:?}");
        }
    }

    #[test]
    fn the_same_request_written_otherwise_has_the_same_fingerprint() {
        // D3
        let print = |body: &str| {
            let used = read_consume(body.as_bytes(), &rates()).expect("good");
            body::fingerprint("POST", "/v1/consume", &fields::normal(&used))
        };
        let first = print(r#"{"meter":"text","quantity":1,"metadata":{"a":1,"b":{"d":1,"c":2}}}"#);
        let same = [
            r#"{ "quantity": 1.0, "meter": "text", "metadata": {"b":{"c":2,"d":1},"a":1} }"#,
            r#"{"meter":"text","quantity":"1","model":null,"metadata":{"a":1,"b":{"d":1,"c":2}}}"#,
        ];
        for body in same {
            assert_eq!(print(body), first, "{body}");
        }
        let others = [
            r#"{"meter":"text","quantity":2,"metadata":{"a":1,"b":{"d":1,"c":2}}}"#,
            r#"{"meter":"text","quantity":1,"metadata":{"a":1,"b":{"d":1,"c":3}}}"#,
            r#"{"meter":"text","quantity":1}"#,
            r#"{"meter":"text","quantity":1,"model":"a"}"#,
            r#"{"meter":"text","quantity":1,"feature":"a"}"#,
        ];
        let prints: std::collections::BTreeSet<String> = others.map(print).into();
        assert_eq!(prints.len(), others.len());
        assert!(!prints.contains(&first));
    }
}
