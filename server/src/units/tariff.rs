//! Money for use: what a unit, or a credit, costs where use is billed. Pure, in integers.

use super::MICRO;

/// The most that one use can be billed, in millionths of a minor unit: a billion minor units.
pub const BILL_MAX: i64 = 1_000_000_000 * MICRO;

/// What use is billed by: for whom, in what, and how much.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tariff {
    /// What it is billed to: `sub_…` or `contract_…`.
    pub subject: String,
    /// Three lowercase letters.
    pub currency: String,
    /// Millionths of a minor unit for one unit of a meter, or for one credit of overage.
    pub price: i64,
}

impl Tariff {
    /// What so many millionths of a unit, or of a credit, are billed: millionths of a minor unit,
    /// rounded half up. `None` above [`BILL_MAX`].
    pub fn bill(&self, micros: i64) -> Option<i64> {
        let product = i128::from(self.price) * i128::from(micros);
        let billed = half_up(product, i128::from(MICRO));
        i64::try_from(billed).ok().filter(|billed| *billed <= BILL_MAX)
    }
}

/// Millionths of a minor unit as whole minor units, rounded half up.
pub fn minor_units(micros: i64) -> i64 {
    // A quotient of an i64 fits an i64.
    i64::try_from(half_up(i128::from(micros), i128::from(MICRO))).unwrap_or(micros / MICRO)
}

fn half_up(numerator: i128, denominator: i128) -> i128 {
    (2 * numerator + denominator).div_euclid(2 * denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(price: i64) -> Tariff {
        Tariff { subject: "sub_1".to_owned(), currency: "usd".to_owned(), price }
    }

    #[test]
    fn use_is_billed_to_the_millionth_of_a_minor_unit() {
        assert_eq!(at(1_500_000).bill(3_000_000), Some(4_500_000));
        assert_eq!(at(1).bill(499_999), Some(0));
        assert_eq!(at(1).bill(500_000), Some(1));
        assert_eq!(at(99_000_000).bill(0), Some(0));
        assert_eq!(at(MICRO).bill(BILL_MAX), Some(BILL_MAX));
        assert_eq!(at(MICRO).bill(BILL_MAX + 1), None);
        assert_eq!(at(i64::MAX).bill(i64::MAX), None);
    }

    #[test]
    fn minor_units_are_rounded_half_up() {
        for (micros, units) in [
            (0, 0),
            (499_999, 0),
            (500_000, 1),
            (1_499_999, 1),
            (1_500_000, 2),
            (-500_000, 0),
            (-500_001, -1),
            (i64::MAX, i64::MAX / MICRO + 1),
        ] {
            assert_eq!(minor_units(micros), units, "{micros}");
        }
    }
}
