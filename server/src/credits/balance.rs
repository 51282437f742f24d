//! The balance, as `/v1/balance` and the dashboard show it. Pure: made from a [`Book`].

use serde::Serialize;

use crate::clock::{Millis, rfc3339};
use crate::units::Credits;

use super::book::Book;

/// What an org has, has used, and where it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Balance {
    /// Always "balance".
    pub object: &'static str,
    /// What can be spent now.
    pub available: Credits,
    /// What open holds have set aside.
    pub held: Credits,
    /// What must be given back from the next bought grant.
    pub debt: Credits,
    /// The current period's allowance.
    pub allowance: AllowanceView,
    /// Every grant that can still be spent, in the order in which it will be.
    pub grants: Vec<GrantView>,
    /// Used past every grant in this period.
    pub overage: Credits,
}

/// The allowance of the current period.
#[derive(Clone, Debug, Serialize)]
pub struct AllowanceView {
    /// Included in this period, with what was carried over.
    pub granted: Credits,
    /// Used of it.
    pub used: Credits,
    /// Left of it.
    pub remaining: Credits,
    /// When the next period begins, RFC 3339 UTC.
    pub resets_at: String,
    /// Used ÷ granted, in whole percent rounded down; `null` where nothing was granted.
    pub percent: Option<i64>,
    /// The period's beginning, in milliseconds.
    #[serde(skip)]
    pub period_start: Millis,
    /// The period's end, in milliseconds.
    #[serde(skip)]
    pub period_end: Millis,
    /// Everything used in the period, whatever paid for it.
    #[serde(skip)]
    pub period_used: Credits,
}

/// One grant.
#[derive(Clone, Debug, Serialize)]
pub struct GrantView {
    /// `grant_…`
    pub id: String,
    /// Where it comes from: allowance, free, pack, …
    pub source: String,
    /// What can still be spent of it.
    pub remaining: Credits,
    /// When it lapses, RFC 3339 UTC.
    pub expires_at: Option<String>,
    /// When it lapses, in milliseconds.
    #[serde(skip)]
    pub expires: Option<Millis>,
    /// Why it was given.
    #[serde(skip)]
    pub reason: String,
}

/// The balance of a settled book.
pub fn of_book(book: &Book, at: Millis) -> Balance {
    let spendable = book.grants.iter().filter(|grant| grant.is_spendable(at));
    let grants = spendable.map(|grant| GrantView {
        id: grant.id.clone(),
        source: grant.source_kind.clone(),
        remaining: grant.remaining,
        expires_at: grant.expires_at.map(rfc3339),
        expires: grant.expires_at,
        reason: grant.reason.clone(),
    });
    Balance {
        object: "balance",
        available: book.spendable(at),
        held: book.wallet.held,
        debt: book.wallet.debt,
        allowance: allowance(book, at),
        grants: grants.collect(),
        overage: book.wallet.overage,
    }
}

fn allowance(book: &Book, at: Millis) -> AllowanceView {
    let (granted, used) = book.allowance(at).unwrap_or_default();
    let open = book.grants.iter().filter(|grant| grant.is_allowance() && grant.is_spendable(at));
    let remaining = open.map(|grant| grant.remaining).sum();
    AllowanceView {
        granted,
        used,
        remaining,
        resets_at: rfc3339(book.wallet.period_end),
        percent: percent(used, granted),
        period_start: book.wallet.period_start,
        period_end: book.wallet.period_end,
        period_used: book.wallet.period_used,
    }
}

/// Whole percent, rounded down; `None` of nothing.
fn percent(used: Credits, granted: Credits) -> Option<i64> {
    let whole = i128::from(granted.micros());
    let share = (i128::from(used.micros()) * 100).checked_div(whole)?;
    i64::try_from(share).ok()
}
