//! The fields that the gate's bodies share, each with its bound. Pure.

use serde_json::{Map, Value, json};

use super::body::Wrong;
use crate::clock::{MINUTE, Millis, SECOND, parse_rfc3339};
use crate::gate::{Over, Use};
use crate::rates::{Meter, RateCard};
use crate::units::{Credits, Quantity, decimal, price};

/// The longest name of a meter, model, feature, run or member, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// The caller's notes, written as JSON, in bytes.
const METADATA_BYTES_MAX: usize = 4096;
/// A billion dollars, in micro-dollars: above any provider's price for one call.
const COST_MAX: i64 = 1_000_000_000_000_000;
/// The longest life of a hold, in seconds.
const TTL_MAX: i64 = 86_400;
/// How far a caller's clock may be ahead of ours.
const AHEAD_MAX: Millis = 5 * MINUTE;

/// A use as it was told.
pub struct Told {
    /// What is counted.
    pub meter: String,
    /// How much, read already.
    pub quantity: Quantity,
    /// Which model.
    pub model: Option<String>,
    /// A feature the tier must include.
    pub feature: Option<String>,
    /// The workflow.
    pub run: Option<String>,
    /// Who of the org.
    pub member: Option<String>,
    /// What the provider charged, in micro-dollars.
    pub cost: Option<i64>,
    /// The caller's notes.
    pub metadata: Option<Map<String, Value>>,
}

impl Told {
    /// The use, every field within its bound.
    pub fn check(self, rates: &RateCard) -> Result<Use, Wrong> {
        cost_of(rates, &self.meter, self.model.as_deref(), self.quantity)?;
        name("model", self.model.as_deref())?;
        name("feature", self.feature.as_deref())?;
        name("run", self.run.as_deref())?;
        name("member", self.member.as_deref())?;
        cost(self.cost)?;
        Ok(Use {
            meter: self.meter,
            quantity: self.quantity,
            model: self.model,
            feature: self.feature,
            run: self.run,
            member: self.member,
            cost: self.cost,
            metadata: self.metadata.map(metadata).transpose()?,
        })
    }
}

/// A use for the fingerprint: the same for the same use however it was written.
pub fn normal(used: &Use) -> Value {
    json!([
        used.meter,
        used.quantity.micros(),
        used.model,
        used.feature,
        used.run,
        used.member,
        used.cost,
        used.metadata,
    ])
}

/// A meter of the rate card.
pub fn meter<'a>(rates: &'a RateCard, name: &str) -> Result<&'a Meter, Wrong> {
    rates.meters.get(name).ok_or_else(|| {
        let names: Vec<&str> = rates.meters.keys().map(String::as_str).collect();
        Wrong::new("meter", format!("There is no such meter; known: {}.", names.join(", ")))
    })
}

/// What a use costs today. The rate card must have the meter, and the price must fit the ledger.
/// A model without a price is not a mistake of the form: the gate refuses it.
pub fn cost_of(
    rates: &RateCard,
    name: &str,
    model: Option<&str>,
    quantity: Quantity,
) -> Result<Option<Credits>, Wrong> {
    let Some(rate) = meter(rates, name)?.rate_for(model) else { return Ok(None) };
    match price(rate, quantity) {
        Some(credits) => Ok(Some(credits)),
        None => {
            let bound = decimal(i64::MAX);
            let message = format!("quantity times its rate must be at most {bound} credits.");
            Err(Wrong::new("quantity", message))
        }
    }
}

/// Whether a text is short and on one line.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// A name, where one is given.
pub fn name(param: &str, value: Option<&str>) -> Result<(), Wrong> {
    if value.is_none_or(is_name) {
        return Ok(());
    }
    let message = format!("{param} must have 1 to {NAME_CHARS_MAX} characters on one line.");
    Err(Wrong::new(param, message))
}

/// Why something was done, for people.
pub fn reason(text: &str) -> Result<(), Wrong> {
    let length = text.chars().count();
    let plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if plain && length <= REASON_CHARS_MAX {
        return Ok(());
    }
    let message = format!("reason must have 1 to {REASON_CHARS_MAX} characters on one line.");
    Err(Wrong::new("reason", message))
}

/// What the provider charged.
pub fn cost(micro_dollars: Option<i64>) -> Result<(), Wrong> {
    if micro_dollars.is_none_or(|cost| (0..=COST_MAX).contains(&cost)) {
        return Ok(());
    }
    Err(Wrong::new("cost", format!("cost is in micro-dollars, from 0 to {COST_MAX}.")))
}

/// The caller's notes, sorted, so that the order of their fields does not matter.
fn metadata(notes: Map<String, Value>) -> Result<Value, Wrong> {
    let mut notes = Value::Object(notes);
    notes.sort_all_objects();
    if notes.to_string().len() > METADATA_BYTES_MAX {
        let message = format!("metadata may have at most {METADATA_BYTES_MAX} bytes as JSON.");
        return Err(Wrong::new("metadata", message));
    }
    Ok(notes)
}

