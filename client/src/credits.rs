//! Credits and quantities: integers of millionths, read from and written as decimal text, never
//! through a float. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

const MICRO: i64 = 1_000_000;
/// The largest quantity, in units.
const QUANTITY_MAX: i64 = 1_000_000_000_000;

/// A number of credits, exact to the millionth: "12", "0.0075", "-3".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(i64);

impl Credits {
    /// None.
    pub const ZERO: Self = Self(0);

    /// From millionths of a credit.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// In millionths of a credit.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// From whole credits; `None` where they do not fit.
    pub fn from_whole(whole: i64) -> Option<Self> {
        whole.checked_mul(MICRO).map(Self)
    }

    /// The sum; `None` where it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` where it does not fit.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(self.0, f)
    }
}

impl FromStr for Credits {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        read_decimal(text).map(Self)
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

/// How much of a meter, exact to the millionth of its unit: 0 to 10^12 units. Only a capture may
/// say 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From whole units; `None` where they are out of bounds.
    pub fn from_units(units: i64) -> Option<Self> {
        (0..=QUANTITY_MAX).contains(&units).then(|| Self(units * MICRO))
    }

    /// From millionths of a unit; `None` where they are out of bounds.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (0..=QUANTITY_MAX * MICRO).contains(&micros).then_some(Self(micros))
    }

    /// In millionths of a unit.
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl From<u32> for Quantity {
    fn from(units: u32) -> Self {
        Self(i64::from(units) * MICRO)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(self.0, f)
    }
}

impl FromStr for Quantity {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::from_micros(read_decimal(text)?).ok_or(DecimalError::OutOfBounds)
    }
}

/// As a plain decimal string, which the API takes like a number.
impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From the text of a JSON number, or from a decimal string; from JSON only, because other formats
/// have no text to read.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        let text = raw.get();
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.unwrap_or(text).parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is no decimal of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// Not digits with at most one point between them.
    #[error("not a decimal number such as 12 or 0.0075")]
    Malformed,
    /// Finer than a millionth.
    #[error("more than six decimals")]
    TooPrecise,
    /// Larger or smaller than what is counted here.
    #[error("out of bounds")]
    OutOfBounds,
}

fn read_decimal(text: &str) -> Result<i64, DecimalError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Malformed),
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    let digits_only = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits_only {
        return Err(DecimalError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return Err(DecimalError::TooPrecise);
    }
    let size: i128 = format!("{whole}{fraction:0<6}")
        .trim_start_matches('0')
        .parse()
        .or_else(|_| all_zeros(whole, fraction))?;
    let signed = if negative { -size } else { size };
    i64::try_from(signed).map_err(|_| DecimalError::OutOfBounds)
}

/// Digits that are no number once their leading zeros are gone are either nothing or too many.
fn all_zeros(whole: &str, fraction: &str) -> Result<i128, DecimalError> {
    let zeros = fraction.is_empty() && whole.bytes().all(|byte| byte == b'0');
    if zeros { Ok(0) } else { Err(DecimalError::OutOfBounds) }
}

fn write_decimal(micros: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, rest) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    if rest == 0 {
        return f.pad(&format!("{sign}{whole}"));
    }
    f.pad(format!("{sign}{whole}.{rest:06}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_are_exact_both_ways() {
        let cases = [
            ("0", 0),
            ("12", 12_000_000),
            ("0.0075", 7_500),
            ("-3.5", -3_500_000),
            ("0.000001", 1),
            ("9223372036854.775807", i64::MAX),
            ("-9223372036854.775808", i64::MIN),
        ];
        for (text, micros) in cases {
            let read: Credits = text.parse().expect(text);
            assert_eq!((read.micros(), read.to_string().as_str()), (micros, text));
            let json = serde_json::to_string(&read).expect("JSON");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Credits>(&json).expect(text), read);
        }
        assert_eq!("007.50".parse(), Ok(Credits(7_500_000)));
        assert_eq!("000".parse(), Ok(Credits::ZERO));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        use DecimalError::*;
        let cases = [
            ("", Malformed),
            ("-", Malformed),
            (".5", Malformed),
            ("5.", Malformed),
            ("1e3", Malformed),
            ("1.2.3", Malformed),
            (" 1", Malformed),
            ("+1", Malformed),
            ("1,5", Malformed),
            ("NaN", Malformed),
            ("0.0000001", TooPrecise),
            ("9223372036854.775808", OutOfBounds),
            ("100000000000000000000000000000000000000000000000", OutOfBounds),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Credits>(), Err(error), "{text}");
        }
        for text in ["-1", "1000000000000.000001"] {
            assert_eq!(text.parse::<Quantity>(), Err(OutOfBounds), "{text}");
        }
    }

    #[test]
    fn a_quantity_is_read_from_its_text() {
        // Eighteen digits are more than a float keeps.
        for json in ["999999999999.999999", "\"999999999999.999999\""] {
            let read: Quantity = serde_json::from_str(json).expect("a quantity");
            assert_eq!(read.micros(), 999_999_999_999_999_999);
        }
        assert!(serde_json::from_str::<Quantity>("null").is_err());
        assert_eq!(serde_json::to_string(&Quantity::from(3)).expect("JSON"), "\"3\"");
    }
}
