//! The wire: authentication, decoding, routing, idempotency, expansion, headers.
//!
//! Every `/v1` request passes through `answer` here. It knows no object; the endpoints are in
//! `api`.

mod auth;
mod call;
mod expand;
mod idempotency;
mod list;
mod trouble;

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
pub use list::{page, page_by, page_of, page_sized};

/// One request as it came.
struct Request {
    id: String,
    method: String,
    path: String,
    params: Node,
    version: Option<String>,
    key: Option<String>,
}

/// An answer before it is put on the wire.
struct Outcome {
    status: u16,
    body: Value,
    /// The request that was answered so first, when this is a replay.
    replayed: Option<String>,
}

impl Outcome {
    fn refusal(request: &Request, error: &ApiError) -> Outcome {
        let body = error.json(&request.id);
        Outcome { status: error.status, body, replayed: None }
    }
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
    if let Err(error) = auth::authorize(&headers).and_then(|()| known_version(&request)) {
        return respond(&request, &Outcome::refusal(&request, &error));
    }
    if !shared.within_limit() {
        return respond(&request, &Outcome::refusal(&request, &ApiError::rate_limit()));
    }
    let held = match &request.key {
        Some(key) => match shared.keys_in_use.take(key) {
            Some(held) => Some(held),
            None => {
                let error = ApiError::key_in_use();
                return respond(&request, &Outcome::refusal(&request, &error));
            }
        },
        None => None,
    };
    let request = Arc::new(request);
    match trouble::drawn(&shared, &request).await {
        Some(fault) => trouble::live(&shared, &request, fault, held).await,
        None => {
            let answered = respond(&request, &run_to_the_end(&shared, &request).await);
            drop(held);
            answered
        }
    }
}

/// Runs a request to its end even when the caller hangs up, as it would behind a network.
async fn run_to_the_end(shared: &Arc<Shared>, request: &Arc<Request>) -> Outcome {
    let (work, asked) = (Arc::clone(shared), Arc::clone(request));
    let task = tokio::spawn(async move { run(&work, &asked).await });
    match task.await {
        Ok(outcome) => outcome,
        Err(_) => {
            Outcome::refusal(request, &ApiError::server("The simulator has a mistake there."))
        }
    }
}

async fn run(shared: &Shared, request: &Request) -> Outcome {
    let found = api::route(&request.method, &request.path);
    let Some((route, ids)) = found else {
        let error = ApiError::unknown_url(&request.method, &request.path);
        return Outcome::refusal(request, &error);
    };
    let outcome = match typed(route, request) {
        Ok(params) => perform(shared, request, route, ids, params).await,
        Err(error) => Outcome::refusal(request, &error),
    };
    shared.judge.answer(&request.method, route.pattern, outcome.status, &outcome.body);
    outcome
}

async fn perform(
    shared: &Shared,
    request: &Request,
    route: &Route,
    ids: Vec<String>,
    params: Value,
) -> Outcome {
    let key = request.key.as_deref().map(|key| Key::of(key, &request.path, &params));
    let origin = Origin { request: Some(request.id.clone()), idempotency_key: request.key.clone() };
    let mut replayed = None;
    let outcome = shared.transact(origin, |world| {
        if let Some(stored) = key.as_ref().map(|key| key.stored(world)).transpose()?.flatten() {
            replayed = Some(stored.request);
            return Ok((stored.status, stored.body));
        }
        let answer = work(world, route, ids, params);
        settle(world, key.as_ref(), &request.id, answer)
    });
    let outcome = match outcome.await {
        Ok((status, body)) => Outcome { status, body, replayed },
        Err(error) => Outcome::refusal(request, &error),
    };
    trouble::let_webhooks_go_first(shared).await;
    outcome
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

fn work(world: &mut World, route: &Route, ids: Vec<String>, params: Value) -> Answer {
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

/// A version is a day, with or without a name behind it. Answers have the one shape of the served
/// version, whichever is asked for.
fn known_version(request: &Request) -> Answer<()> {
    let Some(version) = request.version.as_deref() else {
        return Ok(());
    };
    let day = version.split('.').next().unwrap_or("");
    let parts: Vec<&str> = day.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let digits = parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if digits && lengths == [4, 2, 2] {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Invalid Stripe API version: {version}")))
}

fn respond(request: &Request, outcome: &Outcome) -> Response {
    let text = serde_json::to_string_pretty(&outcome.body).unwrap_or_default();
    let status = StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
        set("original-request", outcome.replayed.as_deref().unwrap_or(&request.id));
    }
    if outcome.replayed.is_some() {
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
