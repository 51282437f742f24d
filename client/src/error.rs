//! What a call may answer instead of its result. None of it is ever a yes.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::decision::{Decision, NextStep};
use crate::words::Code;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gate said no: tell your customer why and where it can be changed.
    #[error("denied: {0}")]
    Denied(Box<Denial>),
    /// The request cannot be done as it stands: mend what is named.
    #[error("refused: {0}")]
    Refused(Box<Refusal>),
    /// Nothing is known: the request may have been done or not. Do not run what it was for; send
    /// the same request with the same key later, which does it once.
    #[error("no answer after {attempts} attempts: {last}")]
    Unreachable {
        /// How often it was sent.
        attempts: u32,
        /// How the last attempt ended.
        last: Failure,
    },
    /// Something answered that is not the gate, or not in words this crate can read.
    #[error("the answer with status {status} could not be read: {message}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        message: String,
    },
    /// What was asked of this crate is wrong; nothing was sent.
    #[error("{field} {message}")]
    Invalid {
        /// What.
        field: &'static str,
        /// What it must be.
        message: String,
    },
}

impl Error {
    /// Why, where the gate answered.
    pub fn code(&self) -> Option<&Code> {
        match self {
            Self::Denied(denial) => Some(&denial.code),
            Self::Refused(refusal) => Some(&refusal.code),
            Self::Unreachable { last: Failure::Status { code, .. }, .. } => code.as_ref(),
            _ => None,
        }
    }

    /// The error that an answer's body amounts to.
    pub(crate) fn answered(status: u16, told: Told, came: Came) -> Self {
        let denied = matches!(status, 402 | 403 | 429) && told.code != Code::ScopeMissing;
        if denied {
            return Self::Denied(Box::new(Denial {
                code: told.code,
                message: told.message,
                decision: told.decision,
                retry_with_new_key: told.retry_with_new_key,
                retry_after: came.retry_after,
                replayed: came.replayed,
            }));
        }
        Self::Refused(Box::new(Refusal {
            status,
            kind: told.kind,
            code: told.code,
            message: told.message,
            param: told.param,
            decision: told.decision,
            doc_url: told.doc_url,
            retry_with_new_key: told.retry_with_new_key,
        }))
    }
}

/// A no of the gate: 402, 403 or 429.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    pub message: String,
    /// What was decided, and on what grounds.
    pub decision: Option<Decision>,
    /// Whether this no is kept under the key: once the cause is gone, ask with a new key.
    pub retry_with_new_key: bool,
    /// When it may be asked again, where that is only a matter of time.
    pub retry_after: Option<Duration>,
    /// Whether it was said before, to the same key.
    pub replayed: bool,
}

impl Denial {
    /// Where the no can be turned into a yes.
    pub fn next_step(&self) -> Option<&NextStep> {
        self.decision.as_ref()?.next_step.as_ref()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// A request that cannot be done as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The family of the code, such as `invalid_request_error`.
    pub kind: String,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    pub message: String,
    /// The field, parameter or header that is wrong.
    pub param: Option<String>,
    /// What was decided, where something was.
    pub decision: Option<Decision>,
    /// Where it is explained.
    pub doc_url: Option<String>,
    /// Whether the key is used up.
    pub retry_with_new_key: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)
    }
}

/// How an attempt ended without an answer that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No connection, or one that broke off.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// It took too long.
    #[error("it took too long")]
    Timeout,
    /// The gate, or something before it, could not do it now.
    #[error("status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The gate's own word, where it was the gate.
        code: Option<Code>,
    },
}

/// The body of an error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Envelope {
    pub error: Told,
}

/// What an error's body tells.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Told {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub code: Code,
    #[serde(default)]
    pub message: String,
    pub param: Option<String>,
    pub decision: Option<Decision>,
    pub doc_url: Option<String>,
    #[serde(default)]
    pub retry_with_new_key: bool,
}

/// What an answer's headers tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Came {
    pub replayed: bool,
    pub retry_after: Option<Duration>,
}
