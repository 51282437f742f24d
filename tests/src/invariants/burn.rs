//! Every debit, looked at once more: was this grant to be spent at this time (I8), and was it this
//! one's turn (I9)?

use super::books::{Entry, Grant, Operation, Played};

/// What is wrong with the debits of an operation; `played` is the state right after it.
pub(super) fn check(
    operation: &Operation,
    entries: &[Entry],
    grants: &[&Grant],
    played: &Played,
) -> Vec<String> {
    let (id, at) = (&operation.id, operation.at);
    let mut broken = Vec::new();
    for grant in debited(entries, &["consumed", "held", "debt"], grants) {
        // A debt is paid as its grant begins, though it be over by the time that it is booked.
        let lived = if operation.kind == "debt_paid" { at.min(grant.effective_at) } else { at };
        if !may_be_spent(grant, at, lived) {
            broken
                .push(format!("I8: {id} spends of {}, which is over, not yet or frozen", grant.id));
        }
    }
    if played.frozen > 0 {
        // A grant that was frozen then is not told apart by its row today.
        return broken;
    }
    let spent: Vec<&Grant> = debited(entries, &["consumed", "held"], grants).collect();
    // The last in the order of those that were spent: all before it must be spent to the end.
    let Some(last) = spent.iter().max_by_key(|grant| order(grant)) else { return broken };
    for grant in grants {
        let left = played.of_grant(&grant.id, "available");
        if precedes(grant, last) && may_be_spent(grant, at, at) && left > 0 {
            let (first, then) = (&grant.id, &last.id);
            broken.push(format!("I9: {id} spends of {then} while {left} of {first} are left"));
        }
    }
    broken
}

/// Whether one had to be spent before another. The expiry of one that was ended before its time
/// is not what it was, so only its priority speaks.
fn precedes(grant: &Grant, other: &Grant) -> bool {
    if is_shortened(grant) || is_shortened(other) {
        return grant.priority < other.priority;
    }
    order(grant) < order(other)
}

/// Whether it was ended by its successor or a cancellation.
fn is_shortened(grant: &Grant) -> bool {
    grant.expires_at.is_some() && grant.expires_at == grant.ended_at
}

/// The grants that an operation took available credits from for one of these accounts.
fn debited<'a>(
    entries: &[Entry],
    to: &[&str],
    grants: &[&'a Grant],
) -> impl Iterator<Item = &'a Grant> {
    let moved = entries
        .iter()
        .filter(|one| one.from_account == "available" && to.contains(&one.to_account.as_str()));
    let ids: Vec<&str> = moved.filter_map(|one| one.grant_id.as_deref()).collect();
    let found = grants.iter().copied().filter(|grant| ids.contains(&grant.id.as_str()));
    found.collect::<Vec<&Grant>>().into_iter()
}

/// Whether it could be spent then, as far as its row still tells, and was not over at `lived`.
fn may_be_spent(grant: &Grant, at: i64, lived: i64) -> bool {
    // What happened in the very millisecond of an early end, happened before it.
    let end = grant.expires_at.map(|end| end + i64::from(is_shortened(grant)));
    grant.effective_at <= at
        && end.is_none_or(|end| lived < end)
        && grant.voided_at.is_none_or(|voided| at <= voided)
        && grant.frozen_at.is_none_or(|frozen| at <= frozen)
}

/// Lower is spent first: priority, then earliest expiry (never last), then id.
fn order(grant: &Grant) -> (i64, i64, &str) {
    (grant.priority, grant.expires_at.unwrap_or(i64::MAX), &grant.id)
}
