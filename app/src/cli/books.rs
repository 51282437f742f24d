//! `ledger verify|repair|unpark`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use server::credits::{self, Disagreement};
use server::engine::Engine;
use server::error::Result;
use server::orgs;

use super::Report;
use super::commands::operator;
use super::credits::as_option;

/// What can be done with the books.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Compute every balance from nothing, compare, and park the wallets that disagree: they are
    /// read and not debited until they are repaired.
    Verify {
        /// Only this org.
        #[arg(long)]
        org: Option<String>,
        /// Only say what disagrees.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write an org's balances anew from the ledger's rows, and unpark its wallet when everything
    /// agrees then.
    Repair(Mended),
    /// Unpark a wallet that was mended by hand; refused while it disagrees.
    Unpark(Mended),
}

/// Whose books, and why.
#[derive(Debug, Args)]
pub struct Mended {
    /// `org_…`
    #[arg(long)]
    org: String,
    /// Why; it stands in the audit trail.
    #[arg(long)]
    reason: String,
}

/// Runs one of them.
pub async fn ledger(engine: &Engine, command: Ledger) -> Result<Report> {
    match command {
        Ledger::Verify { org, dry_run } => verify(engine, org.as_deref(), dry_run).await,
        Ledger::Repair(mended) => repair(engine, mended).await,
        Ledger::Unpark(mended) => unpark(engine, mended).await,
    }
}

async fn verify(engine: &Engine, org: Option<&str>, dry_run: bool) -> Result<Report> {
    if let Some(org) = org {
        orgs::find(&engine.db, org).await?;
    }
    let wrong = match dry_run {
        true => credits::verify(&engine.db, org).await?,
        false => {
            let now = engine.clock.now();
            credits::audit_books(&engine.db, org, &operator(), now).await?
        }
    };
    let ok = wrong.is_empty();
    let parking = wrong.iter().filter(|one| one.parks && !one.org_id.is_empty());
    let parking: BTreeSet<&str> = parking.map(|one| one.org_id.as_str()).collect();
    let mut lines = lines(&wrong);
    lines.push(match (ok, parking.is_empty(), dry_run) {
        (true, _, _) => "Every balance agrees with its entries.".to_owned(),
        (_, true, _) => {
            "Wallets parked: 0. What is only shown is mended with `ledger repair`, too.".to_owned()
        }
        (.., true) => format!("Wallets that disagree: {}. Nothing was done.", parking.len()),
        (.., false) => format!(
            "Wallets parked: {}. They are read and not debited; mend them with `ledger repair`.",
            parking.len()
        ),
    });
    let parked = if dry_run { BTreeSet::new() } else { parking };
    let json = json!({
        "ok": ok, "findings": findings(&wrong), "parked": parked, "dry_run": dry_run,
    });
    Ok(Report { lines, json, ok })
}

async fn repair(engine: &Engine, mended: Mended) -> Result<Report> {
    let Mended { org, reason } = mended;
    orgs::find(&engine.db, &org).await?;
    let now = engine.clock.now();
    let left =
        credits::repair(&engine.db, &org, &operator(), &reason, now).await.map_err(as_option)?;
    let ok = left.is_empty();
    let mut lines = lines(&left);
    lines.push(match ok {
        true => format!("{org}: every balance agrees with its entries, and debits go on."),
        false => format!("{org} stays parked: its entries do not tell how to mend this."),
    });
    Ok(Report { lines, json: json!({ "ok": ok, "org": org, "findings": findings(&left) }), ok })
}

async fn unpark(engine: &Engine, mended: Mended) -> Result<Report> {
    let Mended { org, reason } = mended;
    orgs::find(&engine.db, &org).await?;
    let now = engine.clock.now();
    let was_parked =
        credits::unpark(&engine.db, &org, &operator(), &reason, now).await.map_err(as_option)?;
    let line = match was_parked {
        true => format!("{org}: debits go on."),
        false => format!("{org} was not parked. Nothing was done."),
    };
    Ok(Report::done(line, json!({ "org": org, "unparked": was_parked })))
}

fn lines(wrong: &[Disagreement]) -> Vec<String> {
    wrong.iter().map(|one| format!("{}  {}  {}", one.org_id, one.subject, one.message)).collect()
}

fn findings(wrong: &[Disagreement]) -> Vec<Value> {
    wrong
        .iter()
        .map(|one| {
            json!({
                "org": one.org_id, "subject": one.subject, "message": one.message,
                "parks": one.parks,
            })
        })
        .collect()
}
