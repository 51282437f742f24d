//! The gate's routes: may it run, and charge it.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::body;
use crate::engine::Engine;
use crate::gate::{self, Answer, AuthorizeRequest, Caller, ConsumeRequest, Decision};
use crate::http::caller::{MayRead, MayUse};
use crate::http::error::ApiError;
use crate::rates::RateCard;
use crate::units::{Quantity, price};

/// The caller's notes, written as JSON, in bytes.
const METADATA_BYTES_MAX: usize = 4096;
/// A billion dollars, in micro-dollars: above any provider's price for one call.
const COST_MAX: i64 = 1_000_000_000_000_000;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizeBody {
    feature: Option<String>,
    model: Option<String>,
    meter: Option<String>,
    quantity: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumeBody {
    meter: String,
    quantity: Box<RawValue>,
    model: Option<String>,
    feature: Option<String>,
    run: Option<String>,
    member: Option<String>,
    cost: Option<i64>,
    metadata: Option<Map<String, Value>>,
}

/// What a consume says, checked.
#[derive(Debug)]
struct Use {
    meter: String,
    quantity: Quantity,
    model: Option<String>,
    feature: Option<String>,
    run: Option<String>,
    member: Option<String>,
    cost: Option<i64>,
    metadata: Option<Value>,
}

/// `POST /v1/authorize`
pub async fn authorize(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Decision>, ApiError> {
    let mut request = read_authorize(&body::bytes(bytes)?, &engine.rates)?;
    request.org_id = caller.org_id;
    Ok(Json(gate::authorize(&engine, &request).await?))
}

/// `POST /v1/consume`
pub async fn consume(
    State(engine): State<Engine>,
    MayUse(caller): MayUse,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let used = read_consume(&body::bytes(bytes)?, &engine.rates)?;
    let key = body::idempotency_key(&headers)?;
    let fingerprint = body::fingerprint("POST", "/v1/consume", &used.parsed());
    let request = ConsumeRequest {
        org_id: caller.org_id,
        caller: Caller::Key { id: caller.key_id },
        key,
        fingerprint,
        meter: used.meter,
        quantity: used.quantity,
        model: used.model,
        feature: used.feature,
        run: used.run,
        member: used.member,
        cost: used.cost,
        metadata: used.metadata,
    };
    show(engine.gate.consume(request).await?)
}

fn read_authorize(bytes: &[u8], rates: &RateCard) -> Result<AuthorizeRequest, ApiError> {
    let body: AuthorizeBody = body::json(bytes)?;
    check_name("feature", body.feature.as_deref())?;
    check_name("model", body.model.as_deref())?;
    let quantity = body.quantity.as_deref().map(body::quantity).transpose()?;
    match (&body.meter, quantity) {
        (Some(meter), quantity) => {
            let one = Quantity::from_micros(crate::units::MICRO);
            check_meter(rates, meter, body.model.as_deref(), quantity.unwrap_or(one))?;
        }
        (None, Some(_)) => {
            return Err(ApiError::invalid("meter", "meter is missing: a quantity of what?"));
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

fn read_consume(bytes: &[u8], rates: &RateCard) -> Result<Use, ApiError> {
    let body: ConsumeBody = body::json(bytes)?;
    let quantity = body::quantity(&body.quantity)?;
    check_meter(rates, &body.meter, body.model.as_deref(), quantity)?;
    for (param, value) in [
        ("model", &body.model),
        ("feature", &body.feature),
        ("run", &body.run),
        ("member", &body.member),
    ] {
        check_name(param, value.as_deref())?;
    }
    if body.cost.is_some_and(|cost| !(0..=COST_MAX).contains(&cost)) {
        let message = format!("cost is in micro-dollars, from 0 to {COST_MAX}.");
        return Err(ApiError::invalid("cost", message));
    }
    Ok(Use {
        meter: body.meter,
        quantity,
        model: body.model,
        feature: body.feature,
        run: body.run,
        member: body.member,
        cost: body.cost,
        metadata: body.metadata.map(check_metadata).transpose()?,
    })
}

impl Use {
    /// The parsed body, the same for the same request however it was written.
    fn parsed(&self) -> Value {
        json!([
            self.meter,
            self.quantity.micros(),
            self.model,
            self.feature,
            self.run,
            self.member,
            self.cost,
            self.metadata,
        ])
    }
}

fn check_name(param: &str, value: Option<&str>) -> Result<(), ApiError> {
    value.map_or(Ok(()), |value| body::name(param, value))
}

/// The rate card must have the meter, and the price must fit the ledger. A model without a price is
/// not a mistake of the form: the gate refuses it.
fn check_meter(
    rates: &RateCard,
    meter: &str,
    model: Option<&str>,
    quantity: Quantity,
) -> Result<(), ApiError> {
    let Some(known) = rates.meters.get(meter) else {
        let names: Vec<&str> = rates.meters.keys().map(String::as_str).collect();
        let message = format!("There is no such meter; known: {}.", names.join(", "));
        return Err(ApiError::invalid("meter", message));
    };
    match known.rate_for(model) {
        Some(rate) if price(rate, quantity).is_none() => {
            let bound = crate::units::decimal(i64::MAX);
            let message = format!("quantity times its rate must be at most {bound} credits.");
            Err(ApiError::invalid("quantity", message))
        }
        _ => Ok(()),
    }
}

fn check_metadata(metadata: Map<String, Value>) -> Result<Value, ApiError> {
    let mut metadata = Value::Object(metadata);
    metadata.sort_all_objects();
    if metadata.to_string().len() > METADATA_BYTES_MAX {
        let message = format!("metadata may have at most {METADATA_BYTES_MAX} bytes as JSON.");
        return Err(ApiError::invalid("metadata", message));
    }
    Ok(metadata)
}

/// The gate's answer, as it was stored.
fn show(answer: Answer) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(answer.status)
        .map_err(|_| ApiError::fault(format!("the gate answered {}", answer.status)))?;
    let mut response = Response::new(Body::from(answer.body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if answer.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = answer.retry_after_seconds {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> RateCard {
        let card = "version = \"test\"
             [meters.text]\nlabel = \"Text\"\nunit = \"text\"\nrate = \"1\"
             [meters.video]\nlabel = \"Video\"\nunit = \"video\"\nrate = \"1000000\"";
        crate::rates::parse(card).expect("a card")
    }

    #[test]
    fn every_mistake_in_a_consume_names_its_field() {
        // D19
        let long = "x".repeat(101);
        let notes = "y".repeat(METADATA_BYTES_MAX);
        let big = format!(r#"{{"meter":"text","quantity":1,"metadata":{{"a":"{notes}"}}}}"#);
        let long = format!(r#"{{"meter":"text","quantity":1,"run":"{long}"}}"#);
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
            (big.as_str(), Some("metadata")),
        ];
        for (body, wrong) in cases {
            let error = read_consume(body.as_bytes(), &rates()).err();
            let param = error.as_ref().map(|error| error.param().unwrap_or_default());
            assert_eq!(param, wrong, "{body}: {error:?}");
            let named = error
                .as_ref()
                .zip(wrong)
                .is_none_or(|(error, wrong)| error.message().to_lowercase().contains(wrong));
            assert!(named, "{body}: {error:?}");
        }
    }

    #[test]
    fn every_mistake_in_an_authorize_names_its_field() {
        let cases = [
            ("{}", None),
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
            let error = read_authorize(body.as_bytes(), &rates()).err();
            let param = error.as_ref().map(|error| error.param().unwrap_or_default());
            assert_eq!(param, wrong, "{body}: {error:?}");
        }
    }

    #[test]
    fn the_same_request_written_otherwise_has_the_same_fingerprint() {
        // D3
        let print = |body: &str| {
            let used = read_consume(body.as_bytes(), &rates()).expect("good");
            body::fingerprint("POST", "/v1/consume", &used.parsed())
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
