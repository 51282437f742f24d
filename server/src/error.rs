//! What can go wrong in the engine, as one enum that every room and both doors share.
//!
//! A denial of the gate is not an error but an answer; it never appears here.

use std::panic::Location;

/// The result of every fallible function of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, each variant with what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is signed in, or the key is unknown or revoked: sign in, or use another key.
    #[error("You are not signed in.")]
    Unauthenticated,
    /// The caller is known but may not do this: ask somebody with the role or scope named.
    #[error("{0}")]
    Forbidden(String),
    /// It does not exist, or belongs to another org, which is the same to the caller.
    #[error("{0} was not found.")]
    NotFound(&'static str),
    /// The input is wrong: correct the field named and send it again.
    #[error("{message}")]
    Invalid {
        /// The field's name as the caller wrote it; empty for the whole form.
        field: String,
        /// What is wrong with it and what would be right.
        message: String,
    },
    /// It contradicts what is already there: look again and decide.
    #[error("{0}")]
    Conflict(String),
    /// Too often: wait this many seconds.
    #[error("Too many attempts. Try again in {retry_after_seconds} seconds.")]
    TooMany {
        /// Seconds until the next attempt can succeed.
        retry_after_seconds: i64,
    },
    /// Stripe refused, or did not answer: the same act may be tried again with its key.
    #[error("Stripe: {message}")]
    Stripe {
        /// Stripe's own code, or `timeout`, `network`, `unreadable`, `incomplete`.
        code: String,
        /// What Stripe said.
        message: String,
        /// Whether the same call may succeed later without a change.
        retryable: bool,
    },
    /// The server is full or shutting down; nothing was done: send the same again.
    #[error("The service is busy. Nothing was done; send the same request again.")]
    Unavailable,
    /// The database failed; the transaction was rolled back.
    #[error("database: {source} (at {at})")]
    Database {
        /// What the driver said.
        source: sqlx::Error,
        /// The line that asked.
        at: &'static Location<'static>,
    },
    /// A fault of ours: it is logged, and somebody has to look.
    #[error("internal: {message} (at {at})")]
    Internal {
        /// What was found.
        message: String,
        /// The line that found it.
        at: &'static Location<'static>,
    },
}

impl Error {
    /// A wrong field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// A fault of ours.
    #[track_caller]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into(), at: Location::caller() }
    }

    /// Whether the same act may succeed when it is tried again later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Stripe { retryable, .. } => *retryable,
            Self::Database { .. } | Self::Unavailable | Self::Internal { .. } => true,
            _ => false,
        }
    }

    /// Whether it is ours to look at, and therefore to be logged as an error.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::Internal { .. })
    }

    /// Whether another transaction won and the same one should simply run again.
    pub fn is_serialization(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else {
            return false;
        };
        matches!(error.code().as_deref(), Some("40001" | "40P01" | "5" | "517" | "261"))
    }

    /// Whether a transaction whose operations have keys may simply run again: another one won, the
    /// connection was lost, or the server stopped or was replaced. (D24)
    pub fn may_run_again(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        match source {
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                self.is_serialization() || code.starts_with("57P") || code.starts_with("08")
            }
            _ => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    #[track_caller]
    fn from(source: sqlx::Error) -> Self {
        Self::Database { source, at: Location::caller() }
    }
}

impl From<serde_json::Error> for Error {
    #[track_caller]
    fn from(error: serde_json::Error) -> Self {
        Self::internal(format!("stored JSON could not be read or written: {error}"))
    }
}
