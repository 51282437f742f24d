//! The letters about money: what was charged, declined, given back, or is about to be. Pure.
//!
//! The same words make the notice in the app: a title, a sentence that says what it means and what
//! to do, and how bad it is.

use serde::{Deserialize, Serialize};

use super::templates::Words;
use super::waiting;
use crate::clock::{Millis, day};
use crate::units::{Credits, counted, money, spoken};

/// Something about money that those who pay should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Money {
    /// A trial ends in a few days.
    TrialEnding {
        /// The plan's name.
        plan: String,
        /// When it ends.
        ends_on: Millis,
        /// What is charged then, in minor units.
        amount: i64,
        /// Three lowercase letters.
        currency: String,
        /// Whether a card is there to charge.
        has_card: bool,
    },
    /// A renewal could not be paid.
    PaymentFailed {
        /// The plan's name.
        plan: String,
        /// Until when what is left may still be used; `None` where it may not any more.
        grace_until: Option<Millis>,
    },
    /// The card runs out.
    CardExpiring {
        /// `Visa ending in 4242`
        card: String,
        /// 1 to 12.
        month: i64,
        /// Four digits.
        year: i64,
    },
    /// A pack was bought by auto-recharge.
    Recharged {
        /// What came in.
        credits: Credits,
        /// Minor units.
        amount: i64,
        /// Three lowercase letters.
        currency: String,
    },
    /// Auto-recharge was declined and is tried again.
    RechargeFailed {
        /// Why, as the bank said it.
        reason: String,
        /// When it is tried again, at the earliest.
        next_at: Millis,
    },
    /// Auto-recharge was declined and is not tried any more.
    RechargePaused {
        /// Why.
        reason: String,
    },
    /// The bank wants the customer to confirm.
    RechargeNeedsYou {
        /// The pack's name.
        pack: String,
    },
    /// Auto-recharge bought all that it may this month.
    RechargeCapped {
        /// What may be charged a month, in minor units.
        most: i64,
        /// Three lowercase letters.
        currency: String,
        /// When the next month begins.
        next_at: Millis,
    },
    /// The plan will become another at the period's end.
    PlanScheduled {
        /// The plan now.
        from: String,
        /// The plan then.
        to: String,
        /// When.
        on: Millis,
    },
    /// The plan has ended.
    Canceled {
        /// The plan that ended.
        plan: String,
        /// What the org is on now.
        to: String,
    },
    /// Money was given back, and credits taken for it.
    Refunded {
        /// What was given back now, in minor units.
        amount: i64,
        /// Three lowercase letters.
        currency: String,
        /// Credits of its payment that were taken back so far.
        taken: Credits,
        /// Credits of it that were spent already, and became a debt.
        owed: Credits,
    },
    /// A refund did not reach the customer: the payment stands again.
    RefundFailed {
        /// Minor units.
        amount: i64,
        /// Three lowercase letters.
        currency: String,
    },
    /// An invoice was voided or given up after it had included credits.
    InvoiceVoided {
        /// Minor units.
        amount: i64,
        /// Three lowercase letters.
        currency: String,
        /// Credits taken back.
        taken: Credits,
        /// Credits that were spent already, and became a debt.
        owed: Credits,
    },
    /// A payment is disputed: its credits wait.
    DisputeOpened {
        /// Minor units.
        amount: i64,
        /// Three lowercase letters.
        currency: String,
    },
    /// A dispute was decided.
    DisputeClosed {
        /// Whether the payment stands.
        won: bool,
        /// Whether its credits wait all the same, because its customer was deleted.
        #[serde(default)]
        withheld: bool,
        /// Minor units.
        amount: i64,
        /// Three lowercase letters.
        currency: String,
    },
    /// The customer was deleted in Stripe: what was paid through it waits.
    CustomerDeleted {
        /// What is left of it.
        credits: Credits,
    },
    /// What waited because of that may be used again.
    CreditsReleased {
        /// What is left of it.
        credits: Credits,
    },
}

