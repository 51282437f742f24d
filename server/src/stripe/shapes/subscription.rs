//! What is read of a subscription and of what is planned for it, wherever the version of the shape
//! keeps it. Pure.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{List, Metadata, Named, nullable, reference};

/// `sub_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Whose it is.
    #[serde(deserialize_with = "reference")]
    pub customer: Option<String>,
    /// Stripe's word.
    pub status: String,
    /// Its lines.
    pub items: List<Item>,
    /// Ends at that time, in seconds.
    pub cancel_at: Option<i64>,
    /// Ends with the period.
    #[serde(default, deserialize_with = "nullable")]
    pub cancel_at_period_end: bool,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Until when it is tried for free.
    pub trial_end: Option<i64>,
    /// In seconds.
    pub created: i64,
    /// The card that it charges, where it has one of its own.
    #[serde(default, deserialize_with = "reference")]
    pub default_payment_method: Option<String>,
    /// The invoice that was made last.
    #[serde(default, deserialize_with = "reference")]
    pub latest_invoice: Option<String>,
    /// What it does at the end of the period, where something is planned.
    #[serde(default, deserialize_with = "expanded")]
    pub schedule: Option<Schedule>,
    /// Our keys.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Where the period was before it moved to the items.
    current_period_start: Option<i64>,
    current_period_end: Option<i64>,
}

/// `si_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What is paid.
    pub price: Named,
    /// How many; absent for metered prices.
    pub quantity: Option<i64>,
    current_period_start: Option<i64>,
    current_period_end: Option<i64>,
}

impl Subscription {
    /// An item's period in seconds: its own, or the subscription's in shapes before it moved. (A13)
    pub fn period(&self, item: &Item) -> Option<(i64, i64)> {
        let start = item.current_period_start.or(self.current_period_start)?;
        Some((start, item.current_period_end.or(self.current_period_end)?))
    }

    /// When it ends, in seconds, if an end is set: the flexible and the classic way of saying so.
    pub fn ends_at(&self) -> Option<i64> {
        let ends = self.items.data.iter().filter_map(|item| self.period(item)).map(|p| p.1);
        self.cancel_at.or_else(|| self.cancel_at_period_end.then(|| ends.max()).flatten())
    }
}

/// `sub_sched_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// not_started, active, completed, released or canceled
    #[serde(default, deserialize_with = "nullable")]
    pub status: String,
    /// What happens after its last phase: release or cancel.
    #[serde(default, deserialize_with = "nullable")]
    pub end_behavior: String,
    /// The subscription it is about.
    #[serde(default, deserialize_with = "reference")]
    pub subscription: Option<String>,
    /// The subscription it was about before it was released.
    #[serde(default, deserialize_with = "reference")]
    pub released_subscription: Option<String>,
    /// What it does now, in which its next phase follows.
    pub current_phase: Option<CurrentPhase>,
    /// What it does, in order.
    #[serde(default, deserialize_with = "nullable")]
    pub phases: Vec<Phase>,
}

/// The phase that a schedule is in, in seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct CurrentPhase {
    /// From.
    pub start_date: i64,
    /// Until.
    pub end_date: i64,
}

/// A phase of a schedule.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Phase {
    /// In seconds.
    pub start_date: i64,
    /// In seconds; the last one may be open.
    pub end_date: Option<i64>,
    /// What is taken off in it.
    #[serde(default, deserialize_with = "nullable")]
    pub discounts: Vec<PhaseDiscount>,
    /// What is paid in it.
    #[serde(default, deserialize_with = "nullable")]
    pub items: Vec<PhaseItem>,
}

/// An item of a phase.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PhaseItem {
    /// The price's id.
    #[serde(default, deserialize_with = "reference")]
    pub price: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
}

/// What is taken off in a phase: one of these is set.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PhaseDiscount {
    /// The coupon's id.
    #[serde(default, deserialize_with = "reference")]
    pub coupon: Option<String>,
    /// The id of a discount that is there already.
    #[serde(default, deserialize_with = "reference")]
    pub discount: Option<String>,
    /// The promotion code's id.
    #[serde(default, deserialize_with = "reference")]
    pub promotion_code: Option<String>,
}

/// A schedule that is expanded, only named, or absent.
fn expanded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Schedule>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(match value {
        Value::String(id) => Some(Schedule { id, ..Schedule::default() }),
        Value::Object(_) => Some(Schedule::deserialize(value).map_err(serde::de::Error::custom)?),
        _ => None,
    })
}