/// How long a hold lives, in milliseconds.
pub fn ttl(seconds: i64) -> Result<Millis, Wrong> {
    if (1..=TTL_MAX).contains(&seconds) {
        return Ok(seconds * SECOND);
    }
    let message = format!("ttl_seconds must be a whole number from 1 to {TTL_MAX}.");
    Err(Wrong::new("ttl_seconds", message))
}

/// What happens to use beyond what there is, unless it is told.
pub fn over(word: Option<&str>, unless_told: Over) -> Result<Over, Wrong> {
    let Some(word) = word else { return Ok(unless_told) };
    Over::parse(word).ok_or_else(|| {
        let known = Over::ALL.map(|(known, _)| known).join(", ");
        Wrong::new("over", format!("over must be one of {known}."))
    })
}

/// The word of a policy.
pub fn over_word(over: Over) -> Option<&'static str> {
    Over::ALL.into_iter().find(|(_, policy)| *policy == over).map(|(word, _)| word)
}

/// When something happened by the caller's clock, which may be a little ahead of ours. (D18)
pub fn at(text: Option<&str>, now: Millis) -> Result<Option<Millis>, Wrong> {
    let Some(text) = text else { return Ok(None) };
    let Some(at) = parse_rfc3339(text).filter(|at| *at >= 0) else {
        let message = "at must be a time such as 2026-11-03T00:00:00Z, not before 1970.";
        return Err(Wrong::new("at", message));
    };
    if at - now > AHEAD_MAX {
        let minutes = AHEAD_MAX / MINUTE;
        let message = format!("at must not be more than {minutes} minutes in the future.");
        return Err(Wrong::new("at", message));
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_reasons_have_bounds() {
        let (fits, long) = ("é".repeat(100), "é".repeat(101));
        for good in ["gpt-4o*", fits.as_str(), " "] {
            assert!(name("model", Some(good)).is_ok(), "{good:?}");
        }
        for bad in ["", long.as_str(), "a\nb", "a\u{0}"] {
            assert_eq!(name("model", Some(bad)).expect_err(bad).param, "model");
        }
        let (fits, long) = ("é".repeat(500), "é".repeat(501));
        for good in ["x", fits.as_str()] {
            assert!(reason(good).is_ok(), "{good:?}");
        }
        for bad in ["", "  ", long.as_str(), "a\nb"] {
            assert_eq!(reason(bad).expect_err(bad).param, "reason");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(ttl(1), Ok(1_000));
        assert_eq!(ttl(86_400), Ok(86_400_000));
        for bad in [0, -1, 86_401, i64::MAX, i64::MIN] {
            assert!(ttl(bad).expect_err("out of bounds").message.contains("86400"), "{bad}");
        }
        assert!(cost(None).is_ok() && cost(Some(0)).is_ok() && cost(Some(COST_MAX)).is_ok());
        for bad in [-1, COST_MAX + 1, i64::MAX, i64::MIN] {
            assert_eq!(cost(Some(bad)).expect_err("out of bounds").param, "cost", "{bad}");
        }
    }

    #[test]
    fn over_is_one_of_four_words() {
        assert_eq!(over(None, Over::Debt), Ok(Over::Debt));
        for (word, policy) in Over::ALL {
            assert_eq!(over(Some(word), Over::Deny), Ok(policy));
        }
        for bad in ["", "Deny", "allow", "debt "] {
            assert_eq!(over(Some(bad), Over::Deny).expect_err(bad).param, "over");
        }
    }

    #[test]
    fn times_are_at_most_five_minutes_ahead() {
        // D18
        let now = parse_rfc3339("2026-11-03T12:00:00Z").expect("a time");
        let good = [
            ("2026-11-03T12:05:00Z", now + 5 * MINUTE),
            ("2026-11-03T13:00:00+01:00", now),
            ("1970-01-01T00:00:00Z", 0),
        ];
        for (text, expected) in good {
            assert_eq!(at(Some(text), now), Ok(Some(expected)), "{text}");
        }
        let bad = [
            "2026-11-03T12:05:00.001Z",
            "9999-12-31T23:59:59Z",
            "0000-01-01T00:00:00+23:59",
            "1969-12-31T23:59:59Z",
            "2026-11-03",
            "now",
            "",
        ];
        for text in bad {
            assert_eq!(at(Some(text), now).expect_err(text).param, "at", "{text}");
        }
        assert_eq!(at(None, now), Ok(None));
    }

    #[test]
    fn notes_are_bounded_in_bytes() {
        let notes = |length: usize| {
            let mut notes = Map::new();
            notes.insert("a".to_owned(), Value::String("y".repeat(length)));
            metadata(notes)
        };
        let around = r#"{"a":""}"#.len();
        assert!(notes(METADATA_BYTES_MAX - around).is_ok());
        let wrong = notes(METADATA_BYTES_MAX - around + 1).expect_err("too long");
        assert!(wrong.message.contains("4096"), "{wrong:?}");
    }
}
