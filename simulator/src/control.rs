//! The control surface under `/_sim`: clock, reset, endpoints, deliveries, faults.
//!
//! For the developer's own tools and tests on the same machine; Stripe has nothing like it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::upsert_endpoint;
use crate::billing::due::{LONGEST_ADVANCE, Scope, run_until};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{ApiFault, DONE, Faults, Origin, Shared, WAITING, World};

type State_ = State<Arc<Shared>>;

/// The routes of the control surface.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/clock", get(read_clock).post(move_clock))
        .route("/_sim/reset", post(reset))
        .route("/_sim/webhook_endpoints", post(endpoint))
        .route("/_sim/events", get(events))
        .route("/_sim/events/{id}/resend", post(resend))
        .route("/_sim/deliveries", get(deliveries))
        .route("/_sim/webhooks/hold", post(hold))
        .route("/_sim/faults", get(read_faults).post(set_faults))
        .route("/_sim/idle", get(idle))
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

/// A JSON body, whatever its content type; nothing counts as an empty object.
fn parse(body: &Bytes) -> Answer {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|_| ApiError::invalid("The body must be JSON."))
}

fn reply(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(error) => (error.status, error.json("control")),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(body)).into_response()
}

fn clock(world: &World) -> Value {
    json!({"now": world.now(), "offset_seconds": world.settings.offset_ms.div_euclid(1000)})
}

async fn read_clock(State(shared): State_) -> Response {
    reply(Ok(shared.read(clock).await))
}

/// Moves the global clock forward and lives through everything on the way.
pub fn advance(world: &mut World, seconds: i64) -> Answer {
    if !(0..=LONGEST_ADVANCE).contains(&seconds) {
        let message = "advance_seconds must be between 0 and three years.";
        return Err(ApiError::invalid(message).with("param", "advance_seconds"));
    }
    let target = world.now() + seconds;
    run_until(world, Scope::Everyone, target)?;
    world.set(|settings| settings.offset_ms += seconds * 1000);
    Ok(clock(world))
}

async fn move_clock(State(shared): State_, body: Bytes) -> Response {
    let seconds = parse(&body).and_then(|body| {
        body.opt_int("advance_seconds").ok_or_else(|| {
            let message = "advance_seconds must be a whole number of seconds.";
            ApiError::param("parameter_missing", "advance_seconds", message)
        })
    });
    match seconds {
        Ok(seconds) => {
            let moved = shared.transact(Origin::default(), |world| advance(world, seconds));
            reply(moved.await)
        }
        Err(error) => reply(Err(error)),
    }
}

async fn reset(State(shared): State_) -> Response {
    let done = shared.reset().await;
    let answer = done.map(|()| json!({"reset": true}));
    reply(answer.map_err(|error| ApiError::server(error.to_string())))
}

async fn endpoint(State(shared): State_, body: Bytes) -> Response {
    let wanted = match parse(&body) {
        Ok(wanted) => wanted,
        Err(error) => return reply(Err(error)),
    };
    let made = shared.transact(Origin::default(), |world| {
        let (url, secret) = (wanted.text("url"), wanted.text("secret"));
        if secret.is_empty() {
            return Err(ApiError::param("parameter_missing", "secret", "A secret is needed."));
        }
        let all = [json!("*")];
        let events = wanted["enabled_events"].as_array().map(Vec::as_slice).unwrap_or(&all);
        upsert_endpoint(world, url, secret, events)
    });
    reply(made.await)
}

async fn events(State(shared): State_, Query(query): Query<Limit>) -> Response {
    let limit = query.limit.unwrap_or(50).min(10_000);
    let data: Vec<Value> = shared
        .read(|world| world.store.newest("event").take(limit).cloned().collect::<Vec<Value>>())
        .await;
    reply(Ok(json!({"data": data})))
}

async fn deliveries(State(shared): State_, Query(query): Query<Limit>) -> Response {
    let limit = query.limit.unwrap_or(50).min(10_000);
    reply(Ok(json!({"data": shared.read(|world| recent(world, limit)).await})))
}

