//! From millionths of a minor unit to an amount that Stripe takes. Pure.

use crate::units::minor_units;

/// What an amount of a currency is a multiple of, in minor units, by Stripe's list of special cases
/// (<https://docs.stripe.com/currencies>): of three decimals the last one is 0, and two currencies
/// are written with two decimals that are both 0.
fn step(currency: &str) -> i64 {
    match currency {
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 10,
        "isk" | "ugx" => 100,
        _ => 1,
    }
}

/// What a sum amounts to on an invoice, in minor units: rounded once, half up, to what its currency
/// allows.
pub fn amount(billed: i64, currency: &str) -> i64 {
    let step = step(currency);
    minor_units(billed.div_euclid(step)).saturating_mul(step)
}

/// What the next line of a sum says, in minor units: its lines add up to what it amounts to.
pub fn next(billed: i64, before: i64, currency: &str) -> i64 {
    amount(billed, currency).saturating_sub(before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::MICRO;

    #[test]
    fn a_sum_is_rounded_once_half_up() {
        // E5, E6
        assert_eq!(next(2_500_000, 0, "usd"), 3);
        assert_eq!(next(2_999_999, 3, "usd"), 0, "half a unit more is no unit more");
        assert_eq!(next(3_500_000, 3, "usd"), 1);
        assert_eq!(next(0, 4, "usd"), -4, "all was taken back");
        assert_eq!(next(499_999, 0, "usd"), 0);
    }

    #[test]
    fn an_amount_ends_as_its_currency_allows() {
        for (billed, currency, expected) in [
            (5_124_000_000, "kwd", 5_120),
            (5_125_000_000, "kwd", 5_130),
            (4_999_999, "kwd", 0),
            (5_000_000, "kwd", 10),
            (49_999_999, "isk", 0),
            (50_000_000, "ugx", 100),
            (5_124_000_000, "jpy", 5_124),
        ] {
            assert_eq!(amount(billed, currency), expected, "{billed} {currency}");
        }
    }

    proptest! {
        #[test]
        fn however_late_uses_come_the_lines_add_up_to_the_rounded_sum(
            changes in prop::collection::vec(-300 * MICRO..500 * MICRO, 1..20),
            currency in prop::sample::select(vec!["usd", "jpy", "kwd", "isk"]),
        ) {
            let (mut billed, mut amounts) = (0_i64, 0_i64);
            let step = step(currency);
            for change in changes {
                billed = (billed + change).max(0);
                let line = next(billed, amounts, currency);
                prop_assert_eq!(line % step, 0);
                amounts += line;
                let off = amounts * MICRO - billed;
                prop_assert!(-step * MICRO < 2 * off && 2 * off <= step * MICRO);
            }
        }
    }
}
