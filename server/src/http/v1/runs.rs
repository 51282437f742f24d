//! Runs: what the operations of one workflow came to, and giving back what they hold.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::holds::read_nothing;
use super::keyed::{Keyed, named};
use super::query::Query;
use crate::engine::Engine;
use crate::gate::{self, Operation};
use crate::http::caller::MayRead;
use crate::http::error::ApiError;

const THE_RUN: &str = "The run";

/// `GET /v1/runs/{run}`
pub async fn report(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    run: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    Query::parse(raw.as_deref(), &[])?;
    let run = named(run, THE_RUN)?;
    Ok(Json(gate::run_report(&engine, &caller.org_id, &run).await?))
}

/// `POST /v1/runs/{run}/release`
pub async fn release(
    State(engine): State<Engine>,
    run: Result<Path<String>, PathRejection>,
    keyed: Keyed,
) -> Result<Response, ApiError> {
    let run = named(run, THE_RUN)?;
    read_nothing(&keyed.body)?;
    let path = format!("/v1/runs/{run}/release");
    keyed.submit(&engine, &path, &json!([]), Operation::ReleaseRun { run }).await
}
