//! What a catalog file stands for: products and prices as they shall be in Stripe. Pure.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::stripe::shapes::{Metadata, Product, TAG};

use super::Interval;
use super::file::{AddonEntry, Amounts, CatalogFile, PackEntry, PlanEntry, wrong};
use super::parse;

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
    /// The products and prices that the file stands for, under this tag. A mistake in the file is
    /// found here, by the rules that Stripe's products are read by.
    pub fn wanted(&self, tag: &str) -> Result<Vec<WantedProduct>> {
        let plans = self.plans.iter().zip(0i64..).map(|(plan, rank)| self.plan(plan, rank, tag));
        let packs = self.packs.iter().zip(0i64..).map(|(pack, rank)| self.pack(pack, rank, tag));
        let addons = self.addons.iter().zip(0i64..);
        let addons = addons.map(|(addon, rank)| self.addon(addon, rank, tag));
        let wanted: Vec<WantedProduct> = plans.chain(addons).chain(packs).collect();
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
        if plan.per_seat {
            put("per_seat", "true".to_owned());
        }
        allow(&mut metadata, &plan.features, &plan.models, &plan.limits);
        let id = format!("{tag}_{}", plan.tier);
        let main = Amounts { monthly: plan.monthly, yearly: plan.yearly };
        WantedProduct {
            name: plan.name.clone(),
            description: plan.description.clone(),
            marketing: plan.marketing_features.clone(),
            metadata,
            prices: self.recurring(&id, main, &plan.currencies),
            id,
        }
    }

    fn addon(&self, addon: &AddonEntry, rank: i64, tag: &str) -> WantedProduct {
        let mut metadata = pairs(tag, "addon", rank, false);
        metadata.insert("tier".to_owned(), addon.key.clone());
        let numbers =
            [("included_credits", addon.included_credits), ("rollover_max", addon.rollover_max)];
        for (key, number) in numbers {
            if let Some(number) = number {
                metadata.insert(key.to_owned(), number.to_string());
            }
        }
        allow(&mut metadata, &addon.features, &addon.models, &addon.limits);
        let id = format!("{tag}_addon_{}", addon.key);
        let main = Amounts { monthly: addon.monthly, yearly: addon.yearly };
        WantedProduct {
            name: addon.name.clone(),
            description: addon.description.clone(),
            marketing: addon.marketing_features.clone(),
            metadata,
            prices: self.recurring(&id, main, &addon.currencies),
            id,
        }
    }

    /// The prices of something recurring; those of other currencies say so in their key.
    fn recurring(
        &self,
        id: &str,
        main: Amounts,
        others: &BTreeMap<String, Amounts>,
    ) -> Vec<WantedPrice> {
        let mut prices = Vec::new();
        let mut add = |currency: &str, suffix: &str, amounts: Amounts| {
            let both = [(amounts.monthly, Interval::Month), (amounts.yearly, Interval::Year)];
            prices.extend(both.into_iter().filter_map(|(amount, interval)| {
                Some(WantedPrice {
                    lookup_key: format!("{id}_{}{suffix}", interval.word()),
                    currency: currency.to_owned(),
                    amount: amount?,
                    interval: Some(interval),
                })
            }));
        };
        add(&self.currency, "", main);
        for (currency, amounts) in others {
            add(currency, &format!("_{currency}"), *amounts);
        }
        prices
    }

    fn pack(&self, pack: &PackEntry, rank: i64, tag: &str) -> WantedProduct {
        let mut metadata = pairs(tag, "pack", rank, pack.highlight);
        metadata.insert("credits".to_owned(), pack.credits.to_string());
        if let Some(days) = pack.expires_days {
            metadata.insert("expires_days".to_owned(), days.to_string());
        }
        let id = format!("{tag}_pack_{}", pack.key);
        let price = |currency: &str, amount: i64, lookup_key: String| WantedPrice {
            lookup_key,
            currency: currency.to_owned(),
            amount,
            interval: None,
        };
        let others = pack.currencies.iter();
        let others = others.map(|(of, amount)| price(of, *amount, format!("{id}_{of}")));
        let main = price(&self.currency, pack.amount, id.clone());
        let prices = std::iter::once(main).chain(others).collect();
        WantedProduct {
            id,
            name: pack.name.clone(),
            description: pack.description.clone(),
            marketing: pack.marketing_features.clone(),
            metadata,
            prices,
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

/// Writes down what a plan or an add-on allows.
fn allow(
    metadata: &mut Metadata,
    features: &[String],
    models: &[String],
    limits: &BTreeMap<String, i64>,
) {
    for (key, list) in [("features", features), ("models", models)] {
        if !list.is_empty() {
            metadata.insert(key.to_owned(), list.join(","));
        }
    }
    for (name, amount) in limits {
        metadata.insert(format!("limit.{name}"), amount.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::file::BUILT_IN;

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
            "my-app_addon_boost_month",
            "my-app_addon_boost_year",
            "my-app_pack_500",
            "my-app_pack_2500",
        ];
        assert_eq!(keys, expected);
        assert_eq!(wanted[0].prices, []);
        assert!(wanted.iter().all(|p| p.metadata.get(TAG).is_some_and(|tag| tag == "my-app")));
    }

    #[test]
    fn add_ons_and_other_currencies_have_prices_of_their_own() {
        // C5, C7
        let text = r#"
            currency = "usd"
            [[plans]]
            tier = "pro"
            name = "Pro"
            description = ""
            included_credits = 5
            per_seat = true
            monthly = 100
            currencies = { eur = { monthly = 90, yearly = 900 }, jpy = { monthly = 150 } }
            [[addons]]
            key = "boost"
            name = "Boost"
            description = ""
            included_credits = 10
            limits = { keys = 5 }
            monthly = 50
            [[packs]]
            key = "5"
            name = "5"
            description = ""
            credits = 5
            amount = 10
            currencies = { eur = 9 }"#;
        let wanted = CatalogFile::parse(text).expect("it parses").wanted("t").expect("right");
        let prices = wanted.iter().flat_map(|product| &product.prices);
        let told: Vec<(&str, &str, i64)> =
            prices.map(|p| (p.lookup_key.as_str(), p.currency.as_str(), p.amount)).collect();
        let expected = [
            ("t_pro_month", "usd", 100),
            ("t_pro_month_eur", "eur", 90),
            ("t_pro_year_eur", "eur", 900),
            ("t_pro_month_jpy", "jpy", 150),
            ("t_addon_boost_month", "usd", 50),
            ("t_pack_5", "usd", 10),
            ("t_pack_5_eur", "eur", 9),
        ];
        assert_eq!(told, expected);
        assert_eq!(wanted[0].metadata.get("per_seat").map(String::as_str), Some("true"));
        assert_eq!(wanted[1].metadata.get("limit.keys").map(String::as_str), Some("5"));
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
