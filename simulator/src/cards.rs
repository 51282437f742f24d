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

/// What else a card does once it was charged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aftermath {
    /// Nothing.
    Nothing,
    /// Its holder disputes the charge for this reason.
    Dispute(&'static str),
    /// Its holder's bank asks about the charge, without taking money.
    Inquiry,
    /// A refund looks good and fails later.
    RefundFails,
    /// A refund is pending and succeeds later.
    RefundWaits,
}

/// One test card.
#[derive(Debug, Clone, Copy)]
pub struct TestCard {
    /// Its number.
    pub number: &'static str,
    /// visa, mastercard, amex …
    pub brand: &'static str,
    /// credit, debit or prepaid.
    pub funding: &'static str,
    /// Where it was issued.
    pub country: &'static str,
    /// The decline when it is attached to a customer.
    pub at_attach: Option<&'static str>,
    /// The decline when it is charged.
    pub at_charge: Option<&'static str>,
    /// When it asks for authentication.
    pub authentication: Authentication,
    /// What comes after a charge.
    pub aftermath: Aftermath,
}

const fn good(number: &'static str, brand: &'static str) -> TestCard {
    TestCard {
        number,
        brand,
        funding: "credit",
        country: "US",
        at_attach: None,
        at_charge: None,
        authentication: Authentication::Never,
        aftermath: Aftermath::Nothing,
    }
}

const fn refused(number: &'static str, reason: &'static str) -> TestCard {
    let card = good(number, "visa");
    TestCard { at_attach: Some(reason), at_charge: Some(reason), ..card }
}

const fn failing(number: &'static str, reason: &'static str) -> TestCard {
    TestCard { at_charge: Some(reason), ..good(number, "visa") }
}

const fn asking(number: &'static str, when: Authentication) -> TestCard {
    TestCard { authentication: when, ..good(number, "visa") }
}

const fn later(number: &'static str, aftermath: Aftermath) -> TestCard {
    TestCard { aftermath, ..good(number, "visa") }
}

const CARDS: &[TestCard] = &[
    good("4242424242424242", "visa"),
    TestCard { funding: "debit", ..good("4000056655665556", "visa") },
    good("5555555555554444", "mastercard"),
    good("2223003122003222", "mastercard"),
    TestCard { funding: "debit", ..good("5200828282828210", "mastercard") },
    TestCard { funding: "prepaid", ..good("5105105105105100", "mastercard") },
    good("378282246310005", "amex"),
    good("6011111111111117", "discover"),
    good("3056930009020004", "diners"),
    good("3566002020360505", "jcb"),
    good("6200000000000005", "unionpay"),
    TestCard { country: "GB", ..good("4000008260000000", "visa") },
    TestCard { country: "DE", ..good("4000002760000016", "visa") },
    TestCard { country: "FR", ..good("4000002500000003", "visa") },
    good("4000000000000077", "visa"),
    refused("4000000000000002", "generic_decline"),
    refused("4000000000009995", "insufficient_funds"),
    refused("4000000000009987", "lost_card"),
    refused("4000000000009979", "stolen_card"),
    refused("4000000000000069", "expired_card"),
    refused("4000000000000127", "incorrect_cvc"),
    refused("4000000000000119", "processing_error"),
    refused("4000000000006975", "card_velocity_exceeded"),
    failing("4100000000000019", "fraudulent"),
    failing("4000000000000341", "generic_decline"),
    asking("4000002500003155", Authentication::UnlessSetUp),
    asking("4000003800000446", Authentication::UnlessSetUp),
    asking("4000002760003184", Authentication::Always),
    asking("4000000000003220", Authentication::Always),
    TestCard {
        at_charge: Some("insufficient_funds"),
        ..asking("4000008260003178", Authentication::Always)
    },
    TestCard {
        at_charge: Some("generic_decline"),
        ..asking("4000008400001629", Authentication::Always)
    },
    later("4000000000000259", Aftermath::Dispute("fraudulent")),
    later("4000000000002685", Aftermath::Dispute("product_not_received")),
    later("4000000000001976", Aftermath::Inquiry),
    later("4000000000005126", Aftermath::RefundFails),
    later("4000000000007726", Aftermath::RefundWaits),
];

