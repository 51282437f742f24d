//! The rule, case by case. Tests only.

use crate::caps::Cap;
use crate::clock::Millis;
use crate::entitlements::{Block, Entitled};
use crate::units::{Credits, Quantity, Tariff};

use super::codes::Code;
use super::counters::{Counters, When};
use super::decide::{Ask, Cover, View, decide, decide_capture};
use super::request::Over;
use super::verdict::Verdict;

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
    held: i64,
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
        Self { entitled, parked: false, spendable: 10, used: 0, held: 0, cap: None, counters }
    }

    fn ask(&self, ask: Ask<'_>) -> Verdict {
        let rates = crate::rates::parse(CARD).expect("a card");
        decide(&self.view(&rates), &ask)
    }

    fn view<'a>(&'a self, rates: &'a crate::rates::RateCard) -> View<'a> {
        View {
            at: 1_000,
            parked: self.parked,
            entitled: &self.entitled,
            spendable: whole(self.spendable),
            held: whole(self.held),
            overage: Credits::ZERO,
            period_used: whole(self.used),
            period_start: 0,
            member: None,
            cap: self.cap.as_ref(),
            counters: &self.counters,
            rates,
        }
    }

    fn block(mut self, kind: &str, since: Millis, until: Option<Millis>) -> Self {
        let (kind, reason) = (kind.to_owned(), "a reason".to_owned());
        self.entitled.blocks.push(Block { kind, since, until, reason });
        self
    }

    fn cap(mut self, credits: i64, hard: bool) -> Self {
        let org_id = "org_1".to_owned();
        self.cap =
            Some(Cap { org_id, credits: whole(credits), overage_money: None, hard, arming: 1 });
        self
    }

    fn limit(mut self, name: &str, limit: i64, used: i64) -> Self {
        self.entitled.limits.insert(name.to_owned(), limit);
        for _ in 0..used {
            let when = When { at: 1_000, period_start: 0 };
            self.counters.count(&self.entitled.limits, "text", when);
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
        (Case::good().limit("text_per_minute", 1, 1), text(1), Code::RateLimited),
        (Case::good().limit("requests_per_period", 1, 1), text(1), Code::LimitReached),
        (Case { held: 5, ..Case::good() }.cap(8, true), text(4), Code::CapReached),
        (Case { used: 5, ..Case::good() }.cap(8, true), text(3), Code::Allowed),
        (Case { used: 5, ..Case::good() }.cap(8, true), text(4), Code::CapReached),
        (Case { used: 5, ..Case::good() }.cap(8, false), text(4), Code::Allowed),
    ];
    for (number, (case, ask, code)) in cases.into_iter().enumerate() {
        assert_eq!(case.ask(ask).code, code, "case {number}");
    }
}

#[test]
fn what_a_contract_bills_in_money_takes_no_credits_and_keeps_its_limits() {
    let billed = |case: Case, units| {
        let mut case = case;
        let (subject, currency) = ("contract_1".to_owned(), "usd".to_owned());
        let tariff = Tariff { subject, currency, price: 99_500_000 };
        case.entitled.in_money.insert("text".to_owned(), tariff);
        case.ask(text(units))
    };
    let verdict = billed(Case { spendable: 0, ..Case::good() }.cap(1, true), 3);
    assert_eq!((verdict.code, verdict.credits), (Code::Allowed, Credits::ZERO));
    assert_eq!(verdict.in_money.map(|tariff| tariff.subject).as_deref(), Some("contract_1"));
    let full = billed(Case::good().limit("text_per_day", 1, 1), 1);
    assert_eq!(full.code, Code::LimitReached);
    let blocked = billed(Case::good().block("fraud", 0, None), 1);
    assert_eq!(blocked.code, Code::Blocked);
    let absurd = billed(Case::good(), 1_000_000_000);
    assert_eq!(absurd.code, Code::InsufficientCredits, "more than an invoice can say");
}

#[test]
fn overage_that_no_invoice_can_say_is_refused() {
    let mut case = Case { spendable: 0, ..Case::good() };
    case.entitled.overage_allowed = true;
    let (subject, currency) = ("sub_1".to_owned(), "usd".to_owned());
    case.entitled.overage = Some(Tariff { subject, currency, price: 1_000_000_000_000 });
    assert_eq!(case.ask(text(1_000)).code, Code::Allowed);
    assert_eq!(case.ask(text(1_001)).code, Code::InsufficientCredits);
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

#[test]
fn work_that_is_done_already_is_refused_by_no_ceiling() {
    let done = Ask { cover: Cover::Debt, ..text(14) };
    let verdict = Case::good().cap(1, true).limit("text_per_day", 1, 1).ask(done);
    assert_eq!((verdict.code, verdict.debt), (Code::Allowed, whole(4)));
    assert_eq!(verdict.warnings[0].code, "cap_reached");
    let limited = Case::good().limit("requests_per_minute", 1, 1).ask(done);
    assert_eq!(limited.code, Code::RateLimited);
    let refused = Ask { cover: Cover::Refuse, ..text(14) };
    assert_eq!(Case::good().ask(refused).code, Code::InsufficientCredits);
}

#[test]
fn a_capture_beyond_its_hold_follows_the_stated_policy() {
    // D8
    let capture = |case: &Case, credits, over| {
        let rates = crate::rates::parse(CARD).expect("a card");
        decide_capture(&case.view(&rates), whole(credits), whole(5), over)
    };
    let tier = {
        let mut case = Case::good();
        case.entitled.overage_allowed = true;
        case
    };
    let cases = [
        (Case::good(), 5, Over::Deny, Code::Allowed, 0, 0),
        (Case::good(), 6, Over::Deny, Code::InsufficientCredits, 0, 0),
        (Case::good(), 15, Over::UseAvailable, Code::Allowed, 0, 0),
        (Case::good(), 16, Over::UseAvailable, Code::InsufficientCredits, 0, 0),
        (Case::good(), 16, Over::Overage, Code::InsufficientCredits, 0, 0),
        (tier, 16, Over::Overage, Code::Allowed, 1, 0),
        (Case::good(), 16, Over::Debt, Code::Allowed, 0, 1),
        (Case::good().cap(4, true), 5, Over::Deny, Code::Allowed, 0, 0),
        (
            Case { held: 5, ..Case::good() }.cap(4, true),
            6,
            Over::UseAvailable,
            Code::CapReached,
            0,
            0,
        ),
    ];
    for (case, credits, over, code, overage, debt) in cases {
        let verdict = capture(&case, credits, over);
        let told = (verdict.code, verdict.overage, verdict.debt);
        assert_eq!(told, (code, whole(overage), whole(debt)), "{credits} {over:?}");
    }
}
