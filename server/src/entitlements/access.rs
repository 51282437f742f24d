//! Stripe's word for a subscription, and what it means here: one exhaustive match. Pure.

use crate::clock::{DAY, Millis};

/// Stripe's words for the state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Tried for free.
    Trialing,
    /// Paid.
    Active,
    /// The renewal was not paid; Stripe keeps trying.
    PastDue,
    /// Stripe gave up trying, and keeps it open.
    Unpaid,
    /// A trial without a card ended, or somebody paused it.
    Paused,
    /// The first payment is not made yet.
    Incomplete,
    /// The first payment was never made.
    IncompleteExpired,
    /// Over.
    Canceled,
}

impl Status {
    /// From Stripe's word; `None` for a word from the future, which nobody may guess about.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "trialing" => Self::Trialing,
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "unpaid" => Self::Unpaid,
            "paused" => Self::Paused,
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "canceled" => Self::Canceled,
            _ => return None,
        })
    }
}

/// What a subscription gives at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything its tier allows.
    Full,
    /// It still counts as the org's plan, but only the free tier's features are left, and nothing
    /// may be debited.
    Suspended,
    /// Nothing.
    None,
}

/// A status, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it gives now.
    pub access: Access,
    /// The block that goes with it: its kind, and from when on debits are refused.
    pub block: Option<(&'static str, Millis)>,
    /// Whether it is over for good.
    pub ended: bool,
    /// What the customer should know.
    pub message: Option<&'static str>,
}

/// Judges a status. `since` is when the money for the current period went missing.
pub fn judge(status: Status, since: Millis, grace_days: i64, now: Millis) -> Standing {
    let full = Standing { access: Access::Full, block: None, ended: false, message: None };
    let suspended = Standing { access: Access::Suspended, ..full };
    match status {
        Status::Trialing | Status::Active => full,
        Status::PastDue => {
            let from = since.saturating_add(grace_days.saturating_mul(DAY));
            let access = if now < from { Access::Full } else { Access::Suspended };
            let message = "The last payment failed. Update the payment method to keep your plan.";
            Standing { access, block: Some(("past_due", from)), message: Some(message), ..full }
        }
        Status::Unpaid => Standing {
            block: Some(("unpaid", since)),
            message: Some("The plan is unpaid. Pay the open invoice to use it again."),
            ..suspended
        },
        Status::Paused => Standing {
            block: Some(("paused", since)),
            message: Some("The plan is paused. Add a payment method to resume it."),
            ..suspended
        },
        Status::Incomplete => Standing {
            access: Access::None,
            message: Some("The first payment is not complete yet."),
            ..full
        },
        Status::IncompleteExpired | Status::Canceled => {
            Standing { access: Access::None, ended: true, ..full }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_meaning() {
        // B3, B13, B14
        let since = 100 * DAY;
        let grace_end = since + 3 * DAY;
        let cases = [
            ("trialing", since, Access::Full, None, false),
            ("active", since, Access::Full, None, false),
            ("past_due", since, Access::Full, Some(("past_due", grace_end)), false),
            ("past_due", grace_end - 1, Access::Full, Some(("past_due", grace_end)), false),
            ("past_due", grace_end, Access::Suspended, Some(("past_due", grace_end)), false),
            ("unpaid", since, Access::Suspended, Some(("unpaid", since)), false),
            ("paused", since, Access::Suspended, Some(("paused", since)), false),
            ("incomplete", since, Access::None, None, false),
            ("incomplete_expired", since, Access::None, None, true),
            ("canceled", since, Access::None, None, true),
        ];
        for (word, now, access, block, ended) in cases {
            let status = Status::parse(word).expect(word);
            let standing = judge(status, since, 3, now);
            assert_eq!((standing.access, standing.block, standing.ended), (access, block, ended));
        }
        assert_eq!(Status::parse("resting"), None);
    }
}
