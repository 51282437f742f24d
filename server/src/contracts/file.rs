//! A contract as an operator writes it down: a small file, read with every mistake named. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::clock::{Millis, parse_rfc3339};
use crate::entitlements::ContractTerms;
use crate::error::{Error, Result};
use crate::units::{Credits, MICRO, is_currency, parse_decimal};

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The most names in one list.
const NAMES_MAX: usize = 200;
/// The most credits a month.
const CREDITS_MAX: i64 = 1_000_000_000;
/// The highest price, in minor units.
const PRICE_MAX: i64 = 1_000_000_000;
/// The longest time to pay, in days.
const DAYS_MAX: u32 = 365;

/// What was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// What people call it.
    pub name: String,
    /// Three lowercase letters.
    pub currency: String,
    /// Whether it stands instead of what the tier allows, or beside it.
    pub replaces: bool,
    /// From when on; `None` is from when it is made.
    pub starts_at: Option<Millis>,
    /// Until when; `None` is open-ended.
    pub ends_at: Option<Millis>,
    /// The rest.
    pub terms: ContractTerms,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    currency: String,
    #[serde(default)]
    replaces: bool,
    starts: Option<String>,
    ends: Option<String>,
    included_credits: Option<Number>,
    #[serde(default)]
    features: BTreeSet<String>,
    #[serde(default)]
    models: BTreeSet<String>,
    overage_price: Option<Number>,
    days_until_due: Option<u32>,
    #[serde(default)]
    limits: BTreeMap<String, i64>,
    #[serde(default)]
    meters: BTreeMap<String, Number>,
}

/// A whole number, or a decimal one as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Text(String),
}

/// Reads a contract's text: TOML with
///
/// - `name`, `currency` (three letters);
/// - `replaces = true` where it stands instead of what the tier allows;
/// - `starts`, `ends`: RFC 3339; from now on and without an end unless said;
/// - `included_credits` each month, `features`, `models`, `[limits]`;
/// - `overage_price`: minor units for a credit past all that are there;
/// - `[meters]`: minor units for one unit of a meter, billed in money instead of credits;
/// - `days_until_due`: invoices of its own are sent instead of charged.
pub fn parse(text: &str) -> Result<Agreed> {
    let file: File = toml::from_str(text).map_err(|error| wrong("", &told(text, &error)))?;
    let name = file.name.trim().to_owned();
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Err(wrong("name", "must be 1 to 100 characters"));
    }
    let currency = file.currency.to_lowercase();
    if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_lowercase()) {
        return Err(wrong("currency", "must be three letters such as usd"));
    }
    if !is_currency(&currency) {
        return Err(wrong("currency", &format!("“{currency}” is none that Stripe bills in")));
    }
    names("features", &file.features)?;
    names("models", &file.models)?;
    if file.days_until_due.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(wrong("days_until_due", "must be 1 to 365"));
    }
    for (name, limit) in &file.limits {
        check_name("limits", name)?;
        if *limit < 0 {
            return Err(wrong(&format!("limits.{name}"), "must not be negative"));
        }
    }
    let mut meters = BTreeMap::new();
    for (name, price) in &file.meters {
        check_name("meters", name)?;
        meters.insert(name.clone(), price_of(&format!("meters.{name}"), price)?);
    }
    let included = match &file.included_credits {
        None => 0,
        Some(number) => micros("included_credits", number, CREDITS_MAX)?,
    };
    let overage = file.overage_price.as_ref();
    let terms = ContractTerms {
        included: Credits::from_micros(included),
        features: file.features,
        models: file.models,
        limits: file.limits,
        overage_price: overage.map(|price| price_of("overage_price", price)).transpose()?,
        meters,
        days_until_due: file.days_until_due,
    };
    let starts_at = time("starts", file.starts.as_deref())?;
    let ends_at = time("ends", file.ends.as_deref())?;
    if !file.replaces && is_empty(&terms) {
        return Err(wrong("", "it agrees on nothing"));
    }
    Ok(Agreed { name, currency, replaces: file.replaces, starts_at, ends_at, terms })
}

/// What is wrong with the text, and on which line where it is on one.
fn told(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        // What is missing from the whole text is said to be where it begins.
        Some(before) if !error.message().starts_with("missing field") => {
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        }
        _ => error.message().to_owned(),
    }
}

fn is_empty(terms: &ContractTerms) -> bool {
    let agreed = ContractTerms { days_until_due: None, ..terms.clone() };
    agreed == ContractTerms::default()
}

