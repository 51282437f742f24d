//! Selling a piece of work of the offline model through the gate: the example to replace.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use server::auth::Permission;
use server::gate::{Answer, Caller, ConsumeRequest};
use server::units::Quantity;
use sha2::{Digest as _, Sha256};

use crate::error::AppError;
use crate::model::Work;
use crate::{forms, session, web};

/// Under which name the session carries the outcome to the page.
pub const OUTCOME: &str = "playground";
/// The longest prompt, in characters.
const PROMPT_CHARS_MAX: usize = 300;

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

/// Asks the gate, and keeps the outcome for the page. `key` came with the form, so that the same
/// form posted twice is charged once.
#[server(prefix = "/api", endpoint = "play")]
pub async fn play(
    #[server(default)] work: String,
    #[server(default)] prompt: String,
    #[server(default)] key: String,
) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::Use).await?;
    let work = Work::parse(&work)
        .ok_or_else(|| AppError::field("work", "Choose text, image or video."))?;
    let prompt = check_prompt(&prompt)?;
    let request = ConsumeRequest {
        org_id: who.org_id.clone(),
        caller: Caller::Member { user_id: who.user_id.clone() },
        key: check_key(&key)?,
        fingerprint: hex::encode(Sha256::digest(format!("play\n{}\n{prompt}", work.meter()))),
        meter: work.meter().to_owned(),
        quantity: Quantity::from_units(1).ok_or_else(|| AppError::fault("one unit"))?,
        model: None,
        feature: None,
        run: None,
        member: Some(who.user_id.clone()),
        cost: None,
        metadata: None,
    };
    let answer = engine.gate.consume(request).await?;
    engine.wake.notify_one();
    let outcome = outcome(work, prompt, &answer)?;
    forms::keep(OUTCOME, &outcome).await?;
    web::redirect("/playground");
    Ok(())
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

fn check_key(key: &str) -> Result<String, AppError> {
    let fits = (1..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let message = "This form is too old. Load the page again.";
        return Err(AppError::new(crate::error::Kind::Invalid, message));
    }
    Ok(format!("playground:{key}"))
}

/// Reads the gate's answer as a program would.
fn outcome(work: Work, prompt: String, answer: &Answer) -> Result<Outcome, AppError> {
    let body: serde_json::Value = serde_json::from_str(&answer.body).map_err(AppError::fault)?;
    let text = |path: &str| {
        body.pointer(path).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let allowed = answer.status == 200;
    let base = if allowed { "" } else { "/error/decision" };
    let kind = text("/error/decision/next_step/kind");
    let label = match kind.as_str() {
        "upgrade" => "See the plans",
        "top_up" => "Buy credits",
        "raise_cap" => "Change the cap",
        "update_payment" => "Update the payment method",
        _ => "",
    };
    let url = text("/error/decision/next_step/url");
    Ok(Outcome {
        work,
        prompt,
        allowed,
        message: text("/error/message"),
        credits: text(&format!("{base}/credits")),
        available: text(&format!("{base}/balance/available")),
        next_step: (!label.is_empty()).then(|| (label.to_owned(), url)),
        replayed: answer.replayed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.into(), replayed: false, retry_after_seconds: None }
    }

    #[test]
    fn an_answer_becomes_an_outcome() {
        let yes = answer(200, r#"{"credits":"20","balance":{"available":"80"}}"#);
        let yes = outcome(Work::Image, "x".to_owned(), &yes).expect("an outcome");
        assert!(yes.allowed);
        assert_eq!((yes.credits.as_str(), yes.available.as_str()), ("20", "80"));
        let no = r#"{"error":{"message":"No.","decision":{"credits":"100","balance":
            {"available":"3"},"next_step":{"kind":"top_up","url":"/billing#packs"}}}}"#;
        let no = outcome(Work::Video, "x".to_owned(), &answer(402, no)).expect("an outcome");
        assert!(!no.allowed);
        let step = ("Buy credits".to_owned(), "/billing#packs".to_owned());
        assert_eq!(no.next_step, Some(step));
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
    }
}
