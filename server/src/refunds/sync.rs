//! Looking at what came back, and writing down what was seen. Everything about one charge, or about
//! the credit notes of one invoice, is read at once: one view, one target.

use stripe_billing::credit_note::{ListCreditNote, RetrieveCreditNote};
use stripe_billing::invoice::RetrieveInvoice;
use stripe_billing::invoice_payment::{
    ListInvoicePayment, ListInvoicePaymentPayment, ListInvoicePaymentPaymentType,
};
use stripe_checkout::checkout_session::ListCheckoutSession;
use stripe_core::charge::RetrieveCharge;
use stripe_core::dispute::{ListDispute, RetrieveDispute};
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_core::refund::{ListRefund, RetrieveRefund};

use crate::customers::Synced;
use crate::customers::look::{LOOKS_MAX, Look, finish};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::inbox::Claim;
use crate::stripe::shapes::{
    Charge, CreditNote, Dispute, Invoice, InvoicePayment, List, Metadata, PaymentIntent, Refund,
    Session,
};

use super::settling;

/// Everything about a charge, as Stripe has it now.
pub(super) struct ChargeView {
    /// The charge.
    pub charge: Charge,
    /// The invoice that it paid, if it paid one.
    pub invoice: Option<Invoice>,
    /// All its refunds.
    pub refunds: Vec<Refund>,
    /// All its disputes.
    pub disputes: Vec<Dispute>,
}

/// Everything about the credit notes of an invoice, as Stripe has it now.
pub(super) struct NotesView {
    /// The invoice.
    pub invoice: Invoice,
    /// All its credit notes.
    pub notes: Vec<CreditNote>,
}

