//! What is used and what was charged for it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::credits::{Credits, Quantity};
use crate::decision::Remaining;

/// Setters of optional texts.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: impl Into<String>) -> Self {
                self.$name = Some($name.into());
                self
            }
        )+
    };
}

pub(crate) use texts;

/// Use of a meter, to be charged now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Use {
    /// What is counted.
    pub meter: String,
    /// How much; more than nothing.
    pub quantity: Quantity,
    /// Which model, where the rate or the right depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A feature that must be included, besides the meter's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The workflow it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which member of the org used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What the provider charged you, in micro-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
    /// Your own notes, at most 4096 bytes as JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Use {
    /// So much of a meter.
    pub fn of(meter: impl Into<String>, quantity: impl Into<Quantity>) -> Self {
        Self {
            meter: meter.into(),
            quantity: quantity.into(),
            model: None,
            feature: None,
            run: None,
            member: None,
            cost: None,
            metadata: Map::new(),
        }
    }

    texts! {
        /// Which model.
        model,
        /// A feature that must be included, besides the meter's own.
        feature,
        /// The workflow it belongs to.
        run,
        /// Which member of the org used it.
        member,
    }

    /// What the provider charged you, in micro-dollars.
    #[must_use]
    pub fn cost(mut self, micro_dollars: i64) -> Self {
        self.cost = Some(micro_dollars);
        self
    }

    /// A note of your own.
    #[must_use]
    pub fn note(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }
}

/// What was charged.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Usage {
    /// `usage_…`
    pub id: String,
    /// Its place in the wallet's order.
    pub seq: i64,
    /// The idempotency key it came with.
    pub key: String,
    /// What was counted; of several lines, the first one's.
    pub meter: String,
    /// Which model.
    pub model: Option<String>,
    /// The feature it was asked under.
    pub feature: Option<String>,
    /// How much; of several lines, the first one's.
    pub quantity: Quantity,
    /// What it cost altogether, overage and debt included.
    pub credits: Credits,
    /// Which grants paid; only in the answer to a write.
    #[serde(default)]
    pub from: Vec<Part>,
    /// How much of it is billed as overage.
    #[serde(default)]
    pub overage: Credits,
    /// How much of it became a debt.
    #[serde(default)]
    pub debt: Credits,
    /// How much of it is billed in money, where anything is.
    #[serde(default)]
    pub billed: Option<Billed>,
    /// The lines of a capture of several.
    #[serde(default)]
    pub lines: Vec<UsageLine>,
    /// The hold that was captured.
    pub hold: Option<String>,
    /// Whether the hold had expired before it was captured.
    #[serde(default)]
    pub late: bool,
    /// The workflow it belongs to.
    pub run: Option<String>,
    /// Which member of the org used it.
    pub member: Option<String>,
    /// The rate card that priced it.
    pub rate_card: String,
    /// What the provider charged you, in micro-dollars.
    pub cost: Option<i64>,
    /// Your own notes.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// When it was charged, RFC 3339 UTC.
    pub at: String,
    /// When it happened, where a batch told.
    pub occurred_at: Option<String>,
    /// When it was taken back.
    pub reversed_at: Option<String>,
    /// What went through, but should be known: a soft cap that was passed.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// What the org had afterwards; only in the answer to a write.
    pub balance: Option<Remaining>,
    /// Whether the gate had answered so before, to the same key.
    #[serde(skip)]
    pub replayed: bool,
}

/// What one grant paid.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Part {
    /// `grant_…`
    pub grant: String,
    /// How much.
    pub credits: Credits,
}

/// One line of a capture of several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UsageLine {
    /// `usage_…`
    pub id: String,
    /// What was counted.
    pub meter: String,
    /// Which model.
    pub model: Option<String>,
    /// How much.
    pub quantity: Quantity,
    /// What it cost.
    pub credits: Credits,
    /// How much of it is billed in money, where anything is.
    #[serde(default)]
    pub billed: Option<Billed>,
}

/// What is billed in money; the invoice rounds it once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Billed {
    /// A decimal number of minor units.
    pub amount: String,
    /// Three lowercase letters.
    pub currency: String,
}

/// What should be known although it went through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Warning {
    /// For programs, such as `cap_reached`.
    pub code: crate::words::Code,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// Which usage is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// From this time on, RFC 3339.
    pub from: Option<String>,
    /// Before this time, RFC 3339.
    pub to: Option<String>,
    /// Only this meter.
    pub meter: Option<String>,
    /// Only this model.
    pub model: Option<String>,
    /// Only this member.
    pub member: Option<String>,
    /// Only this API key, `key_…`.
    pub key: Option<String>,
    /// Only this workflow.
    pub run: Option<String>,
}

impl UsageFilter {
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("from", &self.from),
            ("to", &self.to),
            ("meter", &self.meter),
            ("model", &self.model),
            ("member", &self.member),
            ("key", &self.key),
            ("run", &self.run),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

/// What usage can be summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Days, UTC.
    Day,
    /// What was counted.
    Meter,
    /// Which model.
    Model,
    /// Who used it.
    Member,
    /// Which API key asked.
    Key,
    /// Which workflow.
    Run,
}

impl GroupBy {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Meter => "meter",
            Self::Model => "model",
            Self::Member => "member",
            Self::Key => "key",
            Self::Run => "run",
        }
    }
}

/// Use summed up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UsageGroup {
    /// The day, meter, model, member, key or run; empty where there was none.
    pub value: String,
    /// What it cost.
    pub credits: Credits,
    /// How many lines.
    pub count: i64,
}
