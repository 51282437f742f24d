//! `ledger verify`: rebuilds every balance from the ledger's rows and compares. (I1–I3, F1)
//!
//! Only reads. Each check is one statement, so that it sees the projection and the rows of the same
//! moment, however busy the wallet is.

use crate::db::{Db, Reads, sql};
use crate::error::Result;
use crate::units::Credits;

use super::sums::{self, GRANT_COLUMNS, Scope};

/// Where the projection and the ledger differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Disagreement {
    /// Whose wallet; empty where a row belongs to nobody.
    pub org_id: String,
    /// The operation, grant, hold, usage, decision or wallet.
    pub subject: String,
    /// What was found, with both numbers where there are two.
    pub message: String,
    /// Whether it keeps its wallet from being debited. What a statement shows of old operations
    /// decides over no credit: it is told, and mended by a repair, and stops nobody.
    pub parks: bool,
}

#[derive(sqlx::FromRow)]
struct Found {
    org_id: String,
    subject: String,
    rule: String,
    expected: Option<i64>,
    actual: Option<i64>,
}

/// What the numbers of a check count.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Credits,
    Rows,
}

/// One statement that answers what fails it: whose, what, which rule, and the numbers.
struct Check {
    unit: Unit,
    parks: bool,
    text: String,
}

/// Everything that does not add up, for one org or for all. For one org it reads that org's rows
/// alone; for all it is a few passes over the whole ledger.
pub async fn verify(db: &Db, org_id: Option<&str>) -> Result<Vec<Disagreement>> {
    let mut reads = db;
    check(&mut reads, org_id).await
}

/// The same, also within a transaction that holds the wallet's lock.
pub(super) async fn check(
    reads: &mut impl Reads,
    org_id: Option<&str>,
) -> Result<Vec<Disagreement>> {
    let scope = if org_id.is_some() { Scope::One } else { Scope::All };
    let mut disagreements = Vec::new();
    for Check { unit, parks, text } in checks(scope) {
        let mut statement = sql(text);
        if let Some(org_id) = org_id {
            statement = statement.bind(org_id);
        }
        let found: Vec<Found> = reads.all(statement).await?;
        disagreements.extend(found.into_iter().map(|row| disagreement(row, unit, parks)));
    }
    Ok(disagreements)
}

fn disagreement(row: Found, unit: Unit, parks: bool) -> Disagreement {
    let Found { org_id, subject, rule, expected, actual } = row;
    let message = match (expected, actual, unit) {
        (Some(expected), Some(actual), Unit::Credits) => {
            let (expected, actual) = (Credits::from_micros(expected), Credits::from_micros(actual));
            format!("{rule}: expected {expected}, found {actual}")
        }
        (Some(expected), Some(actual), Unit::Rows) => {
            format!("{rule}: expected {expected}, found {actual}")
        }
        _ => rule,
    };
    Disagreement { org_id, subject, message, parks }
}

fn checks(scope: Scope) -> Vec<Check> {
    let credits = |text| Check { unit: Unit::Credits, parks: true, text };
    let shown = |text| Check { unit: Unit::Credits, parks: false, text };
    let rows = |text| Check { unit: Unit::Rows, parks: true, text };
    let mut checks = vec![
        credits(wallets(scope)),
        rows(order(scope)),
        shown(balances_after(scope)),
        credits(grants(scope)),
        credits(ended_grants(scope)),
        credits(open_holds(scope)),
        credits(costs(scope)),
        rows(lost_usages(scope)),
        rows(lost_decisions(scope)),
        rows(strange_entries(scope)),
    ];
    if scope == Scope::All {
        // Whose they are, only their operation could tell.
        checks.push(rows(
            "select '' as org_id, e.operation_id as subject, \
                 'an entry must belong to an operation' as rule, \
                 cast(null as bigint) as expected, cast(null as bigint) as actual \
             from ledger_entries e left join operations o on o.id = e.operation_id \
             where o.id is null"
                .to_owned(),
        ));
    }
    checks
}

/// What is wrong with the rows of `compared`, a name for rows that have both numbers of each rule.
fn each(subject: &str, rules: &[(String, String, String)]) -> String {
    let parts: Vec<String> = rules
        .iter()
        .map(|(rule, expected, actual)| {
            format!(
                "select org_id, {subject} as subject, '{rule}' as rule, {expected} as expected, \
                     {actual} as actual from compared where {expected} <> {actual}"
            )
        })
        .collect();
    parts.join(" union all ")
}

