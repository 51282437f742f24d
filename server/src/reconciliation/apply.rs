//! Applying a plan: each object that differs is looked at anew, by the function its webhook would
//! have called. Stopped half way, or run twice, it ends in the same.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use crate::audit::{self, Actor};
use crate::customers::{self, Synced};
use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::inbox::Claim;
use crate::subscriptions::sync;
use crate::{recharges, refunds};

use super::plan::{Plan, Remedy, Step};

/// Orgs that are mended at a time; one org's objects come one after the other.
const AT_ONCE: usize = 8;

/// What came of a plan.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Applied {
    /// Objects that are as Stripe says now.
    pub done: Vec<String>,
    /// Objects that are not, each with the reason.
    pub failed: BTreeMap<String, String>,
    /// Differences that need a person.
    pub left: Vec<String>,
}

impl Applied {
    /// Whether this difference was mended.
    pub fn is_done(&self, step: &Step) -> bool {
        step.remedy.is_some() && self.done.contains(&step.subject)
    }
}

/// Looks at everything anew that differs, in the order of the plan; each leaves a row in the audit
/// trail. What fails is told and keeps nobody else from being mended. (F5)
pub async fn apply(engine: &Engine, plan: &Plan, actor: &Actor) -> Result<Applied> {
    let mut orgs: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        // What is nobody's that we know has nothing to wait for.
        let owner = step.org_id.as_deref().unwrap_or(&step.subject);
        orgs.entry(owner).or_default().push(step);
    }
    let mut work: Vec<BoxFuture<'_, Result<Applied>>> = Vec::new();
    for steps in orgs.into_values() {
        work.push(Box::pin(mend(engine, steps, actor)));
    }
    let parts: Vec<Applied> = stream::iter(work).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut applied = Applied::default();
    for part in parts {
        applied.done.extend(part.done);
        applied.failed.extend(part.failed);
        applied.left.extend(part.left);
    }
    applied.done.sort();
    applied.left.sort();
    Ok(applied)
}

async fn mend(engine: &Engine, steps: Vec<&Step>, actor: &Actor) -> Result<Applied> {
    let mut applied = Applied::default();
    for step in steps {
        let subject = step.subject.clone();
        let Some(remedy) = step.remedy else {
            applied.left.push(subject);
            continue;
        };
        let outcome = look(engine, remedy, &subject).await;
        let said = match &outcome {
            Ok(Synced::Done) => "done".to_owned(),
            Ok(Synced::Foreign) => "it is another product's".to_owned(),
            Ok(Synced::Unmatched(reason)) => reason.clone(),
            Err(error) => error.to_string(),
        };
        record(engine, step, actor, &said).await?;
        match outcome {
            Ok(Synced::Done) => applied.done.push(subject),
            _ => drop(applied.failed.insert(subject, said)),
        }
    }
    Ok(applied)
}

pub(super) async fn look(engine: &Engine, remedy: Remedy, id: &str) -> Result<Synced> {
    let claim = Claim::default();
    match remedy {
        Remedy::Customer => customers::sync(engine, id, &claim).await,
        Remedy::Subscription => sync::subscription(engine, id, &claim).await,
        Remedy::Invoice => sync::invoice(engine, id, &claim).await,
        Remedy::Session => sync::session(engine, id, &claim).await,
        Remedy::Payment => recharges::sync_payment(engine, id, &claim).await,
        Remedy::Refund => refunds::sync_refund(engine, id, &claim).await,
        Remedy::Dispute => refunds::sync_dispute(engine, id, &claim).await,
        Remedy::CreditNote => refunds::sync_credit_note(engine, id, &claim).await,
    }
}

async fn record(engine: &Engine, step: &Step, actor: &Actor, outcome: &str) -> Result<()> {
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: step.org_id.as_deref(),
        action: "reconciliation.apply",
        subject: &step.subject,
        reason: Some(&step.message),
        detail: Some(json!({ "kind": step.kind, "outcome": outcome, "was": step.detail })),
    };
    let mut tx = engine.db.begin().await?;
    audit::record(&mut tx, &entry, engine.clock.now()).await?;
    tx.commit().await
}
