//! The judged catalog into the database. Nothing that was ever sold is removed.

use sha2::{Digest as _, Sha256};

use crate::clock::{Millis, SECOND};
use crate::db::{Tx, sql};
use crate::error::Result;
use crate::ids;

use super::judge::{Judged, JudgedPrice, JudgedProduct};
use super::parse::{Kind, Problem, Terms};

/// Takes a number before Stripe is asked, so that an older view can never follow a newer one.
pub async fn take_ticket(tx: &mut Tx) -> Result<i64> {
    let text = "insert into catalog_views (id, ticket, applied) values ('catalog', 1, 0)
         on conflict (id) do update set ticket = catalog_views.ticket + 1 returning ticket";
    let (ticket,): (i64,) = tx.one(sql(text)).await?;
    Ok(ticket)
}

/// Whether the view of this ticket is newer than the one that is stored; if so, it becomes that.
pub async fn claim_ticket(tx: &mut Tx, ticket: i64) -> Result<bool> {
    let text = "update catalog_views set applied = $1 where id = 'catalog' and applied < $1";
    Ok(tx.execute(sql(text).bind(ticket)).await? == 1)
}

/// Stores what was judged. A product that is bad now, or gone, is not sold any more; its last good
/// version stays in force for those who have it.
pub async fn store(tx: &mut Tx, judged: &Judged, now: Millis) -> Result<()> {
    let retire = "update catalog_products set sold = false where sold";
    tx.execute(sql(retire)).await?;
    tx.execute(sql("update catalog_prices set sold = false where sold")).await?;
    for product in &judged.products {
        store_product(tx, product, now).await?;
    }
    if let Some(free) = judged.products.iter().find(|product| product.free) {
        let text = "update catalog_products set free = (product_id = $1)";
        tx.execute(sql(text).bind(&free.product.id)).await?;
    }
    for price in &judged.prices {
        store_price(tx, price, now).await?;
    }
    store_problems(tx, &judged.problems, now).await
}

async fn store_product(tx: &mut Tx, judged: &JudgedProduct, now: Millis) -> Result<()> {
    let product = &judged.product;
    let definition = &judged.definition;
    let (kind, tier, version_id, credits, expires_days) = match &definition.kind {
        Kind::Plan { tier, terms } => {
            let version = store_version(tx, product.id.as_str(), tier, &product.name, terms, now);
            ("plan", Some(tier), Some(version.await?), None, None)
        }
        Kind::Addon { tier, terms } => {
            let version = store_version(tx, product.id.as_str(), tier, &product.name, terms, now);
            ("addon", Some(tier), Some(version.await?), None, None)
        }
        Kind::Pack { credits, expires_days } => ("pack", None, None, Some(*credits), *expires_days),
    };
    let marketing: Vec<&str> = product
        .marketing_features
        .iter()
        .map(|feature| feature.name.trim())
        .filter(|name| !name.is_empty())
        .collect();
    let text = "insert into catalog_products (product_id, kind, tier, name, description, \
             marketing, rank, highlight, version_id, credits, expires_days, sold, free, \
             created_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         on conflict (product_id) do update set kind = excluded.kind, tier = excluded.tier, \
             name = excluded.name, description = excluded.description, \
             marketing = excluded.marketing, rank = excluded.rank, \
             highlight = excluded.highlight, version_id = excluded.version_id, \
             credits = excluded.credits, expires_days = excluded.expires_days, \
             sold = excluded.sold, free = excluded.free, synced_at = excluded.synced_at";
    let row = sql(text)
        .bind(&product.id)
        .bind(kind)
        .bind(tier.map(String::as_str))
        .bind(&product.name)
        .bind(&product.description)
        .bind(serde_json::to_string(&marketing)?)
        .bind(definition.rank)
        .bind(definition.highlight)
        .bind(version_id)
        .bind(credits)
        .bind(expires_days)
        .bind(judged.sold)
        .bind(judged.free)
        .bind(product.created * SECOND)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

/// The version with these terms: the one that was stored before, or a new one. (C6)
async fn store_version(
    tx: &mut Tx,
    product_id: &str,
    tier: &str,
    name: &str,
    terms: &Terms,
    now: Millis,
) -> Result<String> {
    let terms = serde_json::to_string(terms)?;
    let fingerprint = hex::encode(Sha256::digest(format!("{tier}\n{terms}")));
    let insert = "insert into tier_versions (id, product_id, tier, name, terms, fingerprint, \
             created_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (product_id, fingerprint) do nothing";
    let row = sql(insert)
        .bind(ids::new("version", now))
        .bind(product_id)
        .bind(tier)
        .bind(name)
        .bind(terms)
        .bind(&fingerprint)
        .bind(now);
    tx.execute(row).await?;
    let select = "select id from tier_versions where product_id = $1 and fingerprint = $2";
    let (id,): (String,) = tx.one(sql(select).bind(product_id).bind(fingerprint)).await?;
    Ok(id)
}

async fn store_price(tx: &mut Tx, judged: &JudgedPrice, now: Millis) -> Result<()> {
    let price = &judged.price;
    let every = price.recurring.as_ref();
    let text = "insert into catalog_prices (price_id, product_id, currency, amount, per, \
             per_count, lookup_key, sold, created_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (price_id) do update set lookup_key = excluded.lookup_key, \
             sold = excluded.sold, synced_at = excluded.synced_at";
    let row = sql(text)
        .bind(&price.id)
        .bind(&judged.product_id)
        .bind(&price.currency)
        .bind(price.unit_amount)
        .bind(every.map(|every| every.interval.as_str()))
        .bind(every.map_or(1, |every| every.interval_count.max(1)))
        .bind(price.lookup_key.as_deref())
        .bind(judged.sold)
        .bind(price.created * SECOND)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

/// Replaces the list of mistakes, keeping since when each has been there.
async fn store_problems(tx: &mut Tx, problems: &[Problem], now: Millis) -> Result<()> {
    let known: Vec<(String, String, i64)> =
        tx.all(sql("select object_id, name, since from catalog_problems")).await?;
    tx.execute(sql("delete from catalog_problems")).await?;
    for problem in problems {
        let same = |(object, name, _): &&(String, String, i64)| {
            *object == problem.object_id && *name == problem.name
        };
        let since = known.iter().find(same).map_or(now, |row| row.2);
        let text = "insert into catalog_problems (object_id, name, message, since)
             values ($1, $2, $3, $4)";
        let row = sql(text).bind(&problem.object_id).bind(&problem.name).bind(&problem.message);
        tx.execute(row.bind(since)).await?;
    }
    Ok(())
}
