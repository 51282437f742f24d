//! How much of a payment came back, from all that is known of it. Pure.

use crate::credits::Share;

/// What is known of a payment, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// What was paid.
    pub paid: i64,
    /// What was refunded of it; refunds that failed are not among it.
    pub refunded: i64,
    /// What credit notes gave back besides.
    pub credited: i64,
    /// What lost disputes took.
    pub lost: i64,
    /// The invoice was voided or given up.
    pub void: bool,
}

impl Known {
    /// What we gave back ourselves.
    pub fn given_back(&self) -> i64 {
        self.refunded.saturating_add(self.credited)
    }

    /// The share that came back. What was refunded before the bank took it came back once, not
    /// twice: the larger of the two counts. (E13, I10)
    pub fn share(&self) -> Share {
        match self.void {
            true => Share::ALL,
            false => Share::of(self.given_back().max(self.lost), self.paid),
        }
    }
}

/// What a dispute means, by Stripe's word for its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// A question of the bank's, or one that was answered: no money has moved.
    Inquiry,
    /// The money is withheld until it is decided.
    Open,
    /// The payment stands.
    Won,
    /// The money is gone.
    Lost,
}

impl Stand {
    /// `None` for a word that nobody knows yet.
    pub fn of(status: &str) -> Option<Self> {
        Some(match status {
            "warning_needs_response" | "warning_under_review" | "warning_closed" | "prevented" => {
                Self::Inquiry
            }
            "needs_response" | "under_review" => Self::Open,
            "won" => Self::Won,
            "lost" => Self::Lost,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::Credits;

    fn taken(granted: &str, known: Known) -> String {
        known.share().take(granted.parse().expect("credits")).to_string()
    }

    #[test]
    fn the_target_is_the_larger_of_refunded_and_lost() {
        // E7, E8, E9, E12, E13, E15, E16, F14
        let none = Known { paid: 4_900, ..Known::default() };
        let cases = [
            (none, "0"),
            (Known { refunded: 4_900, ..none }, "500"),
            (Known { refunded: 1_000, ..none }, "102.040816"),
            (Known { refunded: 1_000, credited: 500, ..none }, "153.061224"),
            (Known { refunded: 4_000, credited: 4_000, ..none }, "500"),
            (Known { lost: 4_900, ..none }, "500"),
            (Known { refunded: 1_000, lost: 4_900, ..none }, "500"),
            (Known { refunded: 1_000, lost: 800, ..none }, "102.040816"),
            (Known { refunded: 1_000, credited: 500, lost: 1_200, ..none }, "153.061224"),
            (Known { lost: 9_999, ..none }, "500"),
            (Known { void: true, ..none }, "500"),
            (Known { void: true, paid: 0, ..none }, "500"),
            (Known { refunded: 10, paid: 0, ..none }, "0"),
        ];
        for (known, expected) in cases {
            assert_eq!(taken("500", known), expected, "{known:?}");
        }
    }

    #[test]
    fn every_word_for_a_dispute_is_known() {
        // E11: an inquiry does nothing.
        let cases = [
            ("warning_needs_response", Some(Stand::Inquiry)),
            ("warning_under_review", Some(Stand::Inquiry)),
            ("warning_closed", Some(Stand::Inquiry)),
            ("prevented", Some(Stand::Inquiry)),
            ("needs_response", Some(Stand::Open)),
            ("under_review", Some(Stand::Open)),
            ("won", Some(Stand::Won)),
            ("lost", Some(Stand::Lost)),
            ("tomorrow's word", None),
        ];
        for (word, expected) in cases {
            assert_eq!(Stand::of(word), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn several_refunds_end_where_one_of_their_sum_does(
            granted in 1i64..=1_000_000_000_000_000,
            parts in prop::collection::vec(1i64..=100_000, 1..10),
            rest in 0i64..=100_000,
        ) {
            // E9: step by step the difference is taken; the sum is what one refund would take.
            let granted = Credits::from_micros(granted);
            let sum: i64 = parts.iter().sum();
            let paid = sum + rest;
            let (mut refunded, mut clawed) = (0, Credits::ZERO);
            for part in &parts {
                refunded += part;
                let known = Known { paid, refunded, ..Known::default() };
                let target = known.share().take(granted);
                let step = target.minus(clawed).expect("fits");
                prop_assert!(step >= Credits::ZERO);
                clawed = clawed.plus(step).expect("fits");
            }
            let once = Known { paid, refunded: sum, ..Known::default() };
            prop_assert_eq!(clawed, once.share().take(granted));
            prop_assert!(rest > 0 || clawed == granted);
            // Floor, to the millionth: one more would be too much.
            let (back, paid) = (i128::from(sum), i128::from(paid));
            let (taken, granted) = (i128::from(clawed.micros()), i128::from(granted.micros()));
            prop_assert!(taken * paid <= granted * back && (taken + 1) * paid > granted * back);
        }
    }
}
