//! Usage: what was used, when, by whom and for how much. Owns `usages`.
//!
//! Written only by the gate, in the transaction that charges it. Knows no rules.

use serde::Serialize;

use crate::clock::{DAY, Millis, rfc3339};
use crate::db::{Arg, Bulk, Db, Reads, Tx, sql};
use crate::error::{Error, Result};
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

const COLUMNS: [&str; 23] = [
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

/// What usage can be summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Days, UTC.
    Day,
    /// What was counted.
    Meter,
    /// Which model.
    Model,
    /// Who used it.
    Member,
    /// Which API key asked.
    Key,
    /// Which workflow.
    Run,
}

impl GroupBy {
    /// Every way, with its word.
    pub const ALL: [(&'static str, Self); 6] = [
        ("day", Self::Day),
        ("meter", Self::Meter),
        ("model", Self::Model),
        ("member", Self::Member),
        ("key", Self::Key),
        ("run", Self::Run),
    ];

    fn column(self) -> &'static str {
        match self {
            Self::Day => "cast(at - at % 86400000 as text)",
            Self::Meter => "meter",
            Self::Model => "coalesce(model, '')",
            Self::Member => "coalesce(member, '')",
            Self::Key => "coalesce(api_key_id, '')",
            Self::Run => "coalesce(run, '')",
        }
    }
}

/// Which usage is asked for. Times are half open: `from` counts, `to` does not.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// From this time on.
    pub from: Option<Millis>,
    /// Before this time.
    pub to: Option<Millis>,
    /// Only this meter.
    pub meter: Option<String>,
    /// Only this model.
    pub model: Option<String>,
    /// Only this member.
    pub member: Option<String>,
    /// Only this API key.
    pub key: Option<String>,
    /// Only this workflow.
    pub run: Option<String>,
    /// Summed up by this instead of one by one.
    pub group_by: Option<GroupBy>,
    /// 1–100.
    pub limit: i64,
    /// The id, or the group, that was seen last.
    pub starting_after: Option<String>,
}

/// Use summed up.
#[derive(Clone, Debug, Serialize)]
pub struct UsageGroup {
    /// Always "usage_group".
    pub object: &'static str,
    /// The day, meter, model, member, key or run; empty where there was none.
    pub value: String,
    /// What it cost.
    pub credits: Credits,
    /// How many lines.
    pub count: i64,
}

const FILTER: &str = "org_id = $1 and at >= $2 and at < $3
     and ($4 is null or meter = $4) and ($5 is null or model = $5)
     and ($6 is null or member = $6) and ($7 is null or api_key_id = $7)
     and ($8 is null or run = $8) and reversed_at is null";

fn filtered(text: String, org_id: &str, query: &UsageQuery) -> crate::db::Sql {
    sql(text)
        .bind(org_id)
        .bind(query.from.unwrap_or(0))
        .bind(query.to.unwrap_or(Millis::MAX))
        .bind(query.meter.clone())
        .bind(query.model.clone())
        .bind(query.member.clone())
        .bind(query.key.clone())
        .bind(query.run.clone())
}

/// The usages asked for, newest first, and whether there are more.
pub async fn list(db: &Db, org_id: &str, query: &UsageQuery) -> Result<(Vec<Usage>, bool)> {
    let (at, seq, line) = match &query.starting_after {
        None => (i64::MAX, i64::MAX, i64::MAX),
        Some(id) => {
            let text = "select at, seq, line from usages where id = $1 and org_id = $2";
            let row: Option<(i64, i64, i64)> = db.optional(sql(text).bind(id).bind(org_id)).await?;
            row.ok_or_else(|| Error::invalid("starting_after", "There is no such usage."))?
        }
    };
    let columns = COLUMNS.join(", ");
    let text = format!(
        "select {columns} from usages where {FILTER} and (at, seq, line) < ($9, $10, $11)
         order by at desc, seq desc, line desc limit $12"
    );
    let statement = filtered(text, org_id, query).bind(at).bind(seq).bind(line);
    Ok(cut(db.all::<Usage>(statement.bind(query.limit + 1)).await?, query.limit))
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

/// What a workflow has used, by meter.
pub async fn of_run(db: &Db, org_id: &str, run: &str) -> Result<Vec<RunLine>> {
    let text = "select meter,
             cast(sum(case when reversed_at is null then quantity / 1000000 else 0 end) as bigint)
                 as units,
             cast(sum(case when reversed_at is null then quantity % 1000000 else 0 end) as bigint)
                 as rest,
             cast(sum(case when reversed_at is null then credits else 0 end) as bigint) as credits,
             cast(sum(case when reversed_at is null then overage else 0 end) as bigint) as overage,
             cast(sum(case when reversed_at is null then debt else 0 end) as bigint) as debt,
             cast(sum(case when reversed_at is null then coalesce(cost, 0) else 0 end) as bigint)
                 as cost,
             cast(sum(case when reversed_at is null then 1 else 0 end) as bigint) as count,
             cast(sum(case when reversed_at is null then 0 else credits end) as bigint)
                 as reversed_credits,
             cast(sum(case when reversed_at is null then 0 else 1 end) as bigint) as reversed_count,
             min(at) as first_at, max(at) as last_at
         from usages where org_id = $1 and run = $2 group by meter order by meter";
    db.all(sql(text).bind(org_id).bind(run)).await
}

/// A workflow's use of one meter; what was taken back is counted apart.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RunLine {
    /// What was counted.
    pub meter: String,
    /// How much, in whole units of the meter.
    pub units: i64,
    /// How much beside that, in millionths of the unit.
    pub rest: i64,
    /// What it cost.
    pub credits: Credits,
    /// How much of that is billed.
    pub overage: Credits,
    /// How much of that is owed.
    pub debt: Credits,
    /// What the providers charged, in micro-dollars.
    pub cost: i64,
    /// How many lines.
    pub count: i64,
    /// Taken back.
    pub reversed_credits: Credits,
    /// How many lines of that.
    pub reversed_count: i64,
    /// The first.
    pub first_at: Millis,
    /// The last.
    pub last_at: Millis,
}

