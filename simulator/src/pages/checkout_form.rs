//! The payment column of a Checkout page: who pays, with which card or bank account.

use std::collections::HashMap;

use axum::response::Response;
use serde_json::Value;

use super::html::{esc, page};
use super::pay_form::{self, Mistakes, card_fields, input};
use crate::billing::checkout::{Means, Payer, takes_nothing};
use crate::billing::{bank, lines, sums};
use crate::json::Json;
use crate::world::World;

type Typed = HashMap<String, String>;

/// The cards offered as one-press buttons.
const CARDS: [(&str, &str); 6] = [
    ("4242424242424242", "Pay with 4242 (succeeds)"),
    ("4000000000000002", "Pay with 0002 (declined)"),
    ("4000000000009995", "Pay with 9995 (no funds)"),
    ("4000000000000341", "Pay with 0341 (fails when charged)"),
    ("4000002500003155", "Pay with 3155 (asks the bank)"),
    ("4000000000000259", "Pay with 0259 (is disputed)"),
];

/// The bank accounts offered as one-press buttons.
const ACCOUNTS: [(&str, &str); 2] = [
    ("AT611904300234573201", "SEPA debit that arrives"),
    ("AT861904300235473202", "SEPA debit that fails"),
];

fn offers(session: &Value, kind: &str) -> bool {
    session.list("payment_method_types").iter().any(|offered| offered == kind)
}

/// What the button says.
pub fn verb(session: &Value) -> &'static str {
    match session.text("mode") {
        "subscription" if sums::has_trial(session) => "Start trial",
        "subscription" => "Subscribe",
        "setup" => "Save",
        _ => "Pay",
    }
}

/// The payment column.
pub fn render(world: &World, session: &Value, typed: &Typed, mistakes: &Mistakes) -> String {
    let total = lines::money(session.int("amount_total"), session.text("currency"));
    let nothing = takes_nothing(session);
    let label = match (verb(session), nothing) {
        (_, true) => "Continue without a payment method".to_owned(),
        ("Pay", false) => format!("Pay {total}"),
        (other, false) => other.to_owned(),
    };
    let email = match known_email(world, session) {
        Some(email) => format!(
            "<div class=\"row\"><span class=\"muted\">Email</span><span>{}</span></div>",
            esc(&email)
        ),
        None => input("email", "Email", "email", "email", typed, mistakes),
    };
    let means = if nothing { String::new() } else { means(session, typed, mistakes) };
    let quick = if nothing { String::new() } else { quick(session) };
    format!(
        "<section class=\"card\">{alert}<form method=\"post\" id=\"payment\" \
         action=\"/c/pay/{id}\">{email}{means}\
         <button class=\"main\" id=\"pay\" type=\"submit\">{label}</button>{quick}</form>\
         </section>",
        alert = mistakes.alert(),
        id = esc(session.text("id")),
    )
}

fn means(session: &Value, typed: &Typed, mistakes: &Mistakes) -> String {
    let card = match offers(session, "card") {
        true => card_fields(typed, mistakes),
        false => input("name", "Name on account", "text", "name", typed, mistakes),
    };
    if !offers(session, "sepa_debit") {
        return card;
    }
    let open = if typed.get("iban").is_some_and(|iban| !iban.is_empty()) { " open" } else { "" };
    let open = if offers(session, "card") { open } else { " open" };
    format!(
        "{card}<details{open}><summary>Pay by bank debit (SEPA) instead</summary>{}\
         <p class=\"muted small\">The money arrives, or does not, three days later: move the \
         clock or settle it on the simulator's own page.</p></details>",
        input("iban", "IBAN", "text", "off", typed, mistakes)
    )
}

fn quick(session: &Value) -> String {
    let button = |name: &str, id: &str, value: &str, label: &str| {
        format!(
            "<button class=\"quiet\" name=\"{name}\" value=\"{value}\" id=\"{id}\" \
             formnovalidate>{label}</button>"
        )
    };
    let mut all = String::new();
    if offers(session, "card") {
        let cards = CARDS.iter().map(|(number, label)| {
            let ending = &number[number.len() - 4..];
            button("test_card", &format!("pay-{ending}"), number, label)
        });
        all.extend(cards);
    }
    if offers(session, "sepa_debit") {
        let accounts = ACCOUNTS.iter().map(|(iban, label)| {
            let ending = &iban[iban.len() - 4..];
            button("test_account", &format!("pay-sepa-{ending}"), iban, label)
        });
        all.extend(accounts);
    }
    format!(
        "<div class=\"tries\"><h2>Test cards and accounts</h2><div class=\"actions\">{all}</div>\
         </div>"
    )
}

fn known_email(world: &World, session: &Value) -> Option<String> {
    let customer = world.get("customer", session.text("customer"));
    let own = session.opt_text("customer_email");
    customer.and_then(|c| c.opt_text("email")).or(own).map(str::to_owned)
}

/// Reads the form into who pays with what, or what is wrong.
pub fn read(world: &World, session: &Value, typed: &Typed) -> Result<Payer, Mistakes> {
    let text = |name: &str| typed.get(name).map(|value| value.trim()).unwrap_or("");
    let quick = typed.contains_key("test_card") || typed.contains_key("test_account");
    let mut payer = Payer {
        means: Means::Nothing,
        email: String::new(),
        name: text("name").to_owned(),
        country: text("country").to_owned(),
        authenticated: typed.get("authentication").map(|answer| answer == "complete"),
    };
    let iban = typed.get("test_account").map(String::as_str).unwrap_or(text("iban"));
    if !iban.is_empty() && offers(session, "sepa_debit") {
        payer.means = Means::Account(account(iban)?);
    } else if !takes_nothing(session) {
        let card = pay_form::card(world, typed)?;
        payer.means = Means::Card(card.card, card.expiry);
        (payer.name, payer.country) = (card.name, card.country);
    }
    for (field, fallback) in [(&mut payer.name, "Test Buyer"), (&mut payer.country, "US")] {
        if field.is_empty() {
            *field = fallback.to_owned();
        }
    }
    let given = text("email");
    payer.email = match known_email(world, session) {
        Some(email) => email,
        None if given.contains('@') && given.len() > 2 => given.to_owned(),
        None if quick && given.is_empty() => "buyer@example.com".to_owned(),
        None => {
            let mut mistakes = Mistakes::default();
            mistakes.add("email", "Your email is incomplete.");
            return Err(mistakes);
        }
    };
    Ok(payer)
}

fn account(iban: &str) -> Result<&'static str, Mistakes> {
    bank::account(iban).ok_or_else(|| {
        let mut mistakes = Mistakes::default();
        let message = "The simulator takes Stripe's test accounts only, such as AT61 1904 3002 \
                       3457 3201.";
        mistakes.add("iban", message);
        mistakes
    })
}

/// The bank's page between the form and the payment, for cards that ask.
pub fn authentication(id: &str, typed: &Typed) -> Response {
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
         <button class=\"primary\" name=\"authentication\" value=\"complete\" \
         id=\"authenticate\">Complete</button>\
         <button name=\"authentication\" value=\"fail\" id=\"refuse\">Fail</button>\
         </div></form></div>",
        esc(id)
    );
    page("Authentication", "slim", &body)
}