/// What is said, wherever it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What kind of news, as stored.
    pub kind: &'static str,
    /// info, warn or bad
    pub level: &'static str,
    /// One sentence without its full stop.
    pub title: String,
    /// What it means and what to do.
    pub detail: String,
    /// What the button says, and the path it leads to.
    pub link: (&'static str, &'static str),
}

const BILLING: (&str, &str) = ("Open billing", "/billing");
pub(super) const CREDITS: (&str, &str) = ("See your credits", "/credits");
const CARD: (&str, &str) = ("Update the card", "/billing/card");
const RECHARGE: (&str, &str) = ("Open auto-recharge", "/billing#recharge");

impl Money {
    /// The name that is stored and shown.
    pub(super) fn name(&self) -> &'static str {
        self.said().kind
    }

    pub(super) fn words(&self, base_url: &str) -> Words {
        let said = self.said();
        Words {
            subject: said.title.clone(),
            paragraphs: vec![format!("{}.", said.title), said.detail],
            link: Some((said.link.0, format!("{base_url}{}", said.link.1))),
        }
    }

    /// The words of it.
    pub fn said(&self) -> Said {
        match self {
            Self::TrialEnding { plan, ends_on, amount, currency, has_card } => {
                trial(plan, *ends_on, &money(*amount, currency), *has_card)
            }
            Self::PaymentFailed { plan, grace_until } => payment_failed(plan, *grace_until),
            Self::CardExpiring { card, month, year } => Said {
                kind: "card_expiring",
                level: "warn",
                title: format!("{card} expires at the end of {month:02}/{year}"),
                detail: "Put another card in its place before then, so that the plan and \
                     auto-recharge go on without a stop."
                    .to_owned(),
                link: CARD,
            },
            Self::Recharged { credits, amount, currency } => {
                recharged(*credits, &money(*amount, currency))
            }
            Self::RechargeFailed { reason, next_at } => recharge_failed(reason, *next_at),
            Self::RechargePaused { reason } => Said {
                kind: "recharge_paused",
                level: "bad",
                title: "Auto-recharge is paused".to_owned(),
                detail: format!("{reason} Nothing more is tried until you switch it on again."),
                link: RECHARGE,
            },
            Self::RechargeNeedsYou { pack } => recharge_needs_you(pack),
            Self::RechargeCapped { most, currency, next_at } => {
                recharge_capped(&money(*most, currency), *next_at)
            }
            Self::PlanScheduled { from, to, on } => Said {
                kind: "plan_scheduled",
                level: "info",
                title: format!("Your plan changes from {from} to {to} on {}", day(*on)),
                detail: format!(
                    "Until then {from} stays as it is. You can undo this on the billing page."
                ),
                link: BILLING,
            },
            Self::Canceled { plan, to } => Said {
                kind: "canceled",
                level: "warn",
                title: format!("Your {plan} plan has ended"),
                detail: format!(
                    "Your org is on {to} now. Credits that you bought stay and can be used."
                ),
                link: ("Choose a plan", "/pricing"),
            },
            Self::Refunded { amount, currency, taken, owed } => {
                refunded(&money(*amount, currency), *taken, *owed)
            }
            Self::RefundFailed { amount, currency } => refund_failed(&money(*amount, currency)),
            Self::InvoiceVoided { amount, currency, taken, owed } => {
                voided(&money(*amount, currency), *taken, *owed)
            }
            Self::DisputeOpened { amount, currency } => {
                waiting::dispute_opened(&money(*amount, currency))
            }
            Self::DisputeClosed { won, withheld, amount, currency } => {
                waiting::dispute_closed(*won, *withheld, &money(*amount, currency))
            }
            Self::CustomerDeleted { credits } => waiting::customer_deleted(*credits),
            Self::CreditsReleased { credits } => waiting::released(*credits),
        }
    }
}

