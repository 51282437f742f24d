//! Usage one by one or summed up, filtered and paged.

use serde::Serialize;

use super::{COLUMNS, Usage};
use crate::clock::{Millis, rfc3339};
use crate::db::{Db, sql};
use crate::error::{Error, Result};
use crate::units::Credits;

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
