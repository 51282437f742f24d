//! Holds: credits set aside for work whose cost is known only afterwards.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::body::{self, Wrong};
use super::fields::{self, Told};
use super::keyed::{Keyed, named};
use super::query::Query;
use crate::engine::Engine;
use crate::gate::{self, Capture, LINES_MAX, Line, NewHold, Operation, Over, Used};
use crate::http::caller::MayRead;
use crate::http::error::ApiError;
use crate::rates::RateCard;
use crate::units::{Credits, Quantity};

/// How long a hold lives unless it is told, in seconds.
const TTL_DEFAULT: i64 = 600;

const THE_HOLD: &str = "The hold";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldBody<'a> {
    meter: String,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    model: Option<String>,
    feature: Option<String>,
    run: Option<String>,
    member: Option<String>,
    ttl_seconds: Option<i64>,
    metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendBody {
    ttl_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaptureBody<'a> {
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    lines: Option<Vec<&'a RawValue>>,
    over: Option<String>,
    cost: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineBody<'a> {
    meter: String,
    #[serde(borrow)]
    quantity: &'a RawValue,
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /v1/holds`
pub async fn hold(State(engine): State<Engine>, keyed: Keyed) -> Result<Response, ApiError> {
    let (new, parsed) = read_hold(&keyed.body, &engine.rates)?;
    keyed.submit(&engine, "/v1/holds", &parsed, Operation::Hold(new)).await
}

/// `GET /v1/holds/{id}`
pub async fn find(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    Query::parse(raw.as_deref(), &[])?;
    let id = named(id, THE_HOLD)?;
    Ok(Json(gate::find_hold(&engine, &caller.org_id, &id).await?))
}

/// `POST /v1/holds/{id}/extend`
pub async fn extend(
    State(engine): State<Engine>,
    id: Result<Path<String>, PathRejection>,
    keyed: Keyed,
) -> Result<Response, ApiError> {
    let hold = named(id, THE_HOLD)?;
    let body: ExtendBody = body::json("The body", &keyed.body)?;
    let ttl = fields::ttl(body.ttl_seconds)?;
    let path = format!("/v1/holds/{hold}/extend");
    keyed.submit(&engine, &path, &json!([ttl]), Operation::Extend { hold, ttl }).await
}

/// `POST /v1/holds/{id}/capture`
pub async fn capture(
    State(engine): State<Engine>,
    id: Result<Path<String>, PathRejection>,
    keyed: Keyed,
) -> Result<Response, ApiError> {
    let hold = named(id, THE_HOLD)?;
    let path = format!("/v1/holds/{hold}/capture");
    let capture = read_capture(&keyed.body, hold, &engine.rates)?;
    keyed.submit(&engine, &path, &normal(&capture), Operation::Capture(capture)).await
}

/// `POST /v1/holds/{id}/release`
pub async fn release(
    State(engine): State<Engine>,
    id: Result<Path<String>, PathRejection>,
    keyed: Keyed,
) -> Result<Response, ApiError> {
    let hold = named(id, THE_HOLD)?;
    read_nothing(&keyed.body)?;
    let path = format!("/v1/holds/{hold}/release");
    keyed.submit(&engine, &path, &json!([]), Operation::Release { hold }).await
}

/// A hold and what counts for its fingerprint.
pub fn read_hold(bytes: &[u8], rates: &RateCard) -> Result<(NewHold, Value), Wrong> {
    let body: HoldBody = body::json("The body", bytes)?;
    let told = body.quantity.map(body::quantity).transpose()?;
    let quantity = match told {
        Some(quantity) => quantity,
        None => default_hold(rates, &body.meter)?,
    };
    let what = Told {
        meter: body.meter,
        quantity,
        model: body.model,
        feature: body.feature,
        run: body.run,
        member: body.member,
        cost: None,
        metadata: body.metadata,
    };
    let what = what.check(rates)?;
    let ttl = fields::ttl(body.ttl_seconds.unwrap_or(TTL_DEFAULT))?;
    // A default that changes between two tries does not make them two requests.
    let told = told.map(Quantity::micros);
    let parsed = json!([
        what.meter,
        told,
        what.model,
        what.feature,
        what.run,
        what.member,
        what.metadata,
        ttl
    ]);
    Ok((NewHold { what, ttl }, parsed))
}

/// What a hold takes when nobody knows how much it will be: bounded, never the whole balance. (D12)
fn default_hold(rates: &RateCard, meter: &str) -> Result<Quantity, Wrong> {
    fields::meter(rates, meter)?.default_hold.ok_or_else(|| {
        let message = "quantity is missing: this meter has no default for a hold.";
        Wrong::new("quantity", message)
    })
}

/// A capture of this hold.
pub fn read_capture(bytes: &[u8], hold: String, rates: &RateCard) -> Result<Capture, Wrong> {
    let body: CaptureBody = body::json("The body", bytes)?;
    let used = match (body.quantity, body.lines) {
        (Some(quantity), None) => Used::Quantity(body::quantity_or_none(quantity)?),
        (None, Some(lines)) => Used::Lines(read_lines(&lines, rates)?),
        (Some(_), Some(_)) => {
            return Err(Wrong::new("lines", "Send quantity or lines, not both."));
        }
        (None, None) => {
            return Err(Wrong::new("quantity", "quantity is missing; or send lines."));
        }
    };
    let over = fields::over(body.over.as_deref(), Over::Deny)?;
    fields::cost(body.cost)?;
    Ok(Capture { hold, used, over, cost: body.cost })
}

/// The lines, whose prices must fit the ledger together.
fn read_lines(raw: &[&RawValue], rates: &RateCard) -> Result<Vec<Line>, Wrong> {
    if !(1..=LINES_MAX).contains(&raw.len()) {
        return Err(Wrong::new("lines", format!("lines must have 1 to {LINES_MAX} of them.")));
    }
    let mut lines = Vec::with_capacity(raw.len());
    let mut sum = Credits::ZERO;
    for (index, raw) in raw.iter().enumerate() {
        let within = |wrong: Wrong| wrong.within(&format!("lines[{index}]"));
        let (line, credits) = read_line(raw, rates).map_err(within)?;
        sum = sum.plus(credits).ok_or_else(|| {
            let bound = Credits::from_micros(i64::MAX);
            Wrong::new("lines", format!("lines must cost at most {bound} credits together."))
        })?;
        lines.push(line);
    }
    Ok(lines)
}

/// A line, and what it costs by today's rates.
fn read_line(raw: &RawValue, rates: &RateCard) -> Result<(Line, Credits), Wrong> {
    let LineBody { meter, quantity, model } = body::json("The line", raw.get().as_bytes())?;
    let quantity = body::quantity_or_none(quantity)?;
    let credits = fields::cost_of(rates, &meter, model.as_deref(), quantity)?;
    fields::name("model", model.as_deref())?;
    Ok((Line { meter, quantity, model }, credits.unwrap_or(Credits::ZERO)))
}

/// The body of what needs none: `{}`, or nothing at all.
pub fn read_nothing(bytes: &[u8]) -> Result<(), Wrong> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    body::json("The body", bytes).map(|Nothing {}| ())
}

/// A capture for the fingerprint. The hold stands in the path.
fn normal(capture: &Capture) -> Value {
    let over = fields::over_word(capture.over);
    let used = match &capture.used {
        Used::Quantity(quantity) => json!(quantity.micros()),
        Used::Lines(lines) => lines
            .iter()
            .map(|line| json!([line.meter, line.quantity.micros(), line.model]))
            .collect(),
    };
    json!([used, over, capture.cost])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::v1::cases::{long_name, rates, wrong_param};

    #[test]
    fn every_mistake_in_a_hold_names_its_field() {
        let long = format!(r#"{{"meter":"text","quantity":1,"run":"{}"}}"#, long_name());
        let cases = [
            (r#"{"meter":"text","quantity":1}"#, None),
            (r#"{"meter":"text","quantity":"0.5","ttl_seconds":1,"metadata":{"a":1}}"#, None),
            (r#"{"meter":"text","quantity":1,"ttl_seconds":86400,"run":"r","member":"m"}"#, None),
            (r#"{"meter":"tokens"}"#, None),
            (r#"{"meter":"tokens","quantity":null,"ttl_seconds":null}"#, None),
            (r#"{"meter":"text"}"#, Some("quantity")),
            (r#"{"quantity":1}"#, Some("meter")),
            (r#"{"meter":"smoke"}"#, Some("meter")),
            (r#"{"meter":"text","quantity":0}"#, Some("quantity")),
            (r#"{"meter":"video","quantity":1000000000000}"#, Some("quantity")),
            (r#"{"meter":"text","quantity":1,"ttl_seconds":0}"#, Some("ttl_seconds")),
            (r#"{"meter":"text","quantity":1,"ttl_seconds":86401}"#, Some("ttl_seconds")),
            (r#"{"meter":"text","quantity":1,"ttl_seconds":1.5}"#, Some("ttl_seconds")),
            (r#"{"meter":"text","quantity":1,"ttl_seconds":"60"}"#, Some("ttl_seconds")),
            (r#"{"meter":"text","quantity":1,"ttl_seconds":99999999999999999999}"#, TTL),
            (r#"{"meter":"text","quantity":1,"cost":5}"#, Some("cost")),
            (r#"{"meter":"text","quantity":1,"metadata":[]}"#, Some("metadata")),
            (r#"{"meter":"text","quantity":1,"model":"a\tb"}"#, Some("model")),
            (r#"["text",1,null,null,null,null,60,null]"#, Some("")),
            (long.as_str(), Some("run")),
        ];
        for (body, wrong) in cases {
            let read = read_hold(body.as_bytes(), &rates());
            assert_eq!(wrong_param(&read), wrong, "{body}: {read:?}");
        }
    }

    const TTL: Option<&str> = Some("ttl_seconds");

    #[test]
    fn a_hold_has_defaults() {
        // D12
        let read = |body: &str| read_hold(body.as_bytes(), &rates()).expect("good");
        let (hold, parsed) = read(r#"{"meter":"tokens"}"#);
        assert_eq!((hold.ttl, hold.what.quantity.micros()), (600_000, 200_000_000));
        let (_, same) = read(r#"{"ttl_seconds":600,"meter":"tokens","model":null}"#);
        assert_eq!(parsed, same);
        // The default may change between two tries; a quantity that was told may not.
        let (_, told) = read(r#"{"meter":"tokens","quantity":200}"#);
        assert_ne!(parsed, told);
    }

    #[test]
    fn every_mistake_in_a_capture_names_its_field() {
        let line = r#"{"meter":"text","quantity":1}"#;
        let lines = |count: usize| format!(r#"{{"lines":[{}]}}"#, vec![line; count].join(","));
        let (most, too_many) = (lines(100), lines(101));
        // Each fits the ledger, both together do not.
        let dear = r#"{"meter":"video","quantity":9000000}"#;
        let dear = format!(r#"{{"lines":[{dear},{dear}]}}"#);
        let cases = [
            (r#"{"quantity":5}"#, None),
            (r#"{"quantity":0}"#, None),
            (r#"{"quantity":"0","over":"debt","cost":75}"#, None),
            (r#"{"quantity":null,"lines":[{"meter":"text","quantity":0}]}"#, None),
            (r#"{"lines":[{"meter":"text","quantity":1,"model":"m"}],"over":null}"#, None),
            (most.as_str(), None),
            (too_many.as_str(), Some("lines")),
            (dear.as_str(), Some("lines")),
            (r#"{"lines":[]}"#, Some("lines")),
            (r#"{"lines":{}}"#, Some("lines")),
            (r#"{"quantity":1,"lines":[{"meter":"text","quantity":1}]}"#, Some("lines")),
            ("{}", Some("quantity")),
            ("", Some("")),
            ("[5]", Some("")),
            (r#"{"quantity":-1}"#, Some("quantity")),
            (r#"{"quantity":1e13}"#, Some("quantity")),
            (r#"{"quantity":1,"over":"allow"}"#, Some("over")),
            (r#"{"quantity":1,"over":7}"#, Some("over")),
            (r#"{"quantity":1,"cost":-1}"#, Some("cost")),
            (r#"{"quantity":1,"meter":"text"}"#, Some("meter")),
            (r#"{"lines":[7]}"#, Some("lines[0]")),
            (r#"{"lines":[["text",1,null]]}"#, Some("lines[0]")),
            (r#"{"lines":[{"meter":"text","quantity":1},{"quantity":1}]}"#, Some("lines[1].meter")),
            (r#"{"lines":[{"meter":"smoke","quantity":1}]}"#, Some("lines[0].meter")),
            (r#"{"lines":[{"meter":"text","quantity":-1}]}"#, Some("lines[0].quantity")),
            (r#"{"lines":[{"meter":"text","quantity":1,"run":"r"}]}"#, Some("lines[0].run")),
            (r#"{"lines":[{"meter":"text","quantity":1,"model":""}]}"#, Some("lines[0].model")),
        ];
        for (body, wrong) in cases {
            let read = read_capture(body.as_bytes(), "hold_1".to_owned(), &rates());
            assert_eq!(wrong_param(&read), wrong, "{body}: {read:?}");
        }
    }

    #[test]
    fn the_same_capture_written_otherwise_has_the_same_form() {
        // D3
        let form = |body: &str| {
            let read = read_capture(body.as_bytes(), "hold_1".to_owned(), &rates());
            normal(&read.expect("good")).to_string()
        };
        assert_eq!(form(r#"{"quantity":1}"#), form(r#"{ "over":"deny", "quantity":"1.0" }"#));
        let others = [
            r#"{"quantity":1}"#,
            r#"{"quantity":2}"#,
            r#"{"quantity":1,"over":"debt"}"#,
            r#"{"quantity":1,"cost":0}"#,
            r#"{"lines":[{"meter":"text","quantity":1}]}"#,
            r#"{"lines":[{"meter":"text","quantity":1,"model":"m"}]}"#,
            r#"{"lines":[{"meter":"text","quantity":1},{"meter":"text","quantity":1}]}"#,
        ];
        let forms: std::collections::BTreeSet<String> = others.map(form).into();
        assert_eq!(forms.len(), others.len());
    }

    #[test]
    fn a_release_needs_no_body() {
        for good in ["", " \n", "{}", " { } "] {
            assert_eq!(read_nothing(good.as_bytes()), Ok(()), "{good:?}");
        }
        for (bad, param) in [("[]", ""), ("null", ""), ("{", ""), (r#"{"hold":1}"#, "hold")] {
            assert_eq!(read_nothing(bad.as_bytes()).expect_err(bad).param, param, "{bad}");
        }
    }
}
