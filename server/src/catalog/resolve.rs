//! What prices and versions stand for, whether or not they are still sold. Reads only.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::db::{Reads, sql};
use crate::error::Result;
use crate::units::Credits;

use super::parse::Terms;

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
    /// Three lowercase letters.
    pub currency: String,
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
             x.amount, x.currency, p.credits, p.expires_days, (x.sold and p.sold) as sold
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

/// The price of a product that is sold for this currency and interval, if there is one.
pub async fn price_of(
    reads: &mut impl Reads,
    product_id: &str,
    currency: &str,
    per: Option<&str>,
    per_count: i64,
) -> Result<Option<Resolved>> {
    let text = "select price_id from catalog_prices
         where product_id = $1 and currency = $2 and per = $3 and per_count = $4 and sold
         order by price_id limit 1";
    let row = sql(text).bind(product_id).bind(currency).bind(per).bind(per_count);
    let Some((price_id,)) = reads.optional::<(String,)>(row).await? else { return Ok(None) };
    Ok(resolve(reads, std::slice::from_ref(&price_id)).await?.remove(&price_id))
}
