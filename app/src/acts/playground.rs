//! Selling a piece of work of the offline model: what the backend of a product does, and the
//! example to replace. Speaks to the gate over HTTP alone, never to the engine's rooms.

use std::convert::Infallible;

use client::{
    Captured, Client, Credits, Denial, Error, Key, NewHold, StepKind, Usage, Use, WithHold,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use server::auth::Permission;
use sha2::{Digest as _, Sha256};

use crate::error::{AppError, Kind};
use crate::model::{self, Work};
use crate::{backend, forms, session, web};

/// Under which name the session carries the outcome to the page.
pub const OUTCOME: &str = "playground";
/// The longest prompt, in characters.
const PROMPT_CHARS_MAX: usize = 300;
/// A text is charged as one for each begun piece of so many characters.
const TEXT_CHARS: usize = 600;
/// What the model writes around a prompt at most, in characters.
const AROUND_CHARS_MAX: usize = 300;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was asked for.
    pub work: Work,
    /// About what.
    pub prompt: String,
    /// Whether it was done.
    pub allowed: bool,
    /// Why not.
    pub message: String,
    /// What it cost.
    pub credits: String,
    /// What is left.
    pub available: String,
    /// Where a no can become a yes: a word and an address.
    pub next_step: Option<(String, String)>,
    /// Whether it was charged by an earlier post of the same form.
    pub replayed: bool,
}

/// What is to be made, for whom, and under which key.
struct Order {
    work: Work,
    prompt: String,
    member: String,
    key: Key,
}

/// Asks the gate, and keeps the outcome for the page. `key` came with the form, so that the same
/// form posted twice is charged once.
#[server(prefix = "/api", endpoint = "play")]
pub async fn play(
    #[server(default)] work: String,
    #[server(default)] prompt: String,
    #[server(default)] key: String,
) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::Use).await?;
    let order = Order {
        work: Work::parse(&work)
            .ok_or_else(|| AppError::field("work", "Choose text, image or video."))?,
        prompt: check_prompt(&prompt)?,
        key: check_key(&key)?,
        member: who.user_id,
    };
    let org = who.org_id;
    let answer = backend::ask(&engine, |gate| make(gate.for_org(&org), &order)).await?;
    let outcome = outcome(order.work, order.prompt, answer)?;
    forms::keep(OUTCOME, &outcome).await?;
    web::redirect("/playground");
    Ok(())
}

/// A picture has its price and is charged at once. How long a text becomes is known only once it is
/// written: an estimate is held, and what it came to is charged.
async fn make(gate: Client, order: &Order) -> client::Result<Usage> {
    let meter = order.work.meter();
    if order.work != Work::Text {
        let what = Use::of(meter, 1).member(&order.member).note("prompt", digest(&order.prompt));
        return gate.consume(&what, &order.key).await;
    }
    let estimate = pieces(order.prompt.chars().count() + AROUND_CHARS_MAX);
    let new = NewHold::of(meter, estimate).member(&order.member);
    let new = new.note("prompt", digest(&order.prompt));
    let done = gate.with_hold(&new, &order.key, async |_| {
        let text = model::text(&order.prompt);
        Ok::<_, Infallible>((Captured::quantity(pieces(text.chars().count())), ()))
    });
    match done.await {
        Ok((usage, ())) => Ok(usage),
        Err(WithHold::NotHeld(error) | WithHold::NotCaptured { error, .. }) => Err(error),
        Err(WithHold::Failed { error, .. }) => match error {},
    }
}

/// Stands for the prompt, so that one key never serves two: the gate is told nothing of the words.
fn digest(prompt: &str) -> String {
    hex::encode(Sha256::digest(prompt))
}

fn pieces(chars: usize) -> u32 {
    u32::try_from(chars.div_ceil(TEXT_CHARS)).unwrap_or(u32::MAX)
}

fn check_prompt(prompt: &str) -> Result<String, AppError> {
    let prompt = prompt.trim();
    match prompt.chars().count() {
        0 => Err(AppError::field("prompt", "Write what it should be about.")),
        1..=PROMPT_CHARS_MAX => Ok(prompt.to_owned()),
        _ => {
            let message = format!("Use at most {PROMPT_CHARS_MAX} characters.");
            Err(AppError::field("prompt", message))
        }
    }
}

