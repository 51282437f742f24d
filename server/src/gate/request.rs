//! What is asked of the gate, already validated at the door. Holds no rules.

use crate::audit::Actor;
use crate::clock::Millis;
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

/// A keyed write: done once, however often it is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose wallet.
    pub org_id: String,
    /// Who asks.
    pub caller: Caller,
    /// The idempotency key, 1–255 printable ASCII characters.
    pub key: String,
    /// SHA-256 of method, path and parsed body, in hexadecimal.
    pub fingerprint: String,
    /// What is to be done.
    pub what: Operation,
}

/// The closed list of keyed writes.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Charge a use now.
    Consume(Use),
    /// Charge a use that has happened already, told in a batch.
    Item(Item),
    /// Set credits aside for a use whose cost is known only afterwards.
    Hold(NewHold),
    /// Charge what a hold was for.
    Capture(Capture),
    /// Give back what a hold set aside.
    Release {
        /// `hold_…`
        hold: String,
    },
    /// Give a hold more time.
    Extend {
        /// `hold_…`
        hold: String,
        /// From now on, in milliseconds.
        ttl: Millis,
    },
    /// Take a use back.
    Reverse {
        /// `usage_…`
        usage: String,
        /// Why, for people.
        reason: String,
    },
    /// Give back what the open holds of a workflow set aside.
    ReleaseRun {
        /// The workflow's name.
        run: String,
    },
}

/// Use of a meter.
#[derive(Clone, Debug)]
pub struct Use {
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

/// Use that happened, as one item of a batch.
#[derive(Clone, Debug)]
pub struct Item {
    /// What was used.
    pub what: Use,
    /// What happens where the credits do not suffice.
    pub over: Over,
    /// When it happened, where the caller told; never more than five minutes ahead.
    pub at: Option<Millis>,
}

/// Credits to set aside.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// For which use; `cost` is of no account here.
    pub what: Use,
    /// For how long, in milliseconds: 1 second to 24 hours.
    pub ttl: Millis,
}

/// What a hold is charged with in the end.
#[derive(Clone, Debug)]
pub struct Capture {
    /// `hold_…`
    pub hold: String,
    /// What was used.
    pub used: Used,
    /// What happens to use beyond what was held.
    pub over: Over,
    /// What the provider charged, in micro-dollars.
    pub cost: Option<i64>,
}

/// What a capture says was used.
#[derive(Clone, Debug)]
pub enum Used {
    /// So much of the hold's own meter and model; may be nothing.
    Quantity(Quantity),
    /// Several lines, 1 to [`LINES_MAX`].
    Lines(Vec<Line>),
}

/// How many lines a capture may have.
pub const LINES_MAX: usize = 100;

/// One line of a capture.
#[derive(Clone, Debug)]
pub struct Line {
    /// What is counted.
    pub meter: String,
    /// How much; may be nothing.
    pub quantity: Quantity,
    /// Which model; the hold's own unless given.
    pub model: Option<String>,
}

/// What happens to use beyond what was held or is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It is refused; a hold stays open.
    Deny,
    /// It is taken from what is available, or refused.
    UseAvailable,
    /// What is not available is billed as overage where the tier allows it, or refused.
    Overage,
    /// What is not available becomes a debt: use that happened is never unbilled.
    Debt,
}

impl Over {
    /// Every policy with its word.
    pub const ALL: [(&'static str, Self); 4] = [
        ("deny", Self::Deny),
        ("use_available", Self::UseAvailable),
        ("overage", Self::Overage),
        ("debt", Self::Debt),
    ];

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, over)| over)
    }
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
