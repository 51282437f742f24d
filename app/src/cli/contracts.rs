//! `contracts create|list|show|end`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};
use server::contracts::{self, Contract, NewContract};
use server::engine::Engine;
use server::error::{Error, Result};
use server::units::{decimal, spoken};
use server::{clock, orgs, overage};

use super::Report;
use super::commands::operator;
use super::credits::as_option;

/// Rows printed at most.
const ROWS: i64 = 1_000;
/// The longest file, in bytes.
const FILE_MAX: u64 = 100_000;

/// What can be done with contracts.
#[derive(Debug, Subcommand)]
pub enum Contracts {
    /// Make one from a file of terms.
    Create {
        /// `org_…`
        #[arg(long)]
        org: String,
        /// A TOML file: name, currency, replaces, starts, ends, included_credits, features, models,
        /// overage_price, days_until_due, [limits] and [meters] (minor units for each unit).
        #[arg(long)]
        file: PathBuf,
        /// Names this contract: the same key makes one for an org.
        #[arg(long)]
        key: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Print them, newest first.
    List {
        /// Only those of this org.
        #[arg(long)]
        org: Option<String>,
    },
    /// Print one whole, with what is billed by it.
    Show {
        /// `contract_…`
        id: String,
    },
    /// End one now: what it allowed is over, and what it billed goes onto an invoice.
    End {
        /// `contract_…`
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Runs one of them.
pub async fn run(engine: &Engine, command: Contracts) -> Result<Report> {
    match command {
        Contracts::Create { org, file, key, reason } => {
            let agreed = contracts::parse(&read(&file)?).map_err(as_file)?;
            let new = NewContract { org_id: org, agreed, key, actor: operator(), reason };
            let made = contracts::create(engine, new).await.map_err(as_file)?;
            let line = format!("{}: {} for {}", made.id, made.name, made.org_id);
            Ok(Report::done(line, told(engine, &made)?))
        }
        Contracts::List { org } => list(engine, org.as_deref()).await,
        Contracts::Show { id } => show(engine, &id).await,
        Contracts::End { id, reason } => {
            let ended = contracts::end(engine, &id, operator(), &reason).await;
            let ended = ended.map_err(as_option)?;
            let line = format!("{}: ended", ended.id);
            Ok(Report::done(line, told(engine, &ended)?))
        }
    }
}

fn read(file: &PathBuf) -> Result<String> {
    let unreadable = |error: std::io::Error| {
        Error::invalid("--file", format!("{} cannot be read: {error}", file.display()))
    };
    if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_MAX {
        return Err(Error::invalid("--file", "is longer than 100,000 bytes"));
    }
    std::fs::read_to_string(file).map_err(unreadable)
}

/// What the contract calls by its name stands in the file.
fn as_file(error: Error) -> Error {
    match error {
        Error::Invalid { field, message } if !matches!(&*field, "key" | "reason") => {
            let what = if field == "file" { String::new() } else { format!("{field}: ") };
            Error::invalid("--file", format!("{what}{message}"))
        }
        other => as_option(other),
    }
}

async fn list(engine: &Engine, org: Option<&str>) -> Result<Report> {
    if let Some(org) = org {
        orgs::find(&engine.db, org).await?;
    }
    let now = engine.clock.now();
    let all = contracts::list(&engine.db, org, ROWS).await?;
    let line = |one: &Contract| {
        let ends = one.ends_at.map_or_else(|| "open-ended".to_owned(), clock::rfc3339);
        let (starts, standing) = (clock::rfc3339(one.starts_at), one.standing(now));
        format!("{}  {}  {standing:<8}  {starts} – {ends}  {}", one.id, one.org_id, one.name)
    };
    let data: Result<Vec<Value>> = all.iter().map(|one| told(engine, one)).collect();
    let lines = all.iter().map(line).collect();
    Ok(Report { lines, json: json!({ "data": data? }), ok: true })
}

async fn show(engine: &Engine, id: &str) -> Result<Report> {
    let contract = contracts::find(&engine.db, id).await?;
    let terms = contract.terms()?;
    let statement = overage::statement(&engine.db, &contract.org_id, 100).await?;
    let currency = &contract.currency;
    let mut lines = vec![
        format!("{}: {} for {}", contract.id, contract.name, contract.org_id),
        format!("{}, {}", contract.standing(engine.clock.now()), days(&contract)),
        format!("made by {}: {}", contract.created_by, contract.reason),
    ];
    if contract.replaces {
        lines.push("instead of what the tier allows".to_owned());
    }
    if terms.included.is_positive() {
        lines.push(format!("{} credits each month", spoken(terms.included)));
    }
    lines.extend(terms.features.iter().map(|name| format!("feature {name}")));
    lines.extend(terms.models.iter().map(|name| format!("model {name}")));
    lines.extend(terms.limits.iter().map(|(name, limit)| format!("limit {name}: {limit}")));
    if let Some(price) = terms.overage_price {
        lines.push(format!("overage: {} minor units of {currency} a credit", decimal(price)));
    }
    lines.extend(terms.meters.iter().map(|(name, price)| {
        format!("{name}: {} minor units of {currency} for each", decimal(*price))
    }));
    lines.extend(statement.coming.iter().map(|one| {
        let amount = server::units::money(one.amount(), &one.currency);
        format!("to be billed for {}: {amount}", one.meter)
    }));
    lines.extend(statement.lines.iter().map(|one| {
        let amount = server::units::money(one.amount, &one.currency);
        let on = one.invoice_id.as_deref().unwrap_or("no invoice yet");
        format!("{amount} on {on}: {}", one.description)
    }));
    Ok(Report { lines, json: told(engine, &contract)?, ok: true })
}

fn days(contract: &Contract) -> String {
    let ends = contract.ends_at.map_or_else(|| "open-ended".to_owned(), clock::day);
    format!("{} – {ends}", clock::day(contract.starts_at))
}

fn told(engine: &Engine, contract: &Contract) -> Result<Value> {
    Ok(json!({
        "id": contract.id,
        "org": contract.org_id,
        "key": contract.key,
        "name": contract.name,
        "currency": contract.currency,
        "status": contract.standing(engine.clock.now()),
        "replaces": contract.replaces,
        "terms": contract.terms()?,
        "starts_at": clock::rfc3339(contract.starts_at),
        "ends_at": contract.ends_at.map(clock::rfc3339),
        "reason": contract.reason,
    }))
}
