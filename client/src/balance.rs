//! What an org has.

use serde::Deserialize;

use crate::credits::Credits;

/// What an org has, has used, and what is to be expected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Balance {
    /// What can be spent now.
    pub available: Credits,
    /// What open holds have set aside.
    pub held: Credits,
    /// What is paid back first, from the next credits that come in.
    #[serde(default)]
    pub debt: Credits,
    /// The current period's allowance.
    pub allowance: Allowance,
    /// Every grant that can still be spent, in the order in which it will be.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Used past every grant in this period.
    #[serde(default)]
    pub overage: Credits,
    /// The ceiling that the org set for itself.
    pub cap: Option<Cap>,
    /// The ceiling that the org set for what is billed as overage.
    pub overage_cap: Option<OverageCap>,
    /// What the period will have used at its end.
    pub projection: Option<Projection>,
}

/// The allowance of the current period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Allowance {
    /// Included in this period, with what was carried over.
    pub granted: Credits,
    /// Used of it.
    pub used: Credits,
    /// Left of it.
    pub remaining: Credits,
    /// When the next period begins, RFC 3339 UTC.
    pub resets_at: Option<String>,
    /// Used ÷ granted, in whole percent rounded down; none where nothing was granted.
    pub percent: Option<i64>,
}

/// A grant that can still be spent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Grant {
    /// `grant_…`
    pub id: String,
    /// Where it comes from: allowance, free, pack, …
    pub source: String,
    /// What can still be spent of it.
    pub remaining: Credits,
    /// When it lapses, RFC 3339 UTC.
    pub expires_at: Option<String>,
}

/// A ceiling that the org set for itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Cap {
    /// How many credits in a period.
    pub credits: Credits,
    /// hard refuses, soft warns.
    pub kind: String,
}

/// A ceiling that the org set for what is billed as overage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OverageCap {
    /// How much money in a period, in minor units of the currency it is billed in.
    pub amount: i64,
    /// hard refuses, soft warns.
    pub kind: String,
}

/// What the period will have used at its end if use goes on as in the last days.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Projection {
    /// The expected use.
    pub expected: Credits,
    /// The lower end of the likely range.
    pub low: Credits,
    /// The upper end of the likely range.
    pub high: Credits,
    /// How it was computed.
    #[serde(default)]
    pub method: String,
}
