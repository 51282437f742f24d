//! Writing down what came of an attempt: the grant, the wait, or the decline and what follows.

use crate::autorecharge::{self, Fallout, Pause};
use crate::catalog::{self, Resolved};
use crate::clock::Millis;
use crate::credits;
use crate::db::Tx;
use crate::error::Result;
use crate::mail::Money;
use crate::notices::{self, News};
use crate::stripe::shapes::PaymentIntent;
use crate::topups::Sale;
use crate::units::Credits;

use super::asking::{LABEL, PRICE};
use super::attempts::{self, Attempt};
use super::outcome::{Outcome, Refusal};

/// Brings the attempt behind a payment to what the payment amounts to. Payments that are none of
/// ours change nothing, and neither does the same news again. (E4)
pub async fn apply(
    tx: &mut Tx,
    org_id: &str,
    intent: &PaymentIntent,
    outcome: &Outcome,
    now: Millis,
) -> Result<()> {
    let label = intent.metadata.get(LABEL).map(String::as_str);
    let found = attempts::of_payment(tx, &intent.id, label).await?;
    let attempt = match found.filter(|attempt| attempt.org_id == org_id) {
        Some(attempt) => attempt,
        None => match (label, outcome) {
            (Some(id), Outcome::Paid) => match adopt(tx, org_id, id, intent, now).await? {
                Some(attempt) => attempt,
                None => return Ok(()),
            },
            _ => return Ok(()),
        },
    };
    credits::lock_wallet(tx, org_id, now).await?;
    attempts::attach(tx, &attempt.id, &intent.id).await?;
    match outcome {
        Outcome::Paid => paid(tx, &attempt, intent, now).await,
        Outcome::Waiting => attempts::wait(tx, &attempt.id).await,
        Outcome::Refused(refusal) => refused(tx, &attempt, refusal, now).await,
    }
}

/// Somebody paid for an attempt that we know nothing of, as after a backup was put back: what the
/// payment says of itself is enough to grant it.
async fn adopt(
    tx: &mut Tx,
    org_id: &str,
    id: &str,
    intent: &PaymentIntent,
    now: Millis,
) -> Result<Option<Attempt>> {
    let Some(price_id) = intent.metadata.get(PRICE) else { return Ok(None) };
    let Some(pack) = pack(tx, price_id).await? else { return Ok(None) };
    let attempt = Attempt {
        id: id.to_owned(),
        org_id: org_id.to_owned(),
        customer_id: intent.customer.clone().unwrap_or_default(),
        price_id: price_id.clone(),
        payment_method: intent.payment_method.clone().unwrap_or_default(),
        credits: pack.credits.unwrap_or_default(),
        amount: intent.amount,
        currency: intent.currency.clone(),
        // Decided, so that it is nobody's way; the grant below is what makes it succeed.
        status: "failed".to_owned(),
        payment_intent_id: Some(intent.id.clone()),
        code: None,
        message: None,
        created_at: now,
        settled_at: Some(now),
    };
    attempts::insert(tx, &attempt).await?;
    attempts::of_payment(tx, &intent.id, None).await
}

async fn pack(tx: &mut Tx, price_id: &str) -> Result<Option<Resolved>> {
    let mut prices = catalog::resolve(tx, &[price_id.to_owned()]).await?;
    Ok(prices.remove(price_id).filter(|price| price.kind == "pack"))
}

/// The credits come with the payment, once. (E4)
async fn paid(tx: &mut Tx, attempt: &Attempt, intent: &PaymentIntent, now: Millis) -> Result<()> {
    let Some(pack) = pack(tx, &attempt.price_id).await? else {
        tracing::error!(attempt = attempt.id, "paid for a pack that is in no catalog: not granted");
        return Ok(());
    };
    if !attempts::succeed(tx, &attempt.id, now).await? {
        return Ok(());
    }
    let amount = if intent.amount_received > 0 { intent.amount_received } else { intent.amount };
    let sale = Sale {
        org_id: &attempt.org_id,
        customer_id: Some(&attempt.customer_id),
        sold_by: &attempt.id,
        pack: &pack,
        payment: intent.id.clone(),
        quantity: 1,
        credits: attempt.credits,
        amount,
        currency: &intent.currency,
        by_itself: true,
    };
    let granted = sale.grant(tx, now).await?;
    autorecharge::succeeded(tx, &attempt.org_id, &attempt.id, now).await?;
    if !granted {
        return Ok(());
    }
    let (credits, currency) = (attempt.credits, intent.currency.clone());
    tell(tx, &attempt.org_id, Money::Recharged { credits, amount, currency }, now).await
}

/// Nobody pays this any more: it is counted, and those who pay are told at the first time and when
/// nothing more is tried. (E2, E3)
pub async fn refused(tx: &mut Tx, attempt: &Attempt, refusal: &Refusal, now: Millis) -> Result<()> {
    let status = match refusal {
        Refusal::Confirm => "canceled",
        Refusal::NoCard | Refusal::Declined { .. } => "failed",
    };
    let why = (status, refusal.code(), refusal.sentence());
    if !attempts::fail(tx, &attempt.id, why, now).await? {
        return Ok(());
    }
    let org_id = attempt.org_id.as_str();
    let reason = refusal.sentence().to_owned();
    let letter = match refusal {
        Refusal::Confirm => {
            autorecharge::pause(tx, org_id, Pause::Authentication, now).await?;
            let pack = pack(tx, &attempt.price_id).await?;
            let name = pack.map_or_else(|| in_words(attempt.credits), |pack| pack.name);
            Some(Money::RechargeNeedsYou { pack: name })
        }
        Refusal::NoCard => {
            let paused = autorecharge::pause(tx, org_id, Pause::NoCard, now).await?;
            paused.then_some(Money::RechargePaused { reason })
        }
        Refusal::Declined { hard, .. } => {
            match autorecharge::declined(tx, org_id, *hard, now).await? {
                Fallout::Again { at, first: true } => {
                    Some(Money::RechargeFailed { reason, next_at: at })
                }
                Fallout::Paused => Some(Money::RechargePaused { reason }),
                Fallout::Again { .. } | Fallout::Nothing => None,
            }
        }
    };
    match letter {
        Some(letter) => tell(tx, org_id, letter, now).await,
        None => Ok(()),
    }
}

fn in_words(credits: Credits) -> String {
    format!("{credits} credits")
}

/// Tells those who pay.
pub async fn tell(tx: &mut Tx, org_id: &str, letter: Money, now: Millis) -> Result<()> {
    notices::tell(tx, org_id, &News::Money(letter), now).await
}
