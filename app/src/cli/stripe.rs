//! What came from Stripe, and whether it is what we have: `events list|show|replay`,
//! `reconcile [--apply]`, `findings list|dismiss`.

use clap::{Args, Subcommand};
use serde_json::json;
use server::engine::Engine;
use server::error::Result;
use server::findings::{self, Finding};
use server::reconciliation::{self, Plan};
use server::{clock, webhooks};

use super::Report;
use super::commands::operator;

/// Rows printed at most.
const ROWS: i64 = 100;

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Print the newest.
    List {
        /// Only those with this status, such as dead or unmatched.
        #[arg(long)]
        status: Option<String>,
        /// Only those before this one.
        #[arg(long)]
        starting_after: Option<String>,
    },
    /// Print what is kept of an event.
    Show {
        /// `evt_…`
        id: String,
    },
    /// Act on an event again; doing it twice changes nothing.
    Replay {
        /// `evt_…`
        #[arg(required_unless_present = "failed", conflicts_with = "failed")]
        id: Option<String>,
        /// Every event that failed for good or matched nobody.
        #[arg(long)]
        failed: bool,
    },
    /// Read Stripe's own list of events and keep those that no webhook brought.
    Poll,
}

/// What can be done with findings.
#[derive(Debug, Subcommand)]
pub enum Findings {
    /// Print the open ones.
    List {
        /// Those that are gone, too.
        #[arg(long)]
        all: bool,
    },
    /// Say why an open one may stay as it is.
    Dismiss {
        /// `finding_…`
        id: String,
        /// Why; it stands in the audit trail.
        #[arg(long)]
        reason: String,
    },
}

/// Compares what Stripe has with what we have.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Look at everything anew that differs. Without it nothing is changed.
    #[arg(long)]
    apply: bool,
    /// Compare payments, invoices and refunds of so many days.
    #[arg(long, default_value_t = reconciliation::DAYS)]
    #[arg(value_parser = clap::value_parser!(i64).range(1..=3_650))]
    days: i64,
}

/// `events list|show|replay|poll`
pub async fn events(engine: &Engine, command: Events) -> Result<Report> {
    match command {
        Events::List { status, starting_after } => {
            list_events(engine, status.as_deref(), starting_after.as_deref()).await
        }
        Events::Show { id } => show_event(engine, &id).await,
        Events::Replay { id, failed } => {
            let now = engine.clock.now();
            let mut tx = engine.db.begin().await?;
            let count = match &id {
                Some(id) if !failed => {
                    webhooks::replay(&mut tx, id, &operator(), now).await?;
                    1
                }
                _ => webhooks::replay_failed(&mut tx, &operator(), now).await?,
            };
            tx.commit().await?;
            let line = format!("{count} put back; the worker acts on them next.");
            Ok(Report::done(line, json!({ "replayed": count })))
        }
        Events::Poll => {
            let found = reconciliation::poll_events(engine).await?;
            let line = format!("{found} events that no webhook had brought.");
            Ok(Report::done(line, json!({ "found": found })))
        }
    }
}

async fn list_events(engine: &Engine, status: Option<&str>, after: Option<&str>) -> Result<Report> {
    let events = webhooks::list(&engine.db, status, after, ROWS).await?;
    let lines = events.iter().map(|event| {
        let at = clock::rfc3339(event.received_at);
        let error = event.last_error.as_deref().unwrap_or_default();
        format!("{at}  {}  {:<13}  {}  {error}", event.id, event.status, event.kind)
    });
    let data: Vec<_> = events
        .iter()
        .map(|event| {
            json!({
                "id": event.id, "type": event.kind, "status": event.status,
                "object": event.object_id, "customer": event.customer_id,
                "attempts": event.attempts, "last_error": event.last_error,
                "received_at": clock::rfc3339(event.received_at),
            })
        })
        .collect();
    Ok(Report { lines: lines.collect(), json: json!({ "data": data }), ok: true })
}

