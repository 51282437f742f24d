//! Looking at Stripe and writing down what was seen: one function per kind of object.
//!
//! Webhooks, the pages people come back to, and reconciliation all call these. Each takes the
//! customer's ticket, looks, and writes in one transaction together with the mark of the events
//! that caused it. Overtaken by a newer look, it looks again.

use stripe_billing::invoice::RetrieveInvoice;
use stripe_billing::subscription::RetrieveSubscription;
use stripe_checkout::checkout_session::RetrieveCheckoutSession;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::catalog;
use crate::customers::{self, Belongs, LOOKS_MAX, Synced, checkouts};
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::inbox::{self, Claim, Status};
use crate::stripe::shapes::{Invoice, Line, Metadata, Session, Subscription};
use crate::topups;

use super::{apply, invoices};

/// Brings a subscription up to date.
pub async fn subscription(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::default();
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let request = RetrieveSubscription::new(id.to_owned());
        let Some(found) = engine.stripe.fetch_optional::<_, Subscription>(&request).await? else {
            return missing(engine, id, claim).await;
        };
        let prices: Vec<String> =
            found.items.data.iter().map(|item| item.price.id.clone()).collect();
        let customer = found.customer.clone();
        if let Some(verdict) =
            look.belongs(engine, customer.as_deref(), &found.metadata, &prices).await?
        {
            return Ok(verdict);
        }
        let Some(ticket) = ticket else { continue };
        know_prices(engine, &prices).await?;
        let Some((mut tx, org_id)) = look.write(engine, ticket).await? else { continue };
        apply::subscription(&mut tx, &found, &org_id, &engine.config, engine.clock.now()).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// Brings an invoice up to date, and the allowances that it paid for.
pub async fn invoice(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::default();
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let request = RetrieveInvoice::new(id.to_owned());
        let Some(found) = engine.stripe.fetch_optional::<_, Invoice>(&request).await? else {
            return missing(engine, id, claim).await;
        };
        let lines = every_line(engine, &found).await?;
        let prices: Vec<String> =
            lines.iter().filter_map(|line| line.price()).map(str::to_owned).collect();
        let customer = found.customer.clone();
        if let Some(verdict) =
            look.belongs(engine, customer.as_deref(), &Metadata::new(), &prices).await?
        {
            return Ok(verdict);
        }
        let Some(ticket) = ticket else { continue };
        know_prices(engine, &prices).await?;
        let Some((mut tx, org_id)) = look.write(engine, ticket).await? else { continue };
        invoices::apply(&mut tx, &found, &lines, &org_id, engine.clock.now()).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// Brings a checkout up to date: grants a paid pack, or looks at the subscription it made.
pub async fn session(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::default();
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let expand = vec!["line_items".to_owned()];
        let request = RetrieveCheckoutSession::new(id.to_owned()).expand(expand);
        let Some(found) = engine.stripe.fetch_optional::<_, Session>(&request).await? else {
            return missing(engine, id, claim).await;
        };
        let lines = found.line_items.iter().flat_map(|lines| &lines.data);
        let prices: Vec<String> =
            lines.filter_map(|line| Some(line.price.as_ref()?.id.clone())).collect();
        let customer = found.customer.clone();
        if let Some(verdict) =
            look.belongs(engine, customer.as_deref(), &found.metadata, &prices).await?
        {
            return Ok(verdict);
        }
        if found.mode != "payment" {
            return plan_session(engine, &found, claim).await;
        }
        let Some(ticket) = ticket else { continue };
        know_prices(engine, &prices).await?;
        let Some((mut tx, org_id)) = look.write(engine, ticket).await? else { continue };
        let now = engine.clock.now();
        topups::settle(&mut tx, &found, &org_id, now).await?;
        checkouts::close(&mut tx, &found, now).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// A checkout for a plan changes nothing by itself: the subscription and the invoice that it made
/// do, and are looked at with tickets of their own.
async fn plan_session(engine: &Engine, seen: &Session, claim: &Claim) -> Result<Synced> {
    if let Some(id) = &seen.subscription {
        subscription(engine, id, &Claim::default()).await?;
    }
    if let Some(id) = &seen.invoice {
        invoice(engine, id, &Claim::default()).await?;
    }
    let mut tx = engine.db.begin().await?;
    checkouts::close(&mut tx, seen, engine.clock.now()).await?;
    finish(engine, tx, claim).await
}

/// What is known of the customer while looking.
#[derive(Default)]
struct Look {
    customer: Option<String>,
    org_id: String,
}

impl Look {
    /// The ticket for this look; none before the customer is known.
    async fn ticket(&self, engine: &Engine) -> Result<Option<i64>> {
        match &self.customer {
            Some(customer) => customers::take_ticket(engine, customer).await,
            None => Ok(None),
        }
    }

    /// Learns whose the object is. An answer means that it is nobody's that we know, and why. (A10,
    /// A11, C9)
    async fn belongs(
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
            Some(customer) => customers::resolve(engine, customer, label).await?,
            None => Belongs::Unlabelled,
        };
        Ok(match belongs {
            Belongs::Ours(org_id) => {
                self.customer = customer.map(str::to_owned);
                self.org_id = org_id;
                None
            }
            Belongs::Foreign => Some(Synced::Foreign),
            Belongs::Unmatched(reason) => Some(Synced::Unmatched(reason)),
            Belongs::Unlabelled => {
                let ours = catalog::resolve(&mut &engine.db, prices).await?;
                Some(match ours.keys().next() {
                    None => Synced::Foreign,
                    Some(price) => Synced::Unmatched(format!(
                        "{} bought our {price}, but says nothing about an org",
                        customer.unwrap_or("nobody")
                    )),
                })
            }
        })
    }

    /// Opens the transaction in which this look is written; none when it was overtaken.
    async fn write(&self, engine: &Engine, ticket: i64) -> Result<Option<(Tx, String)>> {
        let customer = self.customer.as_deref().unwrap_or_default();
        let mut tx = engine.db.begin().await?;
        match customers::apply_ticket(&mut tx, customer, ticket).await? {
            true => Ok(Some((tx, self.org_id.clone()))),
            false => Ok(None),
        }
    }
}

/// Effects and the mark of the events that asked for them become durable together. (A6)
async fn finish(engine: &Engine, mut tx: Tx, claim: &Claim) -> Result<Synced> {
    inbox::settle(&mut tx, claim, Status::Processed, engine.clock.now()).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(Synced::Done)
}

/// Stripe has nothing of that id. Of ours nothing ever disappears (subscriptions end, drafts are
/// deleted before they were anything), so there is nothing to write.
async fn missing(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let text = "select subscription_id from subscriptions where subscription_id = $1";
    if engine.db.optional::<(String,)>(sql(text).bind(id)).await?.is_some() {
        tracing::error!(id, "a subscription of ours is unknown to Stripe: nothing was changed");
    }
    let tx = engine.db.begin().await?;
    finish(engine, tx, claim).await
}

/// A price that was made a moment ago may be sold before we heard of it.
async fn know_prices(engine: &Engine, prices: &[String]) -> Result<()> {
    let known = catalog::resolve(&mut &engine.db, prices).await?;
    if prices.iter().any(|price| !known.contains_key(price)) {
        catalog::refresh(engine).await?;
    }
    Ok(())
}

/// All lines of an invoice; the invoice itself carries the first few.
async fn every_line(engine: &Engine, invoice: &Invoice) -> Result<Vec<Line>> {
    if !invoice.lines.has_more {
        return Ok(invoice.lines.data.clone());
    }
    let page = |after| Lines { invoice_id: invoice.id.clone(), after };
    engine.stripe.every(page).await
}

struct Lines {
    invoice_id: String,
    after: Option<String>,
}

impl StripeRequest for Lines {
    type Output = miniserde::json::Value;

    fn build(&self) -> RequestBuilder {
        let path = format!("/invoices/{}/lines", self.invoice_id);
        let mut query = vec![("limit", "100")];
        if let Some(after) = &self.after {
            query.push(("starting_after", after));
        }
        let query: std::collections::BTreeMap<&str, &str> = query.into_iter().collect();
        RequestBuilder::new(StripeMethod::Get, path).query(&query)
    }
}
