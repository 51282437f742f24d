//! The gate's answers as they go over the wire and are stored: once made, the text is what every
//! repeat of the key gets.

use std::sync::Arc;

use serde::Serialize;

use crate::error::Result;
use crate::units::Credits;

use super::account::Account;
use super::codes::Code;
use super::verdict::{Verdict, Warning};

/// What a keyed write is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Arc<str>,
    /// Whether it was given before, to the same key.
    pub replayed: bool,
    /// For `Retry-After`.
    pub retry_after_seconds: Option<i64>,
}

/// A decision for programs and people.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// Always "decision".
    pub object: &'static str,
    /// `dec_…`; `null` when nothing was stored.
    pub id: Option<String>,
    /// Whether it may run.
    pub allowed: bool,
    /// One of the closed list.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// What it costs.
    pub credits: Credits,
    /// What the org has.
    pub balance: BalanceView,
    /// Where its rights come from.
    pub sources: serde_json::Value,
    /// The limits its tier and itself set.
    pub limits: serde_json::Value,
    /// Ceilings that only warn, and would be passed.
    pub warnings: Vec<Warning>,
    /// Where the answer can be changed.
    pub next_step: Option<NextStep>,
}

/// What an org has, in short.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BalanceView {
    /// What can be spent.
    pub available: Credits,
    /// What open holds have set aside.
    pub held: Credits,
}

/// Where a refusal can be turned into a yes.
#[derive(Clone, Debug, Serialize)]
pub struct NextStep {
    /// upgrade, top_up, raise_cap or update_payment
    pub kind: &'static str,
    /// The page.
    pub url: String,
}

/// The decision that a verdict on an account amounts to.
pub fn decision(
    account: &Account,
    verdict: &Verdict,
    id: Option<String>,
    base_url: &str,
    available: Credits,
) -> Result<Decision> {
    let mut limits: Vec<serde_json::Value> = Vec::new();
    for (name, value) in &account.entitled.limits {
        limits.push(serde_json::json!({ "name": name, "limit": value, "source": "tier" }));
    }
    if let Some((cap, credits)) = account.cap.as_ref().and_then(|c| Some((c, c.in_credits()?))) {
        let used = account.book.wallet.period_used;
        let kind = if cap.hard { "hard" } else { "soft" };
        limits.push(serde_json::json!({
            "name": "cap", "limit": credits, "used": used, "kind": kind, "source": "org",
        }));
    }
    Ok(Decision {
        object: "decision",
        id,
        allowed: verdict.code == Code::Allowed,
        code: verdict.code.word(),
        message: verdict.message.clone(),
        credits: verdict.credits,
        balance: BalanceView { available, held: account.book.wallet.held },
        sources: serde_json::to_value(&account.entitled.sources)?,
        limits: limits.into(),
        warnings: verdict.warnings.clone(),
        next_step: verdict
            .code
            .next_step()
            .map(|(kind, path)| NextStep { kind, url: format!("{base_url}{path}") }),
    })
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorView<'a>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    r#type: &'static str,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a Decision>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retry_with_new_key: bool,
}

/// The body of a refused write. A refusal that is stored says that its key is used up.
pub fn denied(decision: &Decision, stored: bool) -> Result<String> {
    let error = ErrorView {
        r#type: if stored { "denied" } else { "rate_limit_error" },
        code: decision.code,
        message: &decision.message,
        decision: Some(decision),
        retry_with_new_key: stored,
    };
    Ok(serde_json::to_string(&ErrorBody { error })?)
}

/// The body of a write that cannot be answered because of its key.
pub fn refused_key(status: u16, code: &'static str, message: &str) -> Result<Answer> {
    refusal(status, "idempotency_error", code, message, true)
}

/// The body of a write about something that is not there, or not as it would have to be.
pub fn refused(status: u16, code: &'static str, message: &str) -> Result<Answer> {
    refusal(status, "invalid_request_error", code, message, false)
}

fn refusal(
    status: u16,
    r#type: &'static str,
    code: &'static str,
    message: &str,
    retry_with_new_key: bool,
) -> Result<Answer> {
    let error = ErrorView { r#type, code, message, decision: None, retry_with_new_key };
    let body = serde_json::to_string(&ErrorBody { error })?.into();
    Ok(Answer { status, body, replayed: false, retry_after_seconds: None })
}
