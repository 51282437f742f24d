//! Whether the process is up, and whether it should be sent requests.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::clock::{self, SECOND};
use crate::engine::Engine;
use crate::error::Result;

/// What `/readyz` answers.
#[derive(Serialize)]
pub struct Readiness {
    ready: bool,
    /// What is missing, for the operator.
    reasons: Vec<&'static str>,
}

/// The process is up.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The database answers, has every migration, and its clock agrees with ours.
pub async fn readyz(State(engine): State<Engine>) -> (StatusCode, Json<Readiness>) {
    let reasons = match reasons(&engine).await {
        Ok(reasons) => reasons,
        Err(error) => {
            tracing::error!("not ready: {error}");
            vec!["the database does not answer"]
        }
    };
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons }))
}

async fn reasons(engine: &Engine) -> Result<Vec<&'static str>> {
    let mut reasons = Vec::new();
    let distance = clock::distance(&engine.db).await?;
    if distance.abs() > SECOND {
        reasons.push("this machine's clock and the database's are more than a second apart");
    }
    if engine.db.pending_migrations().await? > 0 {
        reasons.push("migrations are missing: run the migrate command");
    }
    Ok(reasons)
}
