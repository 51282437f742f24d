//! Stripe's test cards and card tokens: what each one does when attached and when charged.

use serde_json::{Value, json};

use crate::errors::ApiError;

/// When a card asks its holder to confirm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Authentication {
    /// Never.
    Never,
    /// Unless it was set up for off-session use before.
    UnlessSetUp,
    /// Every time.
    Always,
}

/// One test card.
#[derive(Debug, Clone, Copy)]
pub struct TestCard {
    /// Its number.
    pub number: &'static str,
    /// visa, mastercard, amex …
    pub brand: &'static str,
    /// credit or debit.
    pub funding: &'static str,
    /// The decline when it is attached to a customer.
    pub at_attach: Option<&'static str>,
    /// The decline when it is charged.
    pub at_charge: Option<&'static str>,
    /// When it asks for authentication.
    pub authentication: Authentication,
}

const fn good(number: &'static str, brand: &'static str) -> TestCard {
    TestCard {
        number,
        brand,
        funding: "credit",
        at_attach: None,
        at_charge: None,
        authentication: Authentication::Never,
    }
}

const fn refused(number: &'static str, reason: &'static str) -> TestCard {
    let card = good(number, "visa");
    TestCard { at_attach: Some(reason), at_charge: Some(reason), ..card }
}

const CARDS: &[TestCard] = &[
    good("4242424242424242", "visa"),
    TestCard { funding: "debit", ..good("4000056655665556", "visa") },
    good("5555555555554444", "mastercard"),
    good("378282246310005", "amex"),
    refused("4000000000000002", "generic_decline"),
    refused("4000000000009995", "insufficient_funds"),
    refused("4000000000009987", "lost_card"),
    refused("4000000000009979", "stolen_card"),
    refused("4000000000000069", "expired_card"),
    refused("4000000000000127", "incorrect_cvc"),
    refused("4000000000000119", "processing_error"),
    TestCard { at_charge: Some("generic_decline"), ..good("4000000000000341", "visa") },
    TestCard { authentication: Authentication::UnlessSetUp, ..good("4000002500003155", "visa") },
    TestCard { authentication: Authentication::Always, ..good("4000002760003184", "visa") },
    good("4000000000000259", "visa"),
    good("4000000000001976", "visa"),
    good("4000000000005126", "visa"),
];

const TOKENS: &[(&str, &str)] = &[
    ("visa", "4242424242424242"),
    ("visa_debit", "4000056655665556"),
    ("mastercard", "5555555555554444"),
    ("amex", "378282246310005"),
    ("chargeDeclined", "4000000000000002"),
    ("visa_chargeDeclined", "4000000000000002"),
    ("chargeDeclinedInsufficientFunds", "4000000000009995"),
    ("visa_chargeDeclinedInsufficientFunds", "4000000000009995"),
    ("chargeDeclinedLostCard", "4000000000009987"),
    ("visa_chargeDeclinedLostCard", "4000000000009987"),
    ("chargeDeclinedStolenCard", "4000000000009979"),
    ("visa_chargeDeclinedStolenCard", "4000000000009979"),
    ("chargeDeclinedExpiredCard", "4000000000000069"),
    ("chargeDeclinedIncorrectCvc", "4000000000000127"),
    ("chargeDeclinedProcessingError", "4000000000000119"),
    ("chargeCustomerFail", "4000000000000341"),
    ("authenticationRequired", "4000002760003184"),
    ("authenticationRequiredOnSetup", "4000002500003155"),
    ("threeDSecure2Required", "4000002760003184"),
    ("threeDSecureRequired", "4000002760003184"),
    ("createDispute", "4000000000000259"),
    ("createDisputeInquiry", "4000000000001976"),
    ("refundFail", "4000000000005126"),
];

/// The card behind a number, spaces ignored.
pub fn by_number(number: &str) -> Option<&'static TestCard> {
    let digits: String = number.chars().filter(|c| c.is_ascii_digit()).collect();
    CARDS.iter().find(|card| card.number == digits)
}

/// The card behind `pm_card_…` or `tok_…`.
pub fn by_token(token: &str) -> Option<&'static TestCard> {
    let name = token.strip_prefix("pm_card_").or_else(|| token.strip_prefix("tok_"))?;
    let (_, number) = TOKENS.iter().find(|(known, _)| *known == name)?;
    by_number(number)
}

/// The card a stored payment method was made from.
pub fn of_method(method: &Value) -> &'static TestCard {
    let number = method["_sim"]["number"].as_str().unwrap_or("");
    by_number(number).unwrap_or(&CARDS[0])
}

/// The payment method object of a card, without id and customer.
pub fn method(card: &TestCard, exp_month: i64, exp_year: i64, details: Value) -> Value {
    let last4 = &card.number[card.number.len() - 4..];
    json!({
        "type": "card",
        "allow_redisplay": "unspecified",
        "billing_details": details,
        "metadata": {},
        "card": {
            "brand": card.brand, "display_brand": card.brand, "country": "US",
            "exp_month": exp_month, "exp_year": exp_year,
            "fingerprint": fingerprint(card.number), "funding": card.funding, "last4": last4,
            "checks": {"address_line1_check": null, "address_postal_code_check": null,
                       "cvc_check": "pass"},
            "networks": {"available": [card.brand], "preferred": null},
            "three_d_secure_usage": {"supported": true},
            "regulated_status": "unregulated",
        },
        "_sim": {"number": card.number, "set_up": false},
    })
}

/// The same sixteen characters for the same card, as Stripe does it.
fn fingerprint(number: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(number.as_bytes()))[..16].to_owned()
}

/// The error of a decline reason.
pub fn decline(reason: &str) -> ApiError {
    let (code, message) = match reason {
        "insufficient_funds" => ("card_declined", "Your card has insufficient funds."),
        "expired_card" => ("expired_card", "Your card has expired."),
        "incorrect_cvc" => ("incorrect_cvc", "Your card's security code is incorrect."),
        "processing_error" => (
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        ),
        "authentication_required" => (
            "authentication_required",
            "Your card was declined. This transaction requires authentication.",
        ),
        _ => ("card_declined", "Your card was declined."),
    };
    ApiError::card(code, reason, message)
}

/// Whether the digits could be a card number at all.
pub fn plausible(number: &str) -> bool {
    let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
    if !(12..=19).contains(&digits.len()) {
        return false;
    }
    let sum: u32 = digits.iter().rev().enumerate().map(|(place, digit)| luhn(place, *digit)).sum();
    sum.is_multiple_of(10)
}

fn luhn(place: usize, digit: u32) -> u32 {
    let weighted = if place % 2 == 1 { digit * 2 } else { digit };
    if weighted > 9 { weighted - 9 } else { weighted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_card_and_token_is_known_and_plausible() {
        for card in CARDS {
            assert!(plausible(card.number), "{}", card.number);
        }
        for (token, number) in TOKENS {
            let card = by_token(&format!("pm_card_{token}")).expect("known token");
            assert_eq!(card.number, *number);
        }
        assert!(!plausible("4242424242424241"));
        assert!(by_token("pm_1abc").is_none());
    }
}
