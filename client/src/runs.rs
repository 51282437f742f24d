//! What a workflow of many steps used, and what it still holds.

use serde::Deserialize;

use crate::credits::{Credits, Quantity};
use crate::decision::Remaining;

/// What a run used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RunReport {
    /// Its name.
    pub run: String,
    /// How many operations.
    pub operations: i64,
    /// What they cost, overage and debt included.
    pub credits: Credits,
    /// How much of it is billed as overage.
    #[serde(default)]
    pub overage: Credits,
    /// How much of it became a debt.
    #[serde(default)]
    pub debt: Credits,
    /// What the providers charged you, in micro-dollars.
    #[serde(default)]
    pub cost: Option<i64>,
    /// What is still set aside.
    pub open_holds: OpenHolds,
    /// What was taken back.
    #[serde(default)]
    pub reversed: Reversed,
    /// What was used of each meter.
    #[serde(default)]
    pub by_meter: Vec<MeterReport>,
    /// When its first usage was, RFC 3339 UTC.
    pub usage_first_at: Option<String>,
    /// When its last usage was, RFC 3339 UTC.
    pub usage_last_at: Option<String>,
}

/// The holds of a run that are still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct OpenHolds {
    /// How many.
    pub count: i64,
    /// How many credits they set aside.
    pub credits: Credits,
}

/// The usages of a run that were taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Reversed {
    /// How many.
    pub count: i64,
    /// What they had cost.
    pub credits: Credits,
}

/// What a run used of one meter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MeterReport {
    /// Which.
    pub meter: String,
    /// How much.
    pub quantity: Quantity,
    /// What it cost.
    pub credits: Credits,
    /// How many lines.
    pub count: i64,
}

/// What giving back the open holds of a run did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RunRelease {
    /// The run's name.
    pub run: String,
    /// The holds that were released.
    pub released: Vec<String>,
    /// How many credits they had set aside.
    pub credits: Credits,
    /// What the org had afterwards.
    pub balance: Option<Remaining>,
    /// Whether the gate had answered so before, to the same key.
    #[serde(skip)]
    pub replayed: bool,
}
