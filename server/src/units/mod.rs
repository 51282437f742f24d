//! Credits, quantities and money: integers, checked, never floats. Pure.

mod tariff;

pub use tariff::{BILL_MAX, Tariff, minor_units};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Millionths in one.
pub const MICRO: i64 = 1_000_000;

/// A number of credits, kept in millionths of a credit. Written as a decimal string: "0.0075".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct Credits(i64);

impl Credits {
    /// None.
    pub const ZERO: Self = Self(0);

    /// From millionths of a credit.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole credits; `None` when they do not fit.
    pub fn from_whole(whole: i64) -> Option<Self> {
        whole.checked_mul(MICRO).map(Self)
    }

    /// In millionths of a credit.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The sum, or `None` when it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` when it does not fit.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// What is left after taking `other` away; nothing where that is more.
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// Whether there is more than nothing.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }
}

/// For showing: a sum that does not fit is shown as the most there can be. Balances are never made
/// so; the ledger refuses what does not fit.
impl std::iter::Sum for Credits {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        Self(all.fold(0, |sum, one| sum.saturating_add(one.0)))
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.0))
    }
}

impl FromStr for Credits {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_decimal(text).map(Self)
    }
}

impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Credits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How much of a meter was used, in millionths of its unit; at most 10^12 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i64);

/// The largest quantity, in units.
pub const QUANTITY_MAX: i64 = 1_000_000_000_000;

impl Quantity {
    /// Whole units; `None` above [`QUANTITY_MAX`] or below zero.
    pub fn from_units(units: i64) -> Option<Self> {
        (0..=QUANTITY_MAX).contains(&units).then(|| Self(units * MICRO))
    }

    /// Millionths of a unit, as stored.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In millionths of a unit.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads the text of a JSON number (exponents allowed) or of a plain decimal string, never
    /// through a float. Refuses more than six decimals, less than zero and more than
    /// [`QUANTITY_MAX`].
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let micros = parse_decimal(text)?;
        match micros {
            micros if micros < 0 => Err(DecimalError::Negative),
            micros if micros > QUANTITY_MAX * MICRO => Err(DecimalError::TooLarge),
            micros => Ok(Self(micros)),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.0))
    }
}

/// Credits per unit of a meter times the quantity, rounded up to the millionth of a credit.
/// `None` when the product does not fit the ledger.
pub fn price(rate: Credits, quantity: Quantity) -> Option<Credits> {
    let product = i128::from(rate.0) * i128::from(quantity.0);
    let micros = product.div_euclid(i128::from(MICRO))
        + i128::from(product.rem_euclid(i128::from(MICRO)) != 0);
    i64::try_from(micros).ok().map(Credits)
}

/// Why a decimal text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with at most one point.
    #[error("must be a decimal number such as 12 or 0.0075")]
    Malformed,
    /// More precise than a millionth.
    #[error("has more than six decimals")]
    TooPrecise,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// More than the ledger can hold.
    #[error("must be at most 1000000000000")]
    TooLarge,
}

/// Reads a decimal text into millionths, exactly. An exponent is understood as JSON writes it.
pub fn parse_decimal(text: &str) -> Result<i64, DecimalError> {
    if text.is_empty() || text.len() > 64 {
        return Err(DecimalError::Malformed);
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = split_exponent(unsigned)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point_without_digits = mantissa.contains('.') && fraction.is_empty();
    let digits_only = whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit());
    if whole.is_empty() || point_without_digits || !digits_only {
        return Err(DecimalError::Malformed);
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let fraction_length = i64::try_from(fraction.len()).map_err(|_| DecimalError::Malformed)?;
    let micros = shift(digits, exponent - fraction_length + 6)?;
    Ok(if negative { -micros } else { micros })
}

fn split_exponent(text: &str) -> Result<(&str, i64), DecimalError> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Ok((text, 0));
    };
    let sign_free = exponent.trim_start_matches(['+', '-']);
    let well_formed = !sign_free.is_empty()
        && exponent.len() - sign_free.len() <= 1
        && sign_free.chars().all(|c| c.is_ascii_digit());
    if !well_formed {
        return Err(DecimalError::Malformed);
    }
    let size: i64 = sign_free.parse().unwrap_or(10_000).min(10_000);
    Ok((mantissa, if exponent.starts_with('-') { -size } else { size }))
}

/// The digits times ten to the `places`, which must be whole.
fn shift(digits: &str, places: i64) -> Result<i64, DecimalError> {
    if digits.is_empty() {
        return Ok(0);
    }
    if places >= 0 {
        let zeros = usize::try_from(places).map_err(|_| DecimalError::TooLarge)?;
        if digits.len() + zeros > 19 {
            return Err(DecimalError::TooLarge);
        }
        return format!("{digits}{}", "0".repeat(zeros))
            .parse()
            .map_err(|_| DecimalError::TooLarge);
    }
    let cut = usize::try_from(-places).map_err(|_| DecimalError::TooPrecise)?;
    let keep = digits.len().saturating_sub(cut);
    let (kept, dropped) = digits.split_at(keep);
    if dropped.chars().any(|c| c != '0') {
        return Err(DecimalError::TooPrecise);
    }
    if kept.is_empty() { Ok(0) } else { kept.parse().map_err(|_| DecimalError::TooLarge) }
}

