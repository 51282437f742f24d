//! A subscription, as it was just seen, into our rows and everything that follows from it.

use crate::audit::Actor;
use crate::blocks::{self, NewBlock};
use crate::catalog::{self, Terms};
use crate::clock::{DAY, Millis, SECOND};
use crate::credits::{self, NewGrant, Source};
use crate::db::{Tx, sql};
use crate::entitlements;
use crate::entitlements::access::{Standing, Status, judge};
use crate::error::{Error, Result};
use crate::findings::{self, NewFinding};
use crate::stripe::shapes::Subscription;

use super::allowance;
use super::items::{self, ItemRow, Planned};
use super::months;
use super::telling::{Before, Change};

/// Writes what was seen, and brings blocks, allowances and entitlements in line with it.
pub async fn subscription(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    now: Millis,
) -> Result<()> {
    let status = Status::parse(&seen.status).ok_or_else(|| {
        // Nobody may guess what a new word of Stripe's means: the last known state stays.
        Error::internal(format!("{} has the unknown status {}", seen.id, seen.status))
    })?;
    credits::lock_wallet(tx, org_id, now).await?;
    let before = before(tx, &seen.id).await?;
    let plan_before = plan_name(tx, org_id).await?;
    if before.is_none() {
        insert(tx, seen, org_id, now).await?;
    }
    let items = items::store(tx, seen, org_id, now).await?;
    report_unknown(tx, seen, org_id, &items, now).await?;
    let (own_plan, terms) = items::plan(tx, &items).await?;
    let past_due_at = past_due_at(tx, before.as_ref(), status, &items, now).await?;
    let planned = items::planned(seen);
    store_state(tx, seen, past_due_at, planned.as_ref(), now).await?;
    let mut standing = judge(status, past_due_at.unwrap_or(now), terms.grace_days, now);
    if !items::any_known(&items) {
        // What pays for nothing of ours allows nothing, and refuses nothing either. (C9)
        standing.block = None;
    }
    set_block(tx, seen, org_id, &standing, now).await?;
    if standing.ended {
        allowance::end(tx, org_id, &seen.id, now).await?;
    } else {
        trial(tx, seen, org_id, status, &terms, now).await?;
        months::look_again(tx, org_id, &seen.id, now).await?;
    }
    report_several(tx, org_id, now).await?;
    entitlements::derive(tx, org_id, now).await?;
    let plan_after = plan_name(tx, org_id).await?;
    let change = Change {
        seen,
        items: &items,
        org_id,
        before: before.as_ref(),
        standing: &standing,
        own_plan: own_plan.as_deref(),
        plan_before: &plan_before,
        plan_after: &plan_after,
        planned: planned.as_ref(),
    };
    change.tell(tx, now).await
}

async fn before(tx: &mut Tx, id: &str) -> Result<Option<Before>> {
    let text = "select status, past_due_at, ends_at, next_items, next_at, trial_told_at
         from subscriptions where subscription_id = $1";
    tx.optional(sql(text).bind(id)).await
}

