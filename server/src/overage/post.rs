//! One line to Stripe, once: claimed, looked for where it may be there already, placed, and made
//! under a key of its own.

use std::str::FromStr as _;

use stripe_billing::invoice_item::{CreateInvoiceItem, ListInvoiceItem, Period};
use stripe_types::Currency;

use crate::audit::{self, Actor};
use crate::clock::{Millis, SECOND};
use crate::customers;
use crate::db::Tx;
use crate::engine::Engine;
use crate::error::Result;
use crate::findings::{self, NewFinding};
use crate::stripe::shapes::InvoiceItem;

use super::lines::{self, OpenLine};
use super::payer::{self, Payer};
use super::place::{self, Place};

/// The metadata key under which a line's id travels.
const LINE: &str = "billed_line";
/// The kind of finding where a line can be on no invoice.
pub const FINDING: &str = "billed_not_invoiced";

/// Stripe's currency of that name.
pub fn currency(word: &str) -> Currency {
    match Currency::from_str(word) {
        Ok(currency) => currency,
    }
}

/// Puts a line on an invoice; answers whether it is on one now. Nobody else does so meanwhile.
pub async fn post(engine: &Engine, line: &OpenLine) -> Result<bool> {
    let mut tx = engine.db.begin().await?;
    let claimed = lines::claim(&mut tx, &line.id, engine.clock.now()).await?;
    tx.commit().await?;
    let Some(line) = claimed else { return Ok(false) };
    let outcome = ask(engine, &line).await;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    match &outcome {
        Ok(Ok(item)) => settle(&mut tx, &line, item, now).await?,
        Ok(Err(why)) => refuse(&mut tx, &line, why, now).await?,
        Err(error) if error.is_retryable() => lines::give_up(&mut tx, &line.id, now).await?,
        Err(error) => refuse(&mut tx, &line, &error.to_string(), now).await?,
    }
    tx.commit().await?;
    outcome.map(|done| done.is_ok())
}

/// The item that stands for the line, found or made; a text says why there is none.
async fn ask(engine: &Engine, line: &OpenLine) -> Result<Result<InvoiceItem, String>> {
    let payer = match payer::of(engine, line).await? {
        Ok(payer) => payer,
        Err(why) => return Ok(Err(why)),
    };
    // The answer to an earlier call may have been lost on the way.
    if line.tried_at.is_some()
        && let Some(found) = look_for(engine, line, &payer).await?
    {
        return Ok(match found.amount == line.amount {
            true => Ok(found),
            false => Err(format!("{} says {} instead of {}", found.id, found.amount, line.amount)),
        });
    }
    let place = place::find(engine, line, &payer).await?;
    let mut tx = engine.db.begin().await?;
    lines::tried(&mut tx, &line.id, engine.clock.now()).await?;
    tx.commit().await?;
    let key = format!("{}:{}", line.id, place.word());
    let made = engine.stripe.write(&item(engine, line, &payer, &place), &key).await?;
    Ok(Ok(made))
}

fn item(engine: &Engine, line: &OpenLine, payer: &Payer, place: &Place) -> CreateInvoiceItem {
    let mut label = customers::label(engine, &line.org_id);
    label.insert(LINE.to_owned(), line.id.clone());
    let (start, end) = (line.period_start / SECOND, line.period_end / SECOND);
    let request = CreateInvoiceItem::new()
        .customer(payer.customer.clone())
        .amount(line.amount)
        .currency(currency(&line.currency))
        .description(line.description.clone())
        .period(Period::new(end, start))
        .metadata(label);
    match place {
        Place::Invoice(id) => request.invoice(id.clone()),
        Place::Next(id) => request.subscription(id.clone()),
    }
}

/// The item that carries this line's id, among all of the customer's.
pub async fn look_for(
    engine: &Engine,
    line: &OpenLine,
    payer: &Payer,
) -> Result<Option<InvoiceItem>> {
    let page = |after: Option<String>| {
        let request = ListInvoiceItem::new().customer(payer.customer.clone()).limit(100);
        match after {
            Some(after) => request.starting_after(after),
            None => request,
        }
    };
    let items: Vec<InvoiceItem> = engine.stripe.every(page).await?;
    Ok(items.into_iter().find(|item| item.metadata.get(LINE) == Some(&line.id)))
}

/// The line is on an invoice, or waits for its customer's next one.
pub async fn settle(tx: &mut Tx, line: &OpenLine, item: &InvoiceItem, now: Millis) -> Result<()> {
    lines::posted(tx, &line.id, &item.id, item.invoice.as_deref(), now).await?;
    findings::resolve(tx, FINDING, &line.id, "it is on an invoice", now).await?;
    let detail = serde_json::json!({
        "item": item.id, "invoice": item.invoice, "amount": line.amount, "currency": line.currency,
        "billed_to": line.subject, "description": line.description,
    });
    let entry = audit::Entry {
        actor: Actor::System,
        org_id: Some(&line.org_id),
        action: "overage.post",
        subject: &line.id,
        reason: None,
        detail: Some(detail),
    };
    audit::record(tx, &entry, now).await
}

async fn refuse(tx: &mut Tx, line: &OpenLine, why: &str, now: Millis) -> Result<()> {
    lines::give_up(tx, &line.id, now).await?;
    let message = format!(
        "{} is on no invoice: {why}. It is tried again at every turn: mend the cause, or invoice \
         it by hand and then run `overage settle {} --reason TEXT`.",
        line.description, line.id
    );
    let found = NewFinding {
        kind: FINDING,
        subject: &line.id,
        org_id: Some(&line.org_id),
        message: &message,
        detail: Some(serde_json::json!({
            "billed_to": line.subject, "amount": line.amount, "currency": line.currency,
        })),
    };
    findings::record(tx, &found, now).await?;
    Ok(())
}
