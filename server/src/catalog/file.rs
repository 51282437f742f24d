//! `catalog.toml`: the catalog as a file, to be written into Stripe. Pure but for reading it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Config;
use crate::error::{Error, Result};
/// The catalog that is built into the program.
pub const BUILT_IN: &str = include_str!("../../../catalog.toml");

/// A catalog file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogFile {
    /// The currency of every price that names no other.
    pub currency: String,
    /// Tiers, lowest rank first.
    #[serde(default)]
    pub plans: Vec<PlanEntry>,
    /// Recurring extras.
    #[serde(default)]
    pub addons: Vec<AddonEntry>,
    /// Credits to buy once.
    #[serde(default)]
    pub packs: Vec<PackEntry>,
}

/// A tier in the file. Absent prices make it the free one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanEntry {
    pub(super) tier: String,
    pub(super) name: String,
    pub(super) description: String,
    #[serde(default)]
    pub(super) marketing_features: Vec<String>,
    #[serde(default)]
    pub(super) highlight: bool,
    pub(super) included_credits: i64,
    #[serde(default)]
    pub(super) features: Vec<String>,
    #[serde(default)]
    pub(super) models: Vec<String>,
    #[serde(default)]
    pub(super) limits: BTreeMap<String, i64>,
    pub(super) overage: Option<String>,
    pub(super) overage_price: Option<String>,
    pub(super) trial_days: Option<i64>,
    pub(super) trial_credits: Option<i64>,
    pub(super) grace_days: Option<i64>,
    pub(super) rollover_max: Option<i64>,
    #[serde(default)]
    pub(super) per_seat: bool,
    /// Minor units a month.
    pub(super) monthly: Option<i64>,
    /// Minor units a year.
    pub(super) yearly: Option<i64>,
    /// The same in other currencies.
    #[serde(default)]
    pub(super) currencies: BTreeMap<String, Amounts>,
}

/// A recurring extra in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddonEntry {
    /// Names the add-on for programs: `boost`.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) description: String,
    #[serde(default)]
    pub(super) marketing_features: Vec<String>,
    pub(super) included_credits: Option<i64>,
    #[serde(default)]
    pub(super) features: Vec<String>,
    #[serde(default)]
    pub(super) models: Vec<String>,
    #[serde(default)]
    pub(super) limits: BTreeMap<String, i64>,
    pub(super) rollover_max: Option<i64>,
    pub(super) monthly: Option<i64>,
    pub(super) yearly: Option<i64>,
    #[serde(default)]
    pub(super) currencies: BTreeMap<String, Amounts>,
}

/// What something recurring costs in another currency.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Amounts {
    /// Minor units a month.
    pub(super) monthly: Option<i64>,
    /// Minor units a year.
    pub(super) yearly: Option<i64>,
}

/// A pack in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackEntry {
    /// Names the pack's product and price for programs: `500`.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) description: String,
    #[serde(default)]
    pub(super) marketing_features: Vec<String>,
    #[serde(default)]
    pub(super) highlight: bool,
    pub(super) credits: i64,
    pub(super) expires_days: Option<i64>,
    /// Minor units.
    pub(super) amount: i64,
    /// The same in other currencies.
    #[serde(default)]
    pub(super) currencies: BTreeMap<String, i64>,
}

impl CatalogFile {
    /// The file that the configuration names, or the one built in.
    pub fn load(config: &Config) -> Result<Self> {
        let text = match &config.catalog_file {
            None => BUILT_IN.to_owned(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?,
        };
        Self::parse(&text)
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| wrong(error.to_string()))
    }
}

pub(super) fn wrong(message: String) -> Error {
    Error::invalid("CATALOG_FILE", message)
}
