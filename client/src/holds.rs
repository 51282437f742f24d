//! Credits set aside for work whose cost is known only afterwards, and what is charged in the end.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::credits::{Credits, Quantity};
use crate::decision::Remaining;
use crate::usage::texts;
use crate::words::open_words;

/// Credits to be set aside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewHold {
    /// What will be counted.
    pub meter: String,
    /// How much at most; none is the meter's own usual quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Which model, where the rate or the right depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A feature that must be included, besides the meter's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The workflow it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which member of the org asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// For how long, in whole seconds: 1 second to 24 hours, 10 minutes unless given.
    #[serde(
        rename = "ttl_seconds",
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub ttl: Option<Duration>,
    /// Your own notes, at most 4096 bytes as JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl NewHold {
    /// For so much of a meter at most.
    pub fn of(meter: impl Into<String>, quantity: impl Into<Quantity>) -> Self {
        Self { quantity: Some(quantity.into()), ..Self::usual(meter) }
    }

    /// For as much as the rate card says is usual for this meter, where nothing better is known.
    pub fn usual(meter: impl Into<String>) -> Self {
        Self {
            meter: meter.into(),
            quantity: None,
            model: None,
            feature: None,
            run: None,
            member: None,
            ttl: None,
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
        /// Which member of the org asks.
        member,
    }

    /// For how long, in whole seconds: 1 second to 24 hours.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// A note of your own.
    #[must_use]
    pub fn note(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }
}

fn seconds<S: Serializer>(ttl: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    ttl.map(|ttl| ttl.as_secs()).serialize(serializer)
}

/// Credits set aside.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[must_use = "capture it, or release it: until it expires, its credits serve nothing else"]
pub struct Hold {
    /// `hold_…`
    pub id: String,
    /// Its place in the wallet's order.
    pub seq: i64,
    /// The idempotency key it came with.
    #[serde(default)]
    pub key: String,
    /// Open, or how it ended.
    pub status: HoldStatus,
    /// What will be counted.
    #[serde(default)]
    pub meter: String,
    /// Which model.
    pub model: Option<String>,
    /// The feature it was asked under.
    pub feature: Option<String>,
    /// How much was estimated.
    #[serde(default)]
    pub quantity: Quantity,
    /// How many credits are set aside.
    pub credits: Credits,
    /// How many were charged in the end.
    #[serde(default)]
    pub captured: Credits,
    /// How many of those set aside would be billed as overage.
    #[serde(default)]
    pub overage: Credits,
    /// The usage it became.
    pub usage: Option<String>,
    /// The workflow it belongs to.
    pub run: Option<String>,
    /// Which member of the org asked.
    pub member: Option<String>,
    /// The rate card that prices it.
    #[serde(default)]
    pub rate_card: String,
    /// What happens when its time is over: release or charge.
    #[serde(default)]
    pub on_expiry: String,
    /// Your own notes.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// When it was made, RFC 3339 UTC.
    #[serde(default)]
    pub created_at: String,
    /// When its time is over, RFC 3339 UTC.
    pub expires_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// What the org had afterwards; only in the answer to a write.
    pub balance: Option<Remaining>,
    /// Whether the gate had answered so before, to the same key: it says what was so then.
    #[serde(skip)]
    pub replayed: bool,
}

/// Its id, so that a call takes a hold as well as the id you kept of it.
impl AsRef<str> for Hold {
    fn as_ref(&self) -> &str {
        &self.id
    }
}

open_words! {
    /// How a hold stands.
    HoldStatus {
        /// It can be captured or released.
        Open = "open",
        /// It was charged.
        Captured = "captured",
        /// It was given back.
        Released = "released",
        /// Its time was over.
        Expired = "expired",
    }
}

/// What a hold is charged with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// What was used.
    #[serde(flatten)]
    pub used: Used,
    /// What happens to use beyond what was held; refused unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// What the provider charged you, in micro-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
}

impl Captured {
    /// So much of the hold's own meter and model; nothing is a quantity, too.
    pub fn quantity(quantity: impl Into<Quantity>) -> Self {
        Self { used: Used::Quantity(quantity.into()), over: None, cost: None }
    }

    /// Several lines, such as the tokens that went in and those that came out.
    pub fn lines(lines: impl Into<Vec<Line>>) -> Self {
        Self { used: Used::Lines(lines.into()), over: None, cost: None }
    }

    /// What happens to use beyond what was held.
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

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Used {
    /// So much of the hold's own meter and model.
    Quantity(Quantity),
    /// Several lines.
    Lines(Vec<Line>),
}

/// One line of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was counted.
    pub meter: String,
    /// How much.
    pub quantity: Quantity,
    /// Which model; the hold's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Line {
    /// So much of a meter.
    pub fn of(meter: impl Into<String>, quantity: impl Into<Quantity>) -> Self {
        Self { meter: meter.into(), quantity: quantity.into(), model: None }
    }

    texts! {
        /// Which model.
        model,
    }
}

/// What happens to use beyond what was held or is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// It is refused; the hold stays open.
    Deny,
    /// It is taken from what is available, or refused.
    UseAvailable,
    /// What is not available is billed as overage where the tier allows it, or refused.
    Overage,
    /// What is not available becomes a debt.
    Debt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_sent() {
        let cases: [(&dyn erased::Json, &str); 5] = [
            (&NewHold::usual("text"), r#"{"meter":"text"}"#),
            (
                &NewHold::of("text", 2).run("r1").ttl(Duration::from_millis(61_500)).note("a", 1),
                r#"{"meter":"text","quantity":"2","run":"r1","ttl_seconds":61,"metadata":{"a":1}}"#,
            ),
            (&Captured::quantity(Quantity::ZERO), r#"{"quantity":"0"}"#),
            (
                &Captured::quantity(3).over(Over::UseAvailable).cost(75),
                r#"{"quantity":"3","over":"use_available","cost":75}"#,
            ),
            (
                &Captured::lines([Line::of("a", 1).model("m")]),
                r#"{"lines":[{"meter":"a","quantity":"1","model":"m"}]}"#,
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(value.json(), expected);
        }
    }

    mod erased {
        pub trait Json {
            fn json(&self) -> String;
        }

        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> String {
                serde_json::to_string(self).expect("JSON")
            }
        }
    }
}
