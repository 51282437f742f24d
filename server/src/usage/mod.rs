//! Usage: what was used, when, by whom and for how much. Owns `usages` and
//! `member_uses`, and (in [`billed`]) `billed_sums`.
//!
//! Written only in the transaction that charges it: by the gate, and by the ledger when a hold is
//! charged because its time is over. Knows no rules.

mod billed;
mod listing;
mod summary;

pub use billed::{
    Behind, BilledChanges, BilledKey, BilledSum, behind, count_billed, set_lined, unlined,
};
pub use listing::{GroupBy, UsageGroup, UsageQuery, groups, list};
pub use summary::{DayMeter, Projection, RunLine, by_day, of_run, project};

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::db::{Arg, Bulk, Reads, Tx, sql};
use crate::error::Result;
use crate::units::{Credits, Quantity};

/// One line that was charged.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Usage {
    /// `usage_…`
    pub id: String,
    /// Whose.
    pub org_id: String,
    /// Its place in the wallet's order: that of the operation that charged it.
    pub seq: i64,
    /// Its place among the lines that were charged together, from 0.
    pub line: i64,
    /// The hold that was captured.
    pub hold_id: Option<String>,
    /// The idempotency key it came with.
    pub key: String,
    /// What was counted.
    pub meter: String,
    /// Which model.
    pub model: Option<String>,
    /// The feature it was asked under.
    pub feature: Option<String>,
    /// Millionths of the meter's unit.
    pub quantity: i64,
    /// What it cost, overage included.
    pub credits: Credits,
    /// How much of that is billed, because no grant paid for it.
    pub overage: Credits,
    /// How much of that became a debt.
    pub debt: Credits,
    /// What of it is billed in money, in millionths of a minor unit.
    pub billed: i64,
    /// To what: `sub_…` or `contract_…`.
    pub billed_to: Option<String>,
    /// Three lowercase letters.
    pub billed_currency: Option<String>,
    /// The beginning of the period that it is billed in.
    pub billed_from: Option<Millis>,
    /// The workflow it belongs to.
    pub run: Option<String>,
    /// The member who used it.
    pub member: Option<String>,
    /// The API key that asked.
    pub api_key_id: Option<String>,
    /// The rate card that priced it.
    pub rate_card: String,
    /// What the provider charged, in micro-dollars.
    pub cost: Option<i64>,
    /// The caller's own notes, JSON.
    pub metadata: Option<String>,
    /// When it was charged.
    pub at: Millis,
    /// When it happened, where the caller told afterwards. (D18)
    pub occurred_at: Option<Millis>,
    /// Whether its hold was over when it was captured. (D10)
    pub late: bool,
    /// When it was taken back.
    pub reversed_at: Option<Millis>,
}

impl Usage {
    /// How much was used.
    pub fn quantity(&self) -> Quantity {
        Quantity::from_micros(self.quantity)
    }
}

const COLUMNS: [&str; 27] = [
    "id",
    "org_id",
    "seq",
    "line",
    "hold_id",
    "key",
    "meter",
    "model",
    "feature",
    "quantity",
    "credits",
    "overage",
    "debt",
    "billed",
    "billed_to",
    "billed_currency",
    "billed_from",
    "run",
    "member",
    "api_key_id",
    "rate_card",
    "cost",
    "metadata",
    "at",
    "occurred_at",
    "late",
    "reversed_at",
];

const USAGES: Bulk = Bulk { table: "usages", columns: &COLUMNS, conflict: "" };

/// What members used, in millionths of a credit, by (org, member, beginning of the period); less
/// than nothing where use was taken back.
pub type MemberUses = BTreeMap<(String, String, Millis), i64>;

const MEMBER_USES: Bulk = Bulk {
    table: "member_uses",
    columns: &["org_id", "member", "period_start", "credits"],
    conflict: " on conflict (org_id, member, period_start) \
        do update set credits = member_uses.credits + excluded.credits",
};

/// Adds to what members used.
pub async fn count_members(tx: &mut Tx, uses: MemberUses) -> Result<()> {
    let rows = uses.into_iter().map(|((org_id, member, period_start), credits)| -> Vec<Arg> {
        vec![org_id.into(), member.into(), period_start.into(), credits.into()]
    });
    tx.insert_many(&MEMBER_USES, rows.collect()).await
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    org_id: String,
    member: String,
    period_start: Millis,
    credits: i64,
}

/// What the members of these orgs used in their periods that began at `since` or later.
pub async fn of_members(
    reads: &mut impl Reads,
    orgs: &[String],
    since: Millis,
) -> Result<MemberUses> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!(
        "select org_id, member, period_start, credits from member_uses \
         where {any} and period_start >= $2"
    );
    let rows: Vec<MemberRow> = reads.all(sql(text).bind(orgs.to_vec()).bind(since)).await?;
    let use_of = |row: MemberRow| ((row.org_id, row.member, row.period_start), row.credits);
    Ok(rows.into_iter().map(use_of).collect())
}

/// Writes what was used.
pub async fn save(tx: &mut Tx, usages: &[Usage]) -> Result<()> {
    let rows = usages.iter().map(|usage| -> Vec<Arg> {
        vec![
            (&usage.id).into(),
            (&usage.org_id).into(),
            usage.seq.into(),
            usage.line.into(),
            usage.hold_id.clone().into(),
            (&usage.key).into(),
            (&usage.meter).into(),
            usage.model.clone().into(),
            usage.feature.clone().into(),
            usage.quantity.into(),
            usage.credits.into(),
            usage.overage.into(),
            usage.debt.into(),
            usage.billed.into(),
            usage.billed_to.clone().into(),
            usage.billed_currency.clone().into(),
            usage.billed_from.into(),
            usage.run.clone().into(),
            usage.member.clone().into(),
            usage.api_key_id.clone().into(),
            (&usage.rate_card).into(),
            usage.cost.into(),
            usage.metadata.clone().into(),
            usage.at.into(),
            usage.occurred_at.into(),
            usage.late.into(),
            usage.reversed_at.into(),
        ]
    });
    tx.insert_many(&USAGES, rows.collect()).await
}

/// The usages with these ids, each with all lines that were charged together with it, in order.
pub async fn operations(
    reads: &mut impl Reads,
    org_id: &str,
    ids: &[String],
) -> Result<Vec<Usage>> {
    let any = reads.dialect().any("id", 2);
    let columns = COLUMNS.map(|column| format!("u.{column}")).join(", ");
    let text = format!(
        "select distinct {columns} from usages one
         join usages u on u.org_id = one.org_id and u.at = one.at and u.seq = one.seq
         where one.org_id = $1 and one.{any} order by u.seq, u.line"
    );
    reads.all(sql(text).bind(org_id).bind(ids.to_vec())).await
}

/// Marks every line of an operation as taken back.
pub async fn reverse(tx: &mut Tx, org_id: &str, at: Millis, seq: i64, now: Millis) -> Result<()> {
    let text = "update usages set reversed_at = $4 where org_id = $1 and at = $2 and seq = $3";
    tx.execute(sql(text).bind(org_id).bind(at).bind(seq).bind(now)).await?;
    Ok(())
}
