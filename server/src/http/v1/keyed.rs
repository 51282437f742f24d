//! Writes that are done once: who asks, under which key, and the answer as it was stored.

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts as _, Path, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::body;
use super::fields;
use super::query::Query;
use crate::api_keys;
use crate::engine::Engine;
use crate::error::Error;
use crate::gate::{self, Answer, Caller, Operation};
use crate::http::caller::MayUse;
use crate::http::error::ApiError;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A write as it came, by a caller that may spend.
pub struct Keyed {
    /// What is asked, unread.
    pub body: Bytes,
    caller: api_keys::Caller,
    /// Told after the mistakes of the body.
    key: Result<String, ApiError>,
}

impl FromRequest<Engine> for Keyed {
    type Rejection = ApiError;

    async fn from_request(request: Request, engine: &Engine) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let MayUse(caller) = MayUse::from_request_parts(&mut parts, engine).await?;
        Query::parse(parts.uri.query(), &[])?;
        let key = body::idempotency_key(&parts.headers);
        let request = Request::from_parts(parts, body);
        let body = body::bytes(Bytes::from_request(request, engine).await)?;
        Ok(Self { body, caller, key })
    }
}

impl Keyed {
    /// Has it done. `parsed` is the body as it counts for the fingerprint.
    pub async fn submit(
        self,
        engine: &Engine,
        path: &str,
        parsed: &Value,
        what: Operation,
    ) -> Result<Response, ApiError> {
        let request = gate::Request {
            org_id: self.caller.org_id,
            caller: Caller::Key { id: self.caller.key_id },
            key: self.key?,
            fingerprint: body::fingerprint("POST", path, parsed),
            what,
        };
        show(engine.gate.submit(request).await?)
    }
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

/// The name or id in a path. What can be nobody's name is not found.
pub fn named(
    path: Result<Path<String>, PathRejection>,
    thing: &'static str,
) -> Result<String, ApiError> {
    let Ok(Path(name)) = path else { return Err(ApiError::no_such_route()) };
    if fields::is_name(&name) { Ok(name) } else { Err(Error::NotFound(thing).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shown_as_it_was_stored() {
        let answer = |status, replayed, retry_after_seconds| Answer {
            status,
            body: r#"{"object":"usage"}"#.into(),
            replayed,
            retry_after_seconds,
        };
        let first = show(answer(200, false, None)).expect("an answer");
        assert_eq!(first.headers()["content-type"], "application/json");
        assert!(first.headers().get("idempotent-replayed").is_none());
        let again = show(answer(402, true, None)).expect("an answer");
        assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        let late = show(answer(429, false, Some(0))).expect("an answer");
        assert_eq!(late.headers()["retry-after"], "1");
        assert!(show(answer(7, false, None)).is_err());
    }

    #[test]
    fn what_can_be_nobodys_name_is_not_found() {
        let long = "x".repeat(101);
        for bad in ["", "hold_\u{0}", "a\nb", long.as_str()] {
            let error = named(Ok(Path(bad.to_owned())), "The hold").expect_err(bad);
            assert_eq!(error.message(), "The hold was not found.");
        }
        let good = named(Ok(Path("a/b c".to_owned())), "The run").expect("a name");
        assert_eq!(good, "a/b c");
    }
}
