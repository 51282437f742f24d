//! The difference between a catalog file and Stripe, as a list of changes that would remove it.

use std::collections::HashMap;
use std::fmt;

use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::shapes::{Metadata, Price, Product, TAG};

use super::file::CatalogFile;
use super::judge::judge;
use super::parse::KEYS;
use super::refresh::everything;
use super::wanted::{WantedPrice, WantedProduct};

/// One thing to do in Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make the product, with its prices.
    CreateProduct(WantedProduct),
    /// Bring the product's texts and metadata up to date.
    UpdateProduct {
        /// As it shall be; a key with an empty value is removed.
        wanted: WantedProduct,
        /// What differs.
        fields: Vec<String>,
    },
    /// Make a price. Prices cannot be edited: one that differs is archived.
    CreatePrice {
        /// Of which product.
        product_id: String,
        /// As it shall be.
        wanted: WantedPrice,
        /// The one whose lookup key it takes over.
        replaces: Option<String>,
    },
    /// Archive a price that another one replaced.
    ArchivePrice {
        /// `price_…`
        price_id: String,
        /// What took its place.
        lookup_key: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateProduct(wanted) => write!(f, "create {} ({})", wanted.id, wanted.name),
            Self::UpdateProduct { wanted, fields } => {
                write!(f, "update {}: {}", wanted.id, fields.join(", "))
            }
            Self::CreatePrice { wanted, .. } => {
                let money = crate::units::money(wanted.amount, &wanted.currency);
                let every = wanted.interval.map_or("once", |interval| interval.word());
                write!(f, "create price {}: {money} / {every}", wanted.lookup_key)
            }
            Self::ArchivePrice { price_id, lookup_key } => {
                write!(f, "archive price {price_id}, replaced as {lookup_key}")
            }
        }
    }
}

/// What would have to change in Stripe so that it is as the file says. Nothing is ever removed:
/// products that the file does not name are left alone. Pure.
pub fn changes(wanted: &[WantedProduct], products: &[Product], prices: &[Price]) -> Vec<Change> {
    let by_id: HashMap<&str, &Product> = products.iter().map(|p| (p.id.as_str(), p)).collect();
    let by_key: HashMap<&str, &Price> = prices
        .iter()
        .filter(|price| price.active)
        .filter_map(|price| Some((price.lookup_key.as_deref()?, price)))
        .collect();
    let mut changes = Vec::new();
    for wanted in wanted {
        match by_id.get(wanted.id.as_str()) {
            None => changes.push(Change::CreateProduct(wanted.clone())),
            Some(found) => changes.extend(update(wanted, found)),
        }
        for price in &wanted.prices {
            let found = by_key.get(price.lookup_key.as_str());
            if found.is_some_and(|found| same_price(price, &wanted.id, found)) {
                continue;
            }
            changes.push(Change::CreatePrice {
                product_id: wanted.id.clone(),
                wanted: price.clone(),
                replaces: found.map(|found| found.id.clone()),
            });
            changes.extend(found.map(|found| Change::ArchivePrice {
                price_id: found.id.clone(),
                lookup_key: price.lookup_key.clone(),
            }));
        }
    }
    changes
}

fn update(wanted: &WantedProduct, found: &Product) -> Option<Change> {
    let mut fields = Vec::new();
    if wanted.name != found.name {
        fields.push("name".to_owned());
    }
    if wanted.description != found.description {
        fields.push("description".to_owned());
    }
    let shown = found.marketing_features.iter().map(|feature| feature.name.as_str());
    if !wanted.marketing.iter().map(String::as_str).eq(shown) {
        fields.push("marketing_features".to_owned());
    }
    if !found.active {
        fields.push("active".to_owned());
    }
    let mut wanted = wanted.clone();
    for key in found.metadata.keys().filter(|key| is_ours(key)) {
        // An empty value removes the key; other programs' keys are left alone.
        wanted.metadata.entry(key.clone()).or_default();
    }
    let differs = |(key, value): &(&String, &String)| {
        found.metadata.get(*key).map_or("", String::as_str) != value.as_str()
    };
    fields.extend(wanted.metadata.iter().filter(differs).map(|(key, _)| format!("metadata.{key}")));
    (!fields.is_empty()).then_some(Change::UpdateProduct { wanted, fields })
}

