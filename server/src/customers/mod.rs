//! Customers: who an org is at Stripe, and the pages of Stripe that we sent its people to.
//!
//! Owns `customers` and (in [`checkouts`] and [`pages`]) `checkouts`. Every customer we make
//! carries our tag and its org in its metadata, by which it is found again. Hands out the tickets
//! that keep an older look at Stripe from overwriting a newer one. What was paid through a customer
//! that Stripe deleted waits for a person ([`withheld`]). Never deletes a customer at Stripe.

mod cards;
pub mod checkouts;
pub mod look;
pub mod pages;
mod withheld;

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use stripe_core::customer::{CreateCustomer, RetrieveCustomer};

use crate::clock::Millis;
use crate::db::{Db, Reads, Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orgs::Who;
use crate::stripe::inbox::{self, Claim, Status};
use crate::stripe::shapes::{Customer, Metadata, TAG};

pub use cards::{Card, card_of, sync_card, tell_expiring};
pub use withheld::{Released, is_withheld, landed, release};

use look::{LOOKS_MAX, Look};

/// The metadata key under which an org's id travels.
pub const ORG: &str = "org_id";

/// What a look at one object of Stripe's came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Synced {
    /// It is as Stripe says now.
    Done,
    /// It belongs to another product in the same account.
    Foreign,
    /// It is of one of our prices, but of nobody we know.
    Unmatched(String),
}

/// Whose a customer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// This org's.
    Ours(String),
    /// Another product's.
    Foreign,
    /// Ours by its tag, but the org is not to be found.
    Unmatched(String),
    /// Ours by its tag, but its org has another customer: two of its members asked for one at the
    /// same moment. It is nothing, unless something was bought through it.
    Second(String),
    /// It says nothing; what it bought decides.
    Unlabelled,
}

/// The customer that stands for an org, made at Stripe where there is none yet.
pub async fn ensure(engine: &Engine, who: &Who) -> Result<String> {
    if let Some(id) = of_org(&engine.db, &who.org_id).await? {
        return Ok(id);
    }
    let count = "select count(*) from customers where org_id = $1";
    let (before,): (i64,) = engine.db.one(sql(count).bind(&who.org_id)).await?;
    // The same person asking again gets the same customer; somebody else's address would not fit
    // the first request, and makes another key.
    let asker = hex::encode(&Sha256::digest(format!("{}\n{}", who.email, who.org_name))[..6]);
    let key = format!("customer:{}:{before}:{asker}", who.org_id);
    let request = CreateCustomer::new()
        .email(who.email.clone())
        .name(who.org_name.clone())
        .metadata(label(engine, &who.org_id));
    let made: Customer = engine.stripe.write(&request, &key).await?;
    let mut tx = engine.db.begin().await?;
    keep(&mut tx, &made, &who.org_id, engine.clock.now()).await?;
    tx.commit().await?;
    let kept = of_org(&engine.db, &who.org_id).await?;
    kept.ok_or_else(|| Error::internal("the customer that was just made is missing"))
}

/// The metadata that everything we make at Stripe carries: whose it is.
pub fn label(engine: &Engine, org_id: &str) -> HashMap<String, String> {
    let tag = engine.config.product_tag.clone();
    HashMap::from([(TAG.to_owned(), tag), (ORG.to_owned(), org_id.to_owned())])
}

/// An org's customer.
pub async fn of_org(db: &Db, org_id: &str) -> Result<Option<String>> {
    let text = "select customer_id from customers where org_id = $1 and deleted_at is null";
    let row: Option<(String,)> = db.optional(sql(text).bind(org_id)).await?;
    Ok(row.map(|row| row.0))
}

/// A customer, as operators look at it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Known {
    /// `cus_…`
    pub customer_id: String,
    /// Since when it is gone from Stripe.
    pub deleted_at: Option<Millis>,
    /// Since when what was paid through it may be used again.
    pub released_at: Option<Millis>,
}

/// The customer that stands for an org now; where there is none, the last one that Stripe deleted.
pub async fn newest_of_org(db: &Db, org_id: &str) -> Result<Option<Known>> {
    let text = "select customer_id, deleted_at, released_at from customers where org_id = $1
         order by case when deleted_at is null then 0 else 1 end, created_at desc,
             customer_id desc limit 1";
    db.optional(sql(text).bind(org_id)).await
}

/// A customer's org, where we know it.
pub async fn org_of(reads: &mut impl Reads, customer_id: &str) -> Result<Option<String>> {
    let text = "select org_id from customers where customer_id = $1";
    let row: Option<(String,)> = reads.optional(sql(text).bind(customer_id)).await?;
    Ok(row.map(|row| row.0))
}

