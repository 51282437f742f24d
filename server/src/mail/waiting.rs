//! The words about credits that wait: for a bank, or because their customer was deleted. Pure.

use super::money::{CREDITS, Said};
use crate::units::{Credits, spoken};

/// A payment is disputed.
pub(super) fn dispute_opened(amount: &str) -> Said {
    Said {
        kind: "dispute_opened",
        level: "warn",
        title: format!("A payment of {amount} is disputed"),
        detail: "What is left of the credits it bought waits until the bank has decided, and \
             auto-recharge is off. Everything else works as before."
            .to_owned(),
        link: CREDITS,
    }
}

/// A dispute was decided; `withheld` where its credits wait for another reason.
pub(super) fn dispute_closed(won: bool, withheld: bool, amount: &str) -> Said {
    let (level, detail) = match (won, withheld) {
        (true, false) => ("info", "The payment stands, and its credits can be used again."),
        (true, true) => (
            "info",
            "The payment stands. Its credits stay frozen, because the customer that paid it was \
             deleted at our payment provider. Write to us, and we look at it with you.",
        ),
        (false, _) => {
            ("warn", "The payment was taken back, and with it the credits it had bought.")
        }
    };
    Said {
        kind: "dispute_closed",
        level,
        title: format!("The dispute over {amount} is decided"),
        detail: detail.to_owned(),
        link: CREDITS,
    }
}

/// The customer was deleted at Stripe.
pub(super) fn customer_deleted(credits: Credits) -> Said {
    Said {
        kind: "customer_deleted",
        level: "bad",
        title: format!("{} credits that you paid for are frozen", spoken(credits)),
        detail: "The customer that paid for them was deleted at our payment provider. Nothing is \
             lost: write to us, and we look at it with you. What your free plan includes works as \
             before, and so does what you buy from now on."
            .to_owned(),
        link: CREDITS,
    }
}

/// What waited may be used again.
pub(super) fn released(credits: Credits) -> Said {
    Said {
        kind: "credits_released",
        level: "info",
        title: format!("{} credits that were frozen can be used again", spoken(credits)),
        detail: "We looked at it: they are yours as before.".to_owned(),
        link: CREDITS,
    }
}
