//! `catalog.toml`: the catalog as a file, to be written into Stripe. Pure but for reading it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::stripe::shapes::{Metadata, Product, TAG};

use super::Interval;
use super::parse;

/// The catalog that is built into the program.
pub const BUILT_IN: &str = include_str!("../../../catalog.toml");

/// A catalog file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogFile {
    /// The currency of every price.
    pub currency: String,
    /// Tiers, lowest rank first.
    #[serde(default)]
    pub plans: Vec<PlanEntry>,
    /// Credits to buy once.
    #[serde(default)]
    pub packs: Vec<PackEntry>,
}

/// A tier in the file. Absent prices make it the free one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanEntry {
    tier: String,
    name: String,
    description: String,
    #[serde(default)]
    marketing_features: Vec<String>,
    #[serde(default)]
    highlight: bool,
    included_credits: i64,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    limits: BTreeMap<String, i64>,
    overage: Option<String>,
    overage_price: Option<String>,
    trial_days: Option<i64>,
    trial_credits: Option<i64>,
    grace_days: Option<i64>,
    rollover_max: Option<i64>,
    /// Minor units a month.
    monthly: Option<i64>,
    /// Minor units a year.
    yearly: Option<i64>,
}

/// A pack in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackEntry {
    /// Names the pack's product and price for programs: `500`.
    key: String,
    name: String,
    description: String,
    #[serde(default)]
    marketing_features: Vec<String>,
    #[serde(default)]
    highlight: bool,
    credits: i64,
    expires_days: Option<i64>,
    /// Minor units.
    amount: i64,
}

/// A product as it shall be in Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedProduct {
    /// Chosen by us, so that a second push finds it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Selling points.
    pub marketing: Vec<String>,
    /// The keys that the catalog is read from.
    pub metadata: Metadata,
    /// What it costs.
    pub prices: Vec<WantedPrice>,
}

/// A price as it shall be in Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPrice {
    /// Chosen by us, so that a second push finds it.
    pub lookup_key: String,
    /// Three lowercase letters.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
    /// How often; `None` is once.
    pub interval: Option<Interval>,
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

    /// The products and prices that the file stands for, under this tag. A mistake in the file is
    /// found here, by the rules that Stripe's products are read by.
    pub fn wanted(&self, tag: &str) -> Result<Vec<WantedProduct>> {
        let plans = self.plans.iter().zip(0i64..).map(|(plan, rank)| self.plan(plan, rank, tag));
        let packs = self.packs.iter().zip(0i64..).map(|(pack, rank)| self.pack(pack, rank, tag));
        let wanted: Vec<WantedProduct> = plans.chain(packs).collect();
        for product in &wanted {
            let id = product.id.clone();
            let read = Product { id, metadata: product.metadata.clone(), ..Product::default() };
            if let Err(problems) = parse::product(&read) {
                let lines: Vec<String> = problems
                    .iter()
                    .map(|p| format!("{}: {} {}", product.name, p.name, p.message))
                    .collect();
                return Err(wrong(lines.join("; ")));
            }
        }
        Ok(wanted)
    }

    fn plan(&self, plan: &PlanEntry, rank: i64, tag: &str) -> WantedProduct {
        let mut metadata = pairs(tag, "plan", rank, plan.highlight);
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        put("tier", plan.tier.clone());
        put("included_credits", plan.included_credits.to_string());
        for (key, list) in [("features", &plan.features), ("models", &plan.models)] {
            if !list.is_empty() {
                put(key, list.join(","));
            }
        }
        for (name, amount) in &plan.limits {
            put(&format!("limit.{name}"), amount.to_string());
        }
        let numbers = [
            ("trial_days", plan.trial_days),
            ("trial_credits", plan.trial_credits),
            ("grace_days", plan.grace_days),
            ("rollover_max", plan.rollover_max),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                put(key, number.to_string());
            }
        }
        for (key, text) in [("overage", &plan.overage), ("overage_price", &plan.overage_price)] {
            if let Some(text) = text {
                put(key, text.clone());
            }
        }
        let id = format!("{tag}_{}", plan.tier);
        let price = |amount: Option<i64>, interval: Interval| {
            amount.map(|amount| WantedPrice {
                lookup_key: format!("{id}_{}", interval.word()),
                currency: self.currency.clone(),
                amount,
                interval: Some(interval),
            })
        };
        let prices = [price(plan.monthly, Interval::Month), price(plan.yearly, Interval::Year)];
        WantedProduct {
            name: plan.name.clone(),
            description: plan.description.clone(),
            marketing: plan.marketing_features.clone(),
            metadata,
            prices: prices.into_iter().flatten().collect(),
            id,
        }
    }

    fn pack(&self, pack: &PackEntry, rank: i64, tag: &str) -> WantedProduct {
        let mut metadata = pairs(tag, "pack", rank, pack.highlight);
        metadata.insert("credits".to_owned(), pack.credits.to_string());
        if let Some(days) = pack.expires_days {
            metadata.insert("expires_days".to_owned(), days.to_string());
        }
        let id = format!("{tag}_pack_{}", pack.key);
        let price = WantedPrice {
            lookup_key: id.clone(),
            currency: self.currency.clone(),
            amount: pack.amount,
            interval: None,
        };
        WantedProduct {
            id,
            name: pack.name.clone(),
            description: pack.description.clone(),
            marketing: pack.marketing_features.clone(),
            metadata,
            prices: vec![price],
        }
    }
}

fn pairs(tag: &str, kind: &str, rank: i64, highlight: bool) -> Metadata {
    let mut pairs = Metadata::from([
        (TAG.to_owned(), tag.to_owned()),
        ("kind".to_owned(), kind.to_owned()),
        ("rank".to_owned(), rank.to_string()),
    ]);
    if highlight {
        pairs.insert("highlight".to_owned(), "true".to_owned());
    }
    pairs
}

fn wrong(message: String) -> Error {
    Error::invalid("CATALOG_FILE", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalog_is_without_a_mistake() {
        let file = CatalogFile::parse(BUILT_IN).expect("it parses");
        let wanted = file.wanted("my-app").expect("no mistake");
        let keys: Vec<&str> =
            wanted.iter().flat_map(|p| &p.prices).map(|p| p.lookup_key.as_str()).collect();
        let expected = [
            "my-app_pro_month",
            "my-app_pro_year",
            "my-app_team_month",
            "my-app_team_year",
            "my-app_pack_500",
            "my-app_pack_2500",
        ];
        assert_eq!(keys, expected);
        assert_eq!(wanted[0].prices, []);
        assert!(wanted.iter().all(|p| p.metadata.get(TAG).is_some_and(|tag| tag == "my-app")));
    }

    #[test]
    fn a_mistake_in_the_file_names_the_plan_and_the_key() {
        let text = "currency = \"usd\"\n[[plans]]\ntier = \"pro\"\nname = \"Pro\"\n
            description = \"\"\nincluded_credits = -5\n";
        let file = CatalogFile::parse(text).expect("it parses");
        let error = file.wanted("t").expect_err("a mistake").to_string();
        assert!(error.contains("Pro: included_credits"), "{error}");
        assert!(CatalogFile::parse("currency = \"usd\"\nplan = []").is_err());
    }
}
