//! The worker's share: events are claimed, their objects looked at, and what was seen is written.

use std::collections::HashSet;

use crate::catalog;
use crate::customers::{self, Synced};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::inbox::{self, Claim, Status};
use crate::subscriptions::sync;

/// What an event makes us look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Subscription,
    Invoice,
    Session,
    Customer,
    Catalog,
}

/// By type; `None` for those that nothing acts on. (A9)
fn look(kind: &str) -> Option<Look> {
    Some(match kind {
        // A preview has no id that could be looked at.
        "invoice.upcoming" => return None,
        "customer.created" | "customer.updated" | "customer.deleted" => Look::Customer,
        _ if kind.starts_with("customer.subscription.") => Look::Subscription,
        _ if kind.starts_with("invoice.") => Look::Invoice,
        _ if kind.starts_with("checkout.session.") => Look::Session,
        _ if kind.starts_with("product.") || kind.starts_with("price.") => Look::Catalog,
        _ => return None,
    })
}

/// Whether anything is done about events of this type.
pub fn is_acted_on(kind: &str) -> bool {
    look(kind).is_some()
}

/// Deals with up to so many events that are due; answers how many. An event that fails is tried
/// again later and holds up nobody else's. (A8)
pub async fn process_due(engine: &Engine, limit: i64) -> Result<usize> {
    let mut done = 0;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    while done < limit && inbox::is_due(&engine.db, engine.clock.now()).await? {
        let mut tx = engine.db.begin().await?;
        let claim = inbox::claim(&mut tx, engine.clock.now()).await?;
        tx.commit().await?;
        let Some(claim) = claim else { break };
        done += claim.events.len();
        process(engine, &claim).await?;
    }
    Ok(done)
}

/// One claim. Errors of the look are the events' own; only a database that fails is the worker's.
async fn process(engine: &Engine, claim: &Claim) -> Result<()> {
    let outcome = act(engine, claim).await;
    let now = engine.clock.now();
    let (kind, object) = (&claim.kind, &claim.object_id);
    let mut tx = engine.db.begin().await?;
    match outcome {
        Ok(Synced::Done) => return Ok(()),
        Ok(Synced::Foreign) => inbox::settle(&mut tx, claim, Status::Foreign, now).await?,
        Ok(Synced::Unmatched(reason)) => {
            tracing::error!(kind, ?object, reason, "an event of ours that matches nobody: parked");
            inbox::park(&mut tx, claim, &reason, now).await?;
        }
        Err(error) => {
            let status = inbox::fail(&mut tx, claim, &error, now).await?;
            if status == Status::Dead {
                tracing::error!(kind, ?object, %error, "an event failed too often: replay it");
            } else {
                tracing::warn!(kind, ?object, %error, "an event failed and is tried again");
            }
        }
    }
    tx.commit().await
}

async fn act(engine: &Engine, claim: &Claim) -> Result<Synced> {
    let Some(look) = look(&claim.kind) else { return ignore(engine, claim).await };
    if look == Look::Catalog {
        return catalog_changed(engine, claim).await;
    }
    let id = claim.object_id.as_deref();
    let id = id.ok_or_else(|| Error::internal("an event that names no object"))?;
    match look {
        Look::Subscription => sync::subscription(engine, id, claim).await,
        Look::Invoice => sync::invoice(engine, id, claim).await,
        Look::Session => sync::session(engine, id, claim).await,
        Look::Customer => customers::sync(engine, id, claim).await,
        Look::Catalog => catalog_changed(engine, claim).await,
    }
}

/// Replayed, but still nothing acts on it.
async fn ignore(engine: &Engine, claim: &Claim) -> Result<Synced> {
    let mut tx = engine.db.begin().await?;
    inbox::settle(&mut tx, claim, Status::Ignored, engine.clock.now()).await?;
    tx.commit().await?;
    Ok(Synced::Done)
}

/// One look at the catalog answers every event about it. Products and prices without our tag are
/// another product's. (F13)
async fn catalog_changed(engine: &Engine, claim: &Claim) -> Result<Synced> {
    let refreshed = catalog::refresh(engine).await?;
    let mut tx = engine.db.begin().await?;
    let objects = inbox::objects(&mut tx, &claim.events).await?;
    let ids: Vec<String> = objects.iter().filter_map(|(_, object)| object.clone()).collect();
    let known: HashSet<String> = catalog::known(&mut tx, &ids).await?;
    let is_ours = |object: &Option<String>| {
        let Some(object) = object else { return false };
        refreshed.products.contains(object)
            || refreshed.prices.contains(object)
            || known.contains(object)
    };
    let (ours, foreign): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|(_, object)| is_ours(object));
    let now = engine.clock.now();
    for (events, status) in [(ours, Status::Processed), (foreign, Status::Foreign)] {
        let events: Vec<String> = events.into_iter().map(|(event, _)| event).collect();
        inbox::settle_some(&mut tx, &events, status, now).await?;
    }
    tx.commit().await?;
    Ok(Synced::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_lead_to_their_object() {
        let cases = [
            ("customer.subscription.updated", Some(Look::Subscription)),
            ("customer.subscription.trial_will_end", Some(Look::Subscription)),
            ("customer.deleted", Some(Look::Customer)),
            ("customer.discount.created", None),
            ("invoice.paid", Some(Look::Invoice)),
            ("invoice.upcoming", None),
            ("invoice_payment.paid", None),
            ("invoiceitem.created", None),
            ("checkout.session.async_payment_succeeded", Some(Look::Session)),
            ("product.updated", Some(Look::Catalog)),
            ("price.created", Some(Look::Catalog)),
            ("payment_intent.succeeded", None),
            ("thing.nobody.knows", None),
        ];
        for (kind, expected) in cases {
            assert_eq!(look(kind), expected, "{kind}");
        }
    }
}
