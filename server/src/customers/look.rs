//! Looking at an object of Stripe's: whose it is, the ticket that orders the looks, and the
//! transaction in which what was seen is written.
//!
//! Every kind of object is looked at in the same way. Take a ticket, fetch, learn whose it is, and
//! write: overtaken by a newer look, begin again, at most [`LOOKS_MAX`] times.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::catalog;
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::inbox::{self, Claim, Known, Status};
use crate::stripe::shapes::Metadata;

use super::{Belongs, Synced};

/// How often somebody who was overtaken looks again before leaving it for later.
pub const LOOKS_MAX: usize = 8;

/// What is known of the customer while looking.
#[derive(Default)]
pub struct Look {
    customer: Option<String>,
    org_id: String,
    /// Whose the newest ticket is.
    of: Option<String>,
    /// What was known before, and its ticket for the first look.
    known: Option<Known>,
    first: Option<i64>,
}

impl Look {
    /// A look for these events: where their customer is one of ours, it begins with that and with
    /// the ticket that was taken for all of them.
    pub fn of(claim: &Claim) -> Self {
        let Some(known) = claim.known.clone() else { return Self::default() };
        let first = Some(known.ticket.load(Ordering::Relaxed));
        let (customer, org_id) = (Some(known.customer_id.clone()), known.org_id.clone());
        Self { customer, org_id, first, known: Some(known), of: None }
    }

    /// A look at a customer of ours itself.
    pub fn at(claim: &Claim, customer_id: &str, org_id: &str) -> Self {
        let look = Self::of(claim);
        if look.customer.as_deref() == Some(customer_id) {
            return look;
        }
        let (customer, org_id) = (Some(customer_id.to_owned()), org_id.to_owned());
        Self { customer, org_id, ..Self::default() }
    }

    /// The ticket for this look; none before the customer is known.
    pub async fn ticket(&mut self, engine: &Engine) -> Result<Option<i64>> {
        let Some(customer) = &self.customer else { return Ok(None) };
        self.of = Some(customer.clone());
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        super::take_ticket(engine, customer).await
    }

    /// Learns whose the object is. An answer means that it is nobody's that we know, and why. (A10,
    /// A11, C9)
    pub async fn belongs(
        &mut self,
        engine: &Engine,
        customer: Option<&str>,
        label: &Metadata,
        prices: &[String],
    ) -> Result<Option<Synced>> {
        if self.customer.as_deref() == customer && customer.is_some() {
            return Ok(None);
        }
        let belongs = match customer {
            Some(customer) => super::resolve(engine, customer, label).await?,
            None => Belongs::Unlabelled,
        };
        Ok(match belongs {
            Belongs::Ours(org_id) => {
                self.customer = customer.map(str::to_owned);
                self.org_id = org_id;
                None
            }
            Belongs::Unmatched(reason) | Belongs::Second(reason) => Some(Synced::Unmatched(reason)),
            Belongs::Foreign | Belongs::Unlabelled => {
                let but = match belongs {
                    Belongs::Foreign => "belongs to another product",
                    _ => "says nothing about an org",
                };
                let ours = catalog::resolve(&mut &engine.db, prices).await?;
                Some(match ours.keys().next() {
                    None => Synced::Foreign,
                    Some(price) => Synced::Unmatched(format!(
                        "{} bought our {price}, but {but}",
                        customer.unwrap_or("nobody")
                    )),
                })
            }
        })
    }

    /// Opens the transaction in which this look is written; none when it was overtaken.
    pub async fn write(&self, engine: &Engine, ticket: i64) -> Result<Option<(Tx, String)>> {
        if self.of != self.customer {
            // The object is another customer's than the event said.
            return Ok(None);
        }
        let customer = self.customer.as_deref().unwrap_or_default();
        let mut tx = engine.db.begin().await?;
        if !super::apply_ticket(&mut tx, customer, ticket).await? {
            return Ok(None);
        }
        if let Some(known) = self.known.as_ref().filter(|known| known.customer_id == customer) {
            // The next look of the claim begins after this one was written.
            known.ticket.store(ticket + 1, Ordering::Relaxed);
        }
        Ok(Some((tx, self.org_id.clone())))
    }
}

/// Takes a ticket for each of these customers; answers those that are ours.
pub async fn take_tickets(tx: &mut Tx, customers: Vec<String>) -> Result<Vec<Known>> {
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    let any = tx.dialect().any("customer_id", 1);
    let text = format!("select customer_id, org_id, ticket from customers where {any}");
    let rows: Vec<(String, String, i64)> = tx.all(sql(text).bind(customers)).await?;
    let known = |(customer_id, org_id, ticket)| {
        let ticket = Arc::new(AtomicI64::new(ticket));
        Known { customer_id, org_id, ticket }
    };
    Ok(rows.into_iter().map(known).collect())
}

/// Effects and the mark of the events that asked for them become durable together. (A6)
pub async fn finish(engine: &Engine, mut tx: Tx, claim: &Claim) -> Result<Synced> {
    inbox::settle(&mut tx, claim, Status::Processed, engine.clock.now()).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(Synced::Done)
}

/// A price that was made a moment ago may be sold before we heard of it.
pub async fn know_prices(engine: &Engine, prices: &[String]) -> Result<()> {
    let known = catalog::resolve(&mut &engine.db, prices).await?;
    if prices.iter().any(|price| !known.contains_key(price)) {
        catalog::refresh(engine).await?;
    }
    Ok(())
}
