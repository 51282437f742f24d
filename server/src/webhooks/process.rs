//! The worker's share: events are claimed, their objects looked at, and what was seen is written.
//!
//! Several customers at a time, one look after the other for each: whoever is slow, or fails again
//! and again, holds up nobody else.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};

use crate::catalog;
use crate::clock::{Millis, SECOND};
use crate::customers::look::take_tickets;
use crate::customers::{self, Synced};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::inbox::{self, Claim, Known, Status, Taken};
use crate::subscriptions::sync;
use crate::{recharges, refunds};

use super::stuck;

/// Queues that are worked on at a time.
const AT_ONCE: usize = 16;
/// So many must be free before more are claimed, so that a claim is for several.
const FREE: usize = 4;
/// How often to look for more while the last ones are still worked on.
const TICK: Duration = Duration::from_millis(250);
/// What was claimed and is not begun after this is given back: its lease will lapse soon.
const PATIENCE: Millis = 15 * SECOND;

/// What an event makes us look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Subscription,
    Invoice,
    Session,
    Customer,
    Card,
    Charge,
    Refund,
    Dispute,
    CreditNote,
    Payment,
    Schedule,
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
        _ if kind.starts_with("payment_method.") => Look::Card,
        _ if kind.starts_with("charge.dispute.") => Look::Dispute,
        "charge.refund.updated" => Look::Refund,
        "charge.refunded" => Look::Charge,
        _ if kind.starts_with("refund.") => Look::Refund,
        _ if kind.starts_with("credit_note.") => Look::CreditNote,
        "payment_intent.canceled"
        | "payment_intent.payment_failed"
        | "payment_intent.processing"
        | "payment_intent.requires_action"
        | "payment_intent.succeeded" => Look::Payment,
        _ if kind.starts_with("subscription_schedule.") => Look::Schedule,
        _ if kind.starts_with("product.") || kind.starts_with("price.") => Look::Catalog,
        _ => return None,
    })
}

/// Whether anything is done about events of this type.
pub fn is_acted_on(kind: &str) -> bool {
    look(kind).is_some()
}

/// The events of one queue, object by object, in the order in which the first of each came.
struct Queue {
    claims: Vec<Claim>,
    /// When what is left of it is given back.
    until: Millis,
}

enum Step {
    Claimed(Result<Vec<Queue>>),
    Worked(Result<()>),
}

/// Deals with the events that are due, until none is left or so many were claimed; answers how
/// many. An event that fails is tried again later and holds up nobody else's. (A8)
pub async fn process_due(engine: &Engine, limit: i64) -> Result<usize> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut steps: FuturesUnordered<BoxFuture<'_, Step>> = FuturesUnordered::new();
    let (mut events, mut working, mut claiming, mut more) = (0, 0, false, true);
    let mut failure = None;
    loop {
        let free = AT_ONCE - working;
        if more && !claiming && free >= FREE && events < limit && failure.is_none() {
            (claiming, more) = (true, false);
            steps.push(Box::pin(async move { Step::Claimed(claim(engine, free).await) }));
        }
        match tokio::time::timeout(TICK, steps.next()).await {
            Err(_) => more = true,
            Ok(None) => break,
            Ok(Some(Step::Claimed(claimed))) => {
                claiming = false;
                match claimed {
                    Ok(queues) => {
                        more = !queues.is_empty();
                        for queue in queues {
                            working += 1;
                            events +=
                                queue.claims.iter().map(|one| one.events.len()).sum::<usize>();
                            steps.push(Box::pin(async { Step::Worked(work(engine, queue).await) }));
                        }
                    }
                    Err(error) => failure = Some(error),
                }
            }
            Ok(Some(Step::Worked(worked))) => {
                (working, more) = (working - 1, true);
                failure = worked.err().or(failure);
            }
        }
    }
    failure.map_or(Ok(events), Err)
}

/// Takes so many queues, and a ticket for each customer of ours whose they are: one transaction for
/// all of them.
async fn claim(engine: &Engine, queues: usize) -> Result<Vec<Queue>> {
    let now = engine.clock.now();
    if !inbox::is_due(&engine.db, now).await? {
        return Ok(Vec::new());
    }
    let mut tx = engine.db.begin().await?;
    let taken = inbox::claim(&mut tx, queues, now).await?;
    let named: HashSet<String> = taken.iter().filter_map(|one| one.customer_id.clone()).collect();
    let known = take_tickets(&mut tx, named.into_iter().collect()).await?;
    tx.commit().await?;
    Ok(group(taken, &known, now + PATIENCE))
}

