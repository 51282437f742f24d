//! The card fields: shown by Checkout and the portal, read with a mistake per field.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::html::esc;
use crate::cards::{self, TestCard};
use crate::world::World;

/// What is wrong with a form, by field; `form` is about the payment as a whole.
#[derive(Default)]
pub struct Mistakes {
    fields: HashMap<&'static str, String>,
}

impl Mistakes {
    /// The card was refused.
    pub fn card(message: &str) -> Mistakes {
        let mut mistakes = Mistakes::default();
        mistakes.fields.insert("form", message.to_owned());
        mistakes
    }

    /// Whether nothing is wrong.
    pub fn none(&self) -> bool {
        self.fields.is_empty()
    }

    /// Something is wrong with one field.
    pub fn add(&mut self, field: &'static str, message: &str) {
        self.fields.insert(field, message.to_owned());
    }

    fn text(&self, field: &str) -> String {
        let Some(message) = self.fields.get(field) else {
            return String::new();
        };
        format!("<p class=\"error\" id=\"{field}-error\">{}</p>", esc(message))
    }

    fn mark(&self, field: &str) -> String {
        match self.fields.contains_key(field) {
            true => format!(" aria-invalid=\"true\" aria-describedby=\"{field}-error\""),
            false => String::new(),
        }
    }

    /// The alert about the payment as a whole.
    pub fn alert(&self) -> String {
        let message = self.fields.get("form");
        let alert = message.map(|message| {
            format!("<div class=\"alert\" role=\"alert\" id=\"card-error\">{}</div>", esc(message))
        });
        alert.unwrap_or_default()
    }
}

/// The countries of a billing address.
const COUNTRIES: [(&str, &str); 10] = [
    ("US", "United States"),
    ("GB", "United Kingdom"),
    ("DE", "Germany"),
    ("FR", "France"),
    ("CA", "Canada"),
    ("AU", "Australia"),
    ("ES", "Spain"),
    ("IT", "Italy"),
    ("NL", "Netherlands"),
    ("JP", "Japan"),
];

/// Card number, expiry, CVC, name, country.
pub fn card_fields(typed: &HashMap<String, String>, mistakes: &Mistakes) -> String {
    let chosen = typed.get("country").map(String::as_str).unwrap_or("US");
    let options: String = COUNTRIES
        .iter()
        .map(|(code, name)| {
            let selected = if *code == chosen { " selected" } else { "" };
            format!("<option value=\"{code}\"{selected}>{name}</option>")
        })
        .collect();
    format!(
        "{}<div class=\"pair\"><div>{}</div><div>{}</div></div>{}\
         <label for=\"country\">Country</label>\
         <select id=\"country\" name=\"country\">{options}</select>",
        input("number", "Card number", "text", "cc-number", typed, mistakes),
        input("expiry", "Expiry", "text", "cc-exp", typed, mistakes),
        input("cvc", "CVC", "text", "cc-csc", typed, mistakes),
        input("name", "Name on card", "text", "cc-name", typed, mistakes),
    )
}

/// A labelled field with its mistake below it.
pub fn input(
    name: &'static str,
    label: &str,
    kind: &str,
    complete: &str,
    typed: &HashMap<String, String>,
    mistakes: &Mistakes,
) -> String {
    let value = typed.get(name).map(|value| esc(value)).unwrap_or_default();
    let line = bare(name, kind, complete, &value, mistakes);
    format!("<label for=\"{name}\">{label}</label>{line}{}", mistakes.text(name))
}

/// The same with a button beside it.
pub fn input_with(
    name: &'static str,
    label: &str,
    button: &str,
    typed: &HashMap<String, String>,
    mistakes: &Mistakes,
) -> String {
    let value = typed.get(name).map(|value| esc(value)).unwrap_or_default();
    let line = bare(name, "text", "off", &value, mistakes);
    format!(
        "<label for=\"{name}\">{label}</label><div class=\"inline\">{line}{button}</div>{}",
        mistakes.text(name)
    )
}