async fn show_event(engine: &Engine, id: &str) -> Result<Report> {
    let (event, payload) = webhooks::find(&engine.db, id).await?;
    let text = |value: Option<&str>| value.unwrap_or("none").to_owned();
    let done = event.settled_at.map(clock::rfc3339);
    let mut lines = vec![
        format!("{}  {}  {}", event.id, event.kind, event.status),
        format!("object:    {}", text(event.object_id.as_deref())),
        format!("customer:  {}", text(event.customer_id.as_deref())),
        format!("received:  {}", clock::rfc3339(event.received_at)),
        format!("done with: {}", text(done.as_deref())),
        format!("attempts:  {}", event.attempts),
        format!("error:     {}", text(event.last_error.as_deref())),
    ];
    lines.push(payload.clone().unwrap_or_else(|| "What it said was not kept.".to_owned()));
    let json = json!({
        "id": event.id, "type": event.kind, "status": event.status,
        "object": event.object_id, "customer": event.customer_id,
        "attempts": event.attempts, "last_error": event.last_error,
        "received_at": clock::rfc3339(event.received_at), "settled_at": done,
        "payload": payload,
    });
    Ok(Report { lines, json, ok: true })
}

/// `findings list|dismiss`
pub async fn findings(engine: &Engine, command: Findings) -> Result<Report> {
    match command {
        Findings::List { all } => {
            let list = findings::list(&engine.db, !all, ROWS).await?;
            let mut lines: Vec<String> = list.iter().map(finding_line).collect();
            if lines.is_empty() {
                lines.push("Nothing is open.".to_owned());
            }
            let json = json!({ "data": serde_json::to_value(&list)? });
            Ok(Report { lines, json, ok: true })
        }
        Findings::Dismiss { id, reason } => {
            let mut tx = engine.db.begin().await?;
            findings::dismiss(&mut tx, &id, &reason, &operator(), engine.clock.now()).await?;
            tx.commit().await?;
            let line = format!("{id} is closed; it is found anew if it is seen again.");
            Ok(Report::done(line, json!({ "id": id, "dismissed": true })))
        }
    }
}

fn finding_line(finding: &Finding) -> String {
    let Finding { id, kind, subject, message, org_id, resolution, .. } = finding;
    let (at, org) = (clock::rfc3339(finding.first_at), org_id.as_deref().unwrap_or("-"));
    let gone = resolution.as_deref().map(|how| format!("  ({how})")).unwrap_or_default();
    format!("{at}  {id}  {kind}  {org}  {subject}: {message}{gone}")
}

/// `reconcile [--apply]`: exit code 1 while something differs.
pub async fn reconcile(engine: &Engine, command: Reconcile) -> Result<Report> {
    let plan = reconciliation::plan_since(engine, command.days).await?;
    let mut lines: Vec<String> = plan.steps.iter().map(step_line).collect();
    lines.push(summary(&plan));
    if !command.apply {
        let mendable = plan.steps.iter().filter(|step| step.remedy.is_some()).count();
        lines.push(match (plan.steps.is_empty(), mendable) {
            (true, _) => "What Stripe has is what we have.".to_owned(),
            (false, 0) => "Nothing of it is mended by itself: a person has to decide.".to_owned(),
            (false, _) => {
                format!("Nothing was changed. `reconcile --apply` looks at {mendable} anew.")
            }
        });
        let json = json!({ "plan": serde_json::to_value(&plan)?, "applied": null });
        return Ok(Report { lines, json, ok: plan.steps.is_empty() });
    }
    let applied = reconciliation::apply(engine, &plan, &operator()).await?;
    lines.extend(applied.failed.iter().map(|(id, why)| format!("{id} was not mended: {why}")));
    lines.push(format!(
        "{} looked at anew, {} failed, {} need a person.",
        applied.done.len(),
        applied.failed.len(),
        applied.left.len()
    ));
    let ok = applied.failed.is_empty() && applied.left.is_empty();
    let json = json!({
        "plan": serde_json::to_value(&plan)?, "applied": serde_json::to_value(&applied)?,
    });
    Ok(Report { lines, json, ok })
}

fn step_line(step: &reconciliation::Step) -> String {
    let org = step.org_id.as_deref().unwrap_or("-");
    let does = if step.remedy.is_some() { "look anew" } else { "person   " };
    let waiting = if step.waiting { " An event about it waits." } else { "" };
    format!("{does}  {:<22}  {org}  {}{waiting}", step.kind, step.message)
}

fn summary(plan: &Plan) -> String {
    let seen = |what: &str| plan.seen.get(what).copied().unwrap_or_default();
    let mut text = format!(
        "{} differences among {} customers, {} subscriptions, {} invoices and {} payments \
         since {}.",
        plan.steps.len(),
        seen("customers"),
        seen("subscriptions"),
        seen("invoices"),
        seen("payments"),
        clock::rfc3339(plan.since)
    );
    if plan.unsure > 0 {
        text += &format!(" {} more of ours were not asked for, being too many.", plan.unsure);
    }
    text
}
