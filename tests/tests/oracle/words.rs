//! What is asked and what is answered, in the words that the oracle and the engine share. An answer
//! is reduced to what the oracle must foresee: status, code, credits, who paid, and the balance.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use server::clock::{self, Millis};
use server::credits::Source;
use server::gate::{Answer, Request, Use};
use server::units::{Credits, Quantity};

/// The oracle's time: steps of ten minutes, counted from 1970. Whatever is done is done in the
/// first minute of one, and whatever ends, ends in the middle of one.
pub type Tick = i64;

/// How long a tick is.
pub const TICK: Millis = 10 * clock::MINUTE;
/// How many there are in a day.
pub const TICKS_A_DAY: Tick = clock::DAY / TICK;

/// One thing that is asked of the engine.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "few at a time, and nearly all are writes")]
pub enum Ask {
    /// A keyed write.
    Write(Request),
    /// Credits that are given.
    Give(Gift),
    /// The org sets its own ceiling, or takes it away. Hard ones refuse.
    Cap(Option<(i64, bool)>),
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(Request { key, fingerprint, what, .. }) => {
                write!(f, "{key} ({fingerprint}): {what:?}")
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// Credits that are given, in millionths of a credit.
#[derive(Clone, Debug)]
pub struct Gift {
    /// From where.
    pub source: Source,
    /// What makes it unique among its kind.
    pub source_ref: String,
    /// How much.
    pub credits: i64,
    /// It may be spent from the middle of this tick on; at once where there is none.
    pub starts: Option<Tick>,
    /// It lapses in the middle of this tick.
    pub expires: Option<Tick>,
}

/// What was answered, reduced to what must be foreseen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A use was charged, or taken back.
    Used(Used),
    /// A hold was made, given back or given more time.
    Held(Held),
    /// The open holds of a workflow were given back.
    Freed { holds: BTreeSet<String>, credits: i64, balance: Balance },
    /// It was refused.
    Refused(Refused),
    /// The key had been answered before: exactly this.
    Again(u16, Arc<str>),
    /// Credits were given, or had been given before.
    Given(bool),
    /// The ceiling was set.
    Capped,
}

/// Every kind of answer that stories must bring forth, or they show less than they say.
pub const KINDS: [&str; 26] = [
    "used",
    "used, partly overage",
    "used, partly a debt",
    "used, with a warning",
    "used, late",
    "used, then reversed",
    "held",
    "held, partly overage",
    "hold released",
    "run released",
    "replayed",
    "replayed refusal",
    "given",
    "given before",
    "capped",
    "insufficient_credits",
    "cap_reached",
    "feature_not_included",
    "model_not_included",
    "price_unknown",
    "limit_reached",
    "rate_limited",
    "not_found",
    "hold_not_open",
    "operation_reversed",
    "idempotency_key_reused",
];

impl Outcome {
    /// Which of [`KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Used(used) if used.reversed => "used, then reversed",
            Self::Used(used) if used.late => "used, late",
            Self::Used(used) if used.warned => "used, with a warning",
            Self::Used(used) if used.debt > 0 => "used, partly a debt",
            Self::Used(used) if used.overage > 0 => "used, partly overage",
            Self::Used(_) => "used",
            Self::Held(held) if held.status == "released" => "hold released",
            Self::Held(held) if held.overage > 0 => "held, partly overage",
            Self::Held(_) => "held",
            Self::Freed { .. } => "run released",
            Self::Again(200, _) => "replayed",
            Self::Again(..) => "replayed refusal",
            Self::Given(true) => "given",
            Self::Given(false) => "given before",
            Self::Capped => "capped",
            Self::Refused(refused) => {
                let known = KINDS.into_iter().find(|kind| *kind == refused.code);
                known.unwrap_or("a refusal without a name")
            }
        }
    }
}

/// What can be spent, and what open holds have set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    pub available: i64,
    pub held: i64,
}

/// A use that was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    pub credits: i64,
    /// Which grants paid, in the order in which they were asked.
    pub from: Vec<(String, i64)>,
    pub overage: i64,
    pub debt: i64,
    /// What is billed in money, in millionths of a minor unit.
    pub billed: i64,
    pub hold: Option<String>,
    /// Whether its hold was over when it was captured.
    pub late: bool,
    pub reversed: bool,
    pub at: Tick,
    /// Whether a ceiling was passed that does not refuse.
    pub warned: bool,
    pub balance: Balance,
}

/// A hold after it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub status: &'static str,
    pub credits: i64,
    pub overage: i64,
    pub captured: i64,
    pub expires: Tick,
    pub warned: bool,
    pub balance: Balance,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub code: String,
    /// What it would have cost and what there was, where a decision is told.
    pub decision: Option<(i64, Balance)>,
    /// Whether the key is used up.
    pub stored: bool,
}

/// What only the engine can know: the names it gave.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The usage, the hold or the grant that was made.
    pub id: String,
    /// The usages of all lines.
    pub lines: Vec<String>,
    /// The answer, word for word.
    pub body: Arc<str>,
    /// Grants that nobody was told of, with their amounts: a paid debt that was taken back.
    pub returned: Vec<(String, i64)>,
}

