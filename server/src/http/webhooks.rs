//! Stripe's webhooks: the raw body and its signature go to the inbox as they came.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::error::ApiError;
use super::v1::body;
use crate::engine::Engine;
use crate::webhooks;

/// `POST /webhooks/stripe`: stored once, then acknowledged; the worker does the rest.
pub async fn receive(
    State(engine): State<Engine>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let body = body::bytes(body)?;
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    webhooks::receive(&engine, signature, &body).await?;
    Ok(Json(json!({ "received": true })))
}
