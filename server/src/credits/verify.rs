//! `ledger verify`: rebuilds every balance from the ledger's rows and compares. (I1–I3, F1)

use crate::db::{Db, sql};
use crate::error::Result;

/// Where the projection and the ledger differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Disagreement {
    /// Whose wallet.
    pub org_id: String,
    /// The operation, grant or wallet.
    pub subject: String,
    /// What was found, with both numbers.
    pub message: String,
}

#[derive(sqlx::FromRow)]
struct Found {
    org_id: String,
    subject: String,
    expected: i64,
    actual: i64,
}

/// Each check is one statement that answers the rows that fail it. `$1` is an org, or null for all.
const CHECKS: [(&str, &str); 7] = [
    (
        "a wallet's available credits must be what its entries sum to",
        "select w.org_id, w.org_id as subject, w.available as actual,
             cast(coalesce(sum(case when e.to_account = 'available' then e.amount
                 when e.from_account = 'available' then -e.amount else 0 end), 0) as bigint)
                 as expected
         from wallets w left join operations o on o.org_id = w.org_id
             left join ledger_entries e on e.operation_id = o.id
         where (w.org_id = $1 or $1 is null) group by w.org_id, w.available
         having coalesce(sum(case when e.to_account = 'available' then e.amount
             when e.from_account = 'available' then -e.amount else 0 end), 0) <> w.available",
    ),
    (
        "a wallet's held credits must be what its entries sum to",
        "select w.org_id, w.org_id as subject, w.held as actual,
             cast(coalesce(sum(case when e.to_account = 'held' then e.amount
                 when e.from_account = 'held' then -e.amount else 0 end), 0) as bigint)
                 as expected
         from wallets w left join operations o on o.org_id = w.org_id
             left join ledger_entries e on e.operation_id = o.id
         where (w.org_id = $1 or $1 is null) group by w.org_id, w.held
         having coalesce(sum(case when e.to_account = 'held' then e.amount
             when e.from_account = 'held' then -e.amount else 0 end), 0) <> w.held",
    ),
    (
        "a wallet's debt must be what its entries sum to",
        "select w.org_id, w.org_id as subject, w.debt as actual,
             cast(coalesce(sum(case when e.from_account = 'debt' then e.amount
                 when e.to_account = 'debt' then -e.amount else 0 end), 0) as bigint)
                 as expected
         from wallets w left join operations o on o.org_id = w.org_id
             left join ledger_entries e on e.operation_id = o.id
         where (w.org_id = $1 or $1 is null) group by w.org_id, w.debt
         having coalesce(sum(case when e.from_account = 'debt' then e.amount
             when e.to_account = 'debt' then -e.amount else 0 end), 0) <> w.debt",
    ),
    (
        "a wallet's held credits must be what its open holds set aside",
        "select w.org_id, w.org_id as subject, w.held as actual,
             cast(coalesce(sum(h.credits), 0) as bigint) as expected
         from wallets w left join holds h on h.org_id = w.org_id and h.status = 'open'
         where (w.org_id = $1 or $1 is null) group by w.org_id, w.held
         having coalesce(sum(h.credits), 0) <> w.held",
    ),
    (
        "a wallet's last operation must be the one it counts",
        "select w.org_id, w.org_id as subject, w.seq as actual,
             cast(coalesce((select max(o.seq) from operations o where o.org_id = w.org_id), 0)
                 as bigint) as expected
         from wallets w
         where (w.org_id = $1 or $1 is null) and w.seq <>
             coalesce((select max(o.seq) from operations o where o.org_id = w.org_id), 0)",
    ),
    (
        "an entry must belong to an operation",
        "select '' as org_id, e.operation_id as subject, cast(0 as bigint) as expected,
             e.line as actual
         from ledger_entries e left join operations o on o.id = e.operation_id
         where o.id is null and $1 is null",
    ),
    (
        "the usages of an operation must have cost what it consumed",
        "select u.org_id, min(u.id) as subject, cast(sum(u.credits) as bigint) as expected,
             cast(max(coalesce(c.consumed, 0)) as bigint) as actual
         from usages u
             left join operations o on o.org_id = u.org_id and o.seq = u.seq
             left join (select operation_id, sum(amount) as consumed from ledger_entries
                 where to_account = 'consumed' group by operation_id) c on c.operation_id = o.id
         where (u.org_id = $1 or $1 is null) group by u.org_id, u.seq
         having sum(u.credits) <> max(coalesce(c.consumed, 0))",
    ),
];

/// The columns of a grant, each with the account that it is the projection of.
const GRANT_COLUMNS: [(&str, &str); 6] = [
    ("remaining", "available"),
    ("held", "held"),
    ("consumed", "consumed"),
    ("expired", "expired"),
    ("clawed_back", "clawed_back"),
    ("debt_paid", "debt"),
];

/// Compares one column of every grant with its entries.
fn grant_check(column: &str, account: &str) -> String {
    format!(
        "select g.org_id, g.id as subject, cast(coalesce(s.amount, 0) as bigint) as expected, \
             g.{column} as actual \
         from grants g left join ( \
             select e.grant_id, sum(case when e.to_account = '{account}' then e.amount \
                 when e.from_account = '{account}' then -e.amount else 0 end) as amount \
             from operations o join ledger_entries e on e.operation_id = o.id \
             where e.grant_id is not null and (o.org_id = $1 or $1 is null) \
             group by e.grant_id) s on s.grant_id = g.id \
         where (g.org_id = $1 or $1 is null) and coalesce(s.amount, 0) <> g.{column}"
    )
}

/// Everything that does not add up, for one org or for all.
pub async fn verify(db: &Db, org_id: Option<&str>) -> Result<Vec<Disagreement>> {
    let mut disagreements = Vec::new();
    let mut checks: Vec<(String, String)> =
        CHECKS.iter().map(|(rule, text)| ((*rule).to_owned(), (*text).to_owned())).collect();
    checks.extend(GRANT_COLUMNS.iter().map(|(column, account)| {
        let rule = format!("a grant's {column} credits must be what its entries sum to");
        (rule, grant_check(column, account))
    }));
    for (rule, text) in checks {
        let found: Vec<Found> = db.all(sql(text).bind(org_id)).await?;
        disagreements.extend(found.into_iter().map(|row| Disagreement {
            org_id: row.org_id,
            subject: row.subject,
            message: format!("{rule}: expected {}, found {}", row.expected, row.actual),
        }));
    }
    Ok(disagreements)
}