fn bare(name: &str, kind: &str, complete: &str, value: &str, mistakes: &Mistakes) -> String {
    let (digits, example) = match name {
        "number" => (" inputmode=\"numeric\"", " placeholder=\"1234 1234 1234 1234\""),
        "expiry" => (" inputmode=\"numeric\"", " placeholder=\"MM / YY\""),
        "cvc" => (" inputmode=\"numeric\"", " placeholder=\"CVC\""),
        _ => ("", ""),
    };
    format!(
        "<input id=\"{name}\" name=\"{name}\" type=\"{kind}\" autocomplete=\"{complete}\"\
         {digits}{example} value=\"{value}\"{}>",
        mistakes.mark(name)
    )
}

/// A card as it was typed.
pub struct TypedCard {
    /// The card.
    pub card: &'static TestCard,
    /// Month and year of its expiry.
    pub expiry: (i64, i64),
    /// The name on it.
    pub name: String,
    /// The country of the billing address.
    pub country: String,
}

/// Reads the card part of a form.
pub fn card(world: &World, typed: &HashMap<String, String>) -> Result<TypedCard, Mistakes> {
    let text = |name: &str| typed.get(name).map(|value| value.trim()).unwrap_or("");
    let quick = typed.get("test_card").map(String::as_str);
    let number = quick.unwrap_or_else(|| text("number"));
    let mut mistakes = Mistakes::default();
    if !cards::plausible(number) {
        mistakes.add("number", "Your card number is invalid.");
    } else if cards::by_number(number).is_none() {
        let message = "The simulator takes Stripe's test cards only, such as 4242 4242 4242 4242.";
        mistakes.add("number", message);
    }
    let (expiry, cvc) = match quick {
        Some(_) => ("12/34", "123"),
        None => (text("expiry"), text("cvc")),
    };
    let parsed = expiry_date(expiry);
    match parsed {
        None => mistakes.add("expiry", "Your card's expiration date is incomplete."),
        Some(date) if past(date, world.now()) => {
            mistakes.add("expiry", "Your card's expiration date is in the past.");
        }
        Some(_) => {}
    }
    if !(3..=4).contains(&cvc.len()) || !cvc.bytes().all(|b| b.is_ascii_digit()) {
        mistakes.add("cvc", "Your card's security code is incomplete.");
    }
    let (Some(card), Some(expiry), true) = (cards::by_number(number), parsed, mistakes.none())
    else {
        return Err(mistakes);
    };
    let or = |value: &str, fallback: &str| {
        if value.is_empty() { fallback.to_owned() } else { value.to_owned() }
    };
    let (name, country) = (or(text("name"), "Test Buyer"), or(text("country"), "US"));
    Ok(TypedCard { card, expiry, name, country })
}

/// "12 / 34", "12/2034" and "1234" are the same month.
fn expiry_date(text: &str) -> Option<(i64, i64)> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let (month, year) = match digits.len() {
        4 | 6 => digits.split_at(2),
        3 => digits.split_at(1),
        _ => return None,
    };
    let (month, year): (i64, i64) = (month.parse().ok()?, year.parse().ok()?);
    let year = if year < 100 { year + 2000 } else { year };
    (1..=12).contains(&month).then_some((month, year))
}

fn past((month, year): (i64, i64), now: i64) -> bool {
    let Ok(today) = OffsetDateTime::from_unix_timestamp(now) else {
        return false;
    };
    (year, month) < (i64::from(today.year()), i64::from(u8::from(today.month())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_dates_are_read_generously() {
        let table = [
            ("12/34", Some((12, 2034))),
            ("12 / 34", Some((12, 2034))),
            ("1234", Some((12, 2034))),
            ("12/2034", Some((12, 2034))),
            ("1/34", Some((1, 2034))),
            ("13/34", None),
            ("12", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(expiry_date(text), expected, "{text}");
        }
        assert!(past((1, 2020), 1_700_000_000));
        assert!(!past((12, 2034), 1_700_000_000));
    }
}
