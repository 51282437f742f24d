//! Errors as programs see them: `{"error": {"type", "code", "message", …}}`. Says what to do next,
//! never what is inside.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::Error;

/// An answer that is not a success; boxed, so that the good answers stay small.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    body: Body,
    retry_after_seconds: Option<i64>,
    /// For the log only.
    fault: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Body {
    r#type: &'static str,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
}

#[derive(Serialize)]
struct Envelope {
    error: Body,
}

/// What the log is to say about an answer; travels with the response to the layer that logs.
#[derive(Clone, Debug)]
pub(super) struct Fault(pub String);

impl ApiError {
    fn new(
        status: StatusCode,
        kind: &'static str,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let body = Body { r#type: kind, code, message: message.into(), param: None };
        Self(Box::new(Refusal { status, body, retry_after_seconds: None, fault: None }))
    }

    /// With what the log is to say.
    fn logged(mut self, fault: impl Into<String>) -> Self {
        self.0.fault = Some(fault.into());
        self
    }

    /// 400 `invalid_request`: the parameter is wrong.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, REQUEST, "invalid_request", message);
        error.0.body.param = Some(param.into()).filter(|param| !param.is_empty());
        error
    }

    /// The message for people.
    #[cfg(test)]
    pub fn message(&self) -> &str {
        &self.0.body.message
    }

    /// The parameter that is wrong.
    #[cfg(test)]
    pub fn param(&self) -> Option<&str> {
        self.0.body.param.as_deref()
    }

    /// 400 `idempotency_key_required`.
    pub fn key_required() -> Self {
        let message = "Send an Idempotency-Key header, 1 to 255 printable ASCII characters that \
             are new for every new request, so that it can be repeated safely.";
        let code = "idempotency_key_required";
        let mut error = Self::new(StatusCode::BAD_REQUEST, REQUEST, code, message);
        error.0.body.param = Some("Idempotency-Key".to_owned());
        error
    }

    /// 401 `unauthenticated`.
    pub fn unauthenticated() -> Self {
        let message = "No API key that is in force was shown. Send it as Authorization: Bearer \
             tp_…; keys are made and revoked on the page API keys.";
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", "unauthenticated", message)
    }

    /// 403 `scope_missing`.
    pub fn scope_missing(scope: &str) -> Self {
        let message = format!("This key does not have the scope {scope}. Make one that has it.");
        Self::new(StatusCode::FORBIDDEN, "permission_error", "scope_missing", message)
    }

    /// 404 for a path that leads nowhere.
    pub fn no_such_route() -> Self {
        let message = "There is nothing at this path. Check its spelling and its version.";
        Self::new(StatusCode::NOT_FOUND, REQUEST, "not_found", message)
    }

    /// 405 for a path that is called another way.
    pub fn method_not_allowed() -> Self {
        let message = "This path exists, but not for this method. The Allow header names those \
             it has.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, REQUEST, "method_not_allowed", message)
    }

    /// 413 `too_large`.
    pub fn too_large() -> Self {
        let message = "The body may have at most 1 MiB.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, REQUEST, "too_large", message)
    }

    /// 500 `internal`, with what the log is to say.
    pub fn fault(log: impl Into<String>) -> Self {
        let message = "Something went wrong on our side. Nothing was half done: the same request \
             may be sent again with the same key.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "internal", message).logged(log)
    }

    /// 503 `unavailable`.
    pub fn unavailable() -> Self {
        let message = "The service is busy. Nothing was half done: the same request may be sent \
             again with the same key.";
        let mut error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", "unavailable", message);
        error.0.retry_after_seconds = Some(1);
        error
    }

    /// 503 because the time was up; the log should know.
    pub fn timed_out() -> Self {
        Self::unavailable().logged("the request took too long")
    }
}

const REQUEST: &str = "invalid_request_error";

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let log = error.to_string();
        match error {
            Error::Unauthenticated => Self::unauthenticated(),
            Error::Forbidden(message) => {
                Self::new(StatusCode::FORBIDDEN, "permission_error", "forbidden", message)
            }
            Error::NotFound(_) => Self::new(StatusCode::NOT_FOUND, REQUEST, "not_found", log),
            Error::Invalid { field, message } => Self::invalid(field, message),
            Error::Conflict(message) => {
                Self::new(StatusCode::CONFLICT, REQUEST, "conflict", message)
            }
            Error::TooMany { retry_after_seconds } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                let mut error = Self::new(status, "rate_limit_error", "rate_limited", log);
                error.0.retry_after_seconds = Some(retry_after_seconds);
                error
            }
            Error::Unavailable => Self::unavailable(),
            Error::Stripe { .. } => Self::unavailable().logged(log),
            Error::Database { ref source, .. } if is_full(source) => {
                Self::unavailable().logged(log)
            }
            Error::Database { .. } | Error::Internal { .. } => Self::fault(log),
        }
    }
}

/// Whether the database was not even asked.
fn is_full(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let refusal = *self.0;
        let mut response = (refusal.status, Json(Envelope { error: refusal.body })).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = refusal.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if refusal.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(fault) = refusal.fault {
            response.extensions_mut().insert(Fault(fault));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_status_and_code() {
        let stripe = |retryable| Error::Stripe {
            code: "timeout".to_owned(),
            message: "no answer".to_owned(),
            retryable,
        };
        let cases = [
            (Error::Unauthenticated, 401, "unauthenticated"),
            (Error::Forbidden("No.".to_owned()), 403, "forbidden"),
            (Error::NotFound("The org"), 404, "not_found"),
            (Error::invalid("meter", "Unknown."), 400, "invalid_request"),
            (Error::Conflict("No.".to_owned()), 409, "conflict"),
            (Error::TooMany { retry_after_seconds: 7 }, 429, "rate_limited"),
            (Error::Unavailable, 503, "unavailable"),
            (stripe(true), 503, "unavailable"),
            (Error::internal("a secret detail"), 500, "internal"),
            (sqlx::Error::PoolTimedOut.into(), 503, "unavailable"),
            (sqlx::Error::RowNotFound.into(), 500, "internal"),
        ];
        for (error, status, code) in cases {
            let shown = error.to_string();
            let answer = ApiError::from(error);
            assert_eq!((answer.0.status.as_u16(), answer.0.body.code), (status, code), "{shown}");
            assert!(!answer.0.body.message.contains("secret detail"));
        }
    }

    #[test]
    fn headers_say_when_to_come_back_and_how_to_sign_in() {
        let late = ApiError::from(Error::TooMany { retry_after_seconds: 7 }).into_response();
        assert_eq!(late.headers()["retry-after"], "7");
        let stranger = ApiError::unauthenticated().into_response();
        assert_eq!(stranger.headers()["www-authenticate"], "Bearer");
    }
}