fn names(field: &str, names: &BTreeSet<String>) -> Result<()> {
    if names.len() > NAMES_MAX {
        return Err(wrong(field, "has more than 200 names"));
    }
    names.iter().try_for_each(|name| check_name(field, name))
}

fn check_name(field: &str, name: &str) -> Result<()> {
    let good = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX;
    match good && name.chars().all(|c| !c.is_control() && !c.is_whitespace()) {
        true => Ok(()),
        false => Err(wrong(field, &format!("“{name}” must be 1 to 100 characters, none blank"))),
    }
}

/// A price in millionths of a minor unit: more than nothing.
fn price_of(field: &str, number: &Number) -> Result<i64> {
    match micros(field, number, PRICE_MAX)? {
        0 => Err(wrong(field, "must be more than 0, in minor units")),
        price => Ok(price),
    }
}

fn micros(field: &str, number: &Number, most: i64) -> Result<i64> {
    let text = match number {
        Number::Whole(whole) => whole.to_string(),
        Number::Text(text) => text.clone(),
    };
    let micros =
        parse_decimal(&text).map_err(|error| wrong(field, &format!("“{text}” {error}")))?;
    if !(0..=most * MICRO).contains(&micros) {
        return Err(wrong(field, "must be from 0 to 1,000,000,000"));
    }
    Ok(micros)
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Millis>> {
    let Some(text) = text else { return Ok(None) };
    let at = parse_rfc3339(text);
    let message = "must be a time such as 2027-01-01T00:00:00Z";
    at.map(Some).ok_or_else(|| wrong(field, message))
}

fn wrong(field: &str, message: &str) -> Error {
    match field {
        "" => Error::invalid("file", message),
        field => Error::invalid("file", format!("{field} {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_read_whole() {
        let agreed = parse(
            "name = \" Acme 2027 \"\ncurrency = \"USD\"\nreplaces = true\n\
             starts = \"2027-01-01T00:00:00Z\"\nincluded_credits = \"50000.5\"\n\
             features = [\"video\"]\nmodels = [\"*\"]\noverage_price = \"0.8\"\n\
             days_until_due = 30\n[limits]\nseats = 100\n[meters]\nsolved = 99\nbooked = \"1.5\"",
        )
        .expect("a contract");
        assert_eq!((agreed.name.as_str(), agreed.currency.as_str()), ("Acme 2027", "usd"));
        assert_eq!(agreed.starts_at, parse_rfc3339("2027-01-01T00:00:00Z"));
        assert_eq!((agreed.ends_at, agreed.replaces), (None, true));
        assert_eq!(agreed.terms.included.to_string(), "50000.5");
        assert_eq!(agreed.terms.overage_price, Some(800_000));
        assert_eq!(agreed.terms.meters["solved"], 99_000_000);
        assert_eq!(agreed.terms.meters["booked"], 1_500_000);
        let stored = serde_json::to_string(&agreed.terms).expect("JSON");
        let read: ContractTerms = serde_json::from_str(&stored).expect("terms");
        assert_eq!(read, agreed.terms);
    }

    #[test]
    fn mistakes_name_the_field() {
        let cases = [
            ("features = [\"a\"]", "name"),
            ("name = \"\"\ncurrency = \"usd\"", "name"),
            ("name = \"A\"\ncurrency = \"dollars\"", "currency"),
            ("name = \"A\"\ncurrency = \"zzz\"", "“zzz” is none that Stripe bills in"),
            ("name = \"A\"\ncurrency =\nfeatures = []", "line 2"),
            ("name = \"A\"\n\nusd", "line 3"),
            ("name = \"A\"\ncurrency = \"usd\"", "nothing"),
            ("name = \"A\"\ncurrency = \"usd\"\ncolour = 1", "line 3: unknown field `colour`"),
            ("name = \"A\"\ncurrency = \"usd\"\nincluded_credits = -1", "included_credits"),
            ("name = \"A\"\ncurrency = \"usd\"\nincluded_credits = \"1e18\"", "included_credits"),
            ("name = \"A\"\ncurrency = \"usd\"\noverage_price = 0", "overage_price"),
            ("name = \"A\"\ncurrency = \"usd\"\nends = \"tomorrow\"", "ends"),
            ("name = \"A\"\ncurrency = \"usd\"\nfeatures = [\"a b\"]", "features"),
            ("name = \"A\"\ncurrency = \"usd\"\n[meters]\nx = \"1.0000001\"", "meters.x"),
            ("name = \"A\"\ncurrency = \"usd\"\n[limits]\nseats = -1", "limits.seats"),
            ("name = \"A\"\ncurrency = \"usd\"\ndays_until_due = 0", "days_until_due"),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(text);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
