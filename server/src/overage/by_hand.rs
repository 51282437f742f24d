//! A line that somebody invoiced by hand: it is written down as done and posted no more. Stripe is
//! asked first where it may have the item after all.

use std::collections::BTreeSet;

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock;
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::findings;
use crate::stripe::shapes::InvoiceItem;

use super::lines::{self, OpenLine};
use super::payer::{self, Payer};
use super::post;

/// A line that was settled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Settled {
    /// `bline_…`
    pub id: String,
    /// Whose.
    pub org_id: String,
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// What the invoice was to say.
    pub description: String,
}

/// Writes down that a line was invoiced by hand: it is never posted, and its finding is closed.
/// Refused where it was posted or settled before, while a worker is at it, and where Stripe turns
/// out to have it; `reason` has 1 to 500 characters and stays in the audit trail.
pub async fn settle(engine: &Engine, id: &str, actor: &Actor, reason: &str) -> Result<Settled> {
    audit::check_reason(reason)?;
    let line = take(engine, id).await?;
    let found = found(engine, &line).await;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let refused = match found {
        Ok(None) => {
            write(&mut tx, &line, actor, reason, now).await?;
            None
        }
        Ok(Some(item)) if item.amount != line.amount => {
            lines::give_up(&mut tx, &line.id, now).await?;
            let message = format!(
                "{} says {} instead of {}. Nothing was done: mend it in Stripe first.",
                item.id, item.amount, line.amount
            );
            Some(Error::Conflict(message))
        }
        // Nobody heard that it was made: the customer has it on an invoice, or will have.
        Ok(Some(item)) => {
            post::settle(&mut tx, &line, &item, now).await?;
            let message = format!(
                "Stripe has this line as {}: it is invoiced already, and must not be twice.",
                item.id
            );
            Some(Error::Conflict(message))
        }
        Err(error) => {
            lines::give_up(&mut tx, &line.id, now).await?;
            Some(error)
        }
    };
    tx.commit().await?;
    match refused {
        Some(error) => Err(error),
        None => {
            let OpenLine { id, org_id, amount, currency, description, .. } = line;
            Ok(Settled { id, org_id, amount, currency, description })
        }
    }
}

/// Takes an open line in hand, as whoever posts it does.
async fn take(engine: &Engine, id: &str) -> Result<OpenLine> {
    let mut tx = engine.db.begin().await?;
    let claimed = lines::claim(&mut tx, id, engine.clock.now()).await?;
    tx.commit().await?;
    if let Some(line) = claimed {
        return Ok(line);
    }
    let found = lines::posted_at(&engine.db, id).await?;
    let posted_at = found.ok_or(Error::NotFound("The billed line"))?;
    Err(Error::Conflict(match posted_at {
        Some(at) => format!("{id} was posted or settled on {}: nothing is open.", clock::day(at)),
        None => "A worker is at this line just now. Look again in some minutes.".to_owned(),
    }))
}

/// What Stripe has of the line, where it was ever asked for it: of whoever pays now, and of all
/// customers of the org, since another one may have paid then. Of a customer that is gone nothing
/// is invoiced any more.
async fn found(engine: &Engine, line: &OpenLine) -> Result<Option<InvoiceItem>> {
    if line.tried_at.is_none() {
        return Ok(None);
    }
    let text = "select customer_id from customers where org_id = $1 and deleted_at is null
         order by created_at, customer_id";
    let rows: Vec<(String,)> = engine.db.all(sql(text).bind(&line.org_id)).await?;
    let mut customers: BTreeSet<String> = rows.into_iter().map(|row| row.0).collect();
    if let Ok(payer) = payer::of(engine, line).await? {
        customers.insert(payer.customer);
    }
    for customer in customers {
        let payer = Payer { customer, next: None, card_of: None, days_until_due: None };
        if let Some(item) = post::look_for(engine, line, &payer).await? {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

async fn write(
    tx: &mut Tx,
    line: &OpenLine,
    actor: &Actor,
    reason: &str,
    now: clock::Millis,
) -> Result<()> {
    if !lines::settled(tx, &line.id, &actor.to_string(), now).await? {
        return Err(Error::Conflict("Somebody else was quicker. Nothing was done.".to_owned()));
    }
    findings::resolve(tx, post::FINDING, &line.id, "it was invoiced by hand", now).await?;
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: Some(&line.org_id),
        action: "overage.settle",
        subject: &line.id,
        reason: Some(reason),
        detail: Some(json!({
            "billed_to": line.subject, "amount": line.amount, "currency": line.currency,
            "description": line.description,
        })),
    };
    audit::record(tx, &entry, now).await
}
