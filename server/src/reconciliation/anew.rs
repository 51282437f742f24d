//! One org looked at anew, because somebody asks: everything that Stripe has of its customers, by
//! the functions that webhooks use. Nothing is compared and nothing is guessed, so that doing it
//! twice, or beside a webhook, ends in the same.

use std::collections::BTreeMap;

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::{DAY, Millis};
use crate::customers::Synced;
use crate::db::sql;
use crate::engine::Engine;
use crate::error::{Error, Result};

use super::apply::look;
use super::plan::Remedy;
use super::seen;

/// Objects that are looked at in one go, at most: somebody waits for the answer.
const OBJECTS_MAX: usize = 200;
/// Customers of one org, at most.
const CUSTOMERS_MAX: i64 = 20;

/// What looking came to.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Looked {
    /// Whether the org is a customer at Stripe at all.
    pub is_customer: bool,
    /// How many objects are as Stripe says now.
    pub done: usize,
    /// Those that are not, each with the reason.
    pub failed: BTreeMap<String, String>,
    /// How many were not looked at, being too many at once.
    pub left: usize,
}

/// Looks at all of an org's customers at Stripe: subscriptions, and what was paid, refunded or
/// disputed within [`super::DAYS`]. Where Stripe cannot be reached, the first look says so.
pub async fn look_anew(engine: &Engine, org_id: &str, actor: Actor) -> Result<Looked> {
    let mut looked = Looked::default();
    let text = "select customer_id from customers where org_id = $1
         order by created_at, customer_id limit $2";
    let rows = sql(text).bind(org_id).bind(CUSTOMERS_MAX);
    let customers: Vec<(String,)> = engine.db.all(rows).await?;
    looked.is_customer = !customers.is_empty();
    let since = engine.clock.now() - super::DAYS * DAY;
    for (customer,) in customers {
        note(&mut looked, &customer, look(engine, Remedy::Customer, &customer).await)?;
        let objects = objects(engine, &customer, since).await?;
        looked.left += objects.len().saturating_sub(OBJECTS_MAX);
        for (remedy, id) in objects.into_iter().take(OBJECTS_MAX) {
            note(&mut looked, &id, look(engine, remedy, &id).await)?;
        }
    }
    record(engine, org_id, actor, &looked).await?;
    Ok(looked)
}

/// What there is of a customer, in the order in which it is looked at: what pays before what was
/// paid, and what came back last. A deleted one has only what we still hold for running.
async fn objects(engine: &Engine, customer: &str, since: Millis) -> Result<Vec<(Remedy, String)>> {
    let text = "select subscription_id from subscriptions
         where customer_id = $1 and status not in ('canceled', 'incomplete_expired')
         order by subscription_id limit 100";
    let ours: Vec<(String,)> = engine.db.all(sql(text).bind(customer)).await?;
    let gone = "select deleted_at from customers where customer_id = $1";
    let gone: Option<(Option<Millis>,)> = engine.db.optional(sql(gone).bind(customer)).await?;
    let mut seen = match gone {
        Some((Some(_),)) => seen::OfCustomer::default(),
        _ => seen::of_customer(engine, customer, since).await?,
    };
    let unlisted = ours.into_iter().map(|row| row.0).filter(|id| !seen.subscriptions.contains(id));
    let unlisted: Vec<String> = unlisted.collect();
    seen.subscriptions.extend(unlisted);
    let kinds = [
        (Remedy::Subscription, seen.subscriptions),
        (Remedy::Invoice, seen.invoices),
        (Remedy::Session, seen.sessions),
        (Remedy::Payment, seen.payments),
        (Remedy::Refund, seen.refunds),
        (Remedy::Dispute, seen.disputes),
        (Remedy::CreditNote, seen.credit_notes),
    ];
    let all =
        kinds.into_iter().flat_map(|(remedy, ids)| ids.into_iter().map(move |id| (remedy, id)));
    Ok(all.collect())
}

/// Counts a look. One that cannot be made just now ends them all: the next would fail alike.
fn note(looked: &mut Looked, id: &str, outcome: Result<Synced>) -> Result<()> {
    match outcome {
        Ok(Synced::Done) => looked.done += 1,
        // What another product sold to the same customer is none of ours.
        Ok(Synced::Foreign) => {}
        Ok(Synced::Unmatched(reason)) => drop(looked.failed.insert(id.to_owned(), reason)),
        Err(
            error @ (Error::Database { .. }
            | Error::Unavailable
            | Error::Stripe { retryable: true, .. }),
        ) => return Err(error),
        Err(error) => drop(looked.failed.insert(id.to_owned(), error.to_string())),
    }
    Ok(())
}

async fn record(engine: &Engine, org_id: &str, actor: Actor, looked: &Looked) -> Result<()> {
    let entry = audit::Entry {
        actor,
        org_id: Some(org_id),
        action: "reconciliation.look_anew",
        subject: org_id,
        reason: None,
        detail: Some(json!({
            "done": looked.done, "failed": looked.failed, "left": looked.left,
        })),
    };
    let mut tx = engine.db.begin().await?;
    audit::record(&mut tx, &entry, engine.clock.now()).await?;
    tx.commit().await
}
