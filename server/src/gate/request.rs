//! What is asked of the gate, already validated at the door. Holds no rules.

use crate::audit::Actor;
use crate::units::Quantity;

/// Who asks for an operation.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A program with an API key.
    Key {
        /// `key_…`
        id: String,
    },
    /// A person using the product's own pages.
    Member {
        /// `user_…`
        user_id: String,
    },
    /// The product itself.
    System,
}

impl Caller {
    /// Who stands in the ledger as the actor.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Key { id } => Actor::Key(id.clone()),
            Self::Member { user_id } => Actor::User(user_id.clone()),
            Self::System => Actor::System,
        }
    }

    /// The API key, where it was one.
    pub fn key_id(&self) -> Option<&str> {
        match self {
            Self::Key { id } => Some(id),
            _ => None,
        }
    }
}

/// Use of a meter that has happened or is about to, to be charged now.
#[derive(Clone, Debug)]
pub struct ConsumeRequest {
    /// Who pays.
    pub org_id: String,
    /// Who asks.
    pub caller: Caller,
    /// The idempotency key, 1–255 printable ASCII characters.
    pub key: String,
    /// SHA-256 of method, path and parsed body, in hexadecimal.
    pub fingerprint: String,
    /// What is counted; the door has checked that the rate card has it.
    pub meter: String,
    /// How much; more than nothing.
    pub quantity: Quantity,
    /// Which model, where the rate or the right depends on it.
    pub model: Option<String>,
    /// A feature the tier must include, besides the meter's own.
    pub feature: Option<String>,
    /// The workflow it belongs to.
    pub run: Option<String>,
    /// Which member of the org used it.
    pub member: Option<String>,
    /// What the provider charged, in micro-dollars.
    pub cost: Option<i64>,
    /// The caller's own notes, a JSON object.
    pub metadata: Option<serde_json::Value>,
}

/// A question without consequences.
#[derive(Clone, Debug, Default)]
pub struct AuthorizeRequest {
    /// Who would pay.
    pub org_id: String,
    /// A feature the tier must include.
    pub feature: Option<String>,
    /// Which model.
    pub model: Option<String>,
    /// What would be counted.
    pub meter: Option<String>,
    /// How much; one unit when a meter is named without it.
    pub quantity: Option<Quantity>,
}
