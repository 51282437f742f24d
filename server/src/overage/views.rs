//! What was billed, for the org's own page.

use crate::clock::Millis;
use crate::db::{Db, sql};
use crate::error::Result;

use super::rounding;

/// What is billed to an org after use.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    /// What comes onto the next invoice, by period and meter.
    pub coming: Vec<Billed>,
    /// The newest lines that are on invoices.
    pub lines: Vec<BilledLine>,
}

/// What of a meter is on no line yet.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Billed {
    /// What was counted.
    pub meter: String,
    /// overage or outcome
    pub kind: String,
    /// The beginning of the period.
    pub period_start: Millis,
    /// Its end.
    pub period_end: Millis,
    /// Three lowercase letters.
    pub currency: String,
    /// Millionths of a minor unit.
    pub billed: i64,
}

impl Billed {
    /// Minor units, rounded as the line will be.
    pub fn amount(&self) -> i64 {
        rounding::amount(self.billed, &self.currency)
    }
}

/// A line.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct BilledLine {
    /// What the invoice says.
    pub description: String,
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// The invoice it is on; none while it waits for one.
    pub invoice_id: Option<String>,
    /// Who invoiced it by hand, such as `operator:ada`, where somebody did.
    pub settled_by: Option<String>,
    /// When it was made.
    pub created_at: Millis,
}

/// What is billed to an org after use: what is to come, and the newest lines.
pub async fn statement(db: &Db, org_id: &str, limit: i64) -> Result<Statement> {
    let text = "select meter, kind, period_start, period_end, currency, billed - lined as billed
         from billed_sums where org_id = $1 and billed <> lined
         order by period_start, kind, meter limit 100";
    let coming = db.all(sql(text).bind(org_id)).await?;
    let text = "select description, amount, currency, invoice_id, settled_by, created_at
         from billed_lines
         where org_id = $1 and amount <> 0 order by created_at desc, id desc limit $2";
    let lines = db.all(sql(text).bind(org_id).bind(limit.clamp(1, 100))).await?;
    Ok(Statement { coming, lines })
}