/// Writes millionths as a decimal without trailing zeros.
pub fn decimal(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let size = micros.unsigned_abs();
    let (whole, fraction) = (size / 1_000_000, size % 1_000_000);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{}", format!("{fraction:06}").trim_end_matches('0'))
}

/// The currencies whose minor units are known: those that Stripe charges. (C7)
const CURRENCIES: &str = "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd \
    bnd bob brl bsd bwp byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb \
    eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes \
    kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk \
    mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf \
    sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd \
    uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw";

/// Whether Stripe charges this currency, in three lowercase letters. (C7)
pub fn is_currency(code: &str) -> bool {
    CURRENCIES.split_whitespace().any(|known| known == code)
}

/// How many decimals a currency's minor unit has, by Stripe's list of zero- and three-decimal
/// currencies (<https://docs.stripe.com/currencies>).
pub fn currency_exponent(currency: &str) -> u32 {
    match currency.to_ascii_lowercase().as_str() {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd"
        | "vuv" | "xaf" | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    }
}

/// Writes an amount of minor units for people: `$79.00`, `¥500`, `12.50 CHF`.
pub fn money(amount: i64, currency: &str) -> String {
    let exponent = currency_exponent(currency);
    let scale = 10_u64.pow(exponent);
    let sign = if amount < 0 { "−" } else { "" };
    let size = amount.unsigned_abs();
    let whole = group_thousands(size / scale);
    let number = match exponent {
        0 => whole,
        _ => format!("{whole}.{:0width$}", size % scale, width = exponent as usize),
    };
    match currency.to_ascii_lowercase().as_str() {
        "usd" => format!("{sign}${number}"),
        "eur" => format!("{sign}€{number}"),
        "gbp" => format!("{sign}£{number}"),
        "jpy" => format!("{sign}¥{number}"),
        other => format!("{sign}{number} {}", other.to_ascii_uppercase()),
    }
}

/// Credits for people: `7,612`, `0.25`
pub fn spoken(credits: Credits) -> String {
    let text = credits.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let point = if fraction.is_empty() { "" } else { "." };
    match whole.parse() {
        Ok(whole) => format!("{}{point}{fraction}", group_thousands(whole)),
        Err(_) => text,
    }
}

/// `1 credit`, `7,612 credits`, `0.25 credits`
pub fn counted(credits: Credits) -> String {
    let unit = if credits.micros() == MICRO { "credit" } else { "credits" };
    format!("{} {unit}", spoken(credits))
}

/// `7612` → `7,612`
pub fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_from_their_text() {
        // D19
        let good = [
            ("1", 1_000_000),
            ("0.000001", 1),
            ("12.50", 12_500_000),
            ("1e3", 1_000_000_000),
            ("1.5E-3", 1_500),
            ("1000000000000", QUANTITY_MAX * MICRO),
            ("0", 0),
            ("0e99", 0),
            ("1.10000000", 1_100_000),
        ];
        for (text, micros) in good {
            assert_eq!(Quantity::parse(text).map(Quantity::micros), Ok(micros), "{text}");
        }
        use DecimalError::*;
        let bad = [
            ("0.0000001", TooPrecise),
            ("1e-7", TooPrecise),
            ("-1", Negative),
            ("1e30", TooLarge),
            ("1000000000000.000001", TooLarge),
            ("9e999999999", TooLarge),
            ("NaN", Malformed),
            ("", Malformed),
            ("1.", Malformed),
            (".5", Malformed),
            ("1e", Malformed),
            ("1e+-3", Malformed),
            ("0x10", Malformed),
            ("1,5", Malformed),
            (" 1", Malformed),
        ];
        for (text, error) in bad {
            assert_eq!(Quantity::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn prices_round_up_to_the_millionth() {
        let rate = Credits::from_micros(7_500);
        let quantity = |text| Quantity::parse(text).expect("a quantity");
        assert_eq!(price(rate, quantity("1")), Some(Credits(7_500)));
        assert_eq!(price(rate, quantity("0.000001")), Some(Credits(1)));
        assert_eq!(price(Credits::ZERO, quantity("5")), Some(Credits(0)));
        let much = Credits::from_whole(1_000_000).expect("fits");
        assert_eq!(price(much, quantity("1e12")), None);
    }

    #[test]
    fn decimals_are_written_without_trailing_zeros() {
        for (micros, text) in [(12_000_000, "12"), (7_500, "0.0075"), (-1, "-0.000001"), (0, "0")] {
            assert_eq!(decimal(micros), text);
        }
    }

    #[test]
    fn money_is_written_with_its_currencys_decimals() {
        assert_eq!(money(7_900, "usd"), "$79.00");
        assert_eq!(money(-123_456, "eur"), "−€1,234.56");
        assert_eq!(money(500, "jpy"), "¥500");
        assert_eq!(money(1_250, "chf"), "12.50 CHF");
    }

    #[test]
    fn credits_are_counted_with_their_thousands_and_their_unit() {
        let cases = [
            (0, "0 credits"),
            (MICRO / 4, "0.25 credits"),
            (MICRO, "1 credit"),
            (1_234_567 * MICRO + 500_000, "1,234,567.5 credits"),
        ];
        for (micros, expected) in cases {
            assert_eq!(counted(Credits::from_micros(micros)), expected);
        }
    }
}
