//! `grant` and `adjust`: credits by hand.

use clap::Args;
use serde_json::json;
use server::credits::{self, Adjustment};
use server::engine::Engine;
use server::error::{Error, Result};
use server::gate;
use server::orgs;
use server::units::Credits;

use super::Report;
use super::commands::operator;

/// Credits for an org.
#[derive(Debug, Args)]
pub struct Grant {
    /// `org_…`
    #[arg(long)]
    org: String,
    /// How many, such as 500 or 0.5.
    #[arg(long, allow_hyphen_values = true)]
    credits: String,
    /// Why; the customer reads it in the statement.
    #[arg(long)]
    reason: String,
    /// Names this grant: the same key grants once to an org.
    #[arg(long)]
    key: String,
}

/// A correction of what an org has.
#[derive(Debug, Args)]
pub struct Adjust {
    /// `org_…`
    #[arg(long)]
    org: String,
    /// How many more, or with a minus how many less, such as -0.5.
    #[arg(long, allow_hyphen_values = true)]
    credits: String,
    /// Why; the customer reads it in the statement.
    #[arg(long)]
    reason: String,
    /// Names this correction: the same key corrects an org once.
    #[arg(long)]
    key: String,
}

/// `grant`
pub async fn grant(engine: &Engine, command: Grant) -> Result<Report> {
    let Grant { org, credits: amount, reason, key } = command;
    orgs::find(&engine.db, &org).await?;
    let credits = parse(&amount)?;
    let (org_id, by) = (org.clone(), key.clone());
    let wanted = Adjustment { org_id, credits, key: by, actor: operator(), reason };
    let mut tx = engine.db.begin().await?;
    let now = engine.clock.now();
    let made = credits::grant_by_hand(&mut tx, wanted, now).await.map_err(as_option)?;
    tx.commit().await?;
    engine.wake.notify_one();
    if let Some(id) = made {
        let line = format!("{id}: {credits} credits for {org}");
        return Ok(Report::done(line, json!({ "id": id, "credits": credits })));
    }
    before(engine, &org, &key, credits).await
}

/// The same key again: what it granted then.
async fn before(engine: &Engine, org: &str, key: &str, credits: Credits) -> Result<Report> {
    let grant = credits::manual_grant(&engine.db, org, key).await?;
    let grant = grant.ok_or_else(|| Error::internal("a grant that was made is not there"))?;
    if grant.amount != credits {
        let message = format!(
            "This key granted {} credits to {org} before. Nothing was done; use another key.",
            grant.amount
        );
        return Err(Error::Conflict(message));
    }
    let line = format!("{}: granted before, nothing was done", grant.id);
    Ok(Report::done(line, json!({ "id": grant.id, "credits": grant.amount })))
}

/// `adjust`
pub async fn adjust(engine: &Engine, command: Adjust) -> Result<Report> {
    let Adjust { org, credits: amount, reason, key } = command;
    orgs::find(&engine.db, &org).await?;
    let credits = parse(&amount)?;
    let wanted = Adjustment { org_id: org.clone(), credits, key, actor: operator(), reason };
    gate::book_due(engine, &org).await?;
    let mut tx = engine.db.begin().await?;
    let made = credits::adjust(&mut tx, wanted, engine.clock.now()).await.map_err(as_option)?;
    tx.commit().await?;
    engine.wake.notify_one();
    let line = match made.replayed {
        true => format!("{}: done before, nothing was done", made.id),
        false => format!("{}: {credits} credits for {org}", made.id),
    };
    let json = json!({ "id": made.id, "credits": made.credits, "replayed": made.replayed });
    Ok(Report::done(line, json))
}

pub(super) fn parse(text: &str) -> Result<Credits> {
    text.parse().map_err(|error| Error::invalid("--credits", format!("“{text}” {error}")))
}

/// What the ledger calls by its name is an option here.
pub(super) fn as_option(error: Error) -> Error {
    match error {
        Error::Invalid { field, message } if !field.is_empty() => {
            Error::invalid(format!("--{field}"), message)
        }
        other => other,
    }
}
