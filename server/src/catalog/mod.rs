//! The catalog: what is sold, read from Stripe's products and prices that carry our tag.
//!
//! Owns `catalog_products`, `catalog_prices`, `catalog_problems`, `catalog_views` and
//! `tier_versions`. No tier, price or amount is in the code. Reads are from the database, so that
//! everything works while Stripe cannot be reached; [`refresh`] brings the database up to date.

mod drift;
mod file;
mod judge;
pub mod parse;
mod price;
mod push;
mod refresh;
mod store;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::db::{Db, Reads, sql};
use crate::error::{Error, Result};
use crate::units::Credits;

pub use drift::{Change, check};
pub use file::{BUILT_IN, CatalogFile};
pub use parse::{Overage, Problem, Terms};
pub use push::{PushOptions, Pushed, push};
pub use refresh::{Refreshed, refresh};

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

/// The tier of those who do not pay.
#[derive(Clone, Debug)]
pub struct FreeTier {
    /// Its word.
    pub tier: String,
    /// Its name.
    pub name: String,
    /// The version in force.
    pub version_id: String,
    /// Credits each month.
    pub included: Credits,
    /// All that it allows.
    pub terms: Terms,
}

/// What a price pays for, whether or not it is still sold. (C2)
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Resolved {
    /// `price_…`
    pub price_id: String,
    /// `prod_…`
    pub product_id: String,
    /// plan, addon or pack
    pub kind: String,
    /// The product's name.
    pub name: String,
    /// The version that a new grant uses; none for packs.
    pub version_id: Option<String>,
    /// day, week, month, year; `None` is once.
    pub per: Option<String>,
    /// Every so many of them.
    pub per_count: i64,
    /// Minor units.
    pub amount: i64,
    /// What a pack gives.
    pub credits: Option<Credits>,
    /// For how many days.
    pub expires_days: Option<i64>,
    /// Whether both the price and its product are offered.
    pub sold: bool,
}

impl Resolved {
    /// Months between two payments, where that is a number of months.
    pub fn months(&self) -> Option<i64> {
        match self.per.as_deref() {
            Some("month") => Some(self.per_count),
            Some("year") => Some(self.per_count * 12),
            _ => None,
        }
    }
}

/// A version of a tier, as it once was pinned.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// The tier's word.
    pub tier: String,
    /// The tier's name.
    pub name: String,
    /// What it allows.
    pub terms: Terms,
}

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

/// What is sold now, and what is wrong.
pub async fn current(db: &Db) -> Result<Catalog> {
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
            "pack" => catalog.packs.extend(pack(row, prices)?),
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

fn pack(row: ProductRow, prices: Vec<Price>) -> Result<Option<Pack>> {
    let (Some(credits), Some(price)) = (row.credits, prices.into_iter().next()) else {
        return Ok(None);
    };
    Ok(Some(Pack {
        product_id: row.product_id,
        name: row.name,
        description: row.description,
        marketing: serde_json::from_str(&row.marketing)?,
        credits,
        expires_days: row.expires_days,
        highlight: row.highlight,
        price,
    }))
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    id: String,
    tier: String,
    name: String,
    terms: String,
}

/// The tier in force without paying; none where the catalog has none.
pub async fn free_tier(reads: &mut impl Reads) -> Result<Option<FreeTier>> {
    let text = "select v.id, v.tier, p.name, v.terms
         from catalog_products p join tier_versions v on v.id = p.version_id
         where p.free order by p.rank, p.product_id limit 1";
    let Some(row) = reads.optional::<VersionRow>(sql(text)).await? else { return Ok(None) };
    let terms: Terms = serde_json::from_str(&row.terms)?;
    Ok(Some(FreeTier {
        tier: row.tier,
        name: row.name,
        version_id: row.id,
        included: terms.included,
        terms,
    }))
}

/// What these prices pay for; those that are not ours are left out.
pub async fn resolve(
    reads: &mut impl Reads,
    prices: &[String],
) -> Result<BTreeMap<String, Resolved>> {
    let any = reads.dialect().any("x.price_id", 1);
    let text = format!(
        "select x.price_id, x.product_id, p.kind, p.name, p.version_id, x.per, x.per_count, \
             x.amount, p.credits, p.expires_days, (x.sold and p.sold) as sold
         from catalog_prices x join catalog_products p on p.product_id = x.product_id where {any}"
    );
    let rows: Vec<Resolved> = reads.all(sql(text).bind(prices.to_vec())).await?;
    Ok(rows.into_iter().map(|row| (row.price_id.clone(), row)).collect())
}

/// Which of these are products or prices that we once read as ours.
pub async fn known(reads: &mut impl Reads, ids: &[String]) -> Result<HashSet<String>> {
    let (product, price) =
        (reads.dialect().any("product_id", 1), reads.dialect().any("price_id", 2));
    let text = format!(
        "select product_id from catalog_products where {product} \
         union all select price_id from catalog_prices where {price}"
    );
    let rows: Vec<(String,)> = reads.all(sql(text).bind(ids.to_vec()).bind(ids.to_vec())).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Versions by id.
pub async fn versions(reads: &mut impl Reads, ids: &[String]) -> Result<HashMap<String, Version>> {
    let any = reads.dialect().any("id", 1);
    let text = format!("select id, tier, name, terms from tier_versions where {any}");
    let rows: Vec<VersionRow> = reads.all(sql(text).bind(ids.to_vec())).await?;
    let mut versions = HashMap::new();
    for row in rows {
        let terms = serde_json::from_str(&row.terms)?;
        let version = Version { id: row.id.clone(), tier: row.tier, name: row.name, terms };
        versions.insert(row.id, version);
    }
    Ok(versions)
}
