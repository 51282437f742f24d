//! The worker: runs jobs, processes the inbox, and does what comes round again and again.
//!
//! Owns no tables. Two workers at once are safe: jobs and events have leases, schedules have turns.
//! Idle it only reads. Failures are logged here, once, and stay visible as rows.

use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::audit::Actor;
use crate::auth::{sessions, throttle};
use crate::clock::{DAY, HOUR, MINUTE, Millis};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::{self, Claimed, Failure};
use crate::{
    autorecharge, contracts, credits, customers, gate, mail, overage, recharges, reconciliation,
    subscriptions, webhooks,
};

/// How long an idle worker waits when nobody wakes it.
const PAUSE: Duration = Duration::from_secs(1);
/// In development somebody is watching.
const PAUSE_DEVELOPMENT: Duration = Duration::from_millis(250);
/// Events claimed in one go; one that is slow holds up nobody else meanwhile.
const EVENTS: i64 = 1_000;
/// Rounds of [`run_once`]: what was done may have left more to do, but never without end.
const ROUNDS: usize = 1_000;

/// Sweeps of one turn.
const SWEEPS: usize = 20;

/// What comes round again and again, and how often.
const SCHEDULES: [(&str, Millis); 10] = [
    ("credits.sweep", MINUTE),
    ("subscriptions.turn", MINUTE),
    ("identity.tidy", HOUR),
    ("gate.tidy", HOUR),
    ("stripe.events", 5 * MINUTE),
    ("ledger.audit", DAY),
    ("overage.post", 10 * MINUTE),
    ("recharges.check", HOUR),
    ("cards.expiring", DAY),
    ("stripe.reconcile", HOUR),
];

/// Works until `shutdown` says true or its sender is gone; then finishes what it has begun. Jobs,
/// events and schedules run beside each other, so that a slow mail server holds up no payment.
pub async fn run(engine: Engine, shutdown: watch::Receiver<bool>) {
    let [jobs, events, schedules] = [const { Notify::const_new() }; 3];
    tokio::join!(
        ring(&engine, [&jobs, &events, &schedules], shutdown.clone()),
        work(&engine, Work::Jobs, &jobs, shutdown.clone()),
        work(&engine, Work::Events, &events, shutdown.clone()),
        work(&engine, Work::Schedules, &schedules, shutdown),
    );
}

/// Does everything that is due now, and what follows from it. Answers how much that was.
pub async fn run_once(engine: &Engine) -> Result<usize> {
    engine.clock.refresh(&engine.db).await?;
    let mut done = 0;
    for _ in 0..ROUNDS {
        let mut round = 0;
        for kind in [Work::Schedules, Work::Events, Work::Jobs] {
            round += kind.share(engine).await?;
        }
        if round == 0 {
            break;
        }
        done += round;
    }
    Ok(done)
}

/// The kinds of work.
#[derive(Clone, Copy, Debug)]
enum Work {
    Jobs,
    Events,
    Schedules,
}

impl Work {
    /// Does a share of it; answers how much was done.
    async fn share(self, engine: &Engine) -> Result<usize> {
        match self {
            Self::Jobs => run_jobs(engine).await,
            Self::Events => webhooks::process_due(engine, EVENTS).await,
            Self::Schedules => run_schedules(engine).await,
        }
    }
}

/// Rings every bell when the engine is woken and after every pause, and keeps the clock. A bell
/// rung while nobody waits for it is heard at the next wait.
async fn ring(engine: &Engine, bells: [&Notify; 3], mut shutdown: watch::Receiver<bool>) {
    let development = engine.config.is_development();
    let pause = if development { PAUSE_DEVELOPMENT } else { PAUSE };
    loop {
        tokio::select! {
            () = engine.wake.notified() => {}
            () = tokio::time::sleep(pause) => {
                if let Err(error) = engine.clock.refresh(&engine.db).await {
                    tracing::debug!("the clock could not be read: {error}");
                }
            }
            () = told_to_stop(&mut shutdown) => break,
        }
        for bell in bells {
            bell.notify_one();
        }
    }
}

/// Does one kind of work whenever its bell rings, until there is no more of it. A failure is told
/// once, and again only after a success.
async fn work(engine: &Engine, kind: Work, bell: &Notify, mut shutdown: watch::Receiver<bool>) {
    let mut failing = false;
    while !*shutdown.borrow() {
        match kind.share(engine).await {
            Ok(0) => failing = false,
            Ok(_) => {
                failing = false;
                continue;
            }
            Err(error) if failing => tracing::debug!(?kind, "still failing: {error}"),
            Err(error) => {
                failing = true;
                tracing::error!(?kind, "the worker failed and tries again: {error}");
            }
        }
        tokio::select! {
            () = bell.notified() => {}
            () = told_to_stop(&mut shutdown) => break,
        }
    }
}

