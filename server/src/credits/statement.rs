//! The statement: every movement of a wallet, newest first, with its cause and the balance after.

use serde::Serialize;

use crate::clock::{Millis, rfc3339};
use crate::db::{Db, sql};
use crate::error::{Error, Result};
use crate::units::Credits;

/// Which part of a list: at most `limit` rows after the one with this id.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// 1–100.
    pub limit: i64,
    /// The id of the last row seen.
    pub starting_after: Option<String>,
}

/// One movement.
#[derive(Clone, Debug, Serialize)]
pub struct Movement {
    /// Always "movement".
    pub object: &'static str,
    /// `op_…`
    pub id: String,
    /// Its place in the wallet's order.
    pub seq: i64,
    /// grant, consume, expire, …
    pub kind: String,
    /// What changed in the available credits; negative when they became fewer.
    pub credits: Credits,
    /// Why, for people.
    pub cause: String,
    /// The usage it paid for.
    pub usage: Option<String>,
    /// What could be spent afterwards.
    pub balance: Credits,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// When, in milliseconds.
    #[serde(skip)]
    pub at_ms: Millis,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    seq: i64,
    kind: String,
    at: Millis,
    reason: String,
    available_change: Credits,
    available_after: Credits,
    usage_id: Option<String>,
}

/// A page of the statement and whether there is more. Flat however long the ledger is: it walks
/// the index on (org, seq).
pub async fn statement(db: &Db, org_id: &str, page: &Page) -> Result<(Vec<Movement>, bool)> {
    let before = match &page.starting_after {
        None => i64::MAX,
        Some(id) => {
            let text = "select seq from operations where id = $1 and org_id = $2";
            let row: Option<(i64,)> = db.optional(sql(text).bind(id).bind(org_id)).await?;
            row.ok_or_else(|| Error::invalid("starting_after", "There is no such movement."))?.0
        }
    };
    let mut rows = movements(db, org_id, before, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(0);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, has_more))
}

/// At most `limit` movements older than the one numbered `before`, newest first.
pub async fn movements(db: &Db, org_id: &str, before: i64, limit: i64) -> Result<Vec<Movement>> {
    let text = "select operations.id, operations.seq, operations.kind, operations.at,
             operations.reason, operations.available_change, operations.available_after,
             usages.id as usage_id
         from operations
         left join usages on usages.org_id = operations.org_id and usages.at = operations.at
             and usages.seq = operations.seq and usages.line = 0
         where operations.org_id = $1 and operations.seq < $2
         order by operations.seq desc limit $3";
    let rows: Vec<Row> = db.all(sql(text).bind(org_id).bind(before).bind(limit)).await?;
    Ok(rows.into_iter().map(movement).collect())
}

fn movement(row: Row) -> Movement {
    Movement {
        object: "movement",
        id: row.id,
        seq: row.seq,
        kind: row.kind,
        credits: row.available_change,
        cause: row.reason,
        usage: row.usage_id,
        balance: row.available_after,
        at: rfc3339(row.at),
        at_ms: row.at,
    }
}
