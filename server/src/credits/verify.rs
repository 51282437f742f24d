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
const CHECKS: [(&str, &str); 4] = [
    (
        "the entries of an operation must sum to zero",
        "select org_id, operation_id as subject, cast(0 as bigint) as expected,
             cast(sum(amount) as bigint) as actual
         from ledger_entries where (org_id = $1 or $1 is null)
         group by org_id, operation_id having sum(amount) <> 0",
    ),
    (
        "a wallet's available credits must be what its entries sum to",
        "select wallets.org_id, wallets.org_id as subject,
             cast(coalesce(sum(amount), 0) as bigint) as expected, wallets.available as actual
         from wallets left join ledger_entries
             on ledger_entries.org_id = wallets.org_id and account = 'available'
         where (wallets.org_id = $1 or $1 is null)
         group by wallets.org_id, wallets.available
         having coalesce(sum(amount), 0) <> wallets.available",
    ),
    (
        "a grant's remaining credits must be what its entries sum to",
        "select grants.org_id, grants.id as subject,
             cast(coalesce(sum(ledger_entries.amount), 0) as bigint) as expected,
             grants.remaining as actual
         from grants left join ledger_entries
             on ledger_entries.grant_id = grants.id and account = 'available'
         where (grants.org_id = $1 or $1 is null)
         group by grants.org_id, grants.id, grants.remaining
         having coalesce(sum(ledger_entries.amount), 0) <> grants.remaining",
    ),
    (
        "a usage must have cost what its operation consumed",
        "select usages.org_id, usages.id as subject, usages.credits as expected,
             cast(coalesce(sum(ledger_entries.amount), 0) as bigint) as actual
         from usages left join ledger_entries
             on ledger_entries.operation_id = usages.operation_id and account = 'consumed'
         where (usages.org_id = $1 or $1 is null)
         group by usages.org_id, usages.id, usages.credits
         having coalesce(sum(ledger_entries.amount), 0) <> usages.credits",
    ),
];

/// Everything that does not add up, for one org or for all.
pub async fn verify(db: &Db, org_id: Option<&str>) -> Result<Vec<Disagreement>> {
    let mut disagreements = Vec::new();
    for (rule, text) in CHECKS {
        let found: Vec<Found> = db.all(sql(text).bind(org_id)).await?;
        disagreements.extend(found.into_iter().map(|row| Disagreement {
            org_id: row.org_id,
            subject: row.subject,
            message: format!("{rule}: expected {}, found {}", row.expected, row.actual),
        }));
    }
    Ok(disagreements)
}
