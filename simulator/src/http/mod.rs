//! The wire: authentication, decoding, routing, idempotency, expansion, headers.
//!
//! Every `/v1` request passes through `answer` here. It knows no object; the endpoints are in
//! `api`.

mod call;
mod expand;
mod idempotency;
mod list;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::api::{self, Route};
use crate::errors::{Answer, ApiError};
use crate::form::{self, Node};
use crate::ids;
use crate::spec::{check, spec};
use crate::world::{API_VERSION, Origin, Shared, World};

pub use call::Call;
pub use call::merged_metadata;
pub use expand::expand;
use idempotency::Key;
pub use list::{page, page_of};

/// One request as it came.
struct Request {
    id: String,
    method: String,
    path: String,
    params: Node,
    version: Option<String>,
    key: Option<String>,
}

/// Answers any request below `/v1`.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut params = form::decode(uri.query().unwrap_or(""));
    params.merge(form::decode(&String::from_utf8_lossy(&body)));
    let request = Request {
        id: ids::new("request"),
        method: method.as_str().to_owned(),
        path: uri.path().trim_end_matches('/').to_owned(),
        params,
        version: text_header(&headers, "stripe-version"),
        key: text_header(&headers, "idempotency-key").filter(|_| method == Method::POST),
    };
    let (status, body, replayed) = match authorize(&headers) {
        Ok(()) => run(&shared, &request).await,
        Err(error) => (error.status, error.json(&request.id), None),
    };
    respond(&request, status, &body, replayed)
}

async fn run(shared: &Shared, request: &Request) -> (u16, Value, Option<String>) {
    if let Err(error) = injected_fault(shared).await {
        return (error.status, error.json(&request.id), None);
    }
    let (route, ids) = match api::route(&request.method, &request.path) {
        Some(found) => found,
        None => {
            let error = ApiError::unknown_url(&request.method, &request.path);
            return (error.status, error.json(&request.id), None);
        }
    };
    let params = match typed(route, request) {
        Ok(params) => params,
        Err(error) => return (error.status, error.json(&request.id), None),
    };
    let key = request.key.as_deref().map(|key| Key::of(key, &request.path, &params));
    let origin = Origin { request: Some(request.id.clone()), idempotency_key: request.key.clone() };
    let mut replayed = None;
    let outcome = shared.transact(origin, |world| {
        if let Some(stored) = key.as_ref().map(|key| key.stored(world)).transpose()?.flatten() {
            replayed = Some(stored.request);
            return Ok((stored.status, stored.body));
        }
        let answer = perform(world, route, ids, params);
        settle(world, key.as_ref(), &request.id, answer)
    });
    match outcome.await {
        Ok((status, body)) => (status, body, replayed),
        Err(error) => (error.status, error.json(&request.id), None),
    }
}

/// Turns a result into an answer and stores it under its key. Mistakes found before anything was
/// done are not stored and undo everything.
fn settle(
    world: &mut World,
    key: Option<&Key>,
    request: &str,
    answer: Answer,
) -> Answer<(u16, Value)> {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(error) if error.keep => (error.status, error.json(request)),
        Err(error) => return Err(error),
    };
    if let Some(key) = key {
        key.store(world, request, status, &body);
    }
    Ok((status, body))
}

fn perform(world: &mut World, route: &Route, ids: Vec<String>, params: Value) -> Answer {
    let wanted: Vec<String> = params["expand"]
        .as_array()
        .map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let mut call = Call { world, ids, params };
    let mut body = (route.run)(&mut call)?;
    for path in wanted {
        expand(call.world, &mut body, &path)?;
    }
    Ok(body)
}

fn typed(route: &Route, request: &Request) -> Answer {
    if crate::form::Node::child(&request.params, "payment_method_types").is_some()
        && refuses_method_types(route.pattern, request)
    {
        let message = "Setting payment_method_types is no longer supported. Use \
                       allowed_payment_method_types or excluded_payment_method_types instead.";
        let code = "payment_method_types_no_longer_supported";
        return Err(ApiError::param(code, "payment_method_types", message));
    }
    match spec().operation(route.pattern, &request.method) {
        Some(operation) => check(&operation, &request.params),
        None => Err(ApiError::unknown_url(&request.method, &request.path)),
    }
}

