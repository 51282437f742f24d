//! What was paid through a customer that Stripe deleted: it waits until a person decides. (B20)
//!
//! Writes `released_at` of `customers`. Grants are frozen and freed, never voided, so that the
//! ledger stays whole; what the free tier, a contract or an operator gave is not touched. An open
//! dispute keeps its own grants frozen, whatever is decided here.

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::credits;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::findings::{self, NewFinding};
use crate::mail::Money;
use crate::notices::{self, News};
use crate::units::{Credits, spoken};

/// The kind of finding that tells of a deleted customer.
const DELETED: &str = "customer_deleted";
/// The kind of finding that tells of money for an org that was closed.
const CLOSED: &str = "paid_after_closing";

/// The grants that a customer paid for: packs, what its invoices included, and what its
/// subscriptions and add-ons carried over or gave for a trial.
const PAID_THROUGH: &str = "select g.id from grants g
     left join money_backs b on b.payment = g.payment
     where g.org_id = $2 and (
         (g.source_kind = 'pack' and g.source_ref in
             (select payment_id from payments where customer_id = $1))
         or g.payment in (select invoice_id from invoices where customer_id = $1)
         or (g.source_kind in ('allowance', 'rollover', 'trial') and exists (
             select 1 from (
                 select subscription_id as subject from subscriptions
                     where org_id = $2 and customer_id = $1
                 union select subscription_id as subject from invoices
                     where org_id = $2 and customer_id = $1 and subscription_id is not null
                 union select l.item_id as subject from paid_lines l
                     join invoices i on i.invoice_id = l.invoice_id
                     where i.org_id = $2 and i.customer_id = $1) paid
             where substr(g.source_ref || ':', 1, length(paid.subject) + 1)
                 = paid.subject || ':')))";

/// Whether what this payment granted waits because its customer was deleted.
pub async fn is_withheld(tx: &mut Tx, payment: &str) -> Result<bool> {
    Ok(withheld_by(tx, payment).await?.is_some())
}

/// The deleted customer that made a payment, unless it was released.
async fn withheld_by(tx: &mut Tx, payment: &str) -> Result<Option<String>> {
    let text = "select customer_id from customers
         where deleted_at is not null and released_at is null and customer_id in (
             select customer_id from invoices where invoice_id = $1
             union all select p.customer_id from grants g
                 join payments p on p.payment_id = g.source_ref where g.payment = $1)";
    let row: Option<(String,)> = tx.optional(sql(text).bind(payment)).await?;
    Ok(row.map(|row| row.0))
}

/// Keeps what was paid through a deleted customer from being spent. Seen twice, or before what was
/// paid is known, it ends in the same: whoever grants for a payment calls [`landed`].
pub(super) async fn withhold(
    tx: &mut Tx,
    customer_id: &str,
    org_id: &str,
    now: Millis,
) -> Result<()> {
    // The wallet first: whoever grants without having looked at the customer holds it, too.
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "select customer_id from customers
         where customer_id = $1 and deleted_at is not null and released_at is null";
    if tx.optional::<(String,)>(sql(text).bind(customer_id)).await?.is_none() {
        return Ok(());
    }
    // What is over already can never be spent again.
    let text = format!(
        "{PAID_THROUGH} and g.frozen_at is null and g.voided_at is null
             and (g.expires_at is null or g.expires_at > $3) order by g.id"
    );
    let row = sql(text).bind(customer_id).bind(org_id).bind(now);
    let ids = ids(tx.all(row).await?);
    let reason = "Its customer was deleted in Stripe";
    let left = credits::freeze_grants(tx, org_id, &ids, true, &Actor::Stripe, reason, now).await?;
    // What a dispute had frozen before stays so when it is won: that is somebody's to decide, too.
    let waits = waiting(tx, customer_id, org_id, now).await?;
    let is_news =
        left.is_positive() || (waits.is_positive() && !was_reported(tx, customer_id).await?);
    if !is_news {
        return Ok(());
    }
    if left.is_positive() {
        tell(tx, org_id, Money::CustomerDeleted { credits: left }, now).await?;
    }
    report(tx, customer_id, org_id, waits, now).await?;
    let detail = json!({ "grants": ids, "credits": left, "waiting": waits });
    let entry = audit::Entry {
        actor: Actor::Stripe,
        org_id: Some(org_id),
        action: "customers.withhold",
        subject: customer_id,
        reason: None,
        detail: Some(detail),
    };
    audit::record(tx, &entry, now).await
}

/// What is left of all that was paid through a customer and is frozen, whoever froze it, with what
/// open holds have set aside.
async fn waiting(tx: &mut Tx, customer_id: &str, org_id: &str, now: Millis) -> Result<Credits> {
    let text = format!(
        "select remaining, held from grants
         where frozen_at is not null and voided_at is null
         and (expires_at is null or expires_at > $3) and id in ({PAID_THROUGH})"
    );
    let row = sql(text).bind(customer_id).bind(org_id).bind(now);
    let rows: Vec<(Credits, Credits)> = tx.all(row).await?;
    Ok(rows.into_iter().flat_map(|(remaining, held)| [remaining, held]).sum())
}

