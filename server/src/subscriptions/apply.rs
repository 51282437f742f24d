//! A subscription, as it was just seen, into our rows and everything that follows from it.

use std::collections::{BTreeMap, HashMap};

use crate::audit::{self, Actor};
use crate::blocks::{self, NewBlock};
use crate::catalog::{self, Resolved, Terms};
use crate::clock::{Millis, SECOND};
use crate::config::Config;
use crate::credits::{self, NewGrant, Source};
use crate::db::{Tx, sql};
use crate::entitlements;
use crate::entitlements::access::{Standing, Status, judge};
use crate::error::{Error, Result};
use crate::mail::{self, Template};
use crate::orgs;
use crate::stripe::shapes::Subscription;

use super::allowance;

#[derive(Clone, Debug, sqlx::FromRow)]
struct Before {
    status: String,
    past_due_at: Option<Millis>,
    ends_at: Option<Millis>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct ItemRow {
    item_id: String,
    price_id: String,
    version_id: Option<String>,
    quantity: i64,
    period_start: Millis,
    period_end: Millis,
}

/// Writes what was seen, and brings blocks, allowances and entitlements in line with it.
pub async fn subscription(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    config: &Config,
    now: Millis,
) -> Result<()> {
    let status = Status::parse(&seen.status).ok_or_else(|| {
        // Nobody may guess what a new word of Stripe's means: the last known state stays.
        Error::internal(format!("{} has the unknown status {}", seen.id, seen.status))
    })?;
    credits::lock_wallet(tx, org_id, now).await?;
    let before = before(tx, &seen.id).await?;
    let plan_before = plan_name(tx, org_id).await?;
    let items = store_items_after(tx, seen, org_id, before.as_ref(), status, now).await?;
    let terms = plan_terms(tx, &items).await?;
    let past_due_at = past_due_at(tx, before.as_ref(), status, &items, now).await?;
    store_state(tx, seen, past_due_at, now).await?;
    let standing = judge(status, past_due_at.unwrap_or(now), terms.grace_days, now);
    set_block(tx, seen, org_id, &standing, now).await?;
    if standing.ended {
        end(tx, seen, org_id, now).await?;
    }
    if status == Status::Trialing {
        grant_trial(tx, seen, org_id, &terms, now).await?;
    }
    entitlements::derive(tx, org_id, now).await?;
    let plan_after = plan_name(tx, org_id).await?;
    let change = Change { seen, org_id, before: before.as_ref(), plan_before, plan_after };
    change.tell(tx, &config.base_url, now).await
}

async fn before(tx: &mut Tx, id: &str) -> Result<Option<Before>> {
    let text = "select status, past_due_at, ends_at from subscriptions where subscription_id = $1";
    tx.optional(sql(text).bind(id)).await
}

/// Writes the subscription's row, where it is new, and its items; answers the items.
async fn store_items_after(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    before: Option<&Before>,
    status: Status,
    now: Millis,
) -> Result<Vec<ItemRow>> {
    if before.is_none() {
        tracing::info!(id = seen.id, org_id, ?status, "a subscription was seen for the first time");
        let text = "insert into subscriptions (subscription_id, customer_id, org_id, status, \
                 created_at, synced_at)
             values ($1, $2, $3, $4, $5, $6)";
        let row = sql(text)
            .bind(&seen.id)
            .bind(seen.customer.as_deref())
            .bind(org_id)
            .bind(&seen.status)
            .bind(seen.created * SECOND)
            .bind(now);
        tx.execute(row).await?;
    }
    let select = "select item_id, price_id, version_id, quantity, period_start, period_end
         from subscription_items where subscription_id = $1";
    let known: Vec<ItemRow> = tx.all(sql(select).bind(&seen.id)).await?;
    let ids: Vec<String> = seen.items.data.iter().map(|item| item.price.id.clone()).collect();
    let prices = catalog::resolve(tx, &ids).await?;
    let items = read_items(seen, &known, &prices)?;
    let delete = "delete from subscription_items where subscription_id = $1";
    tx.execute(sql(delete).bind(&seen.id)).await?;
    for item in &items {
        let text = "insert into subscription_items (item_id, subscription_id, price_id, \
                 version_id, quantity, period_start, period_end)
             values ($1, $2, $3, $4, $5, $6, $7)";
        let row = sql(text)
            .bind(&item.item_id)
            .bind(&seen.id)
            .bind(&item.price_id)
            .bind(item.version_id.as_deref())
            .bind(item.quantity)
            .bind(item.period_start)
            .bind(item.period_end);
        tx.execute(row).await?;
    }
    Ok(items)
}

/// The items as they are now. Each keeps the version of its tier that was in force when its period
/// began, so that an edit in Stripe applies from the next one. (B10, C6)
fn read_items(
    seen: &Subscription,
    known: &[ItemRow],
    prices: &BTreeMap<String, Resolved>,
) -> Result<Vec<ItemRow>> {
    let mut items = Vec::new();
    for item in &seen.items.data {
        let (start, end) = seen.period(item).ok_or_else(|| {
            // A13: what is required and absent is an error, never skipped.
            Error::internal(format!("{} of {} has no period", item.id, seen.id))
        })?;
        let period_start = start * SECOND;
        let pinned = known.iter().find(|row| {
            row.item_id == item.id
                && row.price_id == item.price.id
                && row.period_start == period_start
        });
        let current = prices.get(&item.price.id).and_then(|price| price.version_id.clone());
        if current.is_none() {
            let (id, price) = (&seen.id, &item.price.id);
            tracing::error!(id, price, "a subscription to a price that is none of our plans");
        }
        items.push(ItemRow {
            item_id: item.id.clone(),
            price_id: item.price.id.clone(),
            version_id: pinned.and_then(|row| row.version_id.clone()).or(current),
            quantity: item.quantity.unwrap_or(1),
            period_start,
            period_end: end * SECOND,
        });
    }
    Ok(items)
}

/// The terms of the subscription's plan; the usual ones where none of its items is ours.
async fn plan_terms(tx: &mut Tx, items: &[ItemRow]) -> Result<Terms> {
    let ids: Vec<String> = items.iter().filter_map(|item| item.version_id.clone()).collect();
    let mut versions: HashMap<String, catalog::Version> = catalog::versions(tx, &ids).await?;
    let first = ids.first().and_then(|id| versions.remove(id));
    Ok(first.map(|version| version.terms).unwrap_or_default())
}

/// Since when the money is missing: since the period began that is not paid, or, where the period
/// itself is paid and something within it is not, since we first saw it.
async fn past_due_at(
    tx: &mut Tx,
    before: Option<&Before>,
    status: Status,
    items: &[ItemRow],
    now: Millis,
) -> Result<Option<Millis>> {
    if !matches!(status, Status::PastDue | Status::Unpaid | Status::Paused) {
        return Ok(None);
    }
    if let Some(since) = before.and_then(|before| before.past_due_at) {
        return Ok(Some(since));
    }
    let start = items.iter().map(|item| item.period_start).min();
    let (Some(start), false) = (start, status == Status::Paused) else { return Ok(Some(now)) };
    let ids: Vec<String> = items.iter().map(|item| item.item_id.clone()).collect();
    let any = tx.dialect().any("item_id", 2);
    let text = format!("select line_id from paid_lines where period_start = $1 and {any} limit 1");
    let paid = tx.optional::<(String,)>(sql(text).bind(start).bind(ids)).await?.is_some();
    Ok(Some(if paid { now } else { start.min(now) }))
}

async fn store_state(
    tx: &mut Tx,
    seen: &Subscription,
    past_due_at: Option<Millis>,
    now: Millis,
) -> Result<()> {
    let text = "update subscriptions set status = $2, ends_at = $3, trial_end = $4, \
             past_due_at = $5, ended_at = $6, synced_at = $7 where subscription_id = $1";
    let millis = |seconds: Option<i64>| seconds.map(|seconds| seconds * SECOND);
    let row = sql(text)
        .bind(&seen.id)
        .bind(&seen.status)
        .bind(millis(seen.ends_at()))
        .bind(millis(seen.trial_end))
        .bind(past_due_at)
        .bind(millis(seen.ended_at))
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

async fn set_block(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    standing: &Standing,
    now: Millis,
) -> Result<()> {
    let keep = standing.block.map(|(kind, _)| kind);
    blocks::lift_except(tx, org_id, &seen.id, keep, now).await?;
    let Some((kind, since)) = standing.block else { return Ok(()) };
    let reason = standing.message.unwrap_or("The subscription is not paid.");
    let block = NewBlock { org_id, kind, subject: &seen.id, reason, since };
    blocks::put(tx, &block, now).await
}

/// What ends with a subscription: its allowance, unless another one goes on. Packs stay. (B12)
async fn end(tx: &mut Tx, seen: &Subscription, org_id: &str, now: Millis) -> Result<()> {
    allowance::close_schedules(tx, &seen.id, now).await?;
    if super::has_other_live(tx, org_id, &seen.id).await? {
        return Ok(());
    }
    credits::end_allowance(tx, org_id, "the plan ended", now).await
}

async fn grant_trial(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    terms: &Terms,
    now: Millis,
) -> Result<()> {
    if !terms.trial_credits.is_positive() {
        return Ok(());
    }
    let trial = NewGrant {
        effective_at: None,
        org_id: org_id.to_owned(),
        source: Source::Trial,
        source_ref: seen.id.clone(),
        amount: terms.trial_credits,
        expires_at: seen.trial_end.map(|end| end * SECOND),
        payment: None,
        actor: Actor::Stripe,
        reason: "the trial began".to_owned(),
    };
    credits::grant(tx, trial, now).await?;
    Ok(())
}

/// The name of the plan an org is on, as people know it.
async fn plan_name(tx: &mut Tx, org_id: &str) -> Result<String> {
    let text = "select tier_name from org_plans where org_id = $1";
    if let Some((name,)) = tx.optional::<(String,)>(sql(text).bind(org_id)).await? {
        return Ok(name);
    }
    Ok(catalog::free_tier(tx).await?.map_or_else(|| "No plan".to_owned(), |free| free.name))
}

struct Change<'a> {
    seen: &'a Subscription,
    org_id: &'a str,
    before: Option<&'a Before>,
    plan_before: String,
    plan_after: String,
}

impl Change<'_> {
    /// Writes a change into the audit trail and tells those who pay. Seeing the same again is no
    /// change.
    async fn tell(&self, tx: &mut Tx, base_url: &str, now: Millis) -> Result<()> {
        let (status, ends_at) = (&self.seen.status, self.seen.ends_at().map(|at| at * SECOND));
        let moved = self.plan_before != self.plan_after;
        let status_before = self.before.map(|before| before.status.as_str());
        let ends_before = self.before.and_then(|before| before.ends_at);
        if status_before == Some(status) && ends_before == ends_at && !moved {
            return Ok(());
        }
        let detail = serde_json::json!({
            "status": status,
            "status_before": status_before,
            "plan": self.plan_after,
            "plan_before": self.plan_before,
            "ends_at": ends_at.map(crate::clock::rfc3339),
        });
        let entry = audit::Entry {
            actor: Actor::Stripe,
            org_id: Some(self.org_id),
            action: "subscriptions.change",
            subject: &self.seen.id,
            reason: None,
            detail: Some(detail),
        };
        audit::record(tx, &entry, now).await?;
        let failed = status == "past_due" && status_before != Some("past_due");
        let ends = ends_at.filter(|at| ends_before.is_none() && *at > now);
        let letter = match (failed, moved || ends.is_some()) {
            (true, _) => Template::PaymentFailed { portal_url: format!("{base_url}/billing") },
            (false, true) => Template::PlanChanged {
                from: self.plan_before.clone(),
                to: self.plan_after.clone(),
                ends_on: ends,
            },
            (false, false) => return Ok(()),
        };
        for to in orgs::owners_and_billing_emails(tx, self.org_id).await? {
            mail::send_later(tx, &to, letter.clone(), now).await?;
        }
        Ok(())
    }
}
