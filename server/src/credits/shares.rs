//! Shares of a payment, and how they are spread over what the payment granted. Pure.
//!
//! Exact to the millionth: what the grants of a payment lose adds up to the share of their sum,
//! rounded down once, and to all of it when everything came back. A grant that is made later
//! changes nothing for those before it.

use crate::units::Credits;

/// A part of a whole: what came back of what was paid, both in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    part: i64,
    whole: i64,
}

impl Share {
    /// Nothing came back.
    pub const NONE: Self = Self { part: 0, whole: 1 };
    /// Everything came back.
    pub const ALL: Self = Self { part: 1, whole: 1 };

    /// So much of so much; never less than nothing or more than all. Of nothing paid, nothing can
    /// come back.
    pub fn of(part: i64, whole: i64) -> Self {
        match whole {
            ..=0 => Self::NONE,
            _ => Self { part: part.clamp(0, whole), whole },
        }
    }

    /// This share of credits, rounded down to the millionth.
    pub fn take(self, credits: Credits) -> Credits {
        let exact = i128::from(credits.micros()) * i128::from(self.part) / i128::from(self.whole);
        // A share is never more than the whole, which fits.
        Credits::from_micros(i64::try_from(exact).unwrap_or(credits.micros()))
    }

    /// What each of these amounts, in this order, gives of the share of their sum: each rounding is
    /// left to the next, so that the parts add up and the last takes what is left.
    pub fn spread(self, amounts: &[Credits]) -> Vec<Credits> {
        let (mut sum, mut taken) = (0i128, 0i128);
        let parts = amounts.iter().map(|amount| {
            sum += i128::from(amount.micros());
            let until = sum * i128::from(self.part) / i128::from(self.whole);
            let part = until - taken;
            taken = until;
            Credits::from_micros(i64::try_from(part).unwrap_or(amount.micros()))
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_all_is_all() {
        // E7, E9
        let cases = [
            (1_000_000, 0, 900, 0),
            (1_000_000, 300, 900, 333_333),
            (1_000_000, 600, 900, 666_666),
            (1_000_000, 899, 900, 998_888),
            (1_000_000, 900, 900, 1_000_000),
            (1_000_000, 901, 900, 1_000_000),
            (1_000_000, -5, 900, 0),
            (1, 899, 900, 0),
            (1_000_000, 5, 0, 0),
            (i64::MAX, i64::MAX - 1, i64::MAX, i64::MAX - 1),
            (i64::MAX, i64::MAX, i64::MAX, i64::MAX),
        ];
        for (granted, back, paid, expected) in cases {
            let taken = Share::of(back, paid).take(Credits::from_micros(granted));
            assert_eq!(taken.micros(), expected, "{back} of {paid} of {granted}");
        }
        assert_eq!(Share::ALL.take(Credits::from_micros(7)).micros(), 7);
    }

    proptest! {
        #[test]
        fn parts_add_up_fit_and_do_not_depend_on_what_comes_later(
            amounts in prop::collection::vec(1i64..=4_000_000_000_000_000, 1..8),
            paid in 1i64..=1_000_000_000_000,
            back in 0i64..=1_200_000_000_000,
            more in 0i64..=1_200_000_000_000,
        ) {
            let amounts: Vec<Credits> = amounts.into_iter().map(Credits::from_micros).collect();
            let sum: Credits = amounts.iter().copied().sum();
            let share = Share::of(back, paid);
            let parts = share.spread(&amounts);
            prop_assert_eq!(parts.iter().copied().sum::<Credits>(), share.take(sum));
            for (part, amount) in parts.iter().zip(&amounts) {
                prop_assert!(*part <= *amount && *part >= Credits::ZERO);
            }
            // The grants that were there before lose the same when another is made.
            let fewer = share.spread(&amounts[..amounts.len() - 1]);
            prop_assert_eq!(&parts[..amounts.len() - 1], &fewer[..]);
            // The more came back, the more is taken, and all when all came back.
            let larger = Share::of(back.saturating_add(more), paid);
            prop_assert!(larger.take(sum) >= share.take(sum));
            prop_assert_eq!(Share::of(paid, paid).spread(&amounts), amounts.clone());
            prop_assert!(Share::NONE.spread(&amounts).iter().all(|part| !part.is_positive()));
        }
    }
}
