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

/// Objects of all customers that are looked at in one go, at most: somebody waits for the answer.
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
    /// How many were not looked at, being too many at once; a customer of whom nothing was looked
    /// at counts as one.
    pub left: usize,
}

/// Looks at all of an org's customers at Stripe: subscriptions, and what was paid, refunded or
/// disputed within [`super::DAYS`]. Where Stripe cannot be reached, the first look says so; what
/// was looked at before it stays, and stands in the audit trail all the same.
pub async fn look_anew(engine: &Engine, org_id: &str, actor: Actor) -> Result<Looked> {
    let mut looked = Looked::default();
    let outcome = look_at_all(engine, org_id, &mut looked).await;
    record(engine, org_id, actor, &looked).await?;
    outcome.map(|()| looked)
}

async fn look_at_all(engine: &Engine, org_id: &str, looked: &mut Looked) -> Result<()> {
    let text = "select customer_id from customers where org_id = $1
         order by created_at, customer_id limit $2";
    let rows = sql(text).bind(org_id).bind(CUSTOMERS_MAX);
    let customers: Vec<(String,)> = engine.db.all(rows).await?;
    looked.is_customer = !customers.is_empty();
    let since = engine.clock.now() - super::DAYS * DAY;
    let mut room = OBJECTS_MAX;
    for (customer,) in customers {
        note(looked, &customer, look(engine, Remedy::Customer, &customer).await)?;
        if room == 0 {
            looked.left += 1;
            continue;
        }
        let seen = objects(engine, &customer, since).await?;
        looked.left += seen.unfollowed;
        let (objects, left) = chosen(seen, room);
        looked.left += left;
        room -= objects.len();
        for (remedy, id) in objects {
            note(looked, &id, look(engine, remedy, &id).await)?;
        }
    }
    Ok(())
}

/// What there is of a customer. A deleted one has only what we still hold for running.
async fn objects(engine: &Engine, customer: &str, since: Millis) -> Result<seen::OfCustomer> {
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
    Ok(seen)
}

/// Those that there is room for, in the order in which they are looked at, and how many there is
/// none for. What pays is looked at before what was paid, and what came back last; but where it is
/// too much, what was paid gives way, the oldest first: it is seen by other ways, too.
fn chosen(mut seen: seen::OfCustomer, room: usize) -> (Vec<(Remedy, String)>, usize) {
    let (mut free, mut left) = (room, 0);
    let by_weight = [
        &mut seen.subscriptions,
        &mut seen.disputes,
        &mut seen.refunds,
        &mut seen.credit_notes,
        &mut seen.invoices,
        &mut seen.sessions,
        &mut seen.payments,
    ];
    for ids in by_weight {
        left += ids.len().saturating_sub(free);
        ids.truncate(free);
        free -= ids.len();
    }
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
    (all.collect(), left)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_looked_at_however_much_was_paid() {
        let many = |kind: &str, count| (0..count).map(|n| format!("{kind}_{n}")).collect();
        let seen = seen::OfCustomer {
            subscriptions: many("sub", 1),
            invoices: many("in", 300),
            payments: many("pi", 300),
            refunds: many("re", 4),
            disputes: many("dp", 2),
            ..seen::OfCustomer::default()
        };
        let (objects, left) = chosen(seen, 200);
        let ids: Vec<&str> = objects.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!((ids.len(), left), (200, 407));
        assert_eq!(ids[..2], ["sub_0", "in_0"], "the newest are listed first");
        assert_eq!(ids[194..], ["re_0", "re_1", "re_2", "re_3", "dp_0", "dp_1"]);
        let (objects, left) = chosen(seen::OfCustomer::default(), 0);
        assert_eq!((objects.len(), left), (0, 0));
    }
}
