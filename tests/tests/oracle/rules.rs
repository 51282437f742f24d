//! The oracle's rules: what something costs, and whether it may be. One order of checks.

use server::gate::{self, Over};

use super::wallet::Wallet;
use super::words::{Refused, TICKS_A_DAY};

/// Millionths in one.
const MICRO: i128 = 1_000_000;

/// The meters, with what one unit costs in millionths of a credit.
pub struct Meter {
    pub name: &'static str,
    /// Without a model, or for one that has no rate of its own.
    pub rate: Option<i64>,
    /// By model; a star stands for any ending.
    pub models: &'static [(&'static str, i64)],
    /// Whether a hold is charged when its time is over.
    pub charges: bool,
}

/// Every meter of [`CARD`].
pub const METERS: [Meter; 4] = [
    Meter { name: "text", rate: Some(1_000_000), models: &[], charges: false },
    Meter { name: "tokens", rate: Some(7_501), models: &[("small-2", 3)], charges: false },
    Meter { name: "video", rate: Some(2_500_000), models: &[], charges: true },
    Meter {
        name: "words",
        rate: None,
        models: &[("small*", 100_000), ("small-2", 300_007)],
        charges: false,
    },
];

/// What a credit past every grant is billed, in minor units.
pub const OVERAGE_PRICE: i64 = 2;

/// The same for the engine.
pub const CARD: &str = r#"version = "oracle"
[meters.text]
label = "Text"
unit = "text"
rate = "1"
[meters.tokens]
label = "Tokens"
unit = "token"
rate = "0.007501"
[meters.tokens.models]
"small-2" = "0.000003"
[meters.video]
label = "Video"
unit = "second"
rate = "2.5"
on_expiry = "charge"
[meters.words]
label = "Words"
unit = "word"
[meters.words.models]
"small*" = "0.1"
"small-2" = "0.300007"
"#;

/// What every tier includes.
pub const FEATURE: &str = "sound";
/// The models that every tier includes.
pub const MODELS: [&str; 2] = ["small*", "rare"];

/// What the rules say of something that may be.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    pub rate: i64,
    pub credits: i64,
    pub borne: Borne,
}

/// How a cost is borne that grants do not pay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Borne {
    /// Billed.
    pub overage: i64,
    /// Owed.
    pub debt: i64,
    /// Whether a ceiling was passed that does not refuse.
    pub warned: bool,
}

impl Wallet {
    /// Whether a use may be, and what it costs. The first check that fails is the one that is told.
    pub fn judge(&self, what: &gate::Use, over: Over) -> Result<Price, Refused> {
        if what.feature.as_ref().is_some_and(|feature| feature != FEATURE) {
            return Err(self.deny(403, "feature_not_included", 0));
        }
        if what.model.as_ref().is_some_and(|model| !includes(&MODELS, model)) {
            return Err(self.deny(403, "model_not_included", 0));
        }
        let Some(rate) = rate(&what.meter, what.model.as_deref()) else {
            return Err(self.deny(403, "price_unknown", 0));
        };
        let credits = cost(rate, what.quantity.micros());
        self.check_limits(&what.meter, credits, over)?;
        let borne = self.bear(credits, credits, over)?;
        Ok(Price { rate, credits, borne })
    }

    /// Who bears a cost of `credits`, `more` of which comes on top of what is used and held. Work
    /// that is done already passes every ceiling.
    pub fn bear(&self, credits: i64, more: i64, over: Over) -> Result<Borne, Refused> {
        let planned = self.used + self.held() + more;
        let passed = self.cap.filter(|(ceiling, _)| planned > *ceiling);
        let warned = passed.is_some();
        if over != Over::Debt && passed.is_some_and(|(_, hard)| hard) {
            return Err(self.deny(402, "cap_reached", credits));
        }
        let missing = (more - self.available()).max(0);
        match over {
            _ if missing == 0 => Ok(Borne { overage: 0, debt: 0, warned }),
            Over::Overage if self.terms.overage => Ok(Borne { overage: missing, debt: 0, warned }),
            Over::Debt => Ok(Borne { overage: 0, debt: missing, warned }),
            _ => Err(self.deny(402, "insufficient_credits", credits)),
        }
    }

    /// Limits count what was done, per UTC minute, per UTC day and per month of the org.
    fn check_limits(&self, meter: &str, credits: i64, over: Over) -> Result<(), Refused> {
        if self.is_full(meter, "minute") {
            let refused = self.deny(429, "rate_limited", credits);
            return Err(Refused { stored: false, ..refused });
        }
        let full = self.is_full(meter, "day") || self.is_full(meter, "period");
        if full && over != Over::Debt {
            return Err(self.deny(403, "limit_reached", credits));
        }
        Ok(())
    }

    fn is_full(&self, meter: &str, span: &str) -> bool {
        let full = |name: String| {
            let window = (name.clone(), self.window(span));
            let counted = self.counted.get(&window).copied().unwrap_or(0);
            self.terms.limits.get(&name).is_some_and(|limit| counted >= *limit)
        };
        full(format!("requests_per_{span}")) || full(format!("{meter}_per_{span}"))
    }

    /// Counts one thing done.
    pub fn count(&mut self, meter: &str) {
        for span in ["minute", "day", "period"] {
            let window = self.window(span);
            for what in ["requests", meter] {
                *self.counted.entry((format!("{what}_per_{span}"), window)).or_default() += 1;
            }
        }
    }

    fn window(&self, span: &str) -> i64 {
        match span {
            "minute" => self.now,
            "day" => self.now.div_euclid(TICKS_A_DAY),
            _ => self.month,
        }
    }

    /// A refusal that is told with its reasons, and kept.
    pub fn deny(&self, status: u16, code: &str, credits: i64) -> Refused {
        let decision = Some((credits, self.balance()));
        Refused { status, code: code.to_owned(), decision, stored: true }
    }
}

/// A refusal that changes nothing, not even the key.
pub fn refuse(status: u16, code: &str) -> Refused {
    Refused { status, code: code.to_owned(), decision: None, stored: false }
}

/// Credits per unit: the exact model, then the longest beginning, then the meter's own.
pub fn rate(meter: &str, model: Option<&str>) -> Option<i64> {
    let meter = METERS.iter().find(|known| known.name == meter)?;
    let Some(model) = model else { return meter.rate };
    let fitting = meter.models.iter().filter(|(pattern, _)| includes(&[pattern], model));
    let longest = fitting.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()));
    longest.map(|(_, rate)| *rate).or(meter.rate)
}

/// Rate times quantity, both in millionths, rounded up.
pub fn cost(rate: i64, quantity: i64) -> i64 {
    let product = i128::from(rate) * i128::from(quantity);
    i64::try_from((product + MICRO - 1) / MICRO).expect("stories are small")
}

fn includes(patterns: &[&str], model: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => model.starts_with(beginning),
        None => *pattern == model,
    })
}
