//! What the ledger's rows amount to, as texts that verifying and repairing share. Owns no tables.

/// The columns of a grant, each with the account that it is the projection of.
pub(super) const GRANT_COLUMNS: [(&str, &str); 6] = [
    ("remaining", "available"),
    ("held", "held"),
    ("consumed", "consumed"),
    ("expired", "expired"),
    ("clawed_back", "clawed_back"),
    ("debt_paid", "debt"),
];

/// One org's rows, or all of them: which ones a text speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those of the org bound as `$1`.
    One,
    /// Everybody's. Nothing is bound.
    All,
}

impl Scope {
    /// The condition on a table's org. A text of its own for one org lets the database walk that
    /// org's index and read nothing else.
    pub fn of(self, table: &str) -> String {
        match self {
            Self::One => format!("{table}.org_id = $1"),
            Self::All => "true".to_owned(),
        }
    }
}

/// What entries bring into an account, less what they take out of it.
fn sum(account: &str) -> String {
    format!(
        "cast(sum(case when e.to_account = '{account}' then e.amount \
             when e.from_account = '{account}' then -e.amount else 0 end) as bigint)"
    )
}

/// What each wallet's entries sum to: `org_id`, `available`, `held`, `debt`, `consumed`. A wallet
/// without entries has no row.
pub(super) fn of_wallets(scope: Scope) -> String {
    let (available, held, consumed) = (sum("available"), sum("held"), sum("consumed"));
    let debt = sum("debt");
    let own = scope.of("o");
    // A debt is counted downwards.
    format!(
        "select o.org_id, {available} as available, {held} as held, -{debt} as debt, \
             {consumed} as consumed \
         from operations o join ledger_entries e on e.operation_id = o.id \
         where {own} group by o.org_id"
    )
}

/// What each operation's entries sum to, beside what it says of itself: `org_id`, `seq`, `id`, its
/// columns, `s_change` of the available credits and `s_held` of the held ones. In the order of each
/// wallet, and by the index that keeps it.
pub(super) fn of_operations(scope: Scope) -> String {
    let (available, held, own) = (sum("available"), sum("held"), scope.of("o"));
    // Each group is one operation, so the least of a column is the column.
    format!(
        "select o.org_id, o.seq, min(o.id) as id, min(o.available_change) as available_change, \
             min(o.available_after) as available_after, min(o.held_after) as held_after, \
             {available} as s_change, {held} as s_held \
         from operations o left join ledger_entries e on e.operation_id = o.id \
         where {own} group by o.org_id, o.seq"
    )
}

/// What each grant's entries sum to: `grant_id` and [`GRANT_COLUMNS`].
pub(super) fn of_grants(scope: Scope) -> String {
    let sums: Vec<String> = GRANT_COLUMNS
        .iter()
        .map(|(column, account)| format!("{} as {column}", sum(account)))
        .collect();
    let sums = sums.join(", ");
    let from = match scope {
        Scope::One => {
            "operations o join ledger_entries e on e.operation_id = o.id where o.org_id = $1 and"
        }
        Scope::All => "ledger_entries e where",
    };
    format!("select e.grant_id, {sums} from {from} e.grant_id is not null group by e.grant_id")
}
