//! Invoices: what was billed, for the billing page, and what a paid one includes. Writes
//! `invoices`.

use std::collections::HashSet;

use crate::clock::{Millis, SECOND};
use crate::credits;
use crate::db::{Db, Reads, Tx, sql};
use crate::error::Result;
use crate::refunds::{self, InvoiceState};
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

/// Those of these invoices that were seen as paid before.
pub async fn known_paid(reads: &mut impl Reads, ids: &[String]) -> Result<HashSet<String>> {
    let any = reads.dialect().any("invoice_id", 1);
    let text = format!("select invoice_id from invoices where status = 'paid' and {any}");
    let rows: Vec<(String,)> = reads.all(sql(text).bind(ids.to_vec())).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Writes down what was seen: one invoice or, where it is paid, all paid ones of its subscription
/// that were not known. They bring the allowances up to what was paid for them, all together;
/// nothing else ever opens an allowance. (B5, B13)
pub async fn apply(
    tx: &mut Tx,
    seen: &[(Invoice, Vec<Line>)],
    org_id: &str,
    now: Millis,
) -> Result<()> {
    for (invoice, _) in seen {
        store(tx, invoice, org_id, now).await?;
    }
    include(tx, seen, org_id, now).await?;
    for (invoice, _) in seen {
        let state = InvoiceState {
            invoice_id: &invoice.id,
            org_id,
            customer_id: invoice.customer.as_deref().unwrap_or_default(),
            currency: &invoice.currency,
            total: invoice.total,
            void: matches!(invoice.status.as_str(), "void" | "uncollectible"),
        };
        refunds::set_invoice(tx, &state, now).await?;
    }
    Ok(())
}

/// Opens what paid invoices of one subscription include.
async fn include(
    tx: &mut Tx,
    seen: &[(Invoice, Vec<Line>)],
    org_id: &str,
    now: Millis,
) -> Result<()> {
    let of_plan = |(seen, _): &&(Invoice, Vec<Line>)| seen.status == "paid";
    let mut paid = seen.iter().filter(of_plan);
    let Some(subscription_id) = paid.find_map(|(seen, _)| seen.subscription()) else {
        return Ok(());
    };
    credits::lock_wallet(tx, org_id, now).await?;
    let mut any = false;
    for (invoice, lines) in seen.iter().filter(of_plan) {
        any |= allowance::keep_lines(tx, invoice, lines, org_id).await?;
    }
    if any {
        allowance::set(tx, org_id, subscription_id, now).await?;
    }
    if has_ended(tx, subscription_id).await? {
        // It came late: what it included is over already.
        allowance::end(tx, org_id, subscription_id, now).await?;
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
