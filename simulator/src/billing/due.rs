//! Time passing: finds what is due, in order, and lets it happen at its own moment.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::{
    calendar::DAY, debiting, discounting, disputing, ending, invoicing, pausing, paying, refunding,
    renewal, scheduling, standing, subscribing,
};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{Appointment, World};

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
    Phase(String),
    Cancel(String),
    EndDiscount(String, String),
    GiveUp(String),
    CollectAgain(String),
    Turn(String),
    AnnounceRenewal(String, i64),
    AnnounceTrialEnd(String),
    ExpireIncomplete(String),
    Finalize(String),
    Retry(String),
    Session(String),
    Refund(String),
    Dispute(String),
    Debit(String),
}

/// What is due first: one task of every customer who has one at that moment.
#[derive(Default)]
struct Batch {
    moment: Option<i64>,
    tasks: Vec<Task>,
    customers: HashSet<String>,
}

impl Batch {
    /// Takes a task up if none of its customer's at this moment came before it. Without a customer
    /// it waits until it is alone, since it may touch anybody's.
    fn offer(&mut self, customer: Option<&str>, (at, task): (i64, Task)) {
        if self.moment.is_none_or(|moment| at < moment) {
            *self = Batch { moment: Some(at), ..Batch::default() };
        } else if self.moment != Some(at) || customer.is_none_or(|c| self.customers.contains(c)) {
            return;
        }
        self.customers.extend(customer.map(str::to_owned));
        self.tasks.push(task);
    }
}

/// Runs everything due up to the target, each at its moment. The clock of the scope stands there
/// afterwards only for a test clock; the global one is moved by its offset.
pub fn run_until(world: &mut World, scope: Scope, target: i64) -> Answer<usize> {
    let mut steps = 0;
    while steps < MOST_STEPS {
        let batch = earliest(world, scope);
        let Some(moment) = batch.moment.filter(|at| *at <= target) else {
            set_clock(world, scope, target);
            world.freeze(None);
            return Ok(steps);
        };
        set_clock(world, scope, moment);
        for task in batch.tasks {
            steps += 1;
            run(world, task, moment)?;
        }
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
        Task::Phase(id) => scheduling::step(world, &id, moment)?,
        Task::Cancel(id) => ending::planned(world, &id)?,
        Task::EndDiscount(sub, id) => discounting::remove(world, &sub, &id),
        Task::GiveUp(id) => standing::give_up(world, &id)?,
        Task::CollectAgain(id) => pausing::collect_again(world, &id),
        Task::AnnounceRenewal(id, turn) => renewal::announce(world, &id, turn),
        Task::Turn(id) => renewal::turn(world, &id, moment)?,
        Task::AnnounceTrialEnd(id) => {
            let sub = world.edit("subscription", &id, |sub| sub.put("_sim.trial_told", true));
            world.emit("customer.subscription.trial_will_end", &sub, None);
        }
        Task::ExpireIncomplete(id) => standing::expire_incomplete(world, &id)?,
        Task::Finalize(id) => finalize(world, &id)?,
        Task::Retry(id) => attempt(world, &id),
        Task::Session(id) => super::checkout::come_due(world, &id)?,
        Task::Refund(id) => refunding::settle(world, &id)?,
        Task::Dispute(id) => disputing::lapse(world, &id)?,
        Task::Debit(id) => debiting::answer(world, &id)?,
    }
    Ok(())
}

/// A draft's time is over: it is charged, unless its subscription's collection is paused.
fn finalize(world: &mut World, id: &str) -> Answer<()> {
    let invoice = invoicing::finalize(world, id)?;
    if invoice.text("status") != "open" {
        return Ok(());
    }
    let sub = paying::subscription_of(world, &invoice);
    match sub.text("pause_collection.behavior") {
        "void" => invoicing::void(world, id, "invoice.voided", "void").map(|_| ()),
        "mark_uncollectible" => {
            invoicing::void(world, id, "invoice.marked_uncollectible", "uncollectible").map(|_| ())
        }
        _ => {
            attempt(world, id);
            Ok(())
        }
    }
}

/// An automatic attempt: what a refusal means is recorded where it happens.
fn attempt(world: &mut World, invoice: &str) {
    let sent = world.get("invoice", invoice).map(|i| i.text("collection_method").to_owned());
    if sent.is_some_and(|method| method == "send_invoice") {
        return;
    }
    if let Err(error) = paying::pay(world, invoice, None, true) {
        tracing::debug!(invoice, reason = error.message(), "the charge was refused");
    }
}

/// What something can be due for, in the order in which it happens at one and the same moment.
const KINDS: [&str; 7] = [
    scheduling::KIND,
    "subscription",
    "invoice",
    "refund",
    "payment_intent",
    "dispute",
    "checkout.session",
];

/// The things that are due next in the scope.
fn earliest(world: &mut World, scope: Scope) -> Batch {
    keep_up(world);
    let clock = match scope {
        Scope::Everyone => None,
        Scope::Clock(id) => Some(id),
    };
    let mut best = Batch::default();
    for (sort, id) in world.agenda.first(clock) {
        let Some(object) = world.get(KINDS[sort], &id) else { continue };
        // What is not about a customer's bills waits until it is alone.
        let bills = matches!(KINDS[sort], scheduling::KIND | "subscription" | "invoice");
        let customer = object.opt_text("customer").filter(|_| bills);
        for task in before(world, sort, object) {
            best.offer(customer, task);
        }
    }
    best
}

