//! What a payment amounts to, and what to tell about a decline. Pure.

use crate::stripe::shapes::PaymentIntent;

/// Codes after which the same card is never tried again.
const HARD: [&str; 14] = [
    "expired_card",
    "fraudulent",
    "incorrect_number",
    "invalid_account",
    "invalid_number",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "stolen_card",
    "stop_payment_order",
    "transaction_not_allowed",
];
/// Codes that say that the card's holder has to confirm.
const CONFIRM: [&str; 3] =
    ["authentication_required", "authentication_not_handled", "payment_intent_action_required"];
/// Codes that say that what should be charged is not there any more.
const GONE: [&str; 3] = ["resource_missing", "payment_method_not_available", "card_detached"];

/// Codes that say something about the card, beside those above; every other refusal is about what
/// was asked.
const CARD: [&str; 17] = [
    "bank_account_declined",
    "card_declined",
    "card_not_supported",
    "card_velocity_exceeded",
    "currency_not_supported",
    "do_not_honor",
    "generic_decline",
    "incorrect_address",
    "incorrect_cvc",
    "incorrect_zip",
    "insufficient_funds",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "payment_intent_authentication_failure",
    "payment_intent_payment_attempt_failed",
    "processing_error",
];

/// What a payment amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money is there.
    Paid,
    /// Nobody knows yet; it may take days.
    Waiting,
    /// It will not be paid.
    Refused(Refusal),
}

/// Why it will not be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bank wants the card's holder to confirm.
    Confirm,
    /// There is nothing to charge any more.
    NoCard,
    /// The bank declined.
    Declined {
        /// Its reason, or Stripe's code.
        code: String,
        /// Whether the same card is of no use any more.
        hard: bool,
    },
}

impl Refusal {
    /// The code that is kept.
    pub fn code(&self) -> &str {
        match self {
            Self::Confirm => "authentication_required",
            Self::NoCard => "no_card",
            Self::Declined { code, .. } => code,
        }
    }

    /// For people: why, in a sentence.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Confirm => "The bank wants the card's holder to confirm.",
            Self::NoCard => "The card that was to be charged is not there any more.",
            Self::Declined { code, .. } => match code.as_str() {
                "insufficient_funds" => "The card has insufficient funds.",
                "expired_card" => "The card has expired.",
                "lost_card" | "stolen_card" | "pickup_card" | "restricted_card" => {
                    "The bank does not accept this card any more."
                }
                "processing_error" | "try_again_later" | "issuer_not_available" => {
                    "The bank could not process the payment."
                }
                "canceled" => "The payment was canceled.",
                _ => "The card was declined.",
            },
        }
    }
}

/// What a payment amounts to now.
pub fn outcome(intent: &PaymentIntent) -> Outcome {
    match intent.status.as_str() {
        "succeeded" => Outcome::Paid,
        "requires_action" | "requires_confirmation" => Outcome::Refused(Refusal::Confirm),
        "requires_payment_method" | "canceled" => Outcome::Refused(of_intent(intent)),
        // Processing, or a word that we do not know: it is not over.
        _ => Outcome::Waiting,
    }
}

/// Whether it could still be paid, so that it has to be canceled before it is given up.
pub fn is_open(intent: &PaymentIntent) -> bool {
    matches!(
        intent.status.as_str(),
        "requires_action" | "requires_confirmation" | "requires_payment_method"
    )
}

fn of_intent(intent: &PaymentIntent) -> Refusal {
    let Some(error) = &intent.last_payment_error else {
        // Canceled before anything was declined: by us, because it wanted a confirmation, or by
        // somebody in the dashboard.
        return match intent.cancellation_reason.as_deref() {
            Some("abandoned") => Refusal::Confirm,
            _ => declined("canceled"),
        };
    };
    let reason = error.decline_code.as_deref().filter(|code| !code.is_empty());
    by_codes(&error.code, reason)
}

/// Whether a refusal with Stripe's code, of which no payment came, is about the card. Any other is
/// a fault of ours, which no customer is told as a decline.
pub fn is_of_card(code: &str) -> bool {
    let known = [&HARD[..], &CONFIRM[..], &GONE[..], &CARD[..]];
    known.iter().any(|codes| codes.contains(&code))
}

/// What a refusal with Stripe's code, and the bank's reason where there is one, means.
pub fn by_codes(code: &str, reason: Option<&str>) -> Refusal {
    let said = reason.unwrap_or(code);
    if CONFIRM.contains(&code) || CONFIRM.contains(&said) {
        return Refusal::Confirm;
    }
    if GONE.contains(&code) {
        return Refusal::NoCard;
    }
    declined(if said.is_empty() { "unknown" } else { said })
}

fn declined(code: &str) -> Refusal {
    Refusal::Declined { code: code.to_owned(), hard: HARD.contains(&code) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::shapes::PaymentError;

    fn intent(status: &str, code: &str, reason: Option<&str>) -> PaymentIntent {
        let error = PaymentError {
            code: code.to_owned(),
            decline_code: reason.map(str::to_owned),
            message: String::new(),
        };
        PaymentIntent {
            status: status.to_owned(),
            last_payment_error: (!code.is_empty()).then_some(error),
            ..PaymentIntent::default()
        }
    }

    fn refused(code: &str, hard: bool) -> Outcome {
        Outcome::Refused(Refusal::Declined { code: code.to_owned(), hard })
    }

    #[test]
    fn every_status_amounts_to_something() {
        // E2, E3
        let wants = Outcome::Refused(Refusal::Confirm);
        let needs = "requires_payment_method";
        let cases = [
            (intent("succeeded", "card_declined", Some("lost_card")), Outcome::Paid),
            (intent("processing", "", None), Outcome::Waiting),
            (intent("requires_action", "", None), wants.clone()),
            (intent(needs, "authentication_required", None), wants.clone()),
            (intent(needs, "card_declined", Some("authentication_required")), wants.clone()),
            (
                intent(needs, "card_declined", Some("insufficient_funds")),
                refused("insufficient_funds", false),
            ),
            (intent(needs, "card_declined", None), refused("card_declined", false)),
            (intent(needs, "card_declined", Some("lost_card")), refused("lost_card", true)),
            (intent(needs, "expired_card", None), refused("expired_card", true)),
            (intent("canceled", "card_declined", Some("fraudulent")), refused("fraudulent", true)),
            (intent("canceled", "", None), refused("canceled", false)),
            (intent("a_word_of_tomorrow", "", None), Outcome::Waiting),
        ];
        for (intent, expected) in cases {
            assert_eq!(outcome(&intent), expected, "{intent:?}");
        }
        let abandoned = PaymentIntent {
            cancellation_reason: Some("abandoned".to_owned()),
            ..intent("canceled", "", None)
        };
        assert_eq!(outcome(&abandoned), wants);
    }

    #[test]
    fn a_request_about_a_card_that_is_gone_is_no_decline() {
        assert_eq!(by_codes("resource_missing", None), Refusal::NoCard);
        assert_eq!(by_codes("", None).code(), "unknown");
    }

    #[test]
    fn what_is_wrong_with_the_request_is_not_the_cards_fault() {
        for code in ["card_declined", "expired_card", "resource_missing", "incorrect_cvc"] {
            assert!(is_of_card(code), "{code}");
        }
        for code in ["key_refused", "amount_too_small", "idempotency_error", "parameter_unknown"] {
            assert!(!is_of_card(code), "{code}");
        }
    }
}
