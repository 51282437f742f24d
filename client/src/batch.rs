//! Use that has happened already, told many at a time.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::credits::Quantity;
use crate::error::{Came, Error, Failure, Told};
use crate::holds::Over;
use crate::key::Key;
use crate::usage::{Usage, texts};
use crate::words::Code;

/// Use that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// Its own idempotency key.
    pub key: Key,
    /// What was counted.
    pub meter: String,
    /// How much; more than nothing.
    pub quantity: Quantity,
    /// Which model, where the rate depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The workflow it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which member of the org used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What happens where the credits do not suffice; they become a debt unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// When it happened, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What the provider charged you, in micro-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
    /// Your own notes, at most 4096 bytes as JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Item {
    /// So much of a meter, once per key.
    pub fn of(key: Key, meter: impl Into<String>, quantity: impl Into<Quantity>) -> Self {
        Self {
            key,
            meter: meter.into(),
            quantity: quantity.into(),
            model: None,
            run: None,
            member: None,
            over: None,
            at: None,
            cost: None,
            metadata: Map::new(),
        }
    }

    texts! {
        /// Which model.
        model,
        /// The workflow it belongs to.
        run,
        /// Which member of the org used it.
        member,
        /// When it happened, RFC 3339.
        at,
    }

    /// What happens where the credits do not suffice.
    #[must_use]
    pub fn over(mut self, over: Over) -> Self {
        self.over = Some(over);
        self
    }

    /// What the provider charged you, in micro-dollars.
    #[must_use]
    pub fn cost(mut self, micro_dollars: i64) -> Self {
        self.cost = Some(micro_dollars);
        self
    }
}

#[derive(Serialize)]
pub(crate) struct BatchBody<'a> {
    pub items: &'a [Item],
}

/// What came of each item, in the order they were sent.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "each item has an answer of its own, which may be a no"]
pub struct BatchAnswer {
    /// One line for each item.
    pub lines: Vec<BatchLine>,
}

impl BatchAnswer {
    /// The items that were not charged, and why.
    pub fn failed(&self) -> impl Iterator<Item = (&Key, &Error)> {
        self.lines
            .iter()
            .filter_map(|line| line.result.as_ref().err().map(|error| (&line.key, error)))
    }

    /// Every usage, if every item was charged; else why the first one was not.
    pub fn all(self) -> Result<Vec<Usage>, Error> {
        self.lines.into_iter().map(|line| line.result).collect()
    }
}

/// What came of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLine {
    /// Its key.
    pub key: Key,
    /// What was charged, or why not.
    pub result: Result<Usage, Error>,
}

#[derive(Deserialize)]
pub(crate) struct BatchReply {
    data: Vec<LineReply>,
}

#[derive(Deserialize)]
struct LineReply {
    status: u16,
    usage: Option<Usage>,
    error: Option<Told>,
    #[serde(default)]
    replayed: bool,
}

impl BatchReply {
    /// The answers with the keys they were sent under. One too few or too many, and nobody knows
    /// which is which.
    pub fn of(self, items: &[Item]) -> Result<BatchAnswer, Error> {
        if self.data.len() != items.len() {
            let message = format!("{} answers to {} items", self.data.len(), items.len());
            return Err(Error::Unreadable { status: 200, message });
        }
        let pairs = items.iter().zip(self.data);
        let lines =
            pairs.map(|(item, line)| BatchLine { key: item.key.clone(), result: line.result() });
        Ok(BatchAnswer { lines: lines.collect() })
    }
}

impl LineReply {
    fn result(self) -> Result<Usage, Error> {
        match (self.usage, self.error) {
            (Some(usage), None) => Ok(Usage { replayed: self.replayed, ..usage }),
            (_, Some(told)) if self.status >= 500 || told.code == Code::IdempotencyInProgress => {
                let last = Failure::Status { status: self.status, code: Some(told.code) };
                Err(Error::Unreachable { attempts: 1, last })
            }
            (_, Some(told)) => {
                let came = Came { replayed: self.replayed, retry_after: None };
                Err(Error::answered(self.status, told, came))
            }
            (None, None) => {
                let message = "an item has neither a usage nor an error".to_owned();
                Err(Error::Unreadable { status: self.status, message })
            }
        }
    }
}
