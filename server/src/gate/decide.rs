//! The rule: may this run, and what does it cost? One pure function, one order of checks, one
//! closed list of codes.

use crate::caps::Cap;
use crate::clock::Millis;
use crate::entitlements::Entitled;
use crate::rates::RateCard;
use crate::units::{Credits, Quantity, price};

use super::counters::Counters;

/// What the gate answers, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It may run.
    Allowed,
    /// The books of this wallet disagree; debits wait for an operator.
    WalletParked,
    /// A dated reason to refuse: dispute, fraud, an operator.
    Blocked,
    /// The subscription's payment is overdue past its grace.
    PaymentPastDue,
    /// The tier does not include the feature.
    FeatureNotIncluded,
    /// The tier does not include the model.
    ModelNotIncluded,
    /// The rate card has no price for this model: never free.
    PriceUnknown,
    /// Too many in this minute.
    RateLimited,
    /// As many as the tier gives in this day.
    LimitReached,
    /// The ceiling the org set for itself.
    CapReached,
    /// Not enough credits.
    InsufficientCredits,
}

impl Code {
    /// The word programs match.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::WalletParked => "wallet_parked",
            Self::Blocked => "blocked",
            Self::PaymentPastDue => "payment_past_due",
            Self::FeatureNotIncluded => "feature_not_included",
            Self::ModelNotIncluded => "model_not_included",
            Self::PriceUnknown => "price_unknown",
            Self::RateLimited => "rate_limited",
            Self::LimitReached => "limit_reached",
            Self::CapReached => "cap_reached",
            Self::InsufficientCredits => "insufficient_credits",
        }
    }

    /// The HTTP status of a write that was answered so.
    pub fn status(self) -> u16 {
        match self {
            Self::Allowed => 200,
            Self::InsufficientCredits | Self::CapReached | Self::PaymentPastDue => 402,
            Self::RateLimited => 429,
            _ => 403,
        }
    }

    /// Where the customer can change the answer: a word and a path on this site.
    pub fn next_step(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Allowed | Self::RateLimited | Self::WalletParked | Self::Blocked => None,
            Self::PaymentPastDue => Some(("update_payment", "/billing")),
            Self::FeatureNotIncluded | Self::ModelNotIncluded => Some(("upgrade", "/pricing")),
            Self::PriceUnknown => None,
            Self::LimitReached => Some(("upgrade", "/pricing")),
            Self::CapReached => Some(("raise_cap", "/billing#caps")),
            Self::InsufficientCredits => Some(("top_up", "/billing#packs")),
        }
    }
}

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
    /// What was used in the period.
    pub period_used: Credits,
    /// The org's own ceiling.
    pub cap: Option<&'a Cap>,
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
}

/// The rule's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Allowed, or the first check that failed.
    pub code: Code,
    /// What it costs, where a meter was named and has a price.
    pub credits: Credits,
    /// How much of that no grant pays for, because the tier lets it be billed.
    pub overage: Credits,
    /// For people: what is wrong and what would help.
    pub message: String,
    /// Seconds until the window that refused is over.
    pub retry_after_seconds: Option<i64>,
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
        return Verdict::allow(Credits::ZERO, Credits::ZERO);
    };
    let meter = view.rates.meters.get(meter_name);
    let Some(rate) = meter.and_then(|meter| meter.rate_for(ask.model)) else {
        let what = ask.model.map_or_else(|| "without a model".to_owned(), |m| format!("for {m}"));
        let message = format!("The rate card has no price for {meter_name} {what}.");
        return Verdict::deny(Code::PriceUnknown, Credits::ZERO, message);
    };
    let quantity = ask.quantity.unwrap_or(Quantity::from_micros(crate::units::MICRO));
    let Some(credits) = price(rate, quantity) else {
        let message = format!("{quantity} {meter_name} cost more than a wallet can hold.");
        return Verdict::deny(Code::InsufficientCredits, Credits::ZERO, message);
    };
    if let Some(verdict) = view.counters.refuse(&view.entitled.limits, meter_name, view.at) {
        return Verdict { credits, ..verdict };
    }
    decide_credits(view, credits)
}

