//! `doctor`: looks at everything that has to be right, and says what is wrong and how to mend it.

use serde_json::json;
use server::catalog;
use server::engine::Engine;
use server::error::Result;
use server::stripe::inbox::Status;
use server::webhooks::endpoint;
use server::{clock, credits, findings, jobs};

use super::Report;
use crate::format;

/// The furthest that our clock may be from the database's, in milliseconds.
const CLOCK_DISTANCE_MAX: i64 = clock::SECOND;
/// How long an event may wait for the worker.
const WAITING_MAX: i64 = 5 * clock::MINUTE;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    ok: bool,
    says: String,
}

/// Looks at everything.
pub async fn examine(engine: &Engine) -> Result<Report> {
    let findings = [
        configuration(engine),
        database(engine).await?,
        time(engine).await?,
        stripe(engine).await,
        webhooks(engine).await?,
        inbox(engine).await?,
        differences(engine).await?,
        on_sale(engine).await?,
        books(engine).await?,
        work(engine).await?,
    ];
    let ok = findings.iter().all(|finding| finding.ok);
    let lines = findings.iter().map(|finding| {
        let mark = if finding.ok { "ok   " } else { "WRONG" };
        format!("{mark}  {}: {}", finding.what, finding.says)
    });
    let list: Vec<_> = findings
        .iter()
        .map(|finding| json!({ "what": finding.what, "ok": finding.ok, "says": finding.says }))
        .collect();
    Ok(Report { lines: lines.collect(), json: json!({ "ok": ok, "findings": list }), ok })
}

fn finding(what: &'static str, ok: bool, says: impl Into<String>) -> Finding {
    Finding { what, ok, says: says.into() }
}

fn configuration(engine: &Engine) -> Finding {
    let config = &engine.config;
    let place = if config.is_development() { "development" } else { "production" };
    let mode = config.stripe_mode();
    let tag = &config.product_tag;
    finding("configuration", true, format!("{place}, Stripe {mode} mode, product tag {tag}"))
}

async fn database(engine: &Engine) -> Result<Finding> {
    let pending = engine.db.pending_migrations().await?;
    Ok(match pending {
        0 => finding("database", true, "reachable, every migration applied"),
        count => {
            let says = format!("{count} migrations are missing: run `migrate`");
            finding("database", false, says)
        }
    })
}

async fn time(engine: &Engine) -> Result<Finding> {
    let distance = clock::distance(&engine.db).await?.abs();
    let ok = distance <= CLOCK_DISTANCE_MAX;
    let says = match ok {
        true => "agrees with the database's".to_owned(),
        false => format!("{distance} ms from the database's: set this machine's clock"),
    };
    Ok(finding("clock", ok, says))
}

/// Reads the catalog anew: that needs the key, the network and the mode to be right.
async fn stripe(engine: &Engine) -> Finding {
    match catalog::refresh(engine).await {
        Ok(_) => finding("stripe", true, "answers, and takes the key"),
        Err(error) => {
            let says = format!("{error}. Check STRIPE_SECRET_KEY and the network");
            finding("stripe", false, says)
        }
    }
}

/// The endpoint, and whether events that it verified have come. Where the simulator stands in for
/// Stripe it is told the address that the server listens on.
async fn webhooks(engine: &Engine) -> Result<Finding> {
    let simulated = crate::dev::simulator_url(engine).is_some();
    let base = match simulated {
        true => format!("http://{}", engine.config.bind_addr),
        false => engine.config.base_url.clone(),
    };
    let address = format!("{base}/webhooks/stripe");
    let wrong = match endpoint::wrong_with(engine, &address).await {
        Ok(wrong) => wrong,
        Err(error) => Some(format!("the endpoint could not be looked at: {error}")),
    };
    if let Some(wrong) = wrong {
        return Ok(finding("webhook endpoint", false, wrong));
    }
    let events = server::webhooks::list(&engine.db, None, None, 1).await?;
    let seen = match events.first() {
        Some(event) => format!("the last verified event came {}", format::stamp(event.received_at)),
        None => "no verified event came yet; if it stays so, check STRIPE_WEBHOOK_SECRET".into(),
    };
    Ok(finding("webhook endpoint", true, format!("{address} gets what it needs; {seen}")))
}

/// Events that were given up, that are nobody's, or that nobody works on.
async fn inbox(engine: &Engine) -> Result<Finding> {
    let mut wrong = Vec::new();
    for (status, what) in [
        (Status::Dead, "failed too often"),
        (Status::Unmatched, "match nobody"),
        (Status::ModeMismatch, "are of the other Stripe mode"),
    ] {
        let (count, said) = server::webhooks::count_stuck(&engine.db, status).await?;
        if count > 0 {
            let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
            let word = status.word();
            wrong.push(format!("{count} {what}{said}: see `events list --status {word}`"));
        }
    }
    let now = engine.clock.now();
    let waiting = server::webhooks::waiting_since(&engine.db, now).await?;
    if let Some(since) = waiting.filter(|since| now - since > WAITING_MAX) {
        let at = format::stamp(since);
        wrong.push(format!("an event waits since {at}: is `serve` running?"));
    }
    Ok(match wrong.is_empty() {
        true => finding("inbox", true, "every event was dealt with"),
        false => finding("inbox", false, wrong.join("; ")),
    })
}

/// What reconciliation and the worker found, and nobody has closed.
async fn differences(engine: &Engine) -> Result<Finding> {
    let open = findings::list(&engine.db, true, 1_000).await?;
    Ok(match open.first() {
        None => finding("findings", true, "none is open"),
        Some(newest) => {
            let (count, kind, subject) = (open.len(), &newest.kind, &newest.subject);
            let says =
                format!("{count} open, the newest {kind} about {subject}: see `findings list`");
            finding("findings", false, says)
        }
    })
}

async fn on_sale(engine: &Engine) -> Result<Finding> {
    let catalog = catalog::current(&engine.db).await?;
    let (tiers, packs) = (catalog.tiers.len(), catalog.packs.len());
    if let Some(problem) = catalog.problems.first() {
        let count = catalog.problems.len();
        let (id, name, message) = (&problem.object_id, &problem.name, &problem.message);
        let says = format!("{count} problems; the first: {id}, {name}: {message}");
        return Ok(finding("catalog", false, says));
    }
    Ok(match tiers {
        0 => finding("catalog", false, "nothing is on sale: run `catalog push`"),
        _ => finding("catalog", true, format!("{tiers} plans and {packs} packs on sale")),
    })
}

async fn books(engine: &Engine) -> Result<Finding> {
    let wrong = credits::verify(&engine.db, None).await?;
    Ok(match wrong.first() {
        None => finding("ledger", true, "every wallet agrees with its entries"),
        Some(first) => {
            let says = format!("{}: {}. Run `ledger verify`", first.org_id, first.message);
            finding("ledger", false, says)
        }
    })
}

async fn work(engine: &Engine) -> Result<Finding> {
    let jobs = jobs::list(&engine.db, 100).await?;
    let dead = jobs.iter().filter(|job| job.dead_at.is_some()).count();
    Ok(match dead {
        0 => finding("jobs", true, format!("{} waiting, none failed for good", jobs.len())),
        count => {
            let says = format!("{count} failed for good: see `jobs list`, then `jobs retry ID`");
            finding("jobs", false, says)
        }
    })
}
