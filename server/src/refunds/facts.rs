//! What Stripe said last about refunds, disputes and credit notes, row by row. Decides nothing.

use crate::clock::{Millis, SECOND};
use crate::db::{Tx, sql};
use crate::error::Result;
use crate::stripe::shapes::{Charge, CreditNote, Dispute, Refund};

/// The payment that facts are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    /// As grants name it: `pi_…` or `in_…`.
    pub payment: &'a str,
    /// Whose.
    pub org_id: &'a str,
}

/// What was refunded of a charge.
pub(super) async fn charge(tx: &mut Tx, of: Of<'_>, seen: &Charge, now: Millis) -> Result<()> {
    let text = "insert into refunded_charges (charge_id, payment, org_id, amount, refunded, \
             synced_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (charge_id) do update set payment = excluded.payment, \
             amount = excluded.amount, refunded = excluded.refunded, \
             synced_at = excluded.synced_at";
    let row = sql(text)
        .bind(&seen.id)
        .bind(of.payment)
        .bind(of.org_id)
        .bind(seen.paid())
        .bind(seen.amount_refunded)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

/// One refund.
pub(super) async fn refund(tx: &mut Tx, of: Of<'_>, seen: &Refund, now: Millis) -> Result<()> {
    let text = "insert into refunds (refund_id, payment, charge_id, org_id, amount, currency, \
             status, reason, created_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (refund_id) do update set payment = excluded.payment, \
             amount = excluded.amount, status = excluded.status, reason = excluded.reason, \
             synced_at = excluded.synced_at";
    let status = if seen.status.is_empty() { "succeeded" } else { seen.status.as_str() };
    let row = sql(text)
        .bind(&seen.id)
        .bind(of.payment)
        .bind(seen.charge.as_deref())
        .bind(of.org_id)
        .bind(seen.amount)
        .bind(&seen.currency)
        .bind(status)
        .bind(seen.reason.as_deref())
        .bind(seen.created * SECOND)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

/// One dispute; answers what Stripe had called its state before.
pub(super) async fn dispute(
    tx: &mut Tx,
    of: Of<'_>,
    charge_id: &str,
    seen: &Dispute,
    now: Millis,
) -> Result<Option<String>> {
    let before = sql("select status from disputes where dispute_id = $1").bind(&seen.id);
    let before: Option<(String,)> = tx.optional(before).await?;
    let text = "insert into disputes (dispute_id, payment, charge_id, org_id, amount, currency, \
             status, reason, evidence_due_at, created_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (dispute_id) do update set payment = excluded.payment, \
             amount = excluded.amount, currency = excluded.currency, status = excluded.status, \
             reason = excluded.reason, evidence_due_at = excluded.evidence_due_at, \
             synced_at = excluded.synced_at";
    let row = sql(text)
        .bind(&seen.id)
        .bind(of.payment)
        .bind(charge_id)
        .bind(of.org_id)
        .bind(seen.amount)
        .bind(&seen.currency)
        .bind(&seen.status)
        .bind(&seen.reason)
        .bind(seen.evidence_details.due_by.map(|due| due * SECOND))
        .bind(seen.created * SECOND)
        .bind(now);
    tx.execute(row).await?;
    Ok(before.map(|row| row.0))
}

/// One credit note.
pub(super) async fn note(tx: &mut Tx, of: Of<'_>, seen: &CreditNote, now: Millis) -> Result<()> {
    let text = "insert into credit_notes (credit_note_id, payment, org_id, amount, \
             beyond_refunds, currency, status, created_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (credit_note_id) do update set amount = excluded.amount, \
             beyond_refunds = excluded.beyond_refunds, status = excluded.status, \
             synced_at = excluded.synced_at";
    let row = sql(text)
        .bind(&seen.id)
        .bind(of.payment)
        .bind(of.org_id)
        .bind(seen.amount)
        .bind(seen.beyond_refunds())
        .bind(&seen.currency)
        .bind(&seen.status)
        .bind(seen.created * SECOND)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

/// What refunds took of a payment's charges, in minor units.
pub(super) async fn refunded(tx: &mut Tx, payment: &str) -> Result<i64> {
    let text = "select cast(coalesce(sum(refunded), 0) as bigint) from refunded_charges
         where payment = $1";
    Ok(tx.one::<(i64,)>(sql(text).bind(payment)).await?.0)
}

/// What credit notes gave back of a payment besides refunds, in minor units.
pub(super) async fn credited(tx: &mut Tx, payment: &str) -> Result<i64> {
    let text = "select cast(coalesce(sum(beyond_refunds), 0) as bigint) from credit_notes
         where payment = $1 and status = 'issued'";
    Ok(tx.one::<(i64,)>(sql(text).bind(payment)).await?.0)
}

/// A dispute as it was stored.
#[derive(sqlx::FromRow)]
pub(super) struct StoredDispute {
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// Stripe's word.
    pub status: String,
}

/// Every dispute of a payment.
pub(super) async fn disputes(tx: &mut Tx, payment: &str) -> Result<Vec<StoredDispute>> {
    let text = "select amount, currency, status from disputes where payment = $1
         order by dispute_id";
    tx.all(sql(text).bind(payment)).await
}