async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever wanted the work done.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Runs the jobs that are due, a few at a time. Answers how many were taken.
async fn run_jobs(engine: &Engine) -> Result<usize> {
    let now = engine.clock.now();
    if !jobs::any_due(&engine.db, now).await? {
        return Ok(0);
    }
    let mut tx = engine.db.begin().await?;
    let claimed = jobs::claim(&mut tx, now).await?;
    tx.commit().await?;
    let attempts = claimed.iter().map(|job| attempt(engine, job));
    for attempted in futures::future::join_all(attempts).await {
        attempted?;
    }
    Ok(claimed.len())
}

/// Tries a job once and writes down what came of it. The jobs that were claimed together run
/// together, so that none outlives its lease while it waits for the others.
async fn attempt(engine: &Engine, job: &Claimed) -> Result<()> {
    let outcome = match tokio::time::timeout(jobs::TIME_LIMIT, handle(engine, job)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Retry(Error::internal("the job took too long"))),
    };
    let mut tx = engine.db.begin().await?;
    match &outcome {
        Ok(()) => jobs::finish(&mut tx, job).await?,
        Err(failure) => {
            log(job, failure);
            jobs::fail(&mut tx, job, failure, engine.clock.now()).await?;
        }
    }
    tx.commit().await
}

/// Which room handles which kind of job.
async fn handle(engine: &Engine, job: &Claimed) -> Result<(), Failure> {
    match job.kind.as_str() {
        mail::JOB => mail::deliver(engine, &job.payload).await,
        autorecharge::JOB => recharges::attempt(engine, &job.payload).await,
        kind => Err(Failure::GiveUp(Error::internal(format!("no handler for {kind}")))),
    }
}

fn log(job: &Claimed, failure: &Failure) {
    let (id, kind, attempt) = (&job.id, &job.kind, job.attempt);
    match failure {
        Failure::Retry(error) => {
            tracing::warn!(
                job = id,
                kind,
                attempt,
                "a job failed and will be tried again: {error}"
            );
        }
        Failure::GiveUp(error) => {
            tracing::error!(job = id, kind, attempt, "a job failed for good: {error}");
        }
    }
}

/// Takes the turns that are due. What was done in a turn leaves its own rows behind, so it does not
/// count as work that calls for another round.
async fn run_schedules(engine: &Engine) -> Result<usize> {
    let now = engine.clock.now();
    let known = jobs::schedules(&engine.db).await?;
    for (name, every) in SCHEDULES {
        let due_at = known.iter().find(|(known, _)| known == name).map_or(0, |(_, at)| *at);
        if due_at > now {
            continue;
        }
        let mut tx = engine.db.begin().await?;
        let ours = jobs::take_turn(&mut tx, name, every, now).await?;
        tx.commit().await?;
        if !ours {
            continue;
        }
        if let Err(error) = take_turn(engine, name).await {
            tracing::error!(schedule = name, "failed, and is tried again next time: {error}");
        }
    }
    Ok(0)
}

async fn take_turn(engine: &Engine, name: &str) -> Result<()> {
    match name {
        "credits.sweep" => {
            // The rest, if it is that much, comes at the next turn.
            for _ in 0..SWEEPS {
                if gate::sweep(engine).await? == 0 {
                    break;
                }
            }
            Ok(())
        }
        "subscriptions.turn" => {
            contracts::turn(engine).await?;
            subscriptions::turn(engine).await.map(drop)
        }
        "overage.post" => overage::post_due(engine).await.map(drop),
        "recharges.check" => recharges::check(engine).await.map(drop),
        "cards.expiring" => customers::tell_expiring(engine).await.map(drop),
        "stripe.reconcile" => reconciliation::turn(engine).await,
        "identity.tidy" => tidy_identity(engine).await,
        "gate.tidy" => gate::tidy(engine).await,
        "stripe.events" => reconciliation::poll_events(engine).await.map(drop),
        "ledger.audit" => {
            // Each wallet that disagrees is parked and logged; the rest is for people.
            let now = engine.clock.now();
            credits::audit_books(&engine.db, None, &Actor::System, now).await.map(drop)
        }
        other => Err(Error::internal(format!("no such schedule: {other}"))),
    }
}

/// Removes sessions and throttles that are over.
async fn tidy_identity(engine: &Engine) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    sessions::delete_expired(&mut tx, &engine.clock).await?;
    throttle::delete_ended(&mut tx, engine.clock.now()).await?;
    tx.commit().await
}
