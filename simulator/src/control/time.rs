//! The clock, what can be set about the account's behaviour, and forgetting everything.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::{State_, parse, reply};
use crate::billing::due::{LONGEST_ADVANCE, Scope, run_until};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{Origin, Shared, WAITING, World};

/// The routes of this part.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/clock", get(read_clock).post(move_clock))
        .route("/_sim/settings", get(read_settings).post(write_settings))
        .route("/_sim/reset", post(reset))
        .route("/_sim/idle", get(idle))
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

fn settings(world: &World) -> Value {
    let settings = &world.settings;
    json!({"after_retries": settings.after_retries, "search_delay": settings.search_delay,
           "rate_limit": settings.rate_limit})
}

/// The settings, how many API calls there were, and how many more the rate limit has refused.
async fn read_settings(State(shared): State_) -> Response {
    let mut settings = shared.read(settings).await;
    settings["calls"] = shared.pace.admitted().into();
    settings["rate_limited"] = shared.pace.refused().into();
    reply(Ok(settings))
}

async fn write_settings(State(shared): State_, body: Bytes) -> Response {
    let done = shared.transact(Origin::default(), |world| {
        let body = parse(&body)?;
        if let Some(word) = body.get("after_retries") {
            let after = serde_json::from_value(word.clone()).map_err(|_| {
                let message = "after_retries is one of cancel, unpaid, past_due.";
                ApiError::invalid(message).with("param", "after_retries")
            })?;
            world.set(|settings| settings.after_retries = after);
        }
        if let Some(seconds) = body.opt_int("search_delay") {
            world.set(|settings| settings.search_delay = seconds.clamp(0, 3600));
        }
        if let Some(limit) = body.opt_int("rate_limit") {
            let limit = u32::try_from(limit).map_err(|_| {
                let message = "rate_limit is a number of calls a second; 0 means any number.";
                ApiError::invalid(message).with("param", "rate_limit")
            })?;
            world.set(|settings| settings.rate_limit = limit);
        }
        Ok(settings(world))
    });
    reply(done.await)
}

async fn reset(State(shared): State_) -> Response {
    let done = shared.reset().await;
    let answer = done.map(|()| json!({"reset": true}));
    reply(answer.map_err(|error| ApiError::server(error.to_string())))
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
