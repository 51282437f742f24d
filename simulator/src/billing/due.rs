//! Time passing: finds what is due, in order, and lets it happen at its own moment.

use serde_json::Value;

use super::{calendar::DAY, invoicing, paying, renewal, subscribing};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// How long a first payment may stay incomplete.
const INCOMPLETE_SECONDS: i64 = 23 * 3600;
/// More steps than this in one advance mean that something turns in circles.
const MOST_STEPS: usize = 200_000;

/// Whose time passes.
#[derive(Clone, Copy, PartialEq)]
pub enum Scope<'a> {
    /// Everybody's who has no test clock.
    Everyone,
    /// The customers of one test clock.
    Clock(&'a str),
}

enum Task {
    Cancel(String),
    Turn(String),
    AnnounceTrialEnd(String),
    ExpireIncomplete(String),
    Finalize(String),
    Retry(String),
    ExpireSession(String),
}

/// Runs everything due up to the target, each at its moment. The clock of the scope stands there
/// afterwards only for a test clock; the global one is moved by its offset.
pub fn run_until(world: &mut World, scope: Scope, target: i64) -> Answer<usize> {
    for step in 0..MOST_STEPS {
        let Some((moment, task)) = earliest(world, scope).filter(|(at, _)| *at <= target) else {
            set_clock(world, scope, target);
            world.freeze(None);
            return Ok(step);
        };
        set_clock(world, scope, moment);
        run(world, task, moment)?;
    }
    Err(ApiError::server("Advancing the clock does not come to an end."))
}

fn set_clock(world: &mut World, scope: Scope, moment: i64) {
    match scope {
        Scope::Everyone => world.freeze(Some(moment)),
        Scope::Clock(id) => {
            let kind = "test_helpers.test_clock";
            world.edit(kind, id, |clock| clock["frozen_time"] = moment.into());
        }
    }
}

fn run(world: &mut World, task: Task, moment: i64) -> Answer<()> {
    match task {
        Task::Cancel(id) => {
            subscribing::end(world, &id, "cancellation_requested", true);
        }
        Task::Turn(id) => renewal::turn(world, &id, moment)?,
        Task::AnnounceTrialEnd(id) => {
            let sub = world.edit("subscription", &id, |sub| sub.put("_sim.trial_told", true));
            world.emit("customer.subscription.trial_will_end", &sub, None);
        }
        Task::ExpireIncomplete(id) => expire_incomplete(world, &id)?,
        Task::Finalize(id) => {
            let invoice = invoicing::finalize(world, &id)?;
            if invoice.text("status") == "open" {
                attempt(world, &id);
            }
        }
        Task::Retry(id) => attempt(world, &id),
        Task::ExpireSession(id) => super::checkout::expire(world, &id),
    }
    Ok(())
}

/// An automatic attempt: what a refusal means is recorded where it happens.
fn attempt(world: &mut World, invoice: &str) {
    if let Err(error) = paying::pay(world, invoice, None, true) {
        tracing::debug!(invoice, reason = error.message(), "the charge was refused");
    }
}

fn expire_incomplete(world: &mut World, id: &str) -> Answer<()> {
    let expired = world.edit_and_tell("subscription", id, "customer.subscription.updated", |sub| {
        sub["status"] = "incomplete_expired".into();
    });
    let invoice = expired.text("latest_invoice").to_owned();
    if world.get("invoice", &invoice).is_some_and(|invoice| invoice.text("status") == "open") {
        invoicing::void(world, &invoice, "invoice.voided", "void")?;
    }
    Ok(())
}

/// The next thing that is due in the scope.
fn earliest(world: &World, scope: Scope) -> Option<(i64, Task)> {
    let mut best: Option<(i64, Task)> = None;
    let mut offer = |found: Option<(i64, Task)>| {
        if let Some((at, task)) = found
            && best.as_ref().is_none_or(|(earlier, _)| at < *earlier)
        {
            best = Some((at, task));
        }
    };
    for sub in world.store.oldest("subscription").filter(|sub| concerns(world, sub, scope)) {
        offer(of_subscription(sub));
    }
    for invoice in world.store.oldest("invoice").filter(|i| concerns(world, i, scope)) {
        offer(of_invoice(invoice));
    }
    if scope == Scope::Everyone {
        let open = world.store.oldest("checkout.session").filter(|s| s.text("status") == "open");
        for session in open {
            let id = session.text("id").to_owned();
            offer(Some((session.int("expires_at"), Task::ExpireSession(id))));
        }
    }
    best
}

fn concerns(world: &World, object: &Value, scope: Scope) -> bool {
    let customer = world.get("customer", object.text("customer"));
    let clock = customer.and_then(|customer| customer.opt_text("test_clock"));
    match scope {
        Scope::Everyone => clock.is_none(),
        Scope::Clock(id) => clock == Some(id),
    }
}

fn of_subscription(sub: &Value) -> Option<(i64, Task)> {
    let id = sub.text("id").to_owned();
    let status = sub.text("status");
    if status == "incomplete" {
        return Some((sub.int("created") + INCOMPLETE_SECONDS, Task::ExpireIncomplete(id)));
    }
    if !matches!(status, "trialing" | "active" | "past_due" | "unpaid") {
        return None;
    }
    let items = sub.list("items.data").iter();
    let turn = items.map(|item| item.int("current_period_end")).min()?;
    if let Some(end) = sub.opt_int("cancel_at").filter(|end| *end <= turn) {
        return Some((end, Task::Cancel(id)));
    }
    let told = sub.flag("_sim.trial_told");
    let notice = sub.opt_int("trial_end").filter(|_| status == "trialing" && !told);
    match notice.map(|end| end - subscribing::TRIAL_NOTICE) {
        Some(notice) if notice <= turn => Some((notice, Task::AnnounceTrialEnd(id))),
        _ => Some((turn, Task::Turn(id))),
    }
}

fn of_invoice(invoice: &Value) -> Option<(i64, Task)> {
    if !invoice.flag("auto_advance") {
        return None;
    }
    let id = invoice.text("id").to_owned();
    match invoice.text("status") {
        "draft" => Some((invoice.opt_int("automatically_finalizes_at")?, Task::Finalize(id))),
        "open" => Some((invoice.opt_int("next_payment_attempt")?, Task::Retry(id))),
        _ => None,
    }
}

/// Whether anything of the customers without a test clock is due now.
pub fn is_due(world: &World) -> bool {
    earliest(world, Scope::Everyone).is_some_and(|(at, _)| at <= world.now())
}

/// How far one request may move the global clock.
pub const LONGEST_ADVANCE: i64 = 3 * 366 * DAY;