/// Whether somebody was told of this customer before. What was dismissed is not told again.
async fn was_reported(tx: &mut Tx, customer_id: &str) -> Result<bool> {
    let text = "select id from findings where kind = $1 and subject = $2 limit 1";
    let row = sql(text).bind(DELETED).bind(customer_id);
    Ok(tx.optional::<(String,)>(row).await?.is_some())
}

async fn report(
    tx: &mut Tx,
    customer_id: &str,
    org_id: &str,
    waits: Credits,
    now: Millis,
) -> Result<()> {
    let message = format!(
        "{customer_id} was deleted in Stripe. {} credits that were paid through it are frozen. \
         Ask who deleted it and why: `customers release --org {org_id} --reason TEXT` lets them \
         be used again; dismiss this if they shall stay frozen.",
        spoken(waits)
    );
    let found = NewFinding {
        kind: DELETED,
        subject: customer_id,
        org_id: Some(org_id),
        message: &message,
        detail: Some(json!({ "credits": waits })),
    };
    findings::record(tx, &found, now).await.map(drop)
}

/// A grant of this payment was just made, with its wallet locked: it waits with the rest where its
/// customer is deleted, and somebody is told where its org is closed.
pub async fn landed(tx: &mut Tx, org_id: &str, payment: &str, now: Millis) -> Result<()> {
    if let Some(customer_id) = withheld_by(tx, payment).await? {
        withhold(tx, &customer_id, org_id, now).await?;
    }
    let text = "select g.id from grants g join orgs o on o.id = g.org_id
         where g.payment = $1 and g.org_id = $2 and g.created_at >= o.deleted_at limit 1";
    if tx.optional::<(String,)>(sql(text).bind(payment).bind(org_id)).await?.is_none() {
        return Ok(());
    }
    let message = format!(
        "{payment} paid for credits of {org_id}, which was closed before: nobody can use them. \
         Refund it in Stripe, and end whatever is paid there."
    );
    let found = NewFinding {
        kind: CLOSED,
        subject: payment,
        org_id: Some(org_id),
        message: &message,
        detail: None,
    };
    findings::record(tx, &found, now).await.map(drop)
}

/// A subscription was just bought: somebody is told where its org is closed, whatever it includes.
/// What it pays is told apart, by [`landed`].
pub(super) async fn goes_on(tx: &mut Tx, subscription_id: &str, now: Millis) -> Result<()> {
    let text = "select s.org_id from subscriptions s join orgs o on o.id = s.org_id
         where s.subscription_id = $1 and o.deleted_at is not null
         and s.status not in ('canceled', 'incomplete_expired')";
    let row: Option<(String,)> = tx.optional(sql(text).bind(subscription_id)).await?;
    let Some((org_id,)) = row else { return Ok(()) };
    let message = format!(
        "{subscription_id} is paid by {org_id}, which was closed before: nobody can use it, and it \
         goes on. Cancel it at once in Stripe, and refund what was paid."
    );
    let found = NewFinding {
        kind: CLOSED,
        subject: subscription_id,
        org_id: Some(&org_id),
        message: &message,
        detail: None,
    };
    findings::record(tx, &found, now).await.map(drop)
}

/// What may be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// `cus_…`, those that were deleted.
    pub customers: Vec<String>,
    /// What is left of what was paid through them; what an open dispute keeps is not in it.
    pub credits: Credits,
}

/// Lets an org use again what it paid through customers that were deleted. Not found where nothing
/// of it waits; `reason` has 1–500 characters and stays in the audit trail.
pub async fn release(
    tx: &mut Tx,
    org_id: &str,
    actor: &Actor,
    reason: &str,
    now: Millis,
) -> Result<Released> {
    audit::check_reason(reason)?;
    let text = "update customers set released_at = $2
         where org_id = $1 and deleted_at is not null and released_at is null
         returning customer_id";
    let customers = ids(tx.all(sql(text).bind(org_id).bind(now)).await?);
    if customers.is_empty() {
        return Err(Error::NotFound("A deleted customer of this org that was not released"));
    }
    credits::lock_wallet(tx, org_id, now).await?;
    let mut credits = Credits::ZERO;
    for customer_id in &customers {
        let text = format!(
            "{PAID_THROUGH} and g.frozen_at is not null and (b.frozen is null or not b.frozen)
             order by g.id"
        );
        let ids = ids(tx.all(sql(text).bind(customer_id).bind(org_id)).await?);
        let why = "What was paid through the deleted customer may be used again";
        let left = credits::freeze_grants(tx, org_id, &ids, false, actor, why, now).await?;
        credits = [credits, left].into_iter().sum();
        findings::resolve(tx, DELETED, customer_id, "released", now).await?;
        let detail = json!({ "grants": ids, "credits": left });
        let entry = audit::Entry {
            actor: actor.clone(),
            org_id: Some(org_id),
            action: "customers.release",
            subject: customer_id,
            reason: Some(reason),
            detail: Some(detail),
        };
        audit::record(tx, &entry, now).await?;
    }
    if credits.is_positive() {
        tell(tx, org_id, Money::CreditsReleased { credits }, now).await?;
    }
    Ok(Released { customers, credits })
}

async fn tell(tx: &mut Tx, org_id: &str, news: Money, now: Millis) -> Result<()> {
    notices::tell(tx, org_id, &News::Money(news), now).await
}

fn ids(rows: Vec<(String,)>) -> Vec<String> {
    rows.into_iter().map(|row| row.0).collect()
}