/// Looks again at when something is due for what has changed, and for nothing else.
fn keep_up(world: &mut World) {
    let mut stale: BTreeSet<(usize, String)> = BTreeSet::new();
    for (kind, id) in world.store.take_touched() {
        match kind.as_str() {
            // By whose time something is due depends on its customer.
            "customer" => (0..KINDS.len()).for_each(|sort| {
                let mine = world.store.oldest_by(KINDS[sort], owner(sort), &id);
                stale.extend(mine.map(|object| (sort, object.text("id").to_owned())));
            }),
            "discount" => {
                let sub = world.get("discount", &id).and_then(|it| it.opt_text("subscription"));
                stale.extend(sub.map(|sub| (1, sub.to_owned())));
            }
            _ => stale.extend(KINDS.iter().position(|known| *known == kind).map(|sort| (sort, id))),
        }
    }
    for (sort, id) in stale {
        let next = appointment(world, sort, &id);
        world.agenda.write((sort, id), next);
    }
}

/// Where an object of a sort names its customer.
fn owner(sort: usize) -> &'static str {
    if matches!(KINDS[sort], "refund" | "dispute") { "_sim.customer" } else { "customer" }
}

/// When something is due next for an object, and by whose time.
fn appointment(world: &World, sort: usize, id: &str) -> Option<Appointment> {
    let object = world.get(KINDS[sort], id)?;
    let at = before(world, sort, object).into_iter().map(|(at, _)| at).min()?;
    let customer = world.get("customer", object.text(owner(sort)));
    let clock = customer.and_then(|customer| customer.opt_text("test_clock"));
    // Sessions know real time only.
    let clock = clock.filter(|_| KINDS[sort] != "checkout.session").map(str::to_owned);
    Some(Appointment { clock, at, place: world.store.place_of(KINDS[sort], id)? })
}

/// What an object has before it; of things at one moment the first here happens first.
fn before(world: &World, sort: usize, object: &Value) -> Vec<(i64, Task)> {
    let id = || object.text("id").to_owned();
    let one = |at: Option<i64>, task: fn(String) -> Task| -> Vec<(i64, Task)> {
        at.map(|at| (at, task(id()))).into_iter().collect()
    };
    match KINDS[sort] {
        "subscription" => of_subscription(world, object),
        "invoice" => of_invoice(object).into_iter().collect(),
        "refund" => one(refunding::due(object), Task::Refund),
        "payment_intent" => one(debiting::due(object), Task::Debit),
        "dispute" => one(disputing::due(object), Task::Dispute),
        "checkout.session" => one(super::checkout::due_at(object), Task::Session),
        _ => one(scheduling::due(object), Task::Phase),
    }
}

/// What a subscription has before it; of things at one moment the first here happens first.
fn of_subscription(world: &World, sub: &Value) -> Vec<(i64, Task)> {
    let id = || sub.text("id").to_owned();
    let status = sub.text("status");
    let mut all = Vec::new();
    if status == "incomplete" {
        all.push((sub.int("created") + INCOMPLETE_SECONDS, Task::ExpireIncomplete(id())));
        return all;
    }
    if standing::is_over(sub) {
        return all;
    }
    if let Some(expires) = sub.opt_int("_sim.awaiting.expires_at") {
        all.push((expires, Task::GiveUp(id())));
    }
    if let Some(end) = sub.opt_int("cancel_at") {
        all.push((end, Task::Cancel(id())));
    }
    if let Some((end, discount)) = discounting::next_end(world, sub) {
        all.push((end, Task::EndDiscount(id(), discount)));
    }
    if let Some(resumes) = sub.opt_int("pause_collection.resumes_at") {
        all.push((resumes, Task::CollectAgain(id())));
    }
    if matches!(status, "trialing" | "active" | "past_due" | "unpaid") {
        all.extend(of_period(sub));
    }
    all
}

/// What the end of the running period brings: its announcements and the end itself.
fn of_period(sub: &Value) -> Vec<(i64, Task)> {
    let id = sub.text("id").to_owned();
    let status = sub.text("status");
    let items = sub.list("items.data");
    let Some(turn) = items.iter().map(|item| item.int("current_period_end")).min() else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let told = sub.flag("_sim.trial_told");
    if let Some(end) = sub.opt_int("trial_end").filter(|_| status == "trialing" && !told) {
        let notice = (end - subscribing::TRIAL_NOTICE).min(turn);
        all.push((notice, Task::AnnounceTrialEnd(id.clone())));
    }
    let begun = items.iter().map(|item| item.int("current_period_start")).min().unwrap_or(turn);
    let notice = turn - renewal::UPCOMING_NOTICE;
    let ends = sub.opt_int("cancel_at").is_some_and(|end| end <= turn);
    let known = sub.int("_sim.upcoming_told") == turn;
    if notice > begun && !ends && !known && status != "unpaid" {
        all.push((notice, Task::AnnounceRenewal(id.clone(), turn)));
    }
    all.push((turn, Task::Turn(id)));
    all
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

/// How far one request may move the global clock.
pub const LONGEST_ADVANCE: i64 = 3 * 366 * DAY;
