//! The card form: shown by Checkout and the portal, read with a mistake per field.

use std::collections::HashMap;

use axum::response::Response;
use serde_json::Value;
use time::OffsetDateTime;

use super::html::{esc, page};
use crate::billing::checkout::Payer;
use crate::billing::lines;
use crate::cards;
use crate::json::Json;
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

    fn add(&mut self, field: &'static str, message: &str) {
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

/// The cards offered as one-press buttons.
const QUICK: [(&str, &str); 4] = [
    ("4242424242424242", "Pay with 4242 (succeeds)"),
    ("4000000000000002", "Pay with 0002 (declined)"),
    ("4000000000009995", "Pay with 9995 (no funds)"),
    ("4000000000000341", "Pay with 0341 (fails when charged)"),
];

/// The payment column of the card page.
pub fn render(
    world: &World,
    session: &Value,
    typed: &HashMap<String, String>,
    mistakes: &Mistakes,
) -> String {
    let verb = if session.text("mode") == "subscription" { "Subscribe" } else { "Pay" };
    let total = lines::money(session.int("amount_total"), session.text("currency"));
    let label = match verb {
        "Pay" => format!("Pay {total}"),
        other => other.to_owned(),
    };
    let email = match known_email(world, session) {
        Some(email) => format!(
            "<div class=\"row\"><span class=\"muted\">Email</span><span>{}</span></div>",
            esc(&email)
        ),
        None => input("email", "Email", "email", "email", typed, mistakes),
    };
    let quick: String = QUICK
        .iter()
        .map(|(number, label)| {
            let ending = &number[number.len() - 4..];
            format!(
                "<button class=\"quiet\" name=\"test_card\" value=\"{number}\" \
                 id=\"pay-{ending}\" formnovalidate>{label}</button>"
            )
        })
        .collect();
    format!(
        "<section class=\"card\">{alert}<form method=\"post\" id=\"payment\" \
         action=\"/c/pay/{id}\">{email}{card}\
         <button class=\"main\" id=\"pay\" type=\"submit\">{label}</button>\
         <h2>Test cards</h2><div class=\"actions\">{quick}</div></form></section>",
        alert = mistakes.alert(),
        id = esc(session.text("id")),
        card = card_fields(typed, mistakes),
    )
}

/// Card number, expiry, CVC, name, country.
pub fn card_fields(typed: &HashMap<String, String>, mistakes: &Mistakes) -> String {
    let countries = ["US", "GB", "DE", "FR", "CA", "AU", "ES", "IT", "NL", "JP"];
    let chosen = typed.get("country").map(String::as_str).unwrap_or("US");
    let options: String = countries
        .iter()
        .map(|code| {
            let selected = if *code == chosen { " selected" } else { "" };
            format!("<option value=\"{code}\"{selected}>{code}</option>")
        })
        .collect();
    format!(
        "{}<div class=\"pair\"><div>{}</div><div>{}</div></div>{}\
         <label for=\"country\">Country</label>\
         <select id=\"country\" name=\"country\">{options}</select>",
        input("number", "Card number", "text", "cc-number", typed, mistakes),
        input("expiry", "Expiry (MM / YY)", "text", "cc-exp", typed, mistakes),
        input("cvc", "CVC", "text", "cc-csc", typed, mistakes),
        input("name", "Name on card", "text", "cc-name", typed, mistakes),
    )
}

fn input(
    name: &'static str,
    label: &str,
    kind: &str,
    complete: &str,
    typed: &HashMap<String, String>,
    mistakes: &Mistakes,
) -> String {
    let value = typed.get(name).map(|value| esc(value)).unwrap_or_default();
    let digits = if kind == "text" && name != "name" { " inputmode=\"numeric\"" } else { "" };
    format!(
        "<label for=\"{name}\">{label}</label><input id=\"{name}\" name=\"{name}\" \
         type=\"{kind}\" autocomplete=\"{complete}\"{digits} value=\"{value}\"{}>{}",
        mistakes.mark(name),
        mistakes.text(name)
    )
}

fn known_email(world: &World, session: &Value) -> Option<String> {
    let customer = world.get("customer", session.text("customer"));
    let own = session.opt_text("customer_email");
    customer.and_then(|c| c.opt_text("email")).or(own).map(str::to_owned)
}

/// Reads the form into who pays with what, or what is wrong.
pub fn read(
    world: &World,
    session: &Value,
    typed: &HashMap<String, String>,
) -> Result<Payer, Mistakes> {
    let email = known_email(world, session);
    let quick = typed.contains_key("test_card");
    let given = typed.get("email").map(|email| email.trim().to_owned()).unwrap_or_default();
    let mut payer = card(world, typed)?;
    payer.email = match email {
        Some(email) => email,
        None if given.contains('@') && given.len() > 2 => given,
        None if quick && given.is_empty() => "buyer@example.com".to_owned(),
        None => {
            let mut mistakes = Mistakes::default();
            mistakes.add("email", "Your email is incomplete.");
            return Err(mistakes);
        }
    };
    Ok(payer)
}

/// Reads the card part of a form.
pub fn card(world: &World, typed: &HashMap<String, String>) -> Result<Payer, Mistakes> {
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
    Ok(Payer {
        card,
        expiry,
        email: String::new(),
        name: or(text("name"), "Test Buyer"),
        country: or(text("country"), "US"),
        authenticated: typed.get("authentication").map(|answer| answer == "complete"),
    })
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

/// The bank's page between the form and the payment, for cards that ask.
pub fn authentication(id: &str, typed: &HashMap<String, String>) -> Response {
    let kept: String = typed
        .iter()
        .map(|(name, value)| {
            format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", esc(name), esc(value))
        })
        .collect();
    let body = format!(
        "<div class=\"card\"><h1>Your bank wants to know that it is you</h1>\
         <p>This is the 3D Secure page of a pretended bank.</p>\
         <form method=\"post\" action=\"/c/pay/{}\">{kept}<div class=\"actions\">\
         <button name=\"authentication\" value=\"complete\" id=\"authenticate\">Complete</button>\
         <button name=\"authentication\" value=\"fail\" id=\"refuse\">Fail</button>\
         </div></form></div>",
        esc(id)
    );
    page("Authentication", "", &body)
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
