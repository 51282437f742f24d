//! The rule: may this run, and what does it cost? One pure function, one order of checks, one
//! closed list of codes.

use crate::caps::Cap;
use crate::clock::Millis;
use crate::credits::Uncovered;
use crate::entitlements::Entitled;
use crate::rates::RateCard;
use crate::units::{Credits, Quantity, Tariff, price};

use super::ceilings::bear;
use super::codes::Code;
use super::counters::{Counters, When};
use super::request::Over;
use super::verdict::{Verdict, no_price};

/// Everything the rule looks at, as of one moment.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The operation's time.
    pub at: Millis,
    /// Whether debits are stopped because the books disagree.
    pub parked: bool,
    /// What the org's tier and extras allow, and what blocks it.
    pub entitled: &'a Entitled,
    /// What can be spent.
    pub spendable: Credits,
    /// What open holds have set aside.
    pub held: Credits,
    /// What was used past every grant in the period, and what open holds have set aside of it.
    pub overage: Credits,
    /// What was used in the period.
    pub period_used: Credits,
    /// When the period began.
    pub period_start: Millis,
    /// The org's own ceiling.
    pub cap: Option<&'a Cap>,
    /// The ceiling of the member who asks, and what that member used and holds of it.
    pub member: Option<(Credits, Credits)>,
    /// What was counted in the running windows.
    pub counters: &'a Counters,
    /// What things cost.
    pub rates: &'a RateCard,
}

/// What is asked.
#[derive(Clone, Copy, Default)]
pub struct Ask<'a> {
    /// A feature the tier must include.
    pub feature: Option<&'a str>,
    /// Which model.
    pub model: Option<&'a str>,
    /// What is counted.
    pub meter: Option<&'a str>,
    /// How much of it.
    pub quantity: Option<Quantity>,
    /// What happens where the credits do not suffice.
    pub cover: Cover,
}

/// What happens to cost that the credits do not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cover {
    /// It is billed as overage where the tier says so, else refused.
    #[default]
    Tier,
    /// It is refused.
    Refuse,
    /// It becomes a debt: the work is done already. Ceilings are told, but refuse nothing.
    Debt,
}

impl From<Over> for Cover {
    fn from(over: Over) -> Self {
        match over {
            Over::Deny | Over::UseAvailable => Self::Refuse,
            Over::Overage => Self::Tier,
            Over::Debt => Self::Debt,
        }
    }
}

/// Decides. The checks run in this order: wallet parked, blocks, entitlement, model, price, rate
/// and period limits, cap, credits. (D21)
pub fn decide(view: &View<'_>, ask: &Ask<'_>) -> Verdict {
    let refused = refuse_access(view)
        .or_else(|| refuse_entitlement(view, ask))
        .map(|(code, message)| Verdict::deny(code, Credits::ZERO, message));
    if let Some(verdict) = refused {
        return verdict;
    }
    let Some(meter_name) = ask.meter else {
        return Verdict::allow(Credits::ZERO, Uncovered::default(), Vec::new());
    };
    let when = When { at: view.at, period_start: view.period_start };
    let only_minutes = ask.cover == Cover::Debt;
    let limits = &view.entitled.limits;
    let limited = || view.counters.refuse(limits, meter_name, when, only_minutes);
    let quantity = ask.quantity.unwrap_or(Quantity::from_micros(crate::units::MICRO));
    if let Some(tariff) = view.entitled.in_money.get(meter_name) {
        let verdict = in_money(tariff, meter_name, quantity);
        let refused = (verdict.code == Code::Allowed).then(limited).flatten();
        return refused.unwrap_or(verdict);
    }
    let meter = view.rates.meters.get(meter_name);
    let Some(rate) = meter.and_then(|meter| meter.rate_for(ask.model)) else {
        return no_price(meter_name, ask.model);
    };
    let Some(credits) = price(rate, quantity) else {
        let message = format!("{quantity} {meter_name} cost more than a wallet can hold.");
        return Verdict::deny(Code::InsufficientCredits, Credits::ZERO, message);
    };
    if let Some(verdict) = limited() {
        return Verdict { credits, ..verdict };
    }
    Verdict { rate, ..bear(view, credits, credits, ask.cover) }
}

/// A use that a contract bills in money: it takes no credits, so no ceiling of credits stops it.
pub fn in_money(tariff: &Tariff, meter: &str, quantity: Quantity) -> Verdict {
    match tariff.bill(quantity.micros()) {
        Some(billed) => Verdict::bill(tariff, billed),
        None => {
            let message = format!("{quantity} {meter} cost more than can be billed at once.");
            Verdict::deny(Code::InsufficientCredits, Credits::ZERO, message)
        }
    }
}

/// Decides about charging a hold with `credits`, of which it has set `held` aside. What was held is
/// the hold's right; only what goes beyond it is looked at. (D8)
pub fn decide_capture(view: &View<'_>, credits: Credits, held: Credits, over: Over) -> Verdict {
    if let Some((code, message)) = refuse_parked(view) {
        return Verdict::deny(code, credits, message);
    }
    let beyond = credits.less(held);
    if !beyond.is_positive() {
        return Verdict::allow(credits, Uncovered::default(), Vec::new());
    }
    if over == Over::Deny {
        let message = format!(
            "This costs {credits} credits, but {held} are held. The hold stays open: capture at \
             most that, or say in over what happens to the rest."
        );
        return Verdict::deny(Code::InsufficientCredits, credits, message);
    }
    bear(view, credits, beyond, over.into())
}

/// Whether the books of this wallet are being checked.
pub fn refuse_parked(view: &View<'_>) -> Option<(Code, String)> {
    view.parked.then(|| {
        let message = "The books of this wallet are being checked. Nothing is lost; support has \
             been told.";
        (Code::WalletParked, message.to_owned())
    })
}

fn refuse_access(view: &View<'_>) -> Option<(Code, String)> {
    if let Some(parked) = refuse_parked(view) {
        return Some(parked);
    }
    let in_force = |block: &&crate::entitlements::Block| {
        block.since <= view.at && block.until.is_none_or(|until| view.at < until)
    };
    let block = view.entitled.blocks.iter().find(in_force)?;
    Some(match block.kind.as_str() {
        "past_due" | "unpaid" | "paused" => {
            let message = "The last payment failed. Update the payment method to go on.";
            (Code::PaymentPastDue, message.to_owned())
        }
        _ => (Code::Blocked, format!("Use is blocked: {}", block.reason)),
    })
}

/// Whether the tier lacks the feature or the model.
pub fn refuse_entitlement(view: &View<'_>, ask: &Ask<'_>) -> Option<(Code, String)> {
    let plan = match view.entitled.plan.tier.as_str() {
        "" => "An organisation without a plan",
        _ => &view.entitled.plan.tier_name,
    };
    let of_meter = ask.meter.and_then(|meter| view.rates.meters.get(meter)?.feature.as_deref());
    for feature in [ask.feature, of_meter].into_iter().flatten() {
        if !view.entitled.has_feature(feature) {
            let message = format!("{plan} does not include {feature}.");
            return Some((Code::FeatureNotIncluded, message));
        }
    }
    let model = ask.model?;
    (!view.entitled.has_model(model))
        .then(|| (Code::ModelNotIncluded, format!("{plan} does not include the model {model}.")))
}