#[derive(sqlx::FromRow)]
struct GroupRow {
    value: String,
    credits: Credits,
    count: i64,
}

/// The usage asked for, summed up, and whether there are more groups. Days come newest first.
pub async fn groups(
    db: &Db,
    org_id: &str,
    query: &UsageQuery,
    by: GroupBy,
) -> Result<(Vec<UsageGroup>, bool)> {
    let column = by.column();
    let text = format!(
        "select {column} as value, cast(sum(credits) as bigint) as credits, count(*) as count
         from usages where {FILTER} and ($9 is null or {column} < $9)
         group by {column} order by 1 desc limit $10"
    );
    let after = query.starting_after.clone();
    let statement = filtered(text, org_id, query).bind(after).bind(query.limit + 1);
    let (rows, has_more) = cut(db.all::<GroupRow>(statement).await?, query.limit);
    let groups = rows.into_iter().map(|row| UsageGroup {
        object: "usage_group",
        value: match (by, row.value.parse()) {
            (GroupBy::Day, Ok(day)) => rfc3339(day),
            _ => row.value,
        },
        credits: row.credits,
        count: row.count,
    });
    Ok((groups.collect(), has_more))
}

fn cut<T>(mut rows: Vec<T>, limit: i64) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(0);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}

/// What one meter cost on one day, UTC.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DayMeter {
    /// Midnight.
    pub day_start: Millis,
    /// What was counted.
    pub meter: String,
    /// What it cost.
    pub credits: Credits,
    /// How many lines.
    pub count: i64,
}

/// Use by day and meter in `[from, to)`, oldest first.
pub async fn by_day(db: &Db, org_id: &str, from: Millis, to: Millis) -> Result<Vec<DayMeter>> {
    let text = "select at - at % 86400000 as day_start, meter,
             cast(sum(credits) as bigint) as credits, count(*) as count
         from usages where org_id = $1 and at >= $2 and at < $3 and reversed_at is null
         group by 1, meter order by 1, meter";
    db.all(sql(text).bind(org_id).bind(from).bind(to)).await
}

/// What the period will have used at its end if use goes on as in the last days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Projection {
    /// The expected use at the period's end.
    pub expected: Credits,
    /// The lower end of the likely range.
    pub low: Credits,
    /// The upper end of the likely range.
    pub high: Credits,
    /// How it was computed.
    pub method: &'static str,
}

/// Projects a period's use: what was used, plus the time left at the pace of the last seven full
/// days (or of the period so far, where it is younger); the range is a fifth less and more of what
/// is still to come. `None` on the first day, when there is nothing to go by. Pure.
pub fn project(
    days: &[DayMeter],
    period: (Millis, Millis),
    used: Credits,
    now: Millis,
) -> Option<Projection> {
    let today = now - now.rem_euclid(DAY);
    let since = (today - 7 * DAY).max(period.0 - period.0.rem_euclid(DAY));
    let length = today - since;
    if length < DAY || now >= period.1 {
        return None;
    }
    let recent = days.iter().filter(|day| (since..today).contains(&day.day_start));
    let recent: i128 = recent.map(|day| i128::from(day.credits.micros())).sum();
    let coming = recent * i128::from(period.1 - now) / i128::from(length);
    let at = |share: i128| {
        let sum = i128::from(used.micros()) + coming * share / 100;
        Credits::from_micros(i64::try_from(sum).unwrap_or(i64::MAX))
    };
    let method = "the last seven full days' pace, give or take a fifth";
    Some(Projection { expected: at(100), low: at(80), high: at(120), method })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(credits: i64) -> Credits {
        Credits::from_whole(credits).expect("fits")
    }

    #[test]
    fn a_period_is_projected_from_its_recent_pace() {
        let days: Vec<DayMeter> = (0..10)
            .map(|day| DayMeter {
                day_start: day * DAY,
                meter: "text".to_owned(),
                credits: whole(10),
                count: 1,
            })
            .collect();
        let projection = project(&days, (0, 30 * DAY), whole(100), 10 * DAY).expect("projected");
        assert_eq!(projection.expected, whole(300));
        assert_eq!((projection.low, projection.high), (whole(260), whole(340)));
        assert_eq!(project(&days[..0], (0, 30 * DAY), whole(0), DAY / 2), None);
        assert_eq!(project(&days, (0, 10 * DAY), whole(100), 10 * DAY), None);
    }
}
