//! The catalog: what is sold, read from Stripe's products and prices that carry our tag.
//!
//! Owns `catalog_products`, `catalog_prices`, `catalog_problems`, `catalog_views` and
//! `tier_versions`. No tier, price or amount is in the code. Reads are from the database, so that
//! everything works while Stripe cannot be reached; [`refresh`] brings the database up to date.

mod drift;
mod file;
mod judge;
mod offers;
pub mod parse;
mod price;
mod push;
mod refresh;
mod resolve;
mod store;
mod wanted;

use crate::units::Credits;

pub use drift::{Change, check};
pub use file::{BUILT_IN, CatalogFile};
pub use offers::{all, current, current_in, problems};
pub use parse::{Overage, Problem, Terms};
pub use push::{PushOptions, Pushed, push};
pub use refresh::{Refreshed, refresh};
pub use resolve::{FreeTier, Resolved, Version, free_tier, known, price_of, resolve, versions};

/// Everything that is sold now.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Catalog {
    /// The tiers, lowest rank first.
    pub tiers: Vec<Tier>,
    /// Recurring extras.
    pub addons: Vec<Tier>,
    /// Credits to buy once, cheapest first.
    pub packs: Vec<Pack>,
    /// What is wrong in Stripe, and therefore not sold.
    pub problems: Vec<Problem>,
}

/// A tier, or an add-on to one.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Tier {
    /// `prod_…`
    pub product_id: String,
    /// Its word: pro.
    pub tier: String,
    /// Its name: Pro.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Selling points.
    pub marketing: Vec<String>,
    /// Upgrade order.
    pub rank: i64,
    /// Shown as the recommended one.
    pub highlight: bool,
    /// In force without paying.
    pub free: bool,
    /// The version that the next grant uses.
    pub version_id: String,
    /// What it allows.
    pub terms: Terms,
    /// What it costs; empty for the free tier.
    pub prices: Vec<Price>,
}

/// A price that is offered.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Price {
    /// `price_…`
    pub id: String,
    /// Three lowercase letters.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
    /// How often; `None` is once.
    pub interval: Option<Interval>,
    /// Every so many of them.
    pub interval_count: i64,
    /// The name that programs know it by.
    pub lookup_key: Option<String>,
}

/// How often a price is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every day.
    Day,
    /// Every week.
    Week,
    /// Every month.
    Month,
    /// Every year.
    Year,
}

impl Interval {
    /// From Stripe's word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// Stripe's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// Credits to buy once.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Pack {
    /// `prod_…`
    pub product_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Selling points.
    pub marketing: Vec<String>,
    /// What it gives.
    pub credits: Credits,
    /// For how many days; `None` is for good.
    pub expires_days: Option<i64>,
    /// Shown as the recommended one.
    pub highlight: bool,
    /// What it costs.
    pub price: Price,
}
