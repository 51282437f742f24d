//! The operator's commands: orgs, keys, events, jobs, the clock.

use clap::Subcommand;
use serde_json::json;
use server::api_keys::{self, NewKey};
use server::audit::Actor;
use server::auth::accounts;
use server::config::Config;
use server::db::Db;
use server::engine::Engine;
use server::error::{Error, Result};
use server::{clock, closing, customers as all_customers, jobs as work, orgs as all_orgs};

use super::Report;
use super::credits::as_option;
use crate::dev;

/// Rows printed at most.
const ROWS: i64 = 100;

/// What can be done with orgs.
#[derive(Debug, Subcommand)]
pub enum Orgs {
    /// Print them.
    List,
    /// Make one.
    Create {
        /// Its name.
        #[arg(long)]
        name: String,
        /// The address of its owner.
        #[arg(long)]
        owner: String,
    },
    /// Close one for good: nobody acts in it any more. Its ledger and its customer in Stripe stay.
    Close {
        /// Which.
        #[arg(long)]
        org: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// What can be done with customers.
#[derive(Debug, Subcommand)]
pub enum Customers {
    /// Let an org use again what it paid through a customer that was deleted in Stripe.
    Release {
        /// Whose.
        #[arg(long)]
        org: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make one. Its secret is printed once.
    Create {
        /// Whose.
        #[arg(long, required_unless_present = "service", conflicts_with = "service")]
        org: Option<String>,
        /// A key for the product's own backend, which names the org with every request.
        #[arg(long)]
        service: bool,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// read, use or both.
        #[arg(long, default_value = "read,use")]
        scopes: String,
    },
}

/// What can be done with the clock.
#[derive(Debug, Subcommand)]
pub enum ClockCommand {
    /// Move it forward, and the simulator's with it.
    Advance {
        /// By how many seconds.
        seconds: i64,
    },
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Print those that wait or failed.
    List,
    /// Let one run again at once.
    Retry {
        /// `job_…`
        id: String,
    },
}

/// Who stands in the books for what is done here.
pub(super) fn operator() -> Actor {
    Actor::Operator("command line".to_owned())
}

/// `migrate`
pub async fn migrate(config: Config) -> Result<Report> {
    let db = Db::connect(&config.database_url).await.map_err(|error| match error {
        Error::Database { source, .. } => {
            Error::invalid("DATABASE_URL", format!("the database cannot be opened: {source}"))
        }
        other => other,
    })?;
    let pending = db.pending_migrations().await?;
    db.migrate().await?;
    db.close().await;
    let line = match pending {
        0 => "The database is up to date.".to_owned(),
        count => format!("{count} migrations applied."),
    };
    Ok(Report::done(line, json!({ "applied": pending })))
}

/// `orgs list|create|close`
pub async fn orgs(engine: &Engine, command: Orgs) -> Result<Report> {
    match command {
        Orgs::List => {
            let orgs = all_orgs::list(&engine.db).await?;
            let lines = orgs
                .iter()
                .map(|org| format!("{}  {}  {}", org.id, clock::rfc3339(org.created_at), org.name));
            let data: Vec<_> = orgs
                .iter()
                .map(|org| {
                    let created_at = clock::rfc3339(org.created_at);
                    json!({ "id": org.id, "name": org.name, "created_at": created_at })
                })
                .collect();
            Ok(Report { lines: lines.collect(), json: json!({ "data": data }), ok: true })
        }
        Orgs::Create { name, owner } => {
            let id = accounts::create_org(engine, &name, &owner, operator()).await?;
            Ok(Report::done(id.clone(), json!({ "id": id })))
        }
        Orgs::Close { org, reason } => {
            let closed = closing::close_with_pages(engine, &org, &operator(), &reason).await;
            let keys = closed.map_err(as_option)?.keys;
            let line = format!("{org} is closed; {keys} API keys were revoked.");
            Ok(Report::done(line, json!({ "id": org, "keys_revoked": keys })))
        }
    }
}

/// `customers release`
pub async fn customers(engine: &Engine, command: Customers) -> Result<Report> {
    let Customers::Release { org, reason } = command;
    all_orgs::find(&engine.db, &org).await?;
    let mut tx = engine.db.begin().await?;
    let now = engine.clock.now();
    let released = all_customers::release(&mut tx, &org, &operator(), &reason, now).await;
    let released = released.map_err(as_option)?;
    tx.commit().await?;
    engine.wake.notify_one();
    let (customers, credits) = (&released.customers, released.credits);
    let line = format!("{}: {credits} credits of {org} can be used again", customers.join(", "));
    let json = json!({ "org": org, "customers": customers, "credits": credits });
    Ok(Report::done(line, json))
}

/// `keys create`
pub async fn keys(engine: &Engine, command: Keys) -> Result<Report> {
    let Keys::Create { org, service: _, name, scopes } = command;
    if let Some(org) = &org {
        all_orgs::find(&engine.db, org).await?;
    }
    let scopes = api_keys::parse_scopes(&scopes)?;
    let new = NewKey { org, name, scopes, created_by: operator() };
    let mut tx = engine.db.begin().await?;
    let now = engine.clock.now();
    let (key, secret) = api_keys::create(&mut tx, new, engine.config.live(), now).await?;
    tx.commit().await?;
    let lines = vec![
        format!("{} ({})", key.id, key.name),
        format!("{secret}"),
        "Copy the secret now: only a hash of it is kept.".to_owned(),
    ];
    Ok(Report { lines, json: json!({ "id": key.id, "secret": secret }), ok: true })
}

/// `clock advance`
pub async fn clock(engine: &Engine, command: ClockCommand) -> Result<Report> {
    let ClockCommand::Advance { seconds } = command;
    let now = clock::rfc3339(dev::advance(engine, seconds, dev::SEEN_BY_OTHERS).await?);
    Ok(Report::done(format!("It is {now}."), json!({ "now": now })))
}

/// `jobs list|retry`
pub async fn jobs(engine: &Engine, command: Jobs) -> Result<Report> {
    match command {
        Jobs::List => {
            let jobs = work::list(&engine.db, ROWS).await?;
            let lines = jobs.iter().map(|job| {
                let state = if job.dead_at.is_some() { "dead" } else { "waiting" };
                let at = clock::rfc3339(job.run_at);
                let error = job.last_error.as_deref().unwrap_or_default();
                format!("{}  {state:<7}  {}  {at}  {error}", job.id, job.kind)
            });
            let json = json!({ "data": serde_json::to_value(&jobs)? });
            Ok(Report { lines: lines.collect(), json, ok: true })
        }
        Jobs::Retry { id } => {
            let mut tx = engine.db.begin().await?;
            work::retry(&mut tx, &id, &operator(), engine.clock.now()).await?;
            tx.commit().await?;
            let line = format!("{id} runs next.");
            Ok(Report::done(line, json!({ "id": id })))
        }
    }
}
