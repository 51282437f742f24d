//! Where a line goes: onto the renewal's draft, to the next invoice, or onto one of its own where
//! none comes.

use stripe_billing::invoice::{
    CreateInvoice, CreateInvoicePendingInvoiceItemsBehavior, ListInvoice, RetrieveInvoice,
};
use stripe_billing::subscription::RetrieveSubscription;
use stripe_shared::{InvoiceCollectionMethod, InvoiceStatus};

use crate::customers;
use crate::db::sql;
use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::shapes::{Invoice, List, Named, Subscription};

use super::lines::{self, OpenLine};
use super::payer::Payer;
use super::post::currency;

/// Where a line goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Onto this invoice, which is a draft.
    Invoice(String),
    /// Onto the next one of this subscription.
    Next(String),
}

impl Place {
    /// A part of the key: at another place it is another request.
    pub fn word(&self) -> &str {
        match self {
            Self::Invoice(id) | Self::Next(id) => id,
        }
    }
}

/// Finds, or makes, the place of a line.
pub async fn find(engine: &Engine, line: &OpenLine, payer: &Payer) -> Result<Place> {
    match &payer.next {
        Some(subscription) => Ok(match draft_of(engine, subscription).await? {
            Some(invoice) => Place::Invoice(invoice),
            None => Place::Next(subscription.clone()),
        }),
        None => own(engine, line, payer).await.map(Place::Invoice),
    }
}

/// The renewal's invoice while it can still be changed.
async fn draft_of(engine: &Engine, subscription: &str) -> Result<Option<String>> {
    let request =
        ListInvoice::new().subscription(subscription).status(InvoiceStatus::Draft).limit(1);
    let list: List<Named> = engine.stripe.fetch(&request).await?;
    Ok(list.data.into_iter().next().map(|invoice| invoice.id))
}

/// An invoice of the line's own, which takes nothing else along but the other lines of the same
/// period. One that was made before is used while it is a draft.
async fn own(engine: &Engine, line: &OpenLine, payer: &Payer) -> Result<String> {
    let before = made_before(engine, line).await?;
    if let Some(id) = &before {
        let request = RetrieveInvoice::new(id.clone());
        let found: Option<Invoice> = engine.stripe.fetch_optional(&request).await?;
        if found.is_some_and(|invoice| invoice.status == "draft") {
            remember(engine, line, id).await?;
            return Ok(id.clone());
        }
    }
    let label = customers::label(engine, &line.org_id);
    let request = CreateInvoice::new()
        .customer(payer.customer.clone())
        .currency(currency(&line.currency))
        .auto_advance(true)
        .pending_invoice_items_behavior(CreateInvoicePendingInvoiceItemsBehavior::Exclude)
        .metadata(label);
    let request = match (payer.days_until_due, card_of(engine, payer).await?) {
        (Some(days), _) => {
            request.collection_method(InvoiceCollectionMethod::SendInvoice).days_until_due(days)
        }
        (None, Some(card)) => request.default_payment_method(card),
        (None, None) => request,
    };
    // After one that is no draft any more comes another.
    let key = format!("{}:invoice:{}", line.id, before.as_deref().unwrap_or("first"));
    let made: Named = engine.stripe.write(&request, &key).await?;
    remember(engine, line, &made.id).await?;
    Ok(made.id)
}

/// What pays the subscription: a card given on Stripe's page is the subscription's, not the
/// customer's.
async fn card_of(engine: &Engine, payer: &Payer) -> Result<Option<String>> {
    let Some(id) = &payer.card_of else { return Ok(None) };
    let request = RetrieveSubscription::new(id.clone());
    let found: Option<Subscription> = engine.stripe.fetch_optional(&request).await?;
    Ok(found.and_then(|found| found.default_payment_method))
}

/// The invoice that was made for this line, or for another line of the same period.
async fn made_before(engine: &Engine, line: &OpenLine) -> Result<Option<String>> {
    if line.invoice_id.is_some() {
        return Ok(line.invoice_id.clone());
    }
    let text = "select invoice_id from billed_lines
         where org_id = $1 and subject = $2 and period_start = $3 and currency = $4
         and invoice_id is not null order by created_at desc, id desc limit 1";
    let statement = sql(text).bind(&line.org_id).bind(&line.subject).bind(line.period_start);
    let row: Option<(String,)> = engine.db.optional(statement.bind(&line.currency)).await?;
    Ok(row.map(|row| row.0))
}

async fn remember(engine: &Engine, line: &OpenLine, invoice_id: &str) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    lines::on_invoice(&mut tx, &line.id, invoice_id).await?;
    tx.commit().await
}