const TOKENS: &[(&str, &str)] = &[
    ("visa", "4242424242424242"),
    ("visa_debit", "4000056655665556"),
    ("mastercard", "5555555555554444"),
    ("mastercard_debit", "5200828282828210"),
    ("mastercard_prepaid", "5105105105105100"),
    ("amex", "378282246310005"),
    ("discover", "6011111111111117"),
    ("diners", "3056930009020004"),
    ("jcb", "3566002020360505"),
    ("unionpay", "6200000000000005"),
    ("us", "4242424242424242"),
    ("gb", "4000008260000000"),
    ("de", "4000002760000016"),
    ("fr", "4000002500000003"),
    ("bypassPending", "4000000000000077"),
    ("chargeDeclined", "4000000000000002"),
    ("visa_chargeDeclined", "4000000000000002"),
    ("chargeDeclinedInsufficientFunds", "4000000000009995"),
    ("visa_chargeDeclinedInsufficientFunds", "4000000000009995"),
    ("chargeDeclinedLostCard", "4000000000009987"),
    ("visa_chargeDeclinedLostCard", "4000000000009987"),
    ("chargeDeclinedStolenCard", "4000000000009979"),
    ("visa_chargeDeclinedStolenCard", "4000000000009979"),
    ("chargeDeclinedExpiredCard", "4000000000000069"),
    ("visa_chargeDeclinedExpiredCard", "4000000000000069"),
    ("chargeDeclinedIncorrectCvc", "4000000000000127"),
    ("visa_chargeDeclinedIncorrectCvc", "4000000000000127"),
    ("chargeDeclinedProcessingError", "4000000000000119"),
    ("visa_chargeDeclinedProcessingError", "4000000000000119"),
    ("visa_chargeDeclinedVelocityLimitExceeded", "4000000000006975"),
    ("chargeDeclinedFraudulent", "4100000000000019"),
    ("radarBlock", "4100000000000019"),
    ("chargeCustomerFail", "4000000000000341"),
    ("authenticationRequired", "4000002760003184"),
    ("authenticationRequiredOnSetup", "4000002500003155"),
    ("authenticationRequiredSetupForOffSession", "4000003800000446"),
    ("authenticationRequiredChargeDeclinedInsufficientFunds", "4000008260003178"),
    ("threeDSecure2Required", "4000000000003220"),
    ("threeDSecureRequired", "4000002760003184"),
    ("threeDSecureRequiredChargeDeclined", "4000008400001629"),
    ("createDispute", "4000000000000259"),
    ("createDisputeProductNotReceived", "4000000000002685"),
    ("createDisputeInquiry", "4000000000001976"),
    ("refundFail", "4000000000005126"),
    ("pendingRefund", "4000000000007726"),
];

/// The one card that counts as set up for off-session use from the start.
const SET_UP_BEFORE: &str = "4000003800000446";

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
            "brand": card.brand, "display_brand": card.brand, "country": card.country,
            "exp_month": exp_month, "exp_year": exp_year,
            "fingerprint": fingerprint(card.number), "funding": card.funding, "last4": last4,
            "checks": {"address_line1_check": null, "address_postal_code_check": null,
                       "cvc_check": "pass"},
            "networks": {"available": [card.brand], "preferred": null},
            "three_d_secure_usage": {"supported": true},
            "regulated_status": "unregulated",
        },
        "_sim": {"number": card.number, "set_up": card.number == SET_UP_BEFORE},
    })
}

/// The same sixteen characters for the same card, as Stripe does it.
fn fingerprint(number: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(number.as_bytes()))[..16].to_owned()
}

/// The error of a decline reason, with the bank's advice where it gives one.
pub fn decline(reason: &str) -> ApiError {
    let (code, message) = match reason {
        "insufficient_funds" => ("card_declined", "Your card has insufficient funds."),
        "card_velocity_exceeded" => (
            "card_declined",
            "Your card was declined for making repeated attempts too frequently or exceeding its \
             amount limit.",
        ),
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
    let error = ApiError::card(code, reason, message);
    match advice(reason) {
        Some(advice) => error.with("advice_code", advice),
        None => error,
    }
}

/// What the bank advises after a decline.
pub fn advice(reason: &str) -> Option<&'static str> {
    match reason {
        "lost_card" | "stolen_card" | "fraudulent" => Some("do_not_try_again"),
        "expired_card" | "incorrect_cvc" => Some("confirm_card_data"),
        "generic_decline"
        | "insufficient_funds"
        | "processing_error"
        | "card_velocity_exceeded" => Some("try_again_later"),
        _ => None,
    }
}

/// The two digits in which the bank says why it declined.
pub fn network_code(reason: &str) -> &'static str {
    match reason {
        "insufficient_funds" => "51",
        "lost_card" => "41",
        "stolen_card" => "43",
        "expired_card" => "54",
        "incorrect_cvc" => "82",
        "processing_error" => "96",
        "card_velocity_exceeded" => "65",
        "fraudulent" => "59",
        "authentication_required" => "1A",
        _ => "05",
    }
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
