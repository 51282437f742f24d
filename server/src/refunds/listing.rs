//! What came back to an org, for its billing page.

use crate::clock::Millis;
use crate::db::{Db, sql};
use crate::error::Result;

/// One refund, dispute or credit note.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct MoneyBack {
    /// `re_…`, `du_…` or `cn_…`
    pub id: String,
    /// refund, dispute or credit_note
    pub kind: String,
    /// What it is of: `pi_…` or `in_…`.
    pub payment: String,
    /// The invoice's number, where it is an invoice's.
    pub number: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// Stripe's word for its state.
    pub status: String,
    /// When.
    pub created_at: Millis,
}

/// What came back to an org, newest first. A credit note that was given back by refunds is not
/// shown beside them, and neither is a question of the bank's that moved no money.
pub async fn list(db: &Db, org_id: &str, limit: i64) -> Result<Vec<MoneyBack>> {
    let text = "select b.id, b.kind, b.payment, i.number, b.amount, b.currency, b.status, \
             b.created_at
         from (select refund_id as id, 'refund' as kind, payment, amount, currency, status, \
                   created_at from refunds where org_id = $1
               union all
               select dispute_id as id, 'dispute' as kind, payment, amount, currency, status, \
                   created_at from disputes
                   where org_id = $1 and status <> 'prevented' and status not like 'warning%'
               union all
               select credit_note_id as id, 'credit_note' as kind, payment, \
                   beyond_refunds as amount, currency, status, created_at from credit_notes
                   where org_id = $1 and beyond_refunds > 0) b
         left join invoices i on i.invoice_id = b.payment
         order by b.created_at desc, b.id desc limit $2";
    db.all(sql(text).bind(org_id).bind(limit.clamp(1, 100))).await
}
