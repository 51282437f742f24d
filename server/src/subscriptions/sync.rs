//! Looking at Stripe and writing down what was seen: one function per kind of object.
//!
//! Webhooks, the pages people come back to, and reconciliation all call these. Each takes the
//! customer's ticket, looks, and writes in one transaction together with the mark of the events
//! that caused it. Overtaken by a newer look, it looks again.

use stripe_billing::InvoiceStatus;
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_billing::subscription::RetrieveSubscription;
use stripe_billing::subscription_schedule::RetrieveSubscriptionSchedule;
use stripe_checkout::checkout_session::RetrieveCheckoutSession;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::catalog;
use crate::customers::look::{LOOKS_MAX, Look, finish, know_prices};
use crate::customers::{ORG, Synced, checkouts, pages};
use crate::db::sql;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::inbox::Claim;
use crate::stripe::shapes::{Invoice, Line, Metadata, Schedule, Session, Subscription, TAG};
use crate::topups;

use super::{apply, invoices};

/// Brings a subscription up to date.
pub async fn subscription(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::of(claim);
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let expand = vec!["schedule".to_owned()];
        let request = RetrieveSubscription::new(id.to_owned()).expand(expand);
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
        apply::subscription(&mut tx, &found, &org_id, engine.clock.now()).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// Brings an invoice up to date, and the allowances that it paid for.
pub async fn invoice(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::of(claim);
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let request = RetrieveInvoice::new(id.to_owned());
        let Some(found) = engine.stripe.fetch_optional::<_, Invoice>(&request).await? else {
            return missing(engine, id, claim).await;
        };
        let customer = found.customer.clone();
        let seen = with_those_before(engine, found).await?;
        let lines = seen.iter().flat_map(|(_, lines)| lines);
        let prices: Vec<String> =
            lines.filter_map(|line| line.price()).map(str::to_owned).collect();
        if let Some(verdict) =
            look.belongs(engine, customer.as_deref(), &Metadata::new(), &prices).await?
        {
            return Ok(verdict);
        }
        let Some(ticket) = ticket else { continue };
        know_prices(engine, &prices).await?;
        let Some((mut tx, org_id)) = look.write(engine, ticket).await? else { continue };
        invoices::apply(&mut tx, &seen, &org_id, engine.clock.now()).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// Brings a checkout up to date: grants a paid pack, or looks at the subscription it made.
pub async fn session(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::of(claim);
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
        let label = label(engine, &found, &prices).await?;
        if let Some(verdict) = look.belongs(engine, customer.as_deref(), &label, &prices).await? {
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

/// What a checkout says of whose it is. One that was not opened by us, from a payment link, has no
/// label; where it sells something of ours, its reference names the org. (A10)
async fn label(engine: &Engine, seen: &Session, prices: &[String]) -> Result<Metadata> {
    let mut label = seen.metadata.clone();
    let reference = seen.client_reference_id.as_ref().filter(|_| !label.contains_key(TAG));
    let Some(org_id) = reference else { return Ok(label) };
    if !catalog::resolve(&mut &engine.db, prices).await?.is_empty() {
        label.insert(TAG.to_owned(), engine.config.product_tag.clone());
        label.insert(ORG.to_owned(), org_id.clone());
    }
    Ok(label)
}

/// Brings the subscription that a schedule is about up to date.
pub async fn schedule(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let request = RetrieveSubscriptionSchedule::new(id.to_owned());
    let found: Option<Schedule> = engine.stripe.fetch_optional(&request).await?;
    match found.and_then(|found| found.subscription.or(found.released_subscription)) {
        Some(subscription_id) => subscription(engine, &subscription_id, claim).await,
        None => missing(engine, id, claim).await,
    }
}

/// A checkout for a plan changes nothing by itself: the subscription and the invoice that it made
/// do, and are looked at with tickets of their own. Its org can pay on no other page after it.
/// (B15)
async fn plan_session(engine: &Engine, seen: &Session, claim: &Claim) -> Result<Synced> {
    if let Some(id) = &seen.subscription {
        subscription(engine, id, &claim.aside()).await?;
    }
    if let Some(id) = &seen.invoice {
        invoice(engine, id, &claim.aside()).await?;
    }
    if let Some(org_id) = payer(engine, seen).await? {
        pages::close_all_but(engine, &org_id, &seen.id).await?;
    }
    let mut tx = engine.db.begin().await?;
    checkouts::close(&mut tx, seen, engine.clock.now()).await?;
    finish(engine, tx, claim).await
}

/// The org that has subscribed by a checkout.
async fn payer(engine: &Engine, seen: &Session) -> Result<Option<String>> {
    let Some(id) = seen.subscription.as_ref().filter(|_| seen.status == "complete") else {
        return Ok(None);
    };
    let text = "select org_id from subscriptions where subscription_id = $1";
    let row: Option<(String,)> = engine.db.optional(sql(text).bind(id)).await?;
    Ok(row.map(|row| row.0))
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

/// An invoice with its lines and, where it is paid, every paid one of the same subscription that is
/// not known as paid yet, oldest first. What a period includes follows from all of its changes: to
/// know of a move up and not of the move down before it would count too much. (B2, B7)
async fn with_those_before(engine: &Engine, found: Invoice) -> Result<Vec<(Invoice, Vec<Line>)>> {
    let mut all = match found.subscription().filter(|_| found.status == "paid") {
        None => vec![found],
        Some(subscription_id) => {
            let page = |after: Option<String>| {
                let request = ListInvoice::new().subscription(subscription_id).limit(100);
                let request = request.status(InvoiceStatus::Paid);
                after.into_iter().fold(request, |request, after| request.starting_after(after))
            };
            let mut paid: Vec<Invoice> = engine.stripe.every(page).await?;
            let ids: Vec<String> = paid.iter().map(|invoice| invoice.id.clone()).collect();
            let known = invoices::known_paid(&mut &engine.db, &ids).await?;
            paid.retain(|invoice| invoice.id != found.id && !known.contains(&invoice.id));
            // Newest first as listed, and of one moment the later one first.
            let place = paid.iter().position(|invoice| invoice.created <= found.created);
            paid.insert(place.unwrap_or(paid.len()), found);
            paid.reverse();
            paid
        }
    };
    let mut with_lines = Vec::with_capacity(all.len());
    for invoice in all.drain(..) {
        let lines = every_line(engine, &invoice).await?;
        with_lines.push((invoice, lines));
    }
    Ok(with_lines)
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
