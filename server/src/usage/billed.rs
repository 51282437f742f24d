//! What use is billed in money: written into the use, and summed up by period and meter. Owns
//! `billed_sums`.
//!
//! A sum is a projection of the uses, kept in the transaction that charges or takes back, so that
//! nobody has to add up a whole month to know what to put on an invoice.

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::db::{Arg, Bulk, Tx, sql};
use crate::error::Result;
use crate::units::{BILL_MAX, Credits, Tariff};

use super::Usage;

impl Usage {
    /// Bills it by this tariff, in the period that began then: what went past every credit, or
    /// where nothing did, all of its quantity.
    pub fn bill(&mut self, tariff: &Tariff, period_start: Millis) {
        let micros = match self.overage.is_positive() {
            true => self.overage.micros(),
            false => self.quantity,
        };
        // Whoever decided has seen that it fits; several lines that share an overage do so too.
        self.billed = tariff.bill(micros).unwrap_or(BILL_MAX);
        self.billed_to = Some(tariff.subject.clone());
        self.billed_currency = Some(tariff.currency.clone());
        self.billed_from = Some(period_start);
    }

    /// overage or outcome: why it is billed.
    fn billed_as(&self) -> &'static str {
        if self.overage.is_positive() { "overage" } else { "outcome" }
    }
}

/// One sum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
pub struct BilledKey {
    /// Whose.
    pub org_id: String,
    /// To what it is billed: `sub_…` or `contract_…`.
    pub subject: String,
    /// overage or outcome
    pub kind: String,
    /// What was counted.
    pub meter: String,
    /// The beginning of the period.
    pub period_start: Millis,
}

/// What is added to sums.
#[derive(Debug, Default)]
pub struct BilledChanges(BTreeMap<BilledKey, Change>);

#[derive(Debug)]
struct Change {
    period_end: Millis,
    currency: String,
    billed: i64,
}

impl BilledChanges {
    /// Adds a use that is billed in the period that ends then; takes it away again where it was
    /// taken back. Uses that are not billed change nothing.
    pub fn count(&mut self, usage: &Usage, period_end: Millis, taken_back: bool) {
        let (Some(subject), Some(from)) = (&usage.billed_to, usage.billed_from) else { return };
        let key = BilledKey {
            org_id: usage.org_id.clone(),
            subject: subject.clone(),
            kind: usage.billed_as().to_owned(),
            meter: usage.meter.clone(),
            period_start: from,
        };
        let currency = usage.billed_currency.clone().unwrap_or_default();
        let billed = if taken_back { -usage.billed } else { usage.billed };
        let change = self.0.entry(key).or_insert(Change { period_end, currency, billed: 0 });
        change.billed = change.billed.saturating_add(billed);
    }
}

const SUMS: Bulk = Bulk {
    table: "billed_sums",
    columns: &[
        "org_id",
        "subject",
        "kind",
        "meter",
        "period_start",
        "period_end",
        "currency",
        "billed",
        "lined",
    ],
    // A use that is taken back moves no end: its period's is known from the use itself.
    conflict: " on conflict (org_id, subject, kind, meter, period_start) do update set \
        billed = billed_sums.billed + excluded.billed, \
        period_end = case when excluded.billed > 0 then excluded.period_end \
            else billed_sums.period_end end",
};

/// Adds these changes to the sums.
pub async fn count_billed(tx: &mut Tx, changes: BilledChanges) -> Result<()> {
    let rows = changes.0.into_iter().map(|(key, change)| -> Vec<Arg> {
        vec![
            key.org_id.into(),
            key.subject.into(),
            key.kind.into(),
            key.meter.into(),
            key.period_start.into(),
            change.period_end.into(),
            change.currency.into(),
            change.billed.into(),
            0_i64.into(),
        ]
    });
    tx.insert_many(&SUMS, rows.collect()).await
}

/// A sum as it stands.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct BilledSum {
    /// Which.
    #[sqlx(flatten)]
    pub key: BilledKey,
    /// The end of the period, as far as it is known.
    pub period_end: Millis,
    /// Three lowercase letters.
    pub currency: String,
    /// Millionths of a minor unit.
    pub billed: i64,
    /// How much of that is on lines.
    pub lined: i64,
}

const SUM: &str = "org_id, subject, kind, meter, period_start, period_end, currency, billed, lined";

/// The sums of an org of which something is on no line yet, earliest period first.
pub async fn unlined(tx: &mut Tx, org_id: &str) -> Result<Vec<BilledSum>> {
    let text = format!(
        "select {SUM} from billed_sums where org_id = $1 and billed <> lined \
         order by period_start, subject, kind, meter"
    );
    tx.all(sql(text).bind(org_id)).await
}

/// Says that lines stand for all of this sum now.
pub async fn set_lined(tx: &mut Tx, key: &BilledKey, lined: i64) -> Result<()> {
    let text = "update billed_sums set lined = $6 where org_id = $1 and subject = $2
         and kind = $3 and meter = $4 and period_start = $5";
    let row = sql(text)
        .bind(&key.org_id)
        .bind(&key.subject)
        .bind(&key.kind)
        .bind(&key.meter)
        .bind(key.period_start)
        .bind(lined);
    tx.execute(row).await?;
    Ok(())
}

/// What stands behind a sum: the uses that were not taken back.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub struct Behind {
    /// Whole units of the meter.
    pub units: i64,
    /// Beside that, millionths of a unit.
    pub rest: i64,
    /// Credits past all that were there.
    pub overage: Credits,
    /// When the earliest of it happened, where the caller told afterwards.
    pub occurred_at: Option<Millis>,
}

/// What stands behind a sum.
pub async fn behind(tx: &mut Tx, key: &BilledKey) -> Result<Behind> {
    let text = "select cast(coalesce(sum(quantity / 1000000), 0) as bigint) as units,
             cast(coalesce(sum(quantity % 1000000), 0) as bigint) as rest,
             cast(coalesce(sum(overage), 0) as bigint) as overage,
             min(occurred_at) as occurred_at
         from usages where billed_to = $1 and billed_from = $2 and meter = $3 and org_id = $4
         and (case when overage > 0 then 'overage' else 'outcome' end) = $5
         and reversed_at is null";
    let row = sql(text)
        .bind(&key.subject)
        .bind(key.period_start)
        .bind(&key.meter)
        .bind(&key.org_id)
        .bind(&key.kind);
    tx.one(row).await
}
