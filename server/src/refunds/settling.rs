//! From what is known of a payment to what its grants lose, and who is told.
//!
//! The row of the payment is computed anew from all facts each time; the ledger is set to what it
//! says. Repeated, late or out of order, the same facts end in the same credits.

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::credits::{self, Taken};
use crate::customers;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::stripe::shapes::Invoice;
use crate::units::money;

use super::facts::{self, Of};
use super::sync::{ChargeView, NotesView};
use super::target::{Known, Stand};
use super::telling::{tell, turn};

/// What an invoice says about its own payment.
#[derive(Clone, Debug)]
pub struct InvoiceState<'a> {
    /// `in_…`
    pub invoice_id: &'a str,
    /// Whose.
    pub org_id: &'a str,
    /// `cus_…`
    pub customer_id: &'a str,
    /// Three lowercase letters.
    pub currency: &'a str,
    /// Minor units, all of it.
    pub total: i64,
    /// Whether it was voided or given up.
    pub void: bool,
}

/// A payment, apart from what came back of it.
struct Paid<'a> {
    of: Of<'a>,
    customer_id: &'a str,
    currency: &'a str,
    amount: i64,
    void: bool,
}

/// What came back of a payment, as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Back {
    /// Three lowercase letters.
    pub currency: String,
    /// Minor units, as all below.
    pub paid: i64,
    refunded: i64,
    credited: i64,
    lost: i64,
    frozen: bool,
    void: bool,
    /// What the customer was told was given back.
    pub told: i64,
}

impl Back {
    /// What is known of the payment.
    pub fn known(&self) -> Known {
        Known {
            paid: self.paid,
            refunded: self.refunded,
            credited: self.credited,
            lost: self.lost,
            void: self.void,
        }
    }
}

/// Writes down everything about a charge and settles its payment.
pub(super) async fn charge(
    tx: &mut Tx,
    view: &ChargeView,
    org_id: &str,
    now: Millis,
) -> Result<()> {
    let seen = &view.charge;
    // What an invoice paid is named by the invoice, a pack by its payment.
    let pack = seen.payment_intent.as_deref().unwrap_or(&seen.id);
    let payment = view.invoice.as_ref().map_or(pack, |invoice| &invoice.id);
    let of = Of { payment, org_id };
    credits::lock_wallet(tx, org_id, now).await?;
    facts::charge(tx, of, seen, now).await?;
    for refund in &view.refunds {
        facts::refund(tx, of, refund, now).await?;
    }
    let mut turns = Vec::new();
    for dispute in &view.disputes {
        let before = facts::dispute(tx, of, &seen.id, dispute, now).await?;
        turns.push((dispute, stand(dispute.status.as_str())?, before));
    }
    let invoice = view.invoice.as_ref();
    let paid = Paid {
        of,
        customer_id: seen.customer.as_deref().unwrap_or_default(),
        currency: &seen.currency,
        amount: invoice.map_or_else(|| seen.paid(), |invoice| invoice.total),
        void: invoice.is_some_and(is_void),
    };
    settle(tx, &paid, now).await?;
    for (dispute, stand, before) in turns {
        let before = before.as_deref().and_then(Stand::of);
        turn(tx, of, dispute, before, stand, now).await?;
    }
    Ok(())
}

/// Writes down the credit notes of an invoice and settles its payment.
pub(super) async fn notes(tx: &mut Tx, view: &NotesView, org_id: &str, now: Millis) -> Result<()> {
    let invoice = &view.invoice;
    let of = Of { payment: &invoice.id, org_id };
    credits::lock_wallet(tx, org_id, now).await?;
    for note in &view.notes {
        facts::note(tx, of, note, now).await?;
    }
    let paid = Paid {
        of,
        customer_id: invoice.customer.as_deref().unwrap_or_default(),
        currency: &invoice.currency,
        amount: invoice.total,
        void: is_void(invoice),
    };
    settle(tx, &paid, now).await
}

/// Whether nothing will be paid for it any more.
fn is_void(invoice: &Invoice) -> bool {
    matches!(invoice.status.as_str(), "void" | "uncollectible")
}

/// Writes down that an invoice was voided or given up, or that it is paid after all. (E16)
pub async fn set_invoice(tx: &mut Tx, state: &InvoiceState<'_>, now: Millis) -> Result<()> {
    let payment = state.invoice_id;
    let known = back(tx, payment).await?;
    // Most invoices that are voided never paid for anything.
    let matters = known.is_some() || (state.void && has_granted(tx, payment).await?);
    if !matters {
        return Ok(());
    }
    credits::lock_wallet(tx, state.org_id, now).await?;
    let paid = Paid {
        of: Of { payment, org_id: state.org_id },
        customer_id: state.customer_id,
        currency: state.currency,
        amount: state.total,
        void: state.void,
    };
    settle(tx, &paid, now).await
}

