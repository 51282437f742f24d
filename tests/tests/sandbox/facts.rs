//! What a life has come to, in words that are comparable between two places: ids lose what was
//! drawn by lot, times are counted from the life's beginning, and credits and money may differ by
//! what one second of a month is worth.

use std::fmt;

/// What a second of the largest allowance is worth, ten thousand credits in a February, in
/// millionths of a credit, rounded up. Test clocks stand still, so that even this is more than
/// should be seen; in money it is less than one minor unit a line, and a proration has two lines.
const SECOND: i128 = 4_134;
/// How far apart times may be, in seconds: the product's own clock goes on while Stripe is waited
/// for. Times that Stripe gives are the same.
const APART: i128 = 3_600;
/// A credit, in millionths. Numbers below it are limits, quantities or nothing.
const CREDIT: i128 = 1_000_000;
/// Invoices differ by this many minor units at most.
const ROUNDING: i128 = 2;

/// A word of a fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Text(String),
    /// Seconds since the life began; `None` is never.
    Time(Option<i128>),
    Number(i128),
    /// Of an invoice, in minor units.
    Money(i128),
}

/// Facts, in an order that does not depend on ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts(Vec<Vec<Word>>);

impl Facts {
    /// Reads them, for a life that began at this second.
    pub fn read(lines: &[String], begins: i64) -> Self {
        let mut facts: Vec<Vec<Word>> = lines.iter().map(|line| words(line, begins)).collect();
        facts.sort();
        Self(facts)
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fact in &self.0 {
            write!(f, "   ")?;
            for word in fact {
                match word {
                    Word::Text(text) => write!(f, " {text}")?,
                    Word::Time(None) => write!(f, " never")?,
                    Word::Time(Some(seconds)) => write!(f, " @{seconds}")?,
                    Word::Number(number) | Word::Money(number) => write!(f, " {number}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The first thing that differs by more than it may.
pub fn difference(one: &Facts, other: &Facts) -> Option<String> {
    if one.0.len() != other.0.len() {
        return Some(format!("{} facts and {}", one.0.len(), other.0.len()));
    }
    let mut pairs = one.0.iter().zip(&other.0);
    let (one, other) = pairs.find(|(one, other)| !same(one, other))?;
    Some(format!("{one:?} and {other:?}"))
}

fn same(one: &[Word], other: &[Word]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Word::Time(Some(one)), Word::Time(Some(other))) => (one - other).abs() <= APART,
            (Word::Number(one), Word::Number(other)) => {
                one == other || (*one.min(other) >= CREDIT && (one - other).abs() <= SECOND)
            }
            (Word::Money(one), Word::Money(other)) => (one - other).abs() <= ROUNDING,
            (one, other) => one == other,
        })
}

fn words(line: &str, begins: i64) -> Vec<Word> {
    let separate = |c: char| c.is_whitespace() || c == ',' || c == ':';
    line.split(separate).filter(|word| !word.is_empty()).map(|text| word(text, begins)).collect()
}

fn word(text: &str, begins: i64) -> Word {
    let number = |text: &str| text.parse::<i128>().ok();
    if let Some(millis) = text.strip_prefix('@').and_then(number) {
        let since = millis / 1_000 - i128::from(begins);
        return Word::Time((millis != 0).then_some(since));
    }
    if let Some(amount) = text.strip_prefix('$').and_then(number) {
        return Word::Money(amount);
    }
    match number(text) {
        Some(amount) => Word::Number(amount),
        None => Word::Text(without_lot(text)),
    }
}

/// `in_1QabcDEF…` becomes `in_…`; `limit_of_something` stays.
fn without_lot(text: &str) -> String {
    match text.rsplit_once('_') {
        Some((kind, lot)) if lot.len() >= 14 && lot.chars().all(char::is_alphanumeric) => {
            format!("{kind}_…")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(lines: &[&str], begins: i64) -> Facts {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        Facts::read(&lines, begins)
    }

    #[test]
    fn ids_and_beginnings_make_no_difference_and_everything_else_does() {
        let one = facts(&["granted: plan in_1QabcDEFghiJKL @1000000 5000000, void", "b"], 900);
        let alike = ["b", "granted: plan in_9zZyYxXwWvVuUt @2000000 5004000, void"];
        assert_eq!(difference(&one, &facts(&alike, 1_900)), None);
        let others = [
            ["b", "granted: plan in_9zZyYxXwWvVuUt @2000000 5005000, void"],
            ["b", "granted: plan in_9zZyYxXwWvVuUt @9000000 5000000, void"],
            ["b", "granted: plan in_9zZyYxXwWvVuUt @0 5000000, void"],
            ["b", "granted: plan pi_9zZyYxXwWvVuUt @2000000 5000000, void"],
            ["b", "granted: plan in_9zZyYxXwWvVuUt @2000000 5000000"],
            ["c", "granted: plan in_9zZyYxXwWvVuUt @2000000 5000000, void"],
        ];
        for other in others {
            assert!(difference(&one, &facts(&other, 1_900)).is_some(), "{other:?}");
        }
        assert!(difference(&one, &facts(&alike[..1], 1_900)).is_some(), "one is missing");
        let limit = facts(&["may use: limit keys 10"], 0);
        assert!(difference(&limit, &facts(&["may use: limit keys 50"], 0)).is_some());
        let paid = facts(&["invoice: paid $2900 usd"], 0);
        assert_eq!(difference(&paid, &facts(&["invoice: paid $2902 usd"], 0)), None);
        assert!(difference(&paid, &facts(&["invoice: paid $2903 usd"], 0)).is_some());
    }
}
