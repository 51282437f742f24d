//! The control surface under `/_sim`: time, endpoints, deliveries, faults, the judge.
//!
//! For the developer's own tools and tests on the same machine; Stripe has nothing like it.

mod checkouts;
mod faults;
mod hooks;
mod judging;
mod money;
mod time;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::errors::{Answer, ApiError};
use crate::world::Shared;

pub use faults::set as set_faults;
pub use hooks::{recent, send_again};
pub use time::advance;

/// The simulator as a handler sees it.
pub type State_ = State<Arc<Shared>>;

/// The routes of the control surface.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .merge(time::routes())
        .merge(hooks::routes())
        .merge(faults::routes())
        .merge(judging::routes())
        .merge(checkouts::routes())
        .merge(money::routes())
}

/// A JSON body, whatever its content type; nothing counts as an empty object.
pub fn parse(body: &Bytes) -> Answer {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|_| ApiError::invalid("The body must be JSON."))
}

/// An answer of the control surface.
pub fn reply(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(error) => (error.status, error.json("control")),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(body)).into_response()
}