/// Takes from the grants of a payment what came back of it, and freezes or frees them. To be called
/// whenever a grant of the payment was made, with its wallet locked. (B20, E14)
pub async fn apply(tx: &mut Tx, org_id: &str, payment: &str, now: Millis) -> Result<()> {
    if let Some(back) = back(tx, payment).await? {
        let of = Of { payment, org_id };
        let taken = carry_out(tx, of, &back, now).await?;
        tell(tx, of, &back, false, &taken, now).await?;
    }
    customers::landed(tx, org_id, payment, now).await
}

/// Computes the payment's row from all facts and sets the ledger to it.
async fn settle(tx: &mut Tx, paid: &Paid<'_>, now: Millis) -> Result<()> {
    let (payment, org_id) = (paid.of.payment, paid.of.org_id);
    let before = back(tx, payment).await?;
    let (mut lost, mut frozen) = (0i64, false);
    for dispute in facts::disputes(tx, payment).await? {
        match stand(&dispute.status)? {
            Stand::Open => frozen = true,
            // In another currency it cannot be compared with what was paid: it counts as all.
            Stand::Lost if dispute.currency != paid.currency => lost = paid.amount,
            Stand::Lost => lost = lost.saturating_add(dispute.amount),
            Stand::Inquiry | Stand::Won => {}
        }
    }
    let after = Back {
        currency: paid.currency.to_owned(),
        paid: paid.amount,
        refunded: facts::refunded(tx, payment).await?,
        credited: facts::credited(tx, payment).await?,
        lost,
        frozen,
        void: paid.void,
        told: before.as_ref().map_or(0, |before| before.told),
    };
    store(tx, paid, &after, now).await?;
    let taken = carry_out(tx, paid.of, &after, now).await?;
    if before.as_ref() != Some(&after) {
        let detail = json!({
            "paid": money(after.paid, &after.currency),
            "refunded": money(after.refunded, &after.currency),
            "credited": money(after.credited, &after.currency),
            "lost": money(after.lost, &after.currency),
            "void": after.void,
            "frozen": after.frozen,
            "credits_granted": taken.granted,
            "credits_taken": taken.taken,
            "credits_owed": taken.owed,
        });
        let entry = audit::Entry {
            actor: Actor::Stripe,
            org_id: Some(org_id),
            action: "refunds.settle",
            subject: payment,
            reason: None,
            detail: Some(detail),
        };
        audit::record(tx, &entry, now).await?;
    }
    let newly_void = after.void && before.is_none_or(|before| !before.void);
    tell(tx, paid.of, &after, newly_void, &taken, now).await
}

/// Sets the ledger to what the row says. What is disputed is kept from use; once it is decided, the
/// rest may be used, unless its customer was deleted meanwhile. (E12, B20)
async fn carry_out(tx: &mut Tx, of: Of<'_>, back: &Back, now: Millis) -> Result<Taken> {
    let share = back.known().share();
    let taken = credits::claw_back(tx, of.org_id, of.payment, share, now).await?;
    let stays = !back.frozen && customers::is_withheld(tx, of.payment).await?;
    if taken.granted.is_positive() && !stays {
        let reason = match back.frozen {
            true => "Its payment is disputed",
            false => "The dispute over its payment was decided",
        };
        let (org_id, payment) = (of.org_id, of.payment);
        credits::freeze(tx, org_id, payment, back.frozen, &Actor::Stripe, reason, now).await?;
    }
    Ok(taken)
}

/// A word that nobody knows is an error, so that a person sees it: guessing would give or take
/// credits.
fn stand(status: &str) -> Result<Stand> {
    let unknown = || Error::internal(format!("a dispute that is {status}: an unknown state"));
    Stand::of(status).ok_or_else(unknown)
}

async fn back(tx: &mut Tx, payment: &str) -> Result<Option<Back>> {
    let text = "select currency, paid, refunded, credited, lost, frozen, void, told
         from money_backs where payment = $1";
    tx.optional(sql(text).bind(payment)).await
}

async fn store(tx: &mut Tx, paid: &Paid<'_>, after: &Back, now: Millis) -> Result<()> {
    let text = "insert into money_backs (payment, org_id, customer_id, currency, paid, refunded, \
             credited, lost, frozen, void, told, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (payment) do update set paid = excluded.paid, \
             refunded = excluded.refunded, credited = excluded.credited, lost = excluded.lost, \
             frozen = excluded.frozen, void = excluded.void, synced_at = excluded.synced_at";
    let row = sql(text)
        .bind(paid.of.payment)
        .bind(paid.of.org_id)
        .bind(paid.customer_id)
        .bind(&after.currency)
        .bind(after.paid)
        .bind(after.refunded)
        .bind(after.credited)
        .bind(after.lost)
        .bind(after.frozen)
        .bind(after.void)
        .bind(after.told)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

async fn has_granted(tx: &mut Tx, payment: &str) -> Result<bool> {
    let text = "select id from grants where payment = $1 limit 1";
    Ok(tx.optional::<(String,)>(sql(text).bind(payment)).await?.is_some())
}
