//! Mischief on order: which API calls go wrong and how, and what happens to webhooks on the way.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::{State_, parse, reply};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{ApiFault, ApiFaultKind, Faults, Origin, Shared, TWISTS, World};

/// The longest wait a fault may cause.
const LONGEST_MS: i64 = 600_000;

/// The routes of this part.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/_sim/faults", get(read).post(write))
}

async fn read(State(shared): State_) -> Response {
    reply(Ok(shared.read(shown).await))
}

fn shown(world: &World) -> Value {
    let left: Vec<&ApiFault> = world.settings.api_faults.iter().filter(|f| f.count > 0).collect();
    json!({"webhooks": world.settings.faults, "api": left})
}

async fn write(State(shared): State_, body: Bytes) -> Response {
    let done = shared.transact(Origin::default(), |world| set(world, &parse(&body)?));
    reply(done.await)
}

/// Sets faults: `api` is one or several (none clears them), everything else is about webhooks and
/// replaces what was set for them.
pub fn set(world: &mut World, body: &Value) -> Answer {
    if let Some(api) = body.get("api") {
        let wanted = match api {
            Value::Array(all) => all.iter().map(api_fault).collect::<Answer<Vec<_>>>()?,
            Value::Object(_) => vec![api_fault(api)?],
            _ => Vec::new(),
        };
        world.set(|settings| settings.api_faults = wanted);
    }
    let webhooks = body.get("webhooks").unwrap_or(body);
    let only_api = body.as_object().is_some_and(|map| map.len() == 1 && map.contains_key("api"));
    if !only_api {
        let wanted = webhook_faults(webhooks)?;
        world.set(|settings| settings.faults = wanted);
    }
    Ok(shown(world))
}

/// One fault of API calls: `kind` or, for short, only a `status`.
fn api_fault(given: &Value) -> Answer<ApiFault> {
    let status = given.opt_int("status").and_then(|status| u16::try_from(status).ok());
    let kind = match (given.get("kind"), status) {
        (Some(kind), _) => serde_json::from_value(kind.clone()).map_err(|_| {
            let message = "kind is one of rate_limit, server_error, lock_timeout, timeout_before, \
                           timeout_after, reset, reset_after, slow, html.";
            ApiError::invalid(message).with("param", "api[kind]")
        })?,
        (None, Some(429)) => ApiFaultKind::RateLimit,
        (None, Some(409)) => ApiFaultKind::LockTimeout,
        (None, _) => ApiFaultKind::ServerError,
    };
    let usual = match kind {
        ApiFaultKind::RateLimit => 429,
        ApiFaultKind::LockTimeout => 409,
        _ => 500,
    };
    let delay = given.opt_int("delay_ms").unwrap_or(60_000).clamp(0, LONGEST_MS);
    Ok(ApiFault {
        kind,
        status: status.filter(|status| (400..600).contains(status)).unwrap_or(usual),
        count: u64::try_from(given.opt_int("count").unwrap_or(1)).unwrap_or(0),
        share: given.get("share").map(thousandths).unwrap_or(1000),
        seed: given["seed"].as_u64().unwrap_or(1),
        drawn: 0,
        path: given.text("path").to_owned(),
        method: given.text("method").to_owned(),
        delay_ms: u64::try_from(delay).unwrap_or(0),
    })
}

fn webhook_faults(given: &Value) -> Answer<Faults> {
    let known = |name: &str| {
        let plain = ["api", "seed", "duplicate", "new_id", "unknown_type", "shuffle", "drop"];
        plain.contains(&name)
            || ["delay_ms", "before_answer", "webhooks"].contains(&name)
            || TWISTS.contains(&name)
    };
    let names = given.as_object().map(|map| map.keys());
    if let Some(name) = names.into_iter().flatten().find(|name| !known(name)) {
        let message = format!("There is no fault '{name}'.");
        return Err(ApiError::param("parameter_unknown", name, message));
    }
    let twists = TWISTS.into_iter().map(|name| (name.to_owned(), thousandths(&given[name])));
    Ok(Faults {
        seed: given["seed"].as_u64().unwrap_or(1),
        drawn: 0,
        duplicate: thousandths(&given["duplicate"]),
        new_id: thousandths(&given["new_id"]),
        unknown_type: thousandths(&given["unknown_type"]),
        shuffle: given.flag("shuffle"),
        drop: thousandths(&given["drop"]),
        delay_ms: given.int("delay_ms").clamp(0, LONGEST_MS),
        before_answer: given.flag("before_answer"),
        twists: twists.filter(|(_, share)| *share > 0).collect(),
    })
}

/// A probability between 0 and 1, in thousandths.
fn thousandths(value: &Value) -> u64 {
    let share = value.as_f64().unwrap_or(0.0).clamp(0.0, 1.0);
    // In range by the clamp above.
    (share * 1000.0).round() as u64
}
