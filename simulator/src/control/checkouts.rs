//! What a bank decides days later: asynchronous payments of Checkout sessions, settled at once.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;

use super::{State_, parse, reply};
use crate::billing::bank;
use crate::errors::ApiError;
use crate::json::Json;
use crate::world::{Origin, Shared};

/// The routes of this part.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/_sim/checkouts/{id}/settle", post(settle))
}

async fn settle(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let done = shared.transact(Origin::default(), |world| {
        let body = parse(&body)?;
        let paid = match body.opt_text("outcome") {
            Some("succeeded") => true,
            Some("failed") => false,
            _ => {
                let message = "outcome is one of succeeded, failed.";
                return Err(ApiError::invalid(message).with("param", "outcome"));
            }
        };
        let session = bank::settle(world, &id, paid)?;
        Ok(world.render(&session))
    });
    reply(done.await)
}