/// Only a caller who asks for the version that dropped the parameter is refused; without a header
/// the account's older default counts.
fn refuses_method_types(pattern: &str, request: &Request) -> bool {
    let resources = ["/v1/checkout/sessions", "/v1/payment_intents", "/v1/setup_intents"];
    let concerned = resources.iter().any(|resource| pattern.starts_with(resource));
    let version = request.version.as_deref().and_then(|version| version.get(..10));
    concerned && request.method == "POST" && version.is_some_and(|day| day >= "2026-09-30")
}

async fn injected_fault(shared: &Shared) -> Answer<()> {
    if shared.read(|world| world.settings.api_fault.is_none()).await {
        return Ok(());
    }
    let fault = shared.transact(Origin::default(), |world| {
        let fault = world.settings.api_fault.clone();
        world.set(|settings| {
            let left = fault.clone().filter(|fault| fault.count > 1);
            settings.api_fault = left.map(|mut fault| {
                fault.count -= 1;
                fault
            });
        });
        Ok(fault)
    });
    match fault.await?.map(|fault| fault.status) {
        Some(429) => Err(ApiError::rate_limit()),
        Some(status) => Err(ApiError { status, ..ApiError::server("An unknown error occurred.") }),
        None => Ok(()),
    }
}

/// Any test key will do; a live key means that somebody is about to make a mistake.
fn authorize(headers: &HeaderMap) -> Answer<()> {
    let given = text_header(headers, "authorization").unwrap_or_default();
    let key = match given.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim().to_owned(),
        Some((scheme, code)) if scheme.eq_ignore_ascii_case("basic") => basic_user(code.trim()),
        _ => String::new(),
    };
    if key.is_empty() {
        let message = "You did not provide an API key. Send it in the Authorization header, as \
                       'Authorization: Bearer YOUR_SECRET_KEY'.";
        return Err(ApiError::unauthorized(message));
    }
    if key.starts_with("sk_live_") || key.starts_with("rk_live_") {
        let message = "This is a simulator: it never takes a live key. Use one that begins with \
                       sk_test_.";
        return Err(ApiError::unauthorized(message));
    }
    let test = ["sk_test_", "rk_test_"].iter().any(|p| key.len() > p.len() && key.starts_with(p));
    if test { Ok(()) } else { Err(ApiError::unauthorized("Invalid API Key provided.")) }
}

/// The user name of basic authentication, which is where the key stands.
fn basic_user(code: &str) -> String {
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for letter in code.bytes().take_while(|letter| *letter != b'=') {
        let Some(value) = letters.iter().position(|known| *known == letter) else {
            return String::new();
        };
        bits = (bits << 6) | u32::try_from(value).unwrap_or(0);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap_or(0));
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split(':').next().unwrap_or("").to_owned()
}

fn respond(request: &Request, status: u16, body: &Value, replayed: Option<String>) -> Response {
    let text = serde_json::to_string_pretty(body).unwrap_or_default();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE.as_str(), "application/json");
    set("request-id", &request.id);
    set("stripe-version", request.version.as_deref().unwrap_or(API_VERSION));
    if let Some(key) = &request.key {
        set("idempotency-key", key);
        set("original-request", replayed.as_deref().unwrap_or(&request.id));
    }
    if replayed.is_some() {
        set("idempotent-replayed", "true");
    }
    if status == StatusCode::CONFLICT {
        set("stripe-should-retry", "true");
    }
    response
}

fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_judged() {
        let table = [
            ("Bearer sk_test_abc", 200),
            ("Bearer rk_test_abc", 200),
            ("Basic c2tfdGVzdF9hYmM6", 200),
            ("Bearer sk_live_abc", 401),
            ("Bearer sk_test_", 401),
            ("", 401),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", HeaderValue::from_static(given));
            let status = authorize(&headers).map(|()| 200).unwrap_or_else(|error| error.status);
            assert_eq!(status, expected, "{given}");
        }
    }
}