/// A wallet's row against its entries, its open holds and its usages.
fn wallets(scope: Scope) -> String {
    let rule = |rule: &str, expected: &str, actual: &str| {
        (rule.to_owned(), expected.to_owned(), actual.to_owned())
    };
    let rules = [
        rule(
            "the available credits of a wallet must be what its entries sum to",
            "s_available",
            "available",
        ),
        rule("the held credits of a wallet must be what its entries sum to", "s_held", "held"),
        rule("the debt of a wallet must be what its entries sum to", "s_debt", "debt"),
        rule("the held credits of a wallet must be what its open holds took", "open", "held"),
        rule("what a wallet consumed must be what its usages cost", "s_consumed", "used"),
    ];
    let (sums, rules) = (sums::of_wallets(scope), each("org_id", &rules));
    let (own_usages, own_holds, own) = (scope.of("u"), scope.of("h"), scope.of("w"));
    format!(
        "with s as materialized ({sums}), \
         u as materialized ( \
             select u.org_id, cast(sum(u.credits) as bigint) as used from usages u \
             where {own_usages} and u.reversed_at is null group by u.org_id), \
         h as materialized ( \
             select h.org_id, cast(sum(h.credits) as bigint) as open from holds h \
             where {own_holds} and h.status = 'open' group by h.org_id), \
         compared as materialized ( \
             select w.org_id, w.available, w.held, w.debt, \
                 coalesce(s.available, 0) as s_available, coalesce(s.held, 0) as s_held, \
                 coalesce(s.debt, 0) as s_debt, coalesce(s.consumed, 0) as s_consumed, \
                 coalesce(u.used, 0) as used, coalesce(h.open, 0) as open \
             from wallets w left join s on s.org_id = w.org_id \
                 left join u on u.org_id = w.org_id left join h on h.org_id = w.org_id \
             where {own}) \
         {rules}"
    )
}

/// Every operation has the next number, and the wallet knows the last one.
fn order(scope: Scope) -> String {
    let (own_operations, own) = (scope.of("o"), scope.of("w"));
    format!(
        "with s as materialized ( \
             select o.org_id, max(o.seq) as last, count(*) as operations from operations o \
             where {own_operations} group by o.org_id) \
         select w.org_id, w.org_id as subject, \
             'the last operation of a wallet must be the one it counts' as rule, \
             coalesce(s.last, 0) as expected, w.seq as actual \
         from wallets w left join s on s.org_id = w.org_id \
         where {own} and w.seq <> coalesce(s.last, 0) \
         union all select s.org_id, s.org_id as subject, \
             'the operations of a wallet must be numbered without a gap' as rule, \
             s.last as expected, s.operations as actual \
         from s where s.last <> s.operations"
    )
}

/// What an operation says of itself, as statements show it, against its entries and the operation
/// before it. So the one is named where it goes wrong, and not all those after it.
fn balances_after(scope: Scope) -> String {
    let rule = |rule: &str, expected: &str, actual: &str| {
        (rule.to_owned(), expected.to_owned(), actual.to_owned())
    };
    let rules = [
        rule(
            "what an operation changed must be what its entries sum to",
            "s_change",
            "available_change",
        ),
        rule(
            "the credits after an operation must be those before it and what its entries sum to",
            "s_available",
            "available_after",
        ),
        rule(
            "the held credits after an operation must be those before it and what its entries \
             sum to",
            "s_held_after",
            "held_after",
        ),
    ];
    let (sums, rules) = (sums::of_operations(scope), each("id", &rules));
    format!(
        "with stepped as ( \
             select t.org_id, t.id, t.available_change, t.available_after, t.held_after, \
                 t.s_change, \
                 lag(t.available_after, 1, cast(0 as bigint)) over w + t.s_change as s_available, \
                 lag(t.held_after, 1, cast(0 as bigint)) over w + t.s_held as s_held_after \
             from ({sums}) t window w as (partition by t.org_id order by t.seq)), \
         compared as materialized ( \
             select * from stepped where available_change <> s_change \
                 or available_after <> s_available or held_after <> s_held_after) \
         {rules}"
    )
}

