//! Taking a use back.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::body::{self, Wrong};
use super::fields;
use super::keyed::{Keyed, named};
use crate::engine::Engine;
use crate::gate::Operation;
use crate::http::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReverseBody {
    reason: String,
}

/// `POST /v1/usage/{id}/reverse`
pub async fn reverse(
    State(engine): State<Engine>,
    id: Result<Path<String>, PathRejection>,
    keyed: Keyed,
) -> Result<Response, ApiError> {
    let usage = named(id, "The usage")?;
    let reason = read_reason(&keyed.body)?;
    let path = format!("/v1/usage/{usage}/reverse");
    keyed.submit(&engine, &path, &json!([reason]), Operation::Reverse { usage, reason }).await
}

/// Why it is taken back.
pub fn read_reason(bytes: &[u8]) -> Result<String, Wrong> {
    let ReverseBody { reason } = body::json("The body", bytes)?;
    fields::reason(&reason)?;
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::v1::cases::wrong_param;

    #[test]
    fn a_reversal_has_a_reason_on_one_line() {
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(501));
        let cases = [
            (r#"{"reason":"The image never arrived."}"#, None),
            ("", Some("")),
            ("{}", Some("reason")),
            (r#"{"reason":null}"#, Some("reason")),
            (r#"{"reason":7}"#, Some("reason")),
            (r#"{"reason":""}"#, Some("reason")),
            (r#"{"reason":"a\nb"}"#, Some("reason")),
            (r#"{"reason":"a","note":"b"}"#, Some("note")),
            (r#"["a"]"#, Some("")),
            (long.as_str(), Some("reason")),
        ];
        for (body, wrong) in cases {
            let read = read_reason(body.as_bytes());
            assert_eq!(wrong_param(&read), wrong, "{body}: {read:?}");
        }
    }
}
