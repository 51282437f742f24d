//! Who is told what came back of a payment, and what became of a dispute: once each.

use serde_json::json;

use crate::audit::{self, Actor};
use crate::autorecharge::{self, Pause};
use crate::clock::Millis;
use crate::credits::Taken;
use crate::customers;
use crate::db::{Tx, sql};
use crate::error::Result;
use crate::mail::Money;
use crate::notices::{self, News};
use crate::stripe::shapes::Dispute;
use crate::units::money;

use super::facts::Of;
use super::settling::Back;
use super::target::Stand;

/// Tells the customer what was given back since the last time, once it is known what it paid for.
pub(super) async fn tell(
    tx: &mut Tx,
    of: Of<'_>,
    back: &Back,
    newly_void: bool,
    taken: &Taken,
    now: Millis,
) -> Result<()> {
    let currency = back.currency.clone();
    if newly_void && taken.granted.is_positive() {
        let (amount, currency) = (back.paid, currency.clone());
        let news = Money::InvoiceVoided { amount, currency, taken: taken.taken, owed: taken.owed };
        notices::tell(tx, of.org_id, &News::Money(news), now).await?;
    }
    let given = back.known().given_back();
    let change = given.saturating_sub(back.told);
    let is_known = taken.granted.is_positive() || is_paid_invoice(tx, of.payment).await?;
    if change == 0 || !is_known {
        return Ok(());
    }
    let news = match change > 0 {
        true => Money::Refunded { amount: change, currency, taken: taken.taken, owed: taken.owed },
        false => Money::RefundFailed { amount: change.saturating_neg(), currency },
    };
    notices::tell(tx, of.org_id, &News::Money(news), now).await?;
    let text = "update money_backs set told = $2 where payment = $1";
    tx.execute(sql(text).bind(of.payment).bind(given)).await?;
    Ok(())
}

/// A dispute went from one state to another: each turn is told once, and the first switches
/// auto-recharge off. (E11)
pub(super) async fn turn(
    tx: &mut Tx,
    of: Of<'_>,
    dispute: &Dispute,
    before: Option<Stand>,
    stand: Stand,
    now: Millis,
) -> Result<()> {
    if before == Some(stand) {
        return Ok(());
    }
    let (amount, currency) = (dispute.amount, dispute.currency.clone());
    let news = match stand {
        Stand::Open => Money::DisputeOpened { amount, currency },
        Stand::Lost => Money::DisputeClosed { won: false, withheld: false, amount, currency },
        Stand::Won if before == Some(Stand::Open) => {
            let withheld = customers::is_withheld(tx, of.payment).await?;
            Money::DisputeClosed { won: true, withheld, amount, currency }
        }
        // Nobody had been told that there was anything to decide.
        Stand::Won | Stand::Inquiry => return Ok(()),
    };
    notices::tell(tx, of.org_id, &News::Money(news), now).await?;
    if stand == Stand::Open {
        autorecharge::pause(tx, of.org_id, Pause::Dispute, now).await?;
    }
    let entry = audit::Entry {
        actor: Actor::Stripe,
        org_id: Some(of.org_id),
        action: "refunds.dispute",
        subject: &dispute.id,
        reason: Some(&dispute.reason),
        detail: Some(json!({
            "payment": of.payment,
            "status": dispute.status,
            "amount": money(dispute.amount, &dispute.currency),
        })),
    };
    audit::record(tx, &entry, now).await
}

async fn is_paid_invoice(tx: &mut Tx, payment: &str) -> Result<bool> {
    let text = "select invoice_id from invoices where invoice_id = $1 and status = 'paid'";
    Ok(tx.optional::<(String,)>(sql(text).bind(payment)).await?.is_some())
}