fn is_ours(key: &str) -> bool {
    KEYS.contains(&key) || key.starts_with("limit.")
}

fn same_price(wanted: &WantedPrice, product_id: &str, found: &Price) -> bool {
    let every = found.recurring.as_ref();
    let interval = every.map(|every| (every.interval.as_str(), every.interval_count));
    found.product.as_deref() == Some(product_id)
        && found.currency == wanted.currency
        && found.unit_amount == Some(wanted.amount)
        && interval == wanted.interval.map(|interval| (interval.word(), 1))
}

/// Where Stripe differs from the file, and what is wrong in Stripe, as lines for people.
pub async fn check(engine: &Engine, file: &CatalogFile) -> Result<Vec<String>> {
    let tag = &engine.config.product_tag;
    let wanted = file.wanted(tag)?;
    let (products, prices) = everything(&engine.stripe).await?;
    let mut lines: Vec<String> =
        changes(&wanted, &products, &prices).iter().map(|change| format!("to {change}")).collect();
    let known = |product: &&Product| wanted.iter().any(|wanted| wanted.id == product.id);
    let strays = products.iter().filter(|product| {
        product.active && product.metadata.get(TAG) == Some(tag) && !known(product)
    });
    lines.extend(strays.map(|p| format!("{} ({}) is not in the catalog file", p.id, p.name)));
    let judged = judge(products, prices, tag);
    let problems = judged.problems.iter();
    lines.extend(problems.map(|p| format!("{}: {} {}", p.object_id, p.name, p.message)));
    Ok(lines)
}

/// The metadata to send: all of what is wanted, as the library's kind of map.
pub fn to_map(metadata: &Metadata) -> HashMap<String, String> {
    metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Interval;
    use crate::stripe::shapes::{MarketingFeature, Recurring};

    fn wanted() -> WantedProduct {
        WantedProduct {
            id: "t_pro".into(),
            name: "Pro".into(),
            description: "For work".into(),
            marketing: vec!["Fast".into()],
            metadata: Metadata::from([(TAG.into(), "t".into()), ("tier".into(), "pro".into())]),
            prices: vec![WantedPrice {
                lookup_key: "t_pro_month".into(),
                currency: "usd".into(),
                amount: 2900,
                interval: Some(Interval::Month),
            }],
        }
    }

    fn found() -> (Product, Price) {
        let wanted = wanted();
        let product = Product {
            id: wanted.id.clone(),
            active: true,
            name: wanted.name,
            description: wanted.description,
            metadata: wanted.metadata,
            marketing_features: vec![MarketingFeature { name: "Fast".into() }],
            ..Product::default()
        };
        let every =
            Recurring { interval: "month".into(), interval_count: 1, usage_type: "".into() };
        let price = Price {
            id: "price_1".into(),
            active: true,
            currency: "usd".into(),
            unit_amount: Some(2900),
            product: Some(wanted.id),
            recurring: Some(every),
            lookup_key: Some("t_pro_month".into()),
            ..Price::default()
        };
        (product, price)
    }

    fn lines(products: &[Product], prices: &[Price]) -> Vec<String> {
        changes(&[wanted()], products, prices).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let (product, price) = found();
        let foreign = Product { id: "other".into(), ..Product::default() };
        assert!(lines(&[product, foreign], &[price]).is_empty());
        let all = ["create t_pro (Pro)", "create price t_pro_month: $29.00 / month"];
        assert_eq!(lines(&[], &[]), all);
    }

    #[test]
    fn differences_are_named() {
        let (mut product, mut price) = found();
        product.name = "Old".into();
        product.metadata.insert("limit.seats".into(), "3".into());
        product.metadata.insert("colour".into(), "blue".into());
        price.unit_amount = Some(1900);
        let expected = [
            "update t_pro: name, metadata.limit.seats",
            "create price t_pro_month: $29.00 / month",
            "archive price price_1, replaced as t_pro_month",
        ];
        assert_eq!(lines(&[product], &[price]), expected);
    }
}
