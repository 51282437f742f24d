//! Version 1 of the API for programs: which path is answered by what.

mod batch;
pub(super) mod body;
#[cfg(test)]
mod cases;
mod fields;
#[cfg(test)]
mod fuzz;
mod gate;
mod holds;
mod keyed;
mod query;
mod reads;
mod reversal;
mod runs;

use axum::Router;
use axum::routing::{get, post};
use serde::Serialize;

use super::error::ApiError;
use crate::engine::Engine;

/// Everything under `/v1`. Unknown paths and methods are answered as JSON, too.
pub fn routes() -> Router<Engine> {
    Router::new()
        .route("/authorize", post(gate::authorize))
        .route("/consume", post(gate::consume))
        .route("/holds", post(holds::hold))
        .route("/holds/{id}", get(holds::find))
        .route("/holds/{id}/extend", post(holds::extend))
        .route("/holds/{id}/capture", post(holds::capture))
        .route("/holds/{id}/release", post(holds::release))
        .route("/usage/{id}/reverse", post(reversal::reverse))
        .route("/usage/batch", post(batch::batch))
        .route("/runs/{run}", get(runs::report))
        .route("/runs/{run}/release", post(runs::release))
        .route("/balance", get(reads::balance))
        .route("/entitlements", get(reads::entitlements))
        .route("/usage", get(reads::usage))
        .route("/ledger", get(reads::ledger))
        .route("/decisions/{id}", get(reads::decision))
        .fallback(async || ApiError::no_such_route())
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
}

/// A page of things, newest first.
#[derive(Serialize)]
struct List<T> {
    object: &'static str,
    data: Vec<T>,
    has_more: bool,
}

impl<T> List<T> {
    fn new(data: Vec<T>, has_more: bool) -> Self {
        Self { object: "list", data, has_more }
    }
}
