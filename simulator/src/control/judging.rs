//! What the judge found: everything that was answered or told and does not fit its schema.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::{State_, parse, reply};
use crate::world::Shared;

/// The routes of this part.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/judge", get(verdict).post(switch))
        .route("/_sim/recorded", get(recorded))
}

async fn verdict(State(shared): State_) -> Response {
    reply(Ok(shared.judge.verdict()))
}

/// Switches the judge on or off; in debug builds it is on from the start.
async fn switch(State(shared): State_, body: Bytes) -> Response {
    let wanted = parse(&body).map(|body| body["on"].as_bool().unwrap_or(true));
    reply(wanted.map(|on| {
        shared.judge.switch(on);
        shared.judge.verdict()
    }))
}

async fn recorded(State(shared): State_) -> Response {
    reply(Ok(shared.judge.recorded()))
}
