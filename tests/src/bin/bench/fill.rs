//! A ledger of millions of operations in minutes: the pattern's use is repeated in bulk for every
//! wallet, row by row as the gate writes it, and the wallets and grants follow. `ledger verify`
//! finds nothing wrong with the result.
//!
//! Written in rounds over all wallets, so that each wallet's rows lie as scattered as they would
//! after months of traffic.

use anyhow::Result;
use server::db::{Db, Dialect, sql};

use crate::copies::{NAME, Pattern};
use crate::progress;

/// Operations of one transaction, about.
const ROUND: u64 = 200_000;

/// `$1` is the pattern, `$2` the copies' name, `$3` how many uses each wallet gets.
const ROWS: [&str; 4] = [
    "insert into operations (id, org_id, seq, kind, at, actor_kind, actor_id, reason,
         available_change, available_after, held_after)
     select 'op_' || substr(w.org_id, 5) || (w.seq + n.i), w.org_id, w.seq + n.i, t.kind,
         w.last_at, t.actor_kind, t.actor_id, t.reason, t.available_change,
         w.available + n.i * t.available_change, w.held
     from orgs o join wallets w on w.org_id = o.id cross join n cross join operations t
     where t.org_id = $1 and t.kind = 'consume' and o.name = $2 order by w.org_id, n.i",
    "insert into ledger_entries (operation_id, line, grant_id, from_account, to_account, amount)
     select 'op_' || substr(w.org_id, 5) || (w.seq + n.i), e.line,
         'grant_' || substr(w.org_id, 5) || g.priority, e.from_account, e.to_account, e.amount
     from orgs o join wallets w on w.org_id = o.id cross join n cross join operations t
     join ledger_entries e on e.operation_id = t.id join grants g on g.id = e.grant_id
     where t.org_id = $1 and t.kind = 'consume' and o.name = $2 order by w.org_id, n.i",
    "insert into usages (id, org_id, seq, line, key, meter, quantity, credits, overage, debt,
         api_key_id, rate_card, at, late)
     select 'usage_' || substr(w.org_id, 5) || (w.seq + n.i), w.org_id, w.seq + n.i, t.line,
         substr(w.org_id, 5) || '-' || (w.seq + n.i), t.meter, t.quantity, t.credits, t.overage,
         t.debt, t.api_key_id, t.rate_card, w.last_at, t.late
     from orgs o join wallets w on w.org_id = o.id cross join n cross join usages t
     where t.org_id = $1 and o.name = $2 order by w.org_id, n.i",
    "insert into decisions (id, org_id, key, fingerprint, status, body, code, subject, at)
     select 'dec_' || substr(w.org_id, 5) || (w.seq + n.i), w.org_id,
         substr(w.org_id, 5) || '-' || (w.seq + n.i), t.fingerprint, t.status, t.body, t.code,
         'usage_' || substr(w.org_id, 5) || (w.seq + n.i), w.last_at
     from orgs o join wallets w on w.org_id = o.id cross join n cross join decisions t
     where t.org_id = $1 and o.name = $2 order by w.org_id, n.i",
];

/// `$1` is what was spent of each wallet, `$2` the copies' name.
const GRANTS: &str = "update grants set remaining = remaining - $1, consumed = consumed + $1
     where source_kind = 'promo' and org_id in (select id from orgs where name = $2)";

/// And `$3` how many uses. The revision tells the gate that what it remembers is old.
const WALLETS: &str = "update wallets set seq = seq + $3, revision = revision + 1,
         available = available - $1, period_used = period_used + $1
     where org_id in (select id from orgs where name = $2)";

/// Adds operations until the ledger has at least `target`. Answers how many it has.
pub async fn up_to(db: &Db, pattern: &Pattern, target: u64) -> Result<u64> {
    let (wallets,) =
        db.one::<(i64,)>(sql("select count(*) from orgs where name = $1").bind(NAME)).await?;
    let wallets = u64::try_from(wallets)?.max(1);
    let mut have = count(db).await?;
    while have < target {
        progress(&format!("filling the ledger: {have} of {target} operations"));
        let each = (target - have).min(ROUND).div_ceil(wallets);
        round(db, pattern, i64::try_from(each)?).await?;
        have += each * wallets;
    }
    count(db).await
}

/// How many operations the ledger has.
pub async fn count(db: &Db) -> Result<u64> {
    let (count,) = db.one::<(i64,)>(sql("select count(*) from operations")).await?;
    Ok(u64::try_from(count)?)
}

async fn round(db: &Db, pattern: &Pattern, each: i64) -> Result<()> {
    let mut tx = db.begin().await?;
    for rows in ROWS {
        let text = format!(
            "with recursive n(i) as (
                 select cast(1 as bigint) union all select i + 1 from n where i < $3
             ) {rows}"
        );
        tx.execute(sql(text).bind(&pattern.org_id).bind(NAME).bind(each)).await?;
    }
    let spent = pattern.cost.micros() * each;
    tx.execute(sql(GRANTS).bind(spent).bind(NAME)).await?;
    tx.execute(sql(WALLETS).bind(spent).bind(NAME).bind(each)).await?;
    Ok(tx.commit().await?)
}

/// Lets the database finish what so many new rows leave to be done, so that it does not do it while
/// something is measured.
pub async fn tidy(db: &Db) -> Result<()> {
    match db.dialect() {
        Dialect::Sqlite => {
            let _: Vec<(i64, i64, i64)> = db.all(sql("pragma wal_checkpoint(truncate)")).await?;
        }
        Dialect::Postgres => {
            let _: Vec<()> = db.all(sql("vacuum (analyze)")).await?;
            let _: Vec<()> = db.all(sql("checkpoint")).await?;
        }
    }
    Ok(())
}