/// One look answers every event about the same object, or about the catalog.
fn group(taken: Vec<Taken>, known: &[Known], until: Millis) -> Vec<Queue> {
    let mut queues: Vec<Queue> = Vec::new();
    let mut queue_name = String::new();
    let mut keys: Vec<(Option<Look>, Option<String>)> = Vec::new();
    for one in taken {
        if queues.is_empty() || queue_name != one.queue {
            queue_name.clone_from(&one.queue);
            keys.clear();
            queues.push(Queue { claims: Vec::new(), until });
        }
        let Some(queue) = queues.last_mut() else { continue };
        let look = look(&one.kind);
        let key = match look {
            Some(Look::Catalog) => (look, None),
            // A card is looked at by looking at its customer.
            Some(Look::Card) => (look, one.customer_id.clone().or(one.object_id.clone())),
            _ => (look, one.object_id.clone()),
        };
        match keys.iter().position(|known| *known == key) {
            Some(place) => queue.claims[place].add(one),
            None => {
                let of = |known: &&Known| Some(&known.customer_id) == one.customer_id.as_ref();
                let known = known.iter().find(of).cloned();
                keys.push(key);
                queue.claims.push(Claim::of(one, known));
            }
        }
    }
    queues
}

/// Looks at one object after the other.
async fn work(engine: &Engine, queue: Queue) -> Result<()> {
    let mut claims = queue.claims.into_iter();
    for claim in claims.by_ref() {
        process(engine, &claim).await?;
        if engine.clock.now() > queue.until {
            break;
        }
    }
    if claims.len() == 0 {
        return Ok(());
    }
    let mut tx = engine.db.begin().await?;
    for claim in claims {
        inbox::hand_back(&mut tx, &claim).await?;
    }
    tx.commit().await
}

/// One claim. Errors of the look are the events' own; only a database that fails is the worker's.
async fn process(engine: &Engine, claim: &Claim) -> Result<()> {
    let outcome = act(engine, claim).await;
    let now = engine.clock.now();
    let (kind, object) = (&claim.kind, &claim.object_id);
    if matches!(outcome, Ok(Synced::Done)) && !claim.failed_before() {
        return Ok(());
    }
    let mut tx = engine.db.begin().await?;
    match outcome {
        Ok(Synced::Done) => stuck::resolve(&mut tx, claim, "done", now).await?,
        Ok(Synced::Foreign) => {
            inbox::settle(&mut tx, claim, Status::Foreign, now).await?;
            stuck::resolve(&mut tx, claim, "another product's", now).await?;
        }
        Ok(Synced::Unmatched(reason)) => {
            tracing::warn!(kind, ?object, reason, "an event of ours that matches nobody: parked");
            inbox::park(&mut tx, claim, &reason, now).await?;
            stuck::unmatched(&mut tx, claim, &reason, now).await?;
        }
        Err(error) => {
            let dead = inbox::fail(&mut tx, claim, &error, now).await?;
            if dead.is_empty() {
                tracing::warn!(kind, ?object, %error, "an event failed and is tried again");
            } else {
                tracing::error!(kind, ?object, %error, "an event failed too often: replay it");
                stuck::dead(&mut tx, claim, &dead, &error.to_string(), now).await?;
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
        Look::Card => customers::sync_card(engine, claim).await,
        Look::Charge => refunds::sync_charge(engine, id, claim).await,
        Look::Refund => refunds::sync_refund(engine, id, claim).await,
        Look::Dispute => refunds::sync_dispute(engine, id, claim).await,
        Look::CreditNote => refunds::sync_credit_note(engine, id, claim).await,
        Look::Payment => recharges::sync_payment(engine, id, claim).await,
        Look::Schedule => sync::schedule(engine, id, claim).await,
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
            ("payment_intent.succeeded", Some(Look::Payment)),
            ("payment_intent.created", None),
            ("charge.succeeded", None),
            ("charge.refunded", Some(Look::Charge)),
            ("charge.refund.updated", Some(Look::Refund)),
            ("charge.dispute.closed", Some(Look::Dispute)),
            ("refund.failed", Some(Look::Refund)),
            ("credit_note.voided", Some(Look::CreditNote)),
            ("payment_method.attached", Some(Look::Card)),
            ("subscription_schedule.released", Some(Look::Schedule)),
            ("thing.nobody.knows", None),
        ];
        for (kind, expected) in cases {
            assert_eq!(look(kind), expected, "{kind}");
        }
    }
}
