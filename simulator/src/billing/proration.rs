//! Proration: the part of an amount that belongs to what is left of a period, to the second.

use serde_json::Value;

use crate::errors::{Answer, ApiError};
use crate::json::Json;

/// `amount` × `part` ÷ `whole`, half rounded away from zero.
pub fn share(amount: i64, part: i64, whole: i64) -> Answer<i64> {
    if whole <= 0 || part <= 0 {
        return Ok(0);
    }
    let product = i128::from(amount) * i128::from(part.min(whole));
    let whole = i128::from(whole);
    let half = if product < 0 { -whole / 2 } else { whole / 2 };
    i64::try_from((product + half) / whole).map_err(|_| too_large())
}

/// What a quantity of a price costs.
pub fn price_amount(price: &Value, quantity: i64) -> Answer<i64> {
    let unit = match price.opt_int("unit_amount") {
        Some(unit) => return unit.checked_mul(quantity).ok_or_else(too_large),
        None => price.text("unit_amount_decimal"),
    };
    if unit.is_empty() {
        return Ok(0);
    }
    decimal_amount(unit, quantity).ok_or_else(too_large)
}

/// A decimal unit amount times a quantity, rounded once, half up.
fn decimal_amount(unit: &str, quantity: i64) -> Option<i64> {
    let (whole, fraction) = unit.split_once('.').unwrap_or((unit, ""));
    if fraction.len() > 12 {
        return None;
    }
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let product = digits.checked_mul(i128::from(quantity))?;
    let half = if product < 0 { -scale / 2 } else { scale / 2 };
    i64::try_from((product + half) / scale).ok()
}

fn too_large() -> ApiError {
    ApiError::invalid("The amount is too large.").with("code", "amount_too_large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shares_are_exact_to_the_second() {
        let table = [
            (2000, 15 * 86_400, 30 * 86_400, 1000),
            (2000, 1, 2_592_000, 0),
            (2000, 1296, 2_592_000, 1),
            (-2000, 1296, 2_592_000, -1),
            (999, 1, 2, 500),
            (-999, 1, 2, -500),
            (2000, 40, 30, 2000),
            (2000, 0, 30, 0),
        ];
        for (amount, part, whole, expected) in table {
            assert_eq!(share(amount, part, whole).expect("fits"), expected, "{amount} {part}");
        }
    }

    #[test]
    fn decimal_prices_round_once() {
        let price = json!({"unit_amount": null, "unit_amount_decimal": "0.125"});
        assert_eq!(price_amount(&price, 4).expect("fits"), 1);
        assert_eq!(price_amount(&price, 1000).expect("fits"), 125);
        let price = json!({"unit_amount": 500});
        assert_eq!(price_amount(&price, 3).expect("fits"), 1500);
        assert!(price_amount(&price, i64::MAX).is_err());
    }
}