fn refuse_access(view: &View<'_>) -> Option<(Code, String)> {
    if view.parked {
        let message = "The books of this wallet are being checked. Nothing is lost; support has \
             been told.";
        return Some((Code::WalletParked, message.to_owned()));
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

fn refuse_entitlement(view: &View<'_>, ask: &Ask<'_>) -> Option<(Code, String)> {
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

fn decide_credits(view: &View<'_>, credits: Credits) -> Verdict {
    let used_after = view.period_used.plus(credits);
    if let Some(cap) = view.cap
        && cap.hard
        && used_after.is_none_or(|after| after > cap.credits)
    {
        let left = cap.credits.minus(view.period_used).unwrap_or(Credits::ZERO).max(Credits::ZERO);
        let ceiling = cap.credits;
        let message = format!(
            "This costs {credits} credits, but your cap of {ceiling} a period leaves {left}."
        );
        return Verdict::deny(Code::CapReached, credits, message);
    }
    let missing = credits.minus(view.spendable).unwrap_or(credits).max(Credits::ZERO);
    if missing.is_positive() && !view.entitled.overage_allowed {
        let have = view.spendable;
        let message = format!("This costs {credits} credits and {have} are available.");
        return Verdict::deny(Code::InsufficientCredits, credits, message);
    }
    Verdict::allow(credits, missing)
}

impl Verdict {
    fn allow(credits: Credits, overage: Credits) -> Self {
        let message = match overage.is_positive() {
            true => format!("Allowed; {overage} credits are billed as overage."),
            false => "Allowed.".to_owned(),
        };
        Self { code: Code::Allowed, credits, overage, message, retry_after_seconds: None }
    }

    /// A refusal.
    pub fn deny(code: Code, credits: Credits, message: String) -> Self {
        Self { code, credits, overage: Credits::ZERO, message, retry_after_seconds: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlements::Block;

    const CARD: &str = "version = \"1\"
        [meters.text]\nlabel = \"Text\"\nunit = \"text\"\nfeature = \"text\"\nrate = \"1\"
        [meters.tokens]\nlabel = \"Tokens\"\nunit = \"token\"
        [meters.tokens.models]\n\"a*\" = \"1\"";

    /// An org for which everything is in order: 10 credits, text and the models a* and b.
    struct Case {
        entitled: Entitled,
        parked: bool,
        spendable: i64,
        used: i64,
        cap: Option<Cap>,
        counters: Counters,
    }

    impl Case {
        fn good() -> Self {
            let entitled = Entitled {
                features: ["text".to_owned()].into(),
                models: vec!["a*".to_owned(), "b".to_owned()],
                ..Entitled::default()
            };
            let counters = Counters::default();
            Self { entitled, parked: false, spendable: 10, used: 0, cap: None, counters }
        }

        fn ask(&self, ask: Ask<'_>) -> Verdict {
            let rates = crate::rates::parse(CARD).expect("a card");
            let view = View {
                at: 1_000,
                parked: self.parked,
                entitled: &self.entitled,
                spendable: whole(self.spendable),
                period_used: whole(self.used),
                cap: self.cap.as_ref(),
                counters: &self.counters,
                rates: &rates,
            };
            decide(&view, &ask)
        }

        fn block(mut self, kind: &str, since: Millis, until: Option<Millis>) -> Self {
            let (kind, reason) = (kind.to_owned(), "a reason".to_owned());
            self.entitled.blocks.push(Block { kind, since, until, reason });
            self
        }

        fn cap(mut self, credits: i64, hard: bool) -> Self {
            let org_id = "org_1".to_owned();
            self.cap = Some(Cap { org_id, credits: whole(credits), hard, arming: 1 });
            self
        }

        fn limit(mut self, name: &str, limit: i64, used: i64) -> Self {
            self.entitled.limits.insert(name.to_owned(), limit);
            for _ in 0..used {
                self.counters.count(&self.entitled.limits, "text", 1_000);
            }
            self
        }
    }

    fn whole(credits: i64) -> Credits {
        Credits::from_whole(credits).expect("fits")
    }

    fn text(units: i64) -> Ask<'static> {
        Ask { meter: Some("text"), quantity: Quantity::from_units(units), ..Ask::default() }
    }

    #[test]
    fn each_reason_to_refuse_has_its_code() {
        // D14, D21, D22
        let tokens = |model| Ask { meter: Some("tokens"), model, ..Ask::default() };
        let feature = |name| Ask { feature: Some(name), ..Ask::default() };
        let unfeatured = || {
            let mut case = Case::good();
            case.entitled.features.clear();
            case
        };
        let cases = [
            (Case::good(), text(10), Code::Allowed),
            (Case::good(), text(11), Code::InsufficientCredits),
            (Case { parked: true, ..Case::good() }, text(1), Code::WalletParked),
            (Case::good().block("fraud", 0, None), text(1), Code::Blocked),
            (Case::good().block("past_due", 0, None), text(1), Code::PaymentPastDue),
            (Case::good().block("past_due", 2_000, None), text(1), Code::Allowed),
            (Case::good().block("fraud", 0, Some(1_000)), text(1), Code::Allowed),
            (unfeatured(), text(1), Code::FeatureNotIncluded),
            (Case::good(), feature("video"), Code::FeatureNotIncluded),
            (Case::good(), feature("text"), Code::Allowed),
            (Case::good(), tokens(Some("c")), Code::ModelNotIncluded),
            (Case::good(), tokens(Some("b")), Code::PriceUnknown),
            (Case::good(), tokens(None), Code::PriceUnknown),
            (Case::good(), tokens(Some("a1")), Code::Allowed),
            (Case::good().limit("requests_per_minute", 2, 1), text(1), Code::Allowed),
            (Case::good().limit("requests_per_minute", 2, 2), text(1), Code::RateLimited),
            (Case::good().limit("text_per_day", 1, 1), text(1), Code::LimitReached),
            (Case { used: 5, ..Case::good() }.cap(8, true), text(3), Code::Allowed),
            (Case { used: 5, ..Case::good() }.cap(8, true), text(4), Code::CapReached),
            (Case { used: 5, ..Case::good() }.cap(8, false), text(4), Code::Allowed),
        ];
        for (number, (case, ask, code)) in cases.into_iter().enumerate() {
            assert_eq!(case.ask(ask).code, code, "case {number}");
        }
    }

    #[test]
    fn the_first_reason_in_the_fixed_order_is_the_one_told() {
        // Everything is wrong at once; the reasons are taken away one by one.
        let broken = || Case::good().limit("requests_per_minute", 1, 1).cap(1, true);
        let ask = Ask { feature: Some("video"), model: Some("c"), ..text(100) };
        let blocked = Case { parked: true, ..broken() }.block("fraud", 0, None);
        assert_eq!(blocked.ask(ask).code, Code::WalletParked);
        assert_eq!(broken().block("fraud", 0, None).ask(ask).code, Code::Blocked);
        assert_eq!(broken().ask(ask).code, Code::FeatureNotIncluded);
        let ask = Ask { feature: None, ..ask };
        assert_eq!(broken().ask(ask).code, Code::ModelNotIncluded);
        let ask = Ask { model: None, ..ask };
        assert_eq!(broken().ask(ask).code, Code::RateLimited);
        assert_eq!(Case::good().cap(1, true).ask(ask).code, Code::CapReached);
        assert_eq!(Case::good().ask(ask).code, Code::InsufficientCredits);
    }

    #[test]
    fn what_no_grant_pays_for_is_overage_where_the_tier_allows_it() {
        let mut case = Case::good();
        case.entitled.overage_allowed = true;
        let verdict = case.ask(text(14));
        assert_eq!((verdict.code, verdict.overage), (Code::Allowed, whole(4)));
        assert_eq!(case.ask(text(10)).overage, Credits::ZERO);
    }
}