/// Reads an answer. A body that lacks anything is a difference, told as text.
pub fn read(answer: &Answer) -> Result<Outcome, String> {
    if answer.replayed {
        return Ok(Outcome::Again(answer.status, answer.body.clone()));
    }
    if (answer.status == 429) != answer.retry_after_seconds.is_some_and(|s| (1..=60).contains(&s)) {
        return Err(format!("{answer:?} says wrongly when to come back"));
    }
    let body: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
    let read = match (answer.status, body["object"].as_str()) {
        (200, Some("usage")) => used(&body).map(Outcome::Used),
        (200, Some("hold")) => held(&body).map(Outcome::Held),
        (200, Some("run_release")) => freed(&body),
        (status, None) if status >= 400 => refused(status, &body["error"]).map(Outcome::Refused),
        _ => None,
    };
    read.ok_or_else(|| format!("{} {} is not an answer", answer.status, answer.body))
}

/// The place in the wallet's order that an answer tells.
pub fn seq(answer: &Answer) -> Option<i64> {
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    body["seq"].as_i64()
}

/// The names in an answer.
pub fn names(answer: &Answer) -> Names {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let lines = body["lines"].as_array().into_iter().flatten().filter_map(|line| text(&line["id"]));
    Names {
        id: text(&body["id"]).unwrap_or_default(),
        lines: lines.collect(),
        body: answer.body.clone(),
        returned: Vec::new(),
    }
}

fn used(body: &Value) -> Option<Used> {
    let from = body["from"].as_array()?.iter();
    let from = from.map(|part| Some((text(&part["grant"])?, credits(&part["credits"])?)));
    Some(Used {
        credits: credits(&body["credits"])?,
        from: from.collect::<Option<_>>()?,
        overage: credits(&body["overage"])?,
        debt: credits(&body["debt"])?,
        billed: billed(&body["billed"])?,
        hold: text(&body["hold"]),
        late: body["late"].as_bool()?,
        reversed: !body["reversed_at"].is_null(),
        at: tick(&body["at"])?,
        warned: warned(body)?,
        balance: balance(&body["balance"])?,
    })
}

/// Nothing where nothing is said of it.
fn billed(told: &Value) -> Option<i64> {
    match told.is_null() {
        true => Some(0),
        false => (told["currency"] == "usd").then(|| credits(&told["amount"]))?,
    }
}

fn held(body: &Value) -> Option<Held> {
    let statuses = ["open", "captured", "released", "expired"];
    Some(Held {
        status: statuses.into_iter().find(|status| body["status"] == **status)?,
        credits: credits(&body["credits"])?,
        overage: credits(&body["overage"])?,
        captured: credits(&body["captured"])?,
        expires: tick(&body["expires_at"])?,
        warned: warned(body)?,
        balance: balance(&body["balance"])?,
    })
}

fn freed(body: &Value) -> Option<Outcome> {
    let holds = body["released"].as_array()?.iter().map(text).collect::<Option<_>>()?;
    let (credits, balance) = (credits(&body["credits"])?, balance(&body["balance"])?);
    Some(Outcome::Freed { holds, credits, balance })
}

fn refused(status: u16, error: &Value) -> Option<Refused> {
    let decision = &error["decision"];
    let told = match decision.is_null() {
        true => None,
        false => {
            let same = decision["code"] == error["code"] && decision["allowed"] == false;
            same.then_some(())?;
            Some((credits(&decision["credits"])?, balance(&decision["balance"])?))
        }
    };
    let stored = told.is_some() && error["retry_with_new_key"] == true;
    Some(Refused { status, code: text(&error["code"])?, decision: told, stored })
}

/// Whether anything is warned of; a ceiling is all that can be.
fn warned(body: &Value) -> Option<bool> {
    let Some(warnings) = body["warnings"].as_array() else { return Some(false) };
    let known = warnings.iter().all(|warning| warning["code"] == "cap_reached");
    known.then_some(!warnings.is_empty())
}

fn balance(value: &Value) -> Option<Balance> {
    Some(Balance { available: credits(&value["available"])?, held: credits(&value["held"])? })
}

fn credits(value: &Value) -> Option<i64> {
    value.as_str()?.parse().ok().map(Credits::micros)
}

fn tick(value: &Value) -> Option<Tick> {
    clock::parse_rfc3339(value.as_str()?).map(|at| at.div_euclid(TICK))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The middle of a tick, in which things end.
pub fn middle_of(tick: Tick) -> Millis {
    tick * TICK + TICK / 2
}

/// From a tick to the middle of another, so many ticks later.
pub fn span(ticks: Tick) -> Millis {
    middle_of(ticks)
}

/// A use of a meter and nothing more.
pub fn use_of(meter: &str, quantity: Quantity) -> Use {
    Use {
        meter: meter.to_owned(),
        quantity,
        model: None,
        feature: None,
        run: None,
        member: None,
        cost: None,
        metadata: None,
    }
}