/// A grant's columns against its entries.
fn grants(scope: Scope) -> String {
    let rules: Vec<(String, String, String)> = GRANT_COLUMNS
        .iter()
        .map(|(column, _)| {
            let rule = format!("the {column} credits of a grant must be what its entries sum to");
            (rule, format!("s_{column}"), (*column).to_owned())
        })
        .collect();
    let of = |piece: fn(&str) -> String| GRANT_COLUMNS.map(|(column, _)| piece(column));
    let found = of(|c| format!("g.{c}, coalesce(s.{c}, 0) as s_{c}")).join(", ");
    let differ = of(|c| format!("g.{c} <> coalesce(s.{c}, 0)")).join(" or ");
    let (sums, rules, own) = (sums::of_grants(scope), each("id", &rules), scope.of("g"));
    format!(
        "with s as materialized ({sums}), \
         compared as materialized ( \
             select g.org_id, g.id, {found} from grants g left join s on s.grant_id = g.id \
             where {own} and ({differ})) \
         {rules}"
    )
}

/// A grant that has ended is not read any more: nothing may be left of it.
fn ended_grants(scope: Scope) -> String {
    let own = scope.of("g");
    format!(
        "select g.org_id, g.id as subject, 'a grant that has ended must be empty' as rule, \
             cast(0 as bigint) as expected, g.remaining + g.held as actual \
         from grants g where {own} and g.ended_at is not null and g.remaining + g.held <> 0"
    )
}

/// Which grants an open hold took its credits from stands in its entries alone.
fn open_holds(scope: Scope) -> String {
    let own = scope.of("h");
    format!(
        "select h.org_id, h.id as subject, 'an open hold must be what its entries sum to' as rule, \
             cast(coalesce(sum(e.amount), 0) as bigint) as expected, h.credits as actual \
         from holds h left join ledger_entries e \
             on e.operation_id = h.operation_id and e.to_account = 'held' \
         where {own} and h.status = 'open' group by h.org_id, h.id, h.credits \
         having coalesce(sum(e.amount), 0) <> h.credits"
    )
}

/// The lines that were charged together against their operation.
fn costs(scope: Scope) -> String {
    let (own_operations, own) = (scope.of("o"), scope.of("u"));
    format!(
        "with c as materialized ( \
             select o.org_id, o.seq, cast(sum(e.amount) as bigint) as consumed \
             from operations o join ledger_entries e on e.operation_id = o.id \
             where {own_operations} and e.to_account = 'consumed' group by o.org_id, o.seq), \
         u as materialized ( \
             select u.org_id, u.seq, min(u.id) as id, cast(sum(u.credits) as bigint) as cost \
             from usages u where {own} group by u.org_id, u.seq) \
         select u.org_id, u.id as subject, \
             'the usages of an operation must cost what it consumed' as rule, \
             coalesce(c.consumed, 0) as expected, u.cost as actual \
         from u left join c on c.org_id = u.org_id and c.seq = u.seq \
         where u.cost <> coalesce(c.consumed, 0)"
    )
}

fn lost_usages(scope: Scope) -> String {
    let own = scope.of("u");
    format!(
        "select u.org_id, u.id as subject, 'a usage must belong to an operation' as rule, \
             cast(null as bigint) as expected, cast(null as bigint) as actual \
         from usages u left join operations o on o.org_id = u.org_id and o.seq = u.seq \
         where {own} and o.id is null"
    )
}

fn lost_decisions(scope: Scope) -> String {
    let own = scope.of("d");
    format!(
        "select d.org_id, d.id as subject, 'what a decision allowed must be there' as rule, \
             cast(null as bigint) as expected, cast(null as bigint) as actual \
         from decisions d left join usages u on u.id = d.subject \
             left join holds h on h.id = d.subject \
         where {own} and d.subject is not null and u.id is null and h.id is null"
    )
}

fn strange_entries(scope: Scope) -> String {
    let own = scope.of("o");
    format!(
        "select distinct o.org_id, o.id as subject, \
             'an entry must be about a grant of its own wallet' as rule, \
             cast(null as bigint) as expected, cast(null as bigint) as actual \
         from operations o join ledger_entries e on e.operation_id = o.id \
             left join grants g on g.id = e.grant_id \
         where {own} and e.grant_id is not null and (g.id is null or g.org_id <> o.org_id)"
    )
}
