//! Errors as pages and forms show them.
//!
//! The JSON form is what the browser's half reads: `kind`, `message`, `fields`. Says what to do
//! next, never what is inside; a fault of ours is logged here, once.

use std::collections::BTreeMap;

use http::StatusCode;
use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};
use server::error::Error;

/// What went wrong, for the person in front of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppError {
    /// Which kind it is.
    pub kind: Kind,
    /// For people, one or two sentences; empty when the fields say it all.
    pub message: String,
    /// What is wrong with which field.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// The kinds, each with a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nobody is signed in.
    Unauthorized,
    /// The role is too low.
    Forbidden,
    /// It is not there, or is another org's.
    NotFound,
    /// The input is wrong.
    Invalid,
    /// It contradicts what is there.
    Conflict,
    /// Too often.
    TooMany,
    /// Stripe refused or did not answer.
    Upstream,
    /// The server is full or stopping.
    Unavailable,
    /// Ours to look at.
    Fault,
}

impl AppError {
    /// An error without fields.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fields: BTreeMap::new() }
    }

    /// Nobody is signed in.
    pub fn unauthorized() -> Self {
        Self::new(Kind::Unauthorized, "Sign in to go on.")
    }

    /// There is nothing here.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "There is nothing at this address.")
    }

    /// A wrong field.
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        let fields = BTreeMap::from([(name.to_owned(), message.into())]);
        Self { kind: Kind::Invalid, message: String::new(), fields }
    }

    /// Every field of these that has something wrong with it.
    pub fn fields<const N: usize>(faults: [(&str, Option<String>); N]) -> Self {
        let wrong = faults.into_iter().filter_map(|(name, fault)| Some((name.to_owned(), fault?)));
        Self { kind: Kind::Invalid, message: String::new(), fields: wrong.collect() }
    }

    /// A fault of ours, logged.
    pub fn fault(inside: impl std::fmt::Display) -> Self {
        tracing::error!("{inside}");
        Self::new(Kind::Fault, FAULT)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Upstream => StatusCode::BAD_GATEWAY,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

const FAULT: &str = "Something went wrong on our side. It was noted; try again in a moment.";

impl From<Error> for AppError {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Unauthenticated => Kind::Unauthorized,
            Error::Forbidden(_) => Kind::Forbidden,
            Error::NotFound(_) => Kind::NotFound,
            Error::Invalid { field, message } if !field.is_empty() => {
                return Self::field(field, message.clone());
            }
            Error::Invalid { .. } => Kind::Invalid,
            Error::Conflict(_) => Kind::Conflict,
            Error::TooMany { .. } => Kind::TooMany,
            Error::Stripe { .. } => {
                tracing::warn!("{error}");
                let message = "The payment service did not take this. Nothing was charged; try \
                     again in a moment.";
                return Self::new(Kind::Upstream, message);
            }
            Error::Unavailable => Kind::Unavailable,
            Error::Database { .. } | Error::Internal { .. } => return Self::fault(error),
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ServerFnErrorErr> for AppError {
    fn from(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::Deserialization(_) => {
                let message = "The form could not be read. Load the page again and fill it in.";
                Self::new(Kind::Invalid, message)
            }
            other => Self::fault(other),
        }
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        error.into()
    }

    /// Runs once for each failed call, with the request's context at hand: the place to set the
    /// status, unless the form is to be shown again.
    fn ser(&self) -> bytes::Bytes {
        crate::web::status_of_call(self.status());
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_engine_have_a_status_and_hide_what_is_inside() {
        let cases = [
            (Error::Unauthenticated, 401),
            (Error::Forbidden("no".to_owned()), 403),
            (Error::NotFound("The key"), 404),
            (Error::invalid("email", "Enter an address."), 422),
            (Error::invalid("", "They do not match."), 422),
            (Error::Conflict("no".to_owned()), 409),
            (Error::TooMany { retry_after_seconds: 5 }, 429),
            (Error::Unavailable, 503),
            (Error::internal("secret"), 500),
        ];
        for (error, status) in cases {
            let shown = AppError::from(error);
            assert_eq!(shown.status().as_u16(), status);
            assert!(!shown.message.contains("secret"));
        }
    }

    #[test]
    fn the_browser_reads_kind_message_and_fields() {
        let error = AppError::from(Error::invalid("email", "Enter an address."));
        let json = serde_json::to_value(&error).expect("JSON");
        assert_eq!(json["kind"], "invalid");
        assert_eq!(json["fields"]["email"], "Enter an address.");
    }
}
