//! From subscriptions to what they allow, computed anew every time.

use std::collections::HashMap;

use crate::catalog::{self, Overage, Terms, Version};
use crate::clock::Millis;
use crate::credits;
use crate::db::{Arg, Bulk, Reads, Tx, sql};
use crate::error::{Error, Result};

use super::SourceLine;
use super::access::{Access, Status, judge};

/// Something that allows things.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// tier or addon
    pub kind: &'static str,
    /// The subscription item, or the version of the free tier.
    pub id: &'a str,
    /// What people call it.
    pub name: &'a str,
    /// What it allows.
    pub terms: &'a Terms,
    /// How many of it.
    pub quantity: i64,
}

impl Source<'_> {
    /// One line for everything that it allows. Add-ons count as often as they were bought; of a
    /// tier that is paid by the seat only the seats do.
    pub fn lines(&self) -> Vec<SourceLine> {
        let line = |kind: &str, name: &str, amount: Option<i64>| SourceLine {
            kind: kind.to_owned(),
            name: name.to_owned(),
            source: self.kind.to_owned(),
            source_id: self.id.to_owned(),
            source_name: self.name.to_owned(),
            amount,
            expires_at: None,
        };
        let features = self.terms.features.iter().map(|name| line("feature", name, None));
        let models = self.terms.models.iter().map(|name| line("model", name, None));
        let limits = self.terms.limits.iter().map(|(name, amount)| {
            let by_quantity = self.kind == "addon" || name == "seats";
            let times = if by_quantity { self.quantity.max(1) } else { 1 };
            line("limit", name, Some(amount.saturating_mul(times)))
        });
        features.chain(models).chain(limits).collect()
    }
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct LiveItem {
    subscription_id: String,
    status: String,
    ends_at: Option<Millis>,
    past_due_at: Option<Millis>,
    item_id: String,
    version_id: String,
    quantity: i64,
    period_start: Millis,
    period_end: Millis,
    kind: String,
    product_name: String,
    currency: Option<String>,
}

const LIVE: &str = "select s.subscription_id, s.status, s.ends_at, s.past_due_at, i.item_id, \
         i.version_id, i.quantity, i.period_start, i.period_end, p.kind, \
         p.name as product_name, x.currency
     from subscriptions s
     join subscription_items i on i.subscription_id = s.subscription_id
     join tier_versions v on v.id = i.version_id
     join catalog_products p on p.product_id = v.product_id
     left join catalog_prices x on x.price_id = i.price_id
     where s.org_id = $1 and s.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused')
     order by p.rank desc, s.created_at desc, i.item_id";

/// Computes what an org is on and what it may use, from its subscriptions; locks its wallet, since
/// the gate reads the result.
pub async fn derive(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    credits::lock_wallet(tx, org_id, now).await?;
    let items: Vec<LiveItem> = tx.all(sql(LIVE).bind(org_id)).await?;
    let ids: Vec<String> = items.iter().map(|item| item.version_id.clone()).collect();
    let versions = catalog::versions(tx, &ids).await?;
    tx.execute(sql("delete from entitlements where org_id = $1").bind(org_id)).await?;
    let Some(plan) = items.iter().find(|item| item.kind == "plan") else {
        tx.execute(sql("delete from org_plans where org_id = $1").bind(org_id)).await?;
        return Ok(());
    };
    store_plan(tx, org_id, plan, &versions, now).await?;
    let mut lines = Vec::new();
    let mut suspended = false;
    for item in &items {
        let version = version_of(&versions, &item.version_id)?;
        let status = Status::parse(&item.status)
            .ok_or_else(|| Error::internal(format!("stored status {}", item.status)))?;
        let since = item.past_due_at.unwrap_or(now);
        match judge(status, since, version.terms.grace_days, now).access {
            Access::Full => lines.extend(source(item, version).lines()),
            Access::Suspended => suspended = true,
            Access::None => {}
        }
    }
    if suspended && let Some(free) = catalog::free_tier(tx).await? {
        let (id, name, terms) = (&free.version_id, &free.name, &free.terms);
        lines.extend(Source { kind: "tier", id, name, terms, quantity: 1 }.lines());
    }
    store_lines(tx, org_id, lines).await
}

fn source<'a>(item: &'a LiveItem, version: &'a Version) -> Source<'a> {
    Source {
        kind: if item.kind == "addon" { "addon" } else { "tier" },
        id: &item.item_id,
        name: &item.product_name,
        terms: &version.terms,
        quantity: item.quantity,
    }
}

fn version_of<'a>(versions: &'a HashMap<String, Version>, id: &str) -> Result<&'a Version> {
    versions.get(id).ok_or_else(|| Error::internal(format!("tier version {id} is missing")))
}

async fn store_plan(
    tx: &mut Tx,
    org_id: &str,
    plan: &LiveItem,
    versions: &HashMap<String, Version>,
    now: Millis,
) -> Result<()> {
    let version = version_of(versions, &plan.version_id)?;
    let overage_price = match version.terms.overage {
        Overage::Deny => None,
        Overage::Allow { price } => Some(price),
    };
    let text = "insert into org_plans (org_id, tier, tier_name, version_id, subscription_id, \
             status, period_start, period_end, ends_at, overage_allowed, overage_price, \
             derived_at, currency)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (org_id) do update set tier = excluded.tier, \
             tier_name = excluded.tier_name, version_id = excluded.version_id, \
             subscription_id = excluded.subscription_id, status = excluded.status, \
             period_start = excluded.period_start, period_end = excluded.period_end, \
             ends_at = excluded.ends_at, overage_allowed = excluded.overage_allowed, \
             overage_price = excluded.overage_price, derived_at = excluded.derived_at, \
             currency = excluded.currency";
    let row = sql(text)
        .bind(org_id)
        .bind(&version.tier)
        .bind(&plan.product_name)
        .bind(&plan.version_id)
        .bind(&plan.subscription_id)
        .bind(&plan.status)
        .bind(plan.period_start)
        .bind(plan.period_end)
        .bind(plan.ends_at)
        .bind(overage_price.is_some())
        .bind(overage_price)
        .bind(now)
        .bind(plan.currency.as_deref());
    tx.execute(row).await?;
    Ok(())
}

const ENTITLEMENTS: Bulk = Bulk {
    table: "entitlements",
    columns: &[
        "org_id",
        "kind",
        "name",
        "source_kind",
        "source_id",
        "source_name",
        "amount",
        "expires_at",
    ],
    conflict: " on conflict (org_id, kind, name, source_id) do nothing",
};

async fn store_lines(tx: &mut Tx, org_id: &str, lines: Vec<SourceLine>) -> Result<()> {
    let rows: Vec<Vec<Arg>> = lines
        .into_iter()
        .map(|line| {
            vec![
                org_id.into(),
                line.kind.into(),
                line.name.into(),
                line.source.into(),
                line.source_id.into(),
                line.source_name.into(),
                line.amount.into(),
                line.expires_at.into(),
            ]
        })
        .collect();
    tx.insert_many(&ENTITLEMENTS, rows).await
}

/// Orgs whose forgiveness for a missed payment ended since they were last derived: of any of their
/// subscriptions, also where another one gives the plan. (B13, B15)
pub async fn overdue(reads: &mut impl Reads, now: Millis) -> Result<Vec<String>> {
    let text = "select distinct p.org_id from org_plans p
         join blocks b on b.org_id = p.org_id and b.lifted_at is null and b.kind = 'past_due'
         where b.since <= $1 and p.derived_at < b.since
         order by p.org_id limit 100";
    let rows: Vec<(String,)> = reads.all(sql(text).bind(now)).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}