fn check_key(key: &str) -> Result<Key, AppError> {
    let fits = (1..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = Key::parse(format!("playground:{key}")).ok().filter(|_| fits);
    key.ok_or_else(|| AppError::new(Kind::Invalid, "This form is too old. Load the page again."))
}

/// What the page is to say. A no is an outcome; only what nobody in front of the page can mend is
/// an error.
fn outcome(work: Work, prompt: String, answer: client::Result<Usage>) -> Result<Outcome, AppError> {
    let refused = |message: String| Outcome {
        work,
        prompt: prompt.clone(),
        allowed: false,
        message,
        credits: String::new(),
        available: String::new(),
        next_step: None,
        replayed: false,
    };
    match answer {
        Ok(usage) => {
            let left = usage.balance.map(|left| left.available);
            Ok(Outcome {
                allowed: true,
                credits: usage.credits.to_string(),
                available: left.as_ref().map(Credits::to_string).unwrap_or_default(),
                replayed: usage.replayed,
                ..refused(String::new())
            })
        }
        Err(Error::Denied(denial)) => Ok(denied(*denial, refused(String::new()))),
        Err(Error::Refused(refusal)) if matches!(refusal.status, 409 | 422) => {
            Ok(refused(refusal.message))
        }
        Err(Error::Unreachable { attempts, last }) => {
            tracing::warn!("the gate did not answer after {attempts} attempts: {last}");
            Err(server::error::Error::Unavailable.into())
        }
        Err(error) => Err(AppError::fault(error)),
    }
}

fn denied(denial: Denial, refused: Outcome) -> Outcome {
    let next_step = denial.next_step().and_then(|step| {
        let label = match step.kind {
            StepKind::Upgrade => "See the plans",
            StepKind::TopUp => "Buy credits",
            StepKind::RaiseCap => "Change the cap",
            StepKind::UpdatePayment => "Update the payment method",
            _ => return None,
        };
        Some((label.to_owned(), step.url.clone()))
    });
    let decision = denial.decision.as_ref();
    Outcome {
        message: denial.message.clone(),
        credits: decision.map(|decision| decision.credits.to_string()).unwrap_or_default(),
        available: decision.map(|one| one.balance.available.to_string()).unwrap_or_default(),
        next_step,
        replayed: denial.replayed,
        ..refused
    }
}

#[cfg(test)]
mod tests {
    use client::{Code, Decision, Failure, Refusal};

    use super::*;

    fn denial() -> Denial {
        let decision = r#"{"id":"dec_1","allowed":false,"code":"insufficient_credits",
            "message":"No.","credits":"100","balance":{"available":"3","held":"0"},
            "next_step":{"kind":"top_up","url":"/billing#packs"}}"#;
        let decision: Decision = serde_json::from_str(decision).expect("a decision");
        Denial {
            code: Code::InsufficientCredits,
            message: "No.".to_owned(),
            decision: Some(decision),
            retry_with_new_key: true,
            retry_after: None,
            replayed: false,
        }
    }

    #[test]
    fn an_answer_becomes_an_outcome() {
        let usage = r#"{"id":"usage_1","seq":1,"key":"k","meter":"image","quantity":1,
            "credits":"20","rate_card":"1","at":"2026-11-02T10:00:00Z",
            "balance":{"available":"80","held":"0"}}"#;
        let usage: Usage = serde_json::from_str(usage).expect("a usage");
        let yes = outcome(Work::Image, "x".to_owned(), Ok(usage)).expect("an outcome");
        assert!(yes.allowed && !yes.replayed);
        assert_eq!((yes.credits.as_str(), yes.available.as_str()), ("20", "80"));
        let no = Err(Error::Denied(Box::new(denial())));
        let no = outcome(Work::Video, "x".to_owned(), no).expect("an outcome");
        assert!(!no.allowed);
        assert_eq!((no.message.as_str(), no.credits.as_str()), ("No.", "100"));
        let step = ("Buy credits".to_owned(), "/billing#packs".to_owned());
        assert_eq!(no.next_step, Some(step));
    }

    #[test]
    fn what_is_no_answer_is_no_yes() {
        // D25
        let refusal = |status, code| Refusal {
            status,
            kind: String::new(),
            code,
            message: "Another request had this key.".to_owned(),
            param: None,
            decision: None,
            doc_url: None,
            retry_with_new_key: true,
        };
        let told = |error| outcome(Work::Text, "x".to_owned(), Err(error));
        let reused = Error::Refused(Box::new(refusal(422, Code::IdempotencyKeyReused)));
        let reused = told(reused).expect("an outcome");
        assert!(!reused.allowed && reused.message.contains("Another request"));
        let away = told(Error::Unreachable { attempts: 4, last: Failure::Timeout });
        assert_eq!(away.expect_err("no answer").kind, Kind::Unavailable);
        let lost = told(Error::Refused(Box::new(refusal(401, Code::Unauthenticated))));
        assert_eq!(lost.expect_err("no key").kind, Kind::Fault);
    }

    #[test]
    fn no_text_outgrows_its_estimate() {
        for length in 1..=PROMPT_CHARS_MAX {
            let prompt = "ü".repeat(length);
            let written = model::text(&prompt).chars().count();
            assert!(written <= length + AROUND_CHARS_MAX, "{length}: {written}");
            assert!(pieces(written) >= 1 && pieces(written) <= pieces(length + AROUND_CHARS_MAX));
        }
        assert_eq!(pieces(PROMPT_CHARS_MAX + AROUND_CHARS_MAX), 1, "the price on the page");
    }

    #[test]
    fn prompts_and_keys_have_bounds() {
        let long = "x".repeat(301);
        for bad in ["", "  ", long.as_str()] {
            assert!(check_prompt(bad).is_err());
        }
        for bad in ["", "a b", "ü"] {
            assert!(check_key(bad).is_err());
        }
        let longest = check_key(&"x".repeat(200)).expect("a key");
        assert!(longest.derived("capture").is_ok(), "there is room for what follows");
    }
}