async fn insert(tx: &mut Tx, seen: &Subscription, org_id: &str, now: Millis) -> Result<()> {
    let (id, status) = (&seen.id, &seen.status);
    tracing::info!(id, org_id, status, "a subscription was seen for the first time");
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
    Ok(())
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
    planned: Option<&Planned>,
    now: Millis,
) -> Result<()> {
    let text = "update subscriptions set status = $2, ends_at = $3, trial_end = $4, \
             past_due_at = $5, ended_at = $6, schedule_id = $7, next_items = $8, next_at = $9, \
             synced_at = $10 where subscription_id = $1";
    let millis = |seconds: Option<i64>| seconds.map(|seconds| seconds * SECOND);
    let schedule = seen.schedule.as_ref().filter(|found| found.status == "active");
    let items = planned.map(|planned| serde_json::to_string(&planned.items)).transpose()?;
    let row = sql(text)
        .bind(&seen.id)
        .bind(&seen.status)
        .bind(millis(seen.ends_at()))
        .bind(millis(seen.trial_end))
        .bind(past_due_at)
        .bind(millis(seen.ended_at))
        .bind(schedule.map(|found| found.id.as_str()))
        .bind(items)
        .bind(planned.map(|planned| planned.at))
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

/// What may be tried. It stays until what is paid takes its place, or for the plan's grace: the
/// first invoice after a trial is paid an hour after the trial's end, and nobody shall stand empty
/// in between. An org has it once. (B4)
async fn trial(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    status: Status,
    terms: &Terms,
    now: Millis,
) -> Result<()> {
    if matches!(status, Status::Unpaid | Status::Paused) {
        let trial = [Source::Trial];
        return credits::end_of(tx, org_id, &trial, &seen.id, "the trial ended", now).await;
    }
    let ends = seen.trial_end.map(|end| end * SECOND + terms.grace_days * DAY);
    if let Some(ends) = ends {
        // Moved in Stripe, it ends sooner or later than was said when it began.
        credits::move_end(tx, org_id, Source::Trial, &seen.id, ends, now).await?;
    }
    if status != Status::Trialing || !terms.trial_credits.is_positive() {
        return Ok(());
    }
    // Who has paid tries nothing any more: a later trial is time that was given away.
    if allowance::is_paid(tx, &seen.id).await? {
        return Ok(());
    }
    // Two pages that were paid at one moment carry the trial both.
    let text = "select id from grants
         where org_id = $1 and source_kind = 'trial' and source_ref <> $2 limit 1";
    let row = sql(text).bind(org_id).bind(&seen.id);
    if tx.optional::<(String,)>(row).await?.is_some() {
        return Ok(());
    }
    let trial = NewGrant {
        effective_at: None,
        org_id: org_id.to_owned(),
        source: Source::Trial,
        source_ref: seen.id.clone(),
        amount: terms.trial_credits,
        expires_at: ends,
        payment: None,
        actor: Actor::Stripe,
        reason: "the trial began".to_owned(),
    };
    credits::grant(tx, trial, now).await?;
    Ok(())
}

/// A price that is none of ours allows nothing; somebody has to look. (C7, C9)
async fn report_unknown(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    items: &[ItemRow],
    now: Millis,
) -> Result<()> {
    const KIND: &str = "unknown_price";
    const RESOLVED: &str = "every line is a plan or an add-on";
    let unknown: Vec<&str> = items
        .iter()
        .filter(|item| item.version_id.is_none())
        .map(|item| item.price_id.as_str())
        .collect();
    if unknown.is_empty() {
        return findings::resolve(tx, KIND, &seen.id, RESOLVED, now).await;
    }
    let message = format!(
        "The subscription pays for {}, which is no plan or add-on of ours, and allows nothing. \
         Give its product the metadata of a plan, or take it off the subscription.",
        unknown.join(" and ")
    );
    let found = NewFinding {
        kind: KIND,
        subject: &seen.id,
        org_id: Some(org_id),
        message: &message,
        detail: None,
    };
    findings::record(tx, &found, now).await.map(drop)
}

/// Two plans at once are both counted, and somebody should look. (B15)
async fn report_several(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    const KIND: &str = "several_subscriptions";
    let text = "select distinct s.subscription_id from subscriptions s
         join subscription_items i on i.subscription_id = s.subscription_id
         join catalog_prices x on x.price_id = i.price_id
         join catalog_products p on p.product_id = x.product_id
         where s.org_id = $1 and p.kind = 'plan'
         and s.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused')
         order by s.subscription_id";
    let live: Vec<(String,)> = tx.all(sql(text).bind(org_id)).await?;
    if live.len() < 2 {
        return findings::resolve(tx, KIND, org_id, "one plan is left", now).await;
    }
    let ids: Vec<String> = live.into_iter().map(|row| row.0).collect();
    let message = format!(
        "The org pays for {} plans at once: {}. All of them count; cancel those that were not \
         meant, and refund them.",
        ids.len(),
        ids.join(", ")
    );
    let detail = Some(serde_json::json!({ "subscriptions": ids }));
    let found =
        NewFinding { kind: KIND, subject: org_id, org_id: Some(org_id), message: &message, detail };
    findings::record(tx, &found, now).await.map(drop)
}

/// The name of the plan an org is on, as people know it.
async fn plan_name(tx: &mut Tx, org_id: &str) -> Result<String> {
    let text = "select tier_name from org_plans where org_id = $1";
    if let Some((name,)) = tx.optional::<(String,)>(sql(text).bind(org_id)).await? {
        return Ok(name);
    }
    Ok(catalog::free_tier(tx).await?.map_or_else(|| "No plan".to_owned(), |free| free.name))
}
