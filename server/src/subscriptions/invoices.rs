//! Invoices: what was billed, for the billing page, and what a paid one includes. Writes
//! `invoices`.

use crate::clock::{Millis, SECOND};
use crate::credits;
use crate::db::{Db, Tx, sql};
use crate::error::Result;
use crate::stripe::shapes::{Invoice, Line};

use super::allowance;

/// An invoice for the billing page.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct InvoiceRow {
    /// `in_…`
    pub invoice_id: String,
    /// The number people read.
    pub number: Option<String>,
    /// draft, open, paid, void or uncollectible
    pub status: String,
    /// Minor units.
    pub total: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// Stripe's page for it.
    pub hosted_url: Option<String>,
    /// Stripe's PDF of it.
    pub pdf_url: Option<String>,
    /// When.
    pub created_at: Millis,
}

/// An org's invoices, newest first. Drafts are not shown: they may still change.
pub async fn list(db: &Db, org_id: &str, limit: i64) -> Result<Vec<InvoiceRow>> {
    let text = "select invoice_id, number, status, total, currency, hosted_url, pdf_url, created_at
         from invoices where org_id = $1 and status <> 'draft'
         order by created_at desc, invoice_id desc limit $2";
    db.all(sql(text).bind(org_id).bind(limit.clamp(1, 100))).await
}

/// Writes down what was seen. A paid invoice brings the allowances of its items up to what was paid
/// for them; nothing else ever opens an allowance. (B5, B13)
pub async fn apply(
    tx: &mut Tx,
    seen: &Invoice,
    lines: &[Line],
    org_id: &str,
    now: Millis,
) -> Result<()> {
    store(tx, seen, org_id, now).await?;
    let Some(subscription_id) = seen.subscription().filter(|_| seen.status == "paid") else {
        return Ok(());
    };
    credits::lock_wallet(tx, org_id, now).await?;
    let items = allowance::keep_lines(tx, seen, lines, org_id).await?;
    let ended = has_ended(tx, subscription_id).await?;
    if ended && super::has_other_live(tx, org_id, subscription_id).await? {
        // It came late, and another plan has taken its place: nothing of it can be used any more.
        return Ok(());
    }
    for item in &items {
        allowance::set(tx, item, now).await?;
    }
    if ended {
        allowance::close_schedules(tx, subscription_id, now).await?;
        credits::end_allowance(tx, org_id, "the plan ended", now).await?;
    }
    Ok(())
}

async fn store(tx: &mut Tx, seen: &Invoice, org_id: &str, now: Millis) -> Result<()> {
    let text = "insert into invoices (invoice_id, customer_id, org_id, subscription_id, number, \
             status, total, currency, hosted_url, pdf_url, created_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (invoice_id) do update set subscription_id = excluded.subscription_id, \
             number = excluded.number, status = excluded.status, total = excluded.total, \
             hosted_url = excluded.hosted_url, pdf_url = excluded.pdf_url, \
             synced_at = excluded.synced_at";
    let row = sql(text)
        .bind(&seen.id)
        .bind(seen.customer.as_deref())
        .bind(org_id)
        .bind(seen.subscription())
        .bind(seen.number.as_deref())
        .bind(if seen.status.is_empty() { "draft" } else { seen.status.as_str() })
        .bind(seen.total)
        .bind(&seen.currency)
        .bind(seen.hosted_invoice_url.as_deref())
        .bind(seen.invoice_pdf.as_deref())
        .bind(seen.created * SECOND)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

async fn has_ended(tx: &mut Tx, subscription_id: &str) -> Result<bool> {
    let text = "select status from subscriptions where subscription_id = $1
         and status in ('canceled', 'incomplete_expired')";
    Ok(tx.optional::<(String,)>(sql(text).bind(subscription_id)).await?.is_some())
}
