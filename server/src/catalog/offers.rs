//! What is on sale, for pages: everything, or what can be had in one currency. Reads only.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::db::{Db, sql};
use crate::error::{Error, Result};
use crate::units::Credits;

use super::parse::Problem;
use super::{Catalog, Interval, Pack, Price, Tier};

#[derive(sqlx::FromRow)]
struct ProductRow {
    product_id: String,
    kind: String,
    tier: Option<String>,
    name: String,
    description: String,
    marketing: String,
    rank: i64,
    highlight: bool,
    free: bool,
    version_id: Option<String>,
    terms: Option<String>,
    credits: Option<Credits>,
    expires_days: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct PriceRow {
    price_id: String,
    product_id: String,
    currency: String,
    amount: i64,
    per: Option<String>,
    per_count: i64,
    lookup_key: Option<String>,
}

/// What is sold now in the currency that most of it is sold in, and what is wrong.
pub async fn current(db: &Db) -> Result<Catalog> {
    current_in(db, None).await
}

/// What is sold now in one currency; in the usual one where that is not said, or where nothing is
/// sold in it. (C7)
pub async fn current_in(db: &Db, currency: Option<&str>) -> Result<Catalog> {
    let catalog = all(db).await?;
    let currencies = catalog.currencies();
    let asked = currency.filter(|asked| currencies.iter().any(|known| known == asked));
    Ok(match asked.or(currencies.first().map(String::as_str)) {
        Some(currency) => catalog.only(currency),
        None => catalog,
    })
}

/// What is sold now in any currency, and what is wrong.
pub async fn all(db: &Db) -> Result<Catalog> {
    let products = "select p.product_id, p.kind, p.tier, p.name, p.description, p.marketing, \
             p.rank, p.highlight, p.free, p.version_id, v.terms, p.credits, p.expires_days
         from catalog_products p left join tier_versions v on v.id = p.version_id
         where p.sold order by p.rank, p.created_at, p.product_id";
    let prices = "select price_id, product_id, currency, amount, per, per_count, lookup_key
         from catalog_prices where sold order by amount, price_id";
    let mut by_product: HashMap<String, Vec<Price>> = HashMap::new();
    for row in db.all::<PriceRow>(sql(prices)).await? {
        by_product.entry(row.product_id.clone()).or_default().push(offered(row));
    }
    let mut catalog = Catalog { problems: problems(db).await?, ..Catalog::default() };
    for row in db.all::<ProductRow>(sql(products)).await? {
        let prices = by_product.remove(&row.product_id).unwrap_or_default();
        match row.kind.as_str() {
            "pack" => catalog.packs.extend(packs(row, prices)?),
            "addon" => catalog.addons.extend(tier(row, prices)?),
            _ => catalog.tiers.extend(tier(row, prices)?),
        }
    }
    catalog.packs.sort_by_key(|pack| pack.price.amount);
    Ok(catalog)
}

/// What is wrong in Stripe right now.
pub async fn problems(db: &Db) -> Result<Vec<Problem>> {
    let text = "select object_id, name, message from catalog_problems order by object_id, name";
    db.all(sql(text)).await
}

fn offered(row: PriceRow) -> Price {
    Price {
        id: row.price_id,
        currency: row.currency,
        amount: row.amount,
        interval: row.per.as_deref().and_then(Interval::parse),
        interval_count: row.per_count,
        lookup_key: row.lookup_key,
    }
}

/// A tier is shown when it can be had: for a price, or because it is the free one.
fn tier(row: ProductRow, prices: Vec<Price>) -> Result<Option<Tier>> {
    let (Some(version_id), Some(tier), Some(terms)) = (row.version_id, row.tier, row.terms) else {
        return Err(Error::internal(format!("{} has no tier version", row.product_id)));
    };
    let prices: Vec<Price> = prices.into_iter().filter(|price| price.amount > 0).collect();
    if prices.is_empty() && !row.free {
        return Ok(None);
    }
    Ok(Some(Tier {
        product_id: row.product_id,
        tier,
        name: row.name,
        description: row.description,
        marketing: serde_json::from_str(&row.marketing)?,
        rank: row.rank,
        highlight: row.highlight,
        free: row.free,
        version_id,
        terms: serde_json::from_str(&terms)?,
        prices,
    }))
}

/// One for each currency that it is sold in.
fn packs(row: ProductRow, prices: Vec<Price>) -> Result<Vec<Pack>> {
    let Some(credits) = row.credits else { return Ok(Vec::new()) };
    let marketing: Vec<String> = serde_json::from_str(&row.marketing)?;
    let pack = |price: Price| Pack {
        product_id: row.product_id.clone(),
        name: row.name.clone(),
        description: row.description.clone(),
        marketing: marketing.clone(),
        credits,
        expires_days: row.expires_days,
        highlight: row.highlight,
        price,
    };
    Ok(prices.into_iter().map(pack).collect())
}

impl Catalog {
    /// The currencies that anything is sold in, the one that most is sold in first.
    pub fn currencies(&self) -> Vec<String> {
        let of_tiers = self.tiers.iter().chain(&self.addons).flat_map(|tier| &tier.prices);
        let prices = of_tiers.chain(self.packs.iter().map(|pack| &pack.price));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for price in prices {
            *counts.entry(&price.currency).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(currency, count)| (Reverse(*count), *currency != "usd", *currency));
        counts.into_iter().map(|(currency, _)| currency.to_owned()).collect()
    }

    /// What can be had in this currency.
    fn only(mut self, currency: &str) -> Self {
        for tier in self.tiers.iter_mut().chain(&mut self.addons) {
            tier.prices.retain(|price| price.currency == currency);
        }
        self.tiers.retain(|tier| tier.free || !tier.prices.is_empty());
        self.addons.retain(|addon| !addon.prices.is_empty());
        self.packs.retain(|pack| pack.price.currency == currency);
        self
    }
}
