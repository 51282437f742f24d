//! Amounts as people type them. A comma or a blank stands between thousands only, so that `12,50`
//! is never taken for a hundred times as much. Pure.

use server::units::parse_decimal;
use server::units::{Credits, DecimalError, MICRO, currency_exponent, group_thousands};

/// The most that can be typed, in whole credits.
const CREDITS_MAX: i64 = 1_000_000_000;

/// Credits, negative ones too: `500`, `12,500`, `0.5`. The error says of `what` (“A cap”) why it
/// cannot be one.
pub fn credits(what: &str, typed: &str) -> Result<Credits, String> {
    if typed.trim().is_empty() {
        return Err("Enter how many credits, such as 500.".to_owned());
    }
    let most = group_thousands(CREDITS_MAX.unsigned_abs());
    let too_many = || format!("{what} is at most {most} credits.");
    let plain = plain(typed).map_err(|fault| format!("{what} {fault}."))?;
    match parse_decimal(&plain) {
        Ok(micros) if micros > CREDITS_MAX * MICRO => Err(too_many()),
        Ok(micros) => Ok(Credits::from_micros(micros)),
        Err(DecimalError::TooLarge) => Err(too_many()),
        Err(error) => Err(format!("{what} {error}.")),
    }
}

/// Money in minor units, none of it negative: `100`, `$1,250.50`.
pub fn money(typed: &str, currency: &str) -> Result<i64, String> {
    let example = || "Enter an amount such as 100 or 1,250.50.".to_owned();
    let sum = typed.trim().trim_start_matches(['$', '€', '£', '¥']);
    let plain = plain(sum).map_err(|_| example())?;
    let micros = parse_decimal(&plain).map_err(|_| example())?;
    let scale = i128::from(10_i64.pow(currency_exponent(currency)));
    let minor = i128::from(micros) * scale;
    if minor < 0 || minor % i128::from(MICRO) != 0 {
        return Err(example());
    }
    i64::try_from(minor / i128::from(MICRO)).map_err(|_| "This is too much.".to_owned())
}

const MALFORMED: &str = "must be a decimal number such as 12,500 or 0.5";
const GROUPED: &str = "may have a comma between groups of three digits only, as in 12,500; \
     decimals follow a point, as in 12.5";

fn is_separator(sign: char) -> bool {
    matches!(sign, ',' | ' ' | '\u{a0}' | '\u{202f}')
}

/// The same without what stands between thousands, or what is wrong with it.
fn plain(typed: &str) -> Result<String, &'static str> {
    let typed = typed.trim();
    let (sign, size) = match typed.strip_prefix(['-', '−']) {
        Some(size) => ("-", size),
        None => ("", typed),
    };
    if !size.contains(|sign: char| sign.is_ascii_digit())
        || !size.chars().all(|sign| sign.is_ascii_digit() || sign == '.' || is_separator(sign))
    {
        return Err(MALFORMED);
    }
    let (whole, fraction) = size.split_once('.').unwrap_or((size, "0"));
    if !is_grouped(whole) || fraction.contains(is_separator) {
        return Err(GROUPED);
    }
    let digits: String = whole.chars().filter(|sign| !is_separator(*sign)).collect();
    match digits.is_empty() || fraction.is_empty() || fraction.contains('.') {
        true => Err(MALFORMED),
        false => Ok(format!("{sign}{digits}.{fraction}")),
    }
}

/// Whether digits stand in groups of three, if in groups at all, with one sign between them.
fn is_grouped(whole: &str) -> bool {
    let mut separators = whole.chars().filter(|sign| is_separator(*sign));
    let Some(first) = separators.next() else { return true };
    let alike = separators.all(|sign| sign == first);
    let mut groups = whole.split(first);
    let head = groups.next().unwrap_or_default();
    let begins = (1..=3).contains(&head.len()) && !head.starts_with('0');
    alike && begins && groups.all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_are_read_as_people_type_them_and_never_a_hundredfold() {
        let cases = [
            ("500", Some(500_000_000)),
            (" 12000 ", Some(12_000_000_000)),
            ("12,500", Some(12_500_000_000)),
            ("12 500", Some(12_500_000_000)),
            ("12\u{a0}500", Some(12_500_000_000)),
            ("1,234,567.25", Some(1_234_567_250_000)),
            ("1,000,000,000", Some(1_000_000_000_000_000)),
            ("0.5", Some(500_000)),
            ("0.000001", Some(1)),
            ("-5", Some(-5_000_000)),
            ("−1,000", Some(-1_000_000_000)),
            ("12,50", None),
            ("1,00", None),
            ("0,500", None),
            ("1234,567", None),
            ("12,,500", None),
            (",500", None),
            ("12,500,", None),
            ("1,234 567", None),
            ("1.234,5", None),
            ("12 50", None),
            ("1.5.0", None),
            ("5.", None),
            (".5", None),
            ("1e5", None),
            ("--1", None),
            ("+5", None),
            ("1.0000001", None),
            ("1,000,000,000.5", None),
            ("100000000000000000000", None),
            ("", None),
            ("  ", None),
            ("few", None),
            ("٥", None),
        ];
        for (typed, expected) in cases {
            let read = credits("A grant", typed);
            assert_eq!(read.clone().ok().map(Credits::micros), expected, "{typed}: {read:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        let cases = [
            ("", "Enter how many credits"),
            ("12,50", "A grant may have a comma between groups of three digits only"),
            ("12.500,5", "A grant may have a comma"),
            ("few", "A grant must be a decimal number"),
            ("1e5", "A grant must be a decimal number"),
            ("0.0000001", "A grant has more than six decimals."),
            ("9,000,000,000,000", "A grant is at most 1,000,000,000 credits."),
            ("100000000000000000000", "A grant is at most 1,000,000,000 credits."),
        ];
        for (typed, expected) in cases {
            let error = credits("A grant", typed).expect_err(typed);
            assert!(error.starts_with(expected), "{typed}: {error}");
        }
    }

    #[test]
    fn money_is_read_as_people_type_it_and_never_a_hundredfold() {
        let cases = [
            ("100", "usd", Some(10_000)),
            ("$1,250.50", "usd", Some(125_050)),
            ("$ 20", "usd", Some(2_000)),
            (" 0.5 ", "usd", Some(50)),
            ("500", "jpy", Some(500)),
            ("1.234", "kwd", Some(1_234)),
            ("12,50", "usd", None),
            ("1234,567", "usd", None),
            ("1.005", "usd", None),
            ("1.5", "jpy", None),
            ("-5", "usd", None),
            ("", "usd", None),
            ("much", "usd", None),
            ("1e3", "usd", None),
            ("99999999999999999999", "usd", None),
        ];
        for (typed, currency, expected) in cases {
            assert_eq!(money(typed, currency).ok(), expected, "{typed} {currency}");
        }
    }
}
