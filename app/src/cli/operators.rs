//! `operators add|list|remove`: the only way to make an operator.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use server::auth::operators::{self, Operator};
use server::clock;
use server::engine::Engine;
use server::error::Result;

use super::Report;
use super::commands::operator;
use super::credits::as_option;

/// What can be done with operators.
#[derive(Debug, Subcommand)]
pub enum Operators {
    /// Let a user see every org, and act for it.
    Add(Named),
    /// Print them.
    List,
    /// Take it back.
    Remove(Named),
}

/// Whom, and why.
#[derive(Debug, Args)]
pub struct Named {
    /// The address the user signs in with.
    #[arg(long)]
    email: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// Runs one of them.
pub async fn run(engine: &Engine, command: Operators) -> Result<Report> {
    match command {
        Operators::Add(Named { email, reason }) => {
            let added = operators::add(engine, &email, &reason, operator()).await;
            let added = added.map_err(as_option)?;
            let line = match added {
                true => format!("{email} is an operator now: see {}/admin", base_url(engine)),
                false => format!("{email} was an operator before, nothing was done"),
            };
            Ok(Report::done(line, json!({ "email": email, "added": added })))
        }
        Operators::Remove(Named { email, reason }) => {
            operators::remove(engine, &email, &reason, operator()).await.map_err(as_option)?;
            let line = format!("{email} is no operator any more");
            Ok(Report::done(line, json!({ "email": email, "removed": true })))
        }
        Operators::List => {
            let all = operators::list(&engine.db).await?;
            let data: Vec<Value> = all.iter().map(told).collect();
            let lines = match all.is_empty() {
                true => vec!["Nobody is an operator. Run `operators add`.".to_owned()],
                false => all.iter().map(line).collect(),
            };
            Ok(Report { lines, json: json!({ "data": data }), ok: true })
        }
    }
}

fn base_url(engine: &Engine) -> &str {
    engine.config.base_url.trim_end_matches('/')
}

fn line(one: &Operator) -> String {
    let (at, by) = (clock::rfc3339(one.created_at), &one.added_by);
    format!("{at}  {}  {}  by {by}: {}", one.user_id, one.email, one.reason)
}

fn told(one: &Operator) -> Value {
    json!({
        "user": one.user_id, "name": one.name, "email": one.email, "added_by": one.added_by,
        "reason": one.reason, "created_at": clock::rfc3339(one.created_at),
    })
}
