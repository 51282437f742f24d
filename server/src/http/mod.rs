//! The door for programs: `/v1`, Stripe's webhooks and the health checks, as JSON over HTTP.
//!
//! Finds out who asks, checks the form of the request, calls one function of the engine and shows
//! the answer. Decides nothing and owns no tables. Every request has an id, a time limit and a JSON
//! answer, even if the code behind it panics.

mod caller;
mod error;
mod health;
mod v1;
mod webhooks;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures::FutureExt as _;

pub use error::ApiError;

use crate::engine::Engine;
use crate::ids;

/// The largest body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;

/// Longer than the ten seconds for which a request may wait for its twin.
const TIME_LIMIT: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Everything that programs may call. Has no fallback of its own outside `/v1`, so that it can be
/// merged with the router of the pages.
pub fn router(engine: Engine) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/webhooks/stripe", post(webhooks::receive))
        .nest("/v1", v1::routes())
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(engine.clone(), envelope))
        .with_state(engine)
}

/// What every answer has: an id, within the time limit, whatever happens inside. The one place
/// where a failed request is logged.
async fn envelope(State(engine): State<Engine>, request: Request, next: Next) -> Response {
    let id = ids::new("req", engine.clock.now());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(TIME_LIMIT, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::fault("the handler panicked").into_response(),
        Err(_) => ApiError::timed_out().into_response(),
    };
    if let Some(fault) = response.extensions_mut().remove::<error::Fault>() {
        tracing::error!(request = %id, %method, path, "{}", fault.0);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
