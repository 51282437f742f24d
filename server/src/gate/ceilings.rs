//! The last checks of the rule: who bears what the credits do not cover, and the ceilings that an
//! org set for itself and its members. Pure.

use crate::credits::Uncovered;
use crate::units::Credits;

use super::codes::Code;
use super::decide::{Cover, View};
use super::verdict::{Verdict, Warning};

/// Who bears a cost of `credits`, `more` of which comes on top of what is used and held already;
/// ceilings are looked at first. Work that is done already is refused by none of them.
pub fn bear(view: &View<'_>, credits: Credits, more: Credits, how: Cover) -> Verdict {
    let uncovered = cover(view, more, view.spendable, how);
    let beyond = uncovered.as_ref().copied().unwrap_or_default();
    let warnings = match ceilings(view, credits, more, beyond) {
        Ok(warnings) => warnings,
        Err(verdict) if how != Cover::Debt => return verdict,
        Err(Verdict { code, message, .. }) => vec![Warning { code: code.word(), message }],
    };
    match uncovered {
        Ok(uncovered) => Verdict::allow(credits, uncovered, warnings),
        Err(verdict) => Verdict { credits, ..verdict },
    }
}

/// What `credits` would take that is not available, and who bears it.
fn cover(
    view: &View<'_>,
    credits: Credits,
    have: Credits,
    cover: Cover,
) -> Result<Uncovered, Verdict> {
    let missing = credits.less(have);
    if !missing.is_positive() {
        return Ok(Uncovered::default());
    }
    match cover {
        Cover::Debt => Ok(Uncovered { debt: missing, ..Uncovered::default() }),
        Cover::Tier if view.entitled.overage_allowed && may_be_billed(view, missing) => {
            Ok(Uncovered { overage: missing, ..Uncovered::default() })
        }
        Cover::Tier | Cover::Refuse => {
            let message = format!("This costs {credits} credits and {have} are available.");
            Err(Verdict::deny(Code::InsufficientCredits, credits, message))
        }
    }
}

/// Whether so much overage is a sum that can be put on an invoice.
fn may_be_billed(view: &View<'_>, overage: Credits) -> bool {
    let tariff = view.entitled.overage.as_ref();
    tariff.is_none_or(|tariff| tariff.bill(overage.micros()).is_some())
}

/// The ceilings that somebody set: the org's for its credits and for its overage, and that of the
/// member. `more` is what comes on top of what is used and held already. Open holds count. (D22)
fn ceilings(
    view: &View<'_>,
    credits: Credits,
    more: Credits,
    uncovered: Uncovered,
) -> Result<Vec<Warning>, Verdict> {
    let mut warnings = Vec::new();
    let mut pass = |hard: bool, message: String| {
        if hard {
            return Err(Verdict::deny(Code::CapReached, credits, message));
        }
        warnings.push(Warning { code: Code::CapReached.word(), message });
        Ok(())
    };
    let taken = view.period_used.plus(view.held).unwrap_or(view.period_used);
    if let Some(cap) = view.cap {
        if let Some(ceiling) = cap.in_credits().filter(|most| passes(taken, more, *most)) {
            let left = ceiling.less(taken);
            let message = format!(
                "This costs {more} credits, but your cap of {ceiling} a period leaves {left}."
            );
            pass(cap.hard, message)?;
        }
        let price = view.entitled.overage_price_micros.unwrap_or(0);
        let after = view.overage.plus(uncovered.overage).unwrap_or(view.overage);
        if let Some(most) = cap.overage_money
            && uncovered.overage.is_positive()
            && i128::from(after.micros()) * i128::from(price) > i128::from(most) * MICRO_SQUARE
        {
            let message = "Your cap on overage for this period is reached.".to_owned();
            pass(cap.hard, message)?;
        }
    }
    if let Some((ceiling, taken)) = view.member
        && passes(taken, more, ceiling)
    {
        let left = ceiling.less(taken);
        let message = format!(
            "This costs {more} credits, but this member's cap of {ceiling} a period leaves {left}."
        );
        pass(true, message)?;
    }
    Ok(warnings)
}

/// Millionths of a credit times millionths of a minor unit, in one minor unit.
const MICRO_SQUARE: i128 = 1_000_000_000_000;

fn passes(taken: Credits, more: Credits, ceiling: Credits) -> bool {
    taken.plus(more).is_none_or(|after| after > ceiling)
}