fn recharged(credits: Credits, amount: &str) -> Said {
    Said {
        kind: "recharged",
        level: "info",
        title: format!("{} added by auto-recharge", counted(credits)),
        detail: format!("{amount} was charged to your card."),
        link: BILLING,
    }
}

fn recharge_failed(reason: &str, next_at: Millis) -> Said {
    Said {
        kind: "recharge_failed",
        level: "bad",
        title: "Auto-recharge was declined".to_owned(),
        detail: format!(
            "{reason} It is tried again on {}, at the earliest. Update the card to be sure that \
             it goes through.",
            day(next_at)
        ),
        link: CARD,
    }
}

fn recharge_capped(most: &str, next_at: Millis) -> Said {
    Said {
        kind: "recharge_capped",
        level: "warn",
        title: "Auto-recharge reached its monthly maximum".to_owned(),
        detail: format!(
            "Another pack would be more than {most} this month. It goes on by itself on {}; raise \
             the maximum or buy a pack to go on now.",
            day(next_at)
        ),
        link: RECHARGE,
    }
}

fn recharge_needs_you(pack: &str) -> Said {
    Said {
        kind: "recharge_needs_you",
        level: "bad",
        title: "Your bank wants you to confirm a payment".to_owned(),
        detail: format!(
            "Auto-recharge could not buy {pack} without you, and nothing was charged. Buy it once \
             on the billing page; auto-recharge waits until then."
        ),
        link: ("Buy the pack", "/billing#packs"),
    }
}

fn refunded(amount: &str, taken: Credits, owed: Credits) -> Said {
    Said {
        kind: "refunded",
        level: "info",
        title: format!("{amount} was refunded"),
        detail: taken_back(taken, owed),
        link: CREDITS,
    }
}

fn refund_failed(amount: &str) -> Said {
    Said {
        kind: "refund_failed",
        level: "warn",
        title: format!("A refund of {amount} did not go through"),
        detail: "Your bank did not take the money. The credits that were taken back for it are \
             yours again. Write to us if you want the refund another way."
            .to_owned(),
        link: CREDITS,
    }
}

fn voided(amount: &str, taken: Credits, owed: Credits) -> Said {
    Said {
        kind: "invoice_voided",
        level: "warn",
        title: format!("An invoice over {amount} was cancelled"),
        detail: taken_back(taken, owed),
        link: CREDITS,
    }
}

/// What became of the credits of a payment that came back.
fn taken_back(taken: Credits, owed: Credits) -> String {
    let all = taken.plus(owed).unwrap_or(taken);
    if !all.is_positive() {
        return "It changes nothing about your credits.".to_owned();
    }
    let owing = match owed.is_positive() {
        true => format!(
            " {} of it was spent already; that is taken from the next credits you buy.",
            spoken(owed)
        ),
        false => String::new(),
    };
    format!("We took back {} of that payment.{owing}", counted(all))
}

fn trial(plan: &str, ends_on: Millis, price: &str, has_card: bool) -> Said {
    let (detail, link) = match has_card {
        true => (
            format!("Then {price} is charged and {plan} goes on. Cancel before, if you like."),
            BILLING,
        ),
        false => {
            (format!("Add a card to go on with {plan} for {price}; without one it ends."), CARD)
        }
    };
    let title = format!("Your trial of {plan} ends on {}", day(ends_on));
    Said { kind: "trial_ending", level: "warn", title, detail, link }
}

fn payment_failed(plan: &str, grace_until: Option<Millis>) -> Said {
    let until = match grace_until {
        Some(at) => {
            format!("The credits you still have work until {} while it is tried again.", day(at))
        }
        None => "Use that costs credits waits until it is paid.".to_owned(),
    };
    Said {
        kind: "payment_failed",
        level: "bad",
        title: format!("The payment for {plan} failed"),
        detail: format!("{until} Update the card and the plan goes on as before."),
        link: CARD,
    }
}
