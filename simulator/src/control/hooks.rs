//! Webhook endpoints with secrets of one's own, events, deliveries: seen, held, sent again.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{State_, parse, reply};
use crate::api::{roll_secret, upsert_endpoint};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{DONE, Origin, Shared, WAITING, World};

/// The routes of this part.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/webhook_endpoints", post(endpoint))
        .route("/_sim/webhook_endpoints/{id}/roll", post(roll))
        .route("/_sim/events", get(events))
        .route("/_sim/events/{id}/resend", post(resend))
        .route("/_sim/deliveries", get(deliveries))
        .route("/_sim/webhooks/hold", post(hold))
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
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

/// A new secret; the old one keeps signing for as long as was asked, a day at most.
async fn roll(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let done = shared.transact(Origin::default(), |world| {
        let body = parse(&body)?;
        let keep = body.opt_int("keep_seconds").unwrap_or(86_400);
        roll_secret(world, &id, keep, body.opt_text("secret"))
    });
    reply(done.await)
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
            queued.push(world.deliver(id, &endpoint, 0, false, None));
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
