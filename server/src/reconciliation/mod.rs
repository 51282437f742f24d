//! Reconciliation: what Stripe knows and we might have missed, and what we have and Stripe does
//! not know.
//!
//! Owns no tables; its watermark is a setting. Changes nothing itself: events that it finds go into
//! the inbox, objects that differ are looked at by the functions that webhooks use, and what needs
//! a person's judgement becomes a finding.

mod anew;
mod apply;
mod compare;
mod ours;
mod plan;
mod poll;
mod seen;

use crate::audit::Actor;
use crate::clock::{DAY, Millis};
use crate::engine::Engine;
use crate::error::Result;
use crate::findings::{self, NewFinding};
use crate::{settings, webhooks};

pub use anew::{Looked, look_anew};
pub use apply::{Applied, apply};
pub use plan::{Plan, Remedy, Step, plan, plan_since};
pub use poll::poll_events;

/// How far back payments, invoices and refunds are compared: more than a month, so that every
/// monthly invoice is seen, and every day of an outage that Stripe still has events of. Further
/// back where somebody asks for it.
pub const DAYS: i64 = 40;

/// When everything was compared last.
const COMPARED: &str = "reconciled_at";

/// Compares everything where that is a day ago. One that failed, since Stripe could not be reached,
/// is tried again at the next turn and not a day later.
pub async fn turn(engine: &Engine) -> Result<()> {
    let last = settings::read(&engine.db, COMPARED).await?;
    let last = last.and_then(|text| text.parse::<Millis>().ok());
    if last.is_some_and(|last| engine.clock.now() - last < DAY) {
        return Ok(());
    }
    nightly(engine).await?;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    settings::write(&mut tx, COMPARED, &now.to_string(), now).await?;
    tx.commit().await
}

/// Compares everything, writes the differences down as findings, and applies what is safe.
///
/// Safe is looking at an object anew: that is what the event would have caused which never came,
/// it is decided by Stripe's own answer, and doing it twice changes nothing. What only we know of
/// (credits whose payment Stripe does not have, a subscription that it never heard of) stays a
/// finding: taking something from a customer because of it is a person's decision. (F2, F3, F4)
pub async fn nightly(engine: &Engine) -> Result<()> {
    poll_events(engine).await?;
    webhooks::report(engine).await?;
    let begun = engine.clock.now();
    let mut plan = plan(engine).await?;
    // What an event is on its way for is no difference yet.
    plan.steps.retain(|step| !step.waiting);
    let mut tx = engine.db.begin().await?;
    for step in &plan.steps {
        findings::record(&mut tx, &step.finding(), begun).await?;
    }
    for kind in plan::KINDS {
        findings::resolve_unseen(&mut tx, kind, begun, begun).await?;
    }
    tx.commit().await?;
    let applied = apply(engine, &plan, &Actor::System).await?;
    let mut tx = engine.db.begin().await?;
    let now = engine.clock.now();
    for step in plan.steps.iter().filter(|step| applied.is_done(step)) {
        let how = "looked at anew: it is as Stripe says";
        findings::resolve(&mut tx, step.kind, &step.subject, how, now).await?;
    }
    tx.commit().await?;
    let (found, done, days) = (plan.steps.len(), applied.done.len(), (begun - plan.since) / DAY);
    tracing::info!(found, done, days, "what we have was compared with what Stripe has");
    Ok(())
}

impl Step {
    fn finding(&self) -> NewFinding<'_> {
        NewFinding {
            kind: self.kind,
            subject: &self.subject,
            org_id: self.org_id.as_deref(),
            message: &self.message,
            detail: Some(self.detail.clone()),
        }
    }
}
