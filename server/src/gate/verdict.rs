//! What the rule found: a code, a cost, and who bears it. Pure.

use crate::credits::Uncovered;
use crate::units::{Credits, Tariff, minor_units, money};

use super::codes::Code;

/// The rule's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Allowed, or the first check that failed.
    pub code: Code,
    /// What it costs, where a meter was named and has a price.
    pub credits: Credits,
    /// Credits per unit, where a meter was named and has a price.
    pub rate: Credits,
    /// How much of that no grant pays for, because the tier lets it be billed.
    pub overage: Credits,
    /// How much of that no grant pays for, because the work is done already.
    pub debt: Credits,
    /// What the meter is billed by where it costs no credits but money.
    pub in_money: Option<Box<Tariff>>,
    /// Ceilings that only warn, and are passed by this: what to tell.
    pub warnings: Vec<Warning>,
    /// For people: what is wrong and what would help.
    pub message: String,
    /// Seconds until the window that refused is over.
    pub retry_after_seconds: Option<i64>,
}

/// Something that is allowed and should be known.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// The code of the refusal that a hard ceiling would have been.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Verdict {
    /// It may run.
    pub fn allow(credits: Credits, uncovered: Uncovered, warnings: Vec<Warning>) -> Self {
        let message = match (uncovered.overage.is_positive(), uncovered.debt.is_positive()) {
            (true, _) => format!("Allowed; {} credits are billed as overage.", uncovered.overage),
            (_, true) => format!("Allowed; {} credits become a debt.", uncovered.debt),
            _ if !warnings.is_empty() => format!("Allowed. {}", warnings[0].message),
            _ => "Allowed.".to_owned(),
        };
        Self {
            code: Code::Allowed,
            credits,
            rate: Credits::ZERO,
            overage: uncovered.overage,
            debt: uncovered.debt,
            in_money: None,
            warnings,
            message,
            retry_after_seconds: None,
        }
    }

    /// A refusal.
    pub fn deny(code: Code, credits: Credits, message: String) -> Self {
        Self {
            code,
            credits,
            rate: Credits::ZERO,
            overage: Credits::ZERO,
            debt: Credits::ZERO,
            in_money: None,
            warnings: Vec::new(),
            message,
            retry_after_seconds: None,
        }
    }

    /// It may run, and is billed in money: so many millionths of a minor unit by this tariff.
    pub fn bill(tariff: &Tariff, billed: i64) -> Self {
        let amount = money(minor_units(billed), &tariff.currency);
        let message = format!("Allowed; it is billed at {amount}.");
        let none = Self::allow(Credits::ZERO, Uncovered::default(), Vec::new());
        Self { in_money: Some(Box::new(tariff.clone())), message, ..none }
    }

    /// What no grant pays for.
    pub fn uncovered(&self) -> Uncovered {
        Uncovered { overage: self.overage, debt: self.debt }
    }
}

/// The refusal where the rate card says nothing of a model: never free. (D14)
pub fn no_price(meter: &str, model: Option<&str>) -> Verdict {
    let what = model.map_or_else(|| "without a model".to_owned(), |m| format!("for {m}"));
    let message = format!("The rate card has no price for {meter} {what}.");
    Verdict::deny(Code::PriceUnknown, Credits::ZERO, message)
}