/// The newest deliveries, waiting ones first.
pub fn recent(world: &World, limit: usize) -> Vec<Value> {
    let all = world.store.newest(WAITING).chain(world.store.newest(DONE)).take(limit);
    let shown = all.map(|delivery| {
        let mut delivery = delivery.clone();
        let event = world.get("event", delivery.text("event"));
        delivery["type"] = event.map(|event| event["type"].clone()).unwrap_or_default();
        let endpoint = world.get("webhook_endpoint", delivery.text("endpoint"));
        delivery["url"] = endpoint.map(|endpoint| endpoint["url"].clone()).unwrap_or_default();
        delivery
    });
    shown.collect()
}

/// Queues an event again for every enabled endpoint.
pub fn send_again(world: &mut World, id: &str, times: i64) -> Answer {
    world.find("event", id)?;
    if !(1..=1000).contains(&times) {
        let message = "times must be between 1 and 1000.";
        return Err(ApiError::invalid(message).with("param", "times"));
    }
    let endpoints: Vec<String> = world
        .store
        .oldest("webhook_endpoint")
        .filter(|endpoint| endpoint.text("status") == "enabled")
        .map(|endpoint| endpoint.text("id").to_owned())
        .collect();
    let mut queued = Vec::new();
    for endpoint in endpoints {
        for _ in 0..times {
            queued.push(world.deliver(id, &endpoint, 0, false, false));
        }
    }
    Ok(json!({"queued": queued.len(), "deliveries": queued}))
}

async fn resend(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let times = parse(&body).map(|body| body.opt_int("times").unwrap_or(1));
    let done = shared.transact(Origin::default(), |world| send_again(world, &id, times?));
    reply(done.await)
}

async fn hold(State(shared): State_, body: Bytes) -> Response {
    let done = shared.transact(Origin::default(), |world| {
        let hold = parse(&body)?["hold"].as_bool().unwrap_or(true);
        world.set(|settings| settings.hold = hold);
        Ok(json!({"hold": hold, "pending": world.store.newest(WAITING).count()}))
    });
    reply(done.await)
}

async fn read_faults(State(shared): State_) -> Response {
    reply(Ok(shared.read(faults).await))
}

fn faults(world: &World) -> Value {
    json!({"webhooks": world.settings.faults, "api": world.settings.api_fault})
}

/// A probability between 0 and 1, in thousandths.
fn thousandths(value: &Value) -> u64 {
    let share = value.as_f64().unwrap_or(0.0).clamp(0.0, 1.0);
    // In range by the clamp above.
    (share * 1000.0).round() as u64
}

async fn set_faults(State(shared): State_, body: Bytes) -> Response {
    let done = shared.transact(Origin::default(), |world| {
        let body = parse(&body)?;
        let api = body.at("api").clone();
        if body.get("api").is_some() {
            let status = u16::try_from(api.int("status")).unwrap_or(0);
            let count = u64::try_from(api.opt_int("count").unwrap_or(1)).unwrap_or(0);
            let known = matches!(status, 409 | 429 | 500 | 502 | 503);
            let fault = (known && count > 0).then_some(ApiFault { status, count });
            world.set(|settings| settings.api_fault = fault);
        }
        let only_api = body.as_object().is_some_and(|map| map.len() == 1) && !api.is_null();
        if !only_api {
            let wanted = Faults {
                seed: body["seed"].as_u64().unwrap_or(1),
                drawn: 0,
                duplicate: thousandths(&body["duplicate"]),
                shuffle: body.flag("shuffle"),
                drop: thousandths(&body["drop"]),
                delay_ms: body.int("delay_ms").clamp(0, 600_000),
                bad_signature: thousandths(&body["bad_signature"]),
            };
            world.set(|settings| settings.faults = wanted);
        }
        Ok(faults(world))
    });
    reply(done.await)
}

/// Waits until nothing is left to deliver, ten seconds at most; held deliveries are not waited for.
async fn idle(State(shared): State_) -> Response {
    let mut pending = 0;
    for _ in 0..500 {
        let (left, hold) =
            shared.read(|world| (world.store.newest(WAITING).count(), world.settings.hold)).await;
        pending = left;
        if pending == 0 || hold {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    reply(Ok(json!({"idle": pending == 0, "pending": pending})))
}