/// Finds out whose a customer is: by our own rows, then by its label at Stripe, then by the label
/// of the object that named it. One that turns out to be ours is kept from then on. (A10, A11)
pub async fn resolve(engine: &Engine, customer_id: &str, label: &Metadata) -> Result<Belongs> {
    if let Some(org_id) = org_of(&mut &engine.db, customer_id).await? {
        return Ok(Belongs::Ours(org_id));
    }
    let request = RetrieveCustomer::new(customer_id.to_owned());
    let found: Option<Customer> = engine.stripe.fetch_optional(&request).await?;
    let found = found.unwrap_or_else(|| gone(customer_id));
    let tag = engine.config.product_tag.as_str();
    let labels = [&found.metadata, label];
    let Some(labelled) = labels.into_iter().find(|label| label.contains_key(TAG)) else {
        return Ok(Belongs::Unlabelled);
    };
    if labelled.get(TAG).map(String::as_str) != Some(tag) {
        return Ok(Belongs::Foreign);
    }
    let Some(org_id) = labelled.get(ORG) else {
        let reason = format!("{customer_id} carries our tag but no {ORG}");
        return Ok(Belongs::Unmatched(reason));
    };
    let mut tx = engine.db.begin().await?;
    let org = sql("select id from orgs where id = $1").bind(org_id);
    if tx.optional::<(String,)>(org).await?.is_none() {
        return Ok(Belongs::Unmatched(format!("{customer_id} is of {org_id}, which is unknown")));
    }
    keep(&mut tx, &found, org_id, engine.clock.now()).await?;
    let kept = org_of(&mut tx, customer_id).await?;
    tx.commit().await?;
    Ok(match kept {
        Some(org_id) => Belongs::Ours(org_id),
        None => Belongs::Second(format!("{org_id} has another customer than {customer_id}")),
    })
}

fn gone(customer_id: &str) -> Customer {
    Customer { id: customer_id.to_owned(), deleted: true, ..Customer::default() }
}

/// Writes a customer down, unless the org has another one already.
async fn keep(tx: &mut Tx, customer: &Customer, org_id: &str, now: Millis) -> Result<()> {
    let text = "insert into customers (customer_id, org_id, email, ticket, applied, created_at, \
             deleted_at)
         values ($1, $2, $3, 0, 0, $4, $5) on conflict do nothing";
    let row = sql(text)
        .bind(&customer.id)
        .bind(org_id)
        .bind(&customer.email)
        .bind(now)
        .bind(customer.deleted.then_some(now));
    tx.execute(row).await?;
    Ok(())
}

/// Takes a ticket before looking at Stripe: the number of views of the customer that were written
/// so far. `None` where we do not know the customer.
pub async fn take_ticket(engine: &Engine, customer_id: &str) -> Result<Option<i64>> {
    let text = "select ticket from customers where customer_id = $1";
    let row: Option<(i64,)> = engine.db.optional(sql(text).bind(customer_id)).await?;
    Ok(row.map(|row| row.0))
}

/// Begins to write what was seen with a ticket. `false` when anything was written since it was
/// taken: what is there now may have been seen later than this, so look again with a new ticket.
/// Also holds the customer until the commit, so that two writers never interleave. Whoever is
/// refused was overtaken by somebody who wrote, so that all together always come forward.
pub async fn apply_ticket(tx: &mut Tx, customer_id: &str, ticket: i64) -> Result<bool> {
    let text = "update customers set ticket = ticket + 1, applied = ticket + 1
         where customer_id = $1 and ticket = $2";
    Ok(tx.execute(sql(text).bind(customer_id).bind(ticket)).await? == 1)
}

/// Brings a customer up to date: the address, the card, and whether it was deleted. What was paid
/// through a deleted one is frozen and stays. (B20)
pub async fn sync(engine: &Engine, customer_id: &str, claim: &Claim) -> Result<Synced> {
    let org_id = match resolve(engine, customer_id, &Metadata::new()).await? {
        Belongs::Ours(org_id) => org_id,
        Belongs::Foreign | Belongs::Unlabelled => return Ok(Synced::Foreign),
        Belongs::Unmatched(reason) => return Ok(Synced::Unmatched(reason)),
        Belongs::Second(reason) => {
            tracing::info!(reason, "a customer through which nothing was bought");
            return Ok(Synced::Foreign);
        }
    };
    let mut look = Look::at(claim, customer_id, &org_id);
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let ticket = ticket.ok_or_else(|| Error::internal("a customer that was just there"))?;
        let expand = vec!["invoice_settings.default_payment_method".to_owned()];
        let request = RetrieveCustomer::new(customer_id.to_owned()).expand(expand);
        let found: Option<Customer> = engine.stripe.fetch_optional(&request).await?;
        let found = found.unwrap_or_else(|| gone(customer_id));
        let method = cards::chosen(engine, &found).await?;
        let now = engine.clock.now();
        let Some((mut tx, _)) = look.write(engine, ticket).await? else { continue };
        let change = if found.deleted {
            let text = "update customers set deleted_at = $2
                 where customer_id = $1 and deleted_at is null";
            sql(text).bind(customer_id).bind(now)
        } else {
            let text = "update customers set email = $2 where customer_id = $1";
            sql(text).bind(customer_id).bind(&found.email)
        };
        tx.execute(change).await?;
        cards::keep(&mut tx, customer_id, &org_id, method.as_ref(), now).await?;
        if found.deleted {
            withheld::withhold(&mut tx, customer_id, &org_id, now).await?;
        }
        inbox::settle(&mut tx, claim, Status::Processed, now).await?;
        tx.commit().await?;
        engine.wake.notify_one();
        return Ok(Synced::Done);
    }
    Err(Error::Unavailable)
}