/// Brings what came back of a charge up to date: its refunds and its disputes.
pub async fn charge(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::of(claim);
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let request = RetrieveCharge::new(id.to_owned());
        let Some(found) = engine.stripe.fetch_optional::<_, Charge>(&request).await? else {
            return nothing(engine, claim).await;
        };
        let customer = found.customer.clone();
        let prices = match ticket {
            Some(_) => Vec::new(),
            None => prices_paid(engine, &found).await?,
        };
        if let Some(verdict) =
            look.belongs(engine, customer.as_deref(), &found.metadata, &prices).await?
        {
            return Ok(verdict);
        }
        let Some(ticket) = ticket else { continue };
        let view = whole(engine, found).await?;
        let Some((mut tx, org_id)) = look.write(engine, ticket).await? else { continue };
        settling::charge(&mut tx, &view, &org_id, engine.clock.now()).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// The same, for the charge of a refund.
pub async fn refund(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let request = RetrieveRefund::new(id.to_owned());
    let Some(found) = engine.stripe.fetch_optional::<_, Refund>(&request).await? else {
        return nothing(engine, claim).await;
    };
    let charge_id = match (found.charge, found.payment_intent) {
        (Some(charge_id), _) => Some(charge_id),
        (None, Some(payment)) => {
            let request = RetrievePaymentIntent::new(payment);
            let paid: Option<PaymentIntent> = engine.stripe.fetch_optional(&request).await?;
            paid.and_then(|paid| paid.latest_charge)
        }
        // Money that lay on a customer's cash balance had paid for nothing.
        (None, None) => None,
    };
    match charge_id {
        Some(charge_id) => charge(engine, &charge_id, claim).await,
        None => nothing(engine, claim).await,
    }
}

/// The same, for the charge of a dispute.
pub async fn dispute(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let request = RetrieveDispute::new(id.to_owned());
    let found: Option<Dispute> = engine.stripe.fetch_optional(&request).await?;
    match found.and_then(|found| found.charge) {
        Some(charge_id) => charge(engine, &charge_id, claim).await,
        None => nothing(engine, claim).await,
    }
}

/// Brings the credit notes of an invoice up to date.
pub async fn credit_note(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::of(claim);
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let request = RetrieveCreditNote::new(id.to_owned());
        let found: Option<CreditNote> = engine.stripe.fetch_optional(&request).await?;
        let Some(invoice_id) = found.and_then(|found| found.invoice) else {
            return nothing(engine, claim).await;
        };
        let invoice: Invoice = engine.stripe.fetch(&RetrieveInvoice::new(&*invoice_id)).await?;
        let prices = prices_of(&invoice);
        let customer = invoice.customer.clone();
        if let Some(verdict) =
            look.belongs(engine, customer.as_deref(), &Metadata::new(), &prices).await?
        {
            return Ok(verdict);
        }
        let Some(ticket) = ticket else { continue };
        let page = |after: Option<String>| {
            let list = ListCreditNote::new().invoice(&*invoice_id).limit(100);
            after.into_iter().fold(list, ListCreditNote::starting_after)
        };
        let view = NotesView { invoice, notes: engine.stripe.every(page).await? };
        let Some((mut tx, org_id)) = look.write(engine, ticket).await? else { continue };
        settling::notes(&mut tx, &view, &org_id, engine.clock.now()).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// Stripe has nothing of that id, or nothing that paid for anything.
async fn nothing(engine: &Engine, claim: &Claim) -> Result<Synced> {
    let tx = engine.db.begin().await?;
    finish(engine, tx, claim).await
}

async fn whole(engine: &Engine, charge: Charge) -> Result<ChargeView> {
    let invoice = invoice_paid(engine, &charge).await?;
    let refunds = |after: Option<String>| {
        let list = ListRefund::new().charge(&*charge.id).limit(100);
        after.into_iter().fold(list, ListRefund::starting_after)
    };
    let refunds = engine.stripe.every(refunds).await?;
    let disputes = |after: Option<String>| {
        let list = ListDispute::new().charge(&*charge.id).limit(100);
        after.into_iter().fold(list, ListDispute::starting_after)
    };
    let disputes = engine.stripe.every(disputes).await?;
    Ok(ChargeView { charge, invoice, refunds, disputes })
}

/// The invoice that a charge paid. The charge itself does not name it.
async fn invoice_paid(engine: &Engine, charge: &Charge) -> Result<Option<Invoice>> {
    let Some(payment) = &charge.payment_intent else { return Ok(None) };
    let kind = ListInvoicePaymentPaymentType::PaymentIntent;
    let mut by = ListInvoicePaymentPayment::new(kind);
    by.payment_intent = Some(payment.clone());
    let request = ListInvoicePayment::new().payment(by).limit(100);
    let found: List<InvoicePayment> = engine.stripe.fetch(&request).await?;
    let paid = found.data.iter().filter(|one| one.status == "paid").chain(&found.data);
    let Some(invoice_id) = paid.filter_map(|one| one.invoice.clone()).next() else {
        return Ok(None);
    };
    Ok(Some(engine.stripe.fetch(&RetrieveInvoice::new(invoice_id)).await?))
}

/// The prices that a charge paid: they tell whether a customer that says nothing bought something
/// of ours. (A10)
async fn prices_paid(engine: &Engine, charge: &Charge) -> Result<Vec<String>> {
    let Some(payment) = &charge.payment_intent else { return Ok(Vec::new()) };
    if let Some(invoice) = invoice_paid(engine, charge).await? {
        return Ok(prices_of(&invoice));
    }
    let expand = vec!["data.line_items".to_owned()];
    let request = ListCheckoutSession::new().payment_intent(&**payment).expand(expand);
    let found: List<Session> = engine.stripe.fetch(&request).await?;
    let lines = found.data.iter().filter_map(|session| session.line_items.as_ref());
    let prices = lines.flat_map(|lines| &lines.data).filter_map(|line| line.price.as_ref());
    Ok(prices.map(|price| price.id.clone()).collect())
}

fn prices_of(invoice: &Invoice) -> Vec<String> {
    invoice.lines.data.iter().filter_map(|line| line.price()).map(str::to_owned).collect()
}
