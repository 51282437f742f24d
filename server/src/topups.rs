//! Top-ups: packs of credits, paid once. Owns `payments`.
//!
//! A pack is granted when Stripe says that it is paid, never before, and once per payment however
//! often and by whichever way we hear of it.

use std::collections::BTreeMap;

use crate::audit::{self, Actor};
use crate::autorecharge::{self, Pause};
use crate::catalog::{self, Resolved};
use crate::clock::{DAY, Millis};
use crate::credits::{self, NewGrant, Source};
use crate::customers::checkouts::{self, Purchase};
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::findings::{self, NewFinding};
use crate::mail::{self, Template};
use crate::orgs::{self, Permission, Who};
use crate::refunds;
use crate::stripe::shapes::Session;
use crate::units::{Credits, money};

/// A pack that was paid.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Payment {
    /// `pi_…`
    pub payment_id: String,
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// What it bought.
    pub credits: Credits,
    /// When.
    pub paid_at: Millis,
}

/// Sends a member to the page where a pack can be paid; answers its address.
pub async fn checkout(engine: &Engine, who: &Who, price_id: &str) -> Result<String> {
    orgs::require(who, Permission::ManageBilling)?;
    let prices = catalog::resolve(&mut &engine.db, &[price_id.to_owned()]).await?;
    let offered = prices.get(price_id).is_some_and(|price| price.sold && price.kind == "pack");
    if !offered {
        let message = "This pack is not offered any more. Choose one of those on the billing page.";
        return Err(Error::invalid("price", message));
    }
    let setting = autorecharge::of_org(&mut &engine.db, &who.org_id).await?;
    // The card is kept for later only where the org wants to be charged later.
    let save_card = setting.is_some_and(|setting| setting.enabled);
    checkouts::open(engine, who, &Purchase::Pack { save_card }, price_id).await
}

/// The packs an org paid, newest first.
pub async fn payments(db: &Db, org_id: &str, limit: i64) -> Result<Vec<Payment>> {
    let text = "select payment_id, amount, currency, credits, paid_at from payments
         where org_id = $1 order by paid_at desc, payment_id limit $2";
    db.all(sql(text).bind(org_id).bind(limit.clamp(1, 100))).await
}

/// Grants what a completed checkout paid for. Not yet paid (some methods take days) is nothing
/// yet: another event will come. (B1)
pub async fn settle(tx: &mut Tx, session: &Session, org_id: &str, now: Millis) -> Result<()> {
    let paid = matches!(session.payment_status.as_str(), "paid" | "no_payment_required");
    if !paid || session.status != "complete" {
        return Ok(());
    }
    let lines = session.line_items.as_ref().map(|lines| lines.data.as_slice()).unwrap_or_default();
    let ids: Vec<String> =
        lines.iter().filter_map(|line| Some(line.price.as_ref()?.id.clone())).collect();
    let prices = catalog::resolve(tx, &ids).await?;
    report_unknown(tx, session, org_id, &prices, now).await?;
    let mut bought = false;
    for (line, index) in lines.iter().zip(0usize..) {
        let price = line.price.as_ref().and_then(|price| prices.get(&price.id));
        let Some(pack) = price.filter(|price| price.kind == "pack") else { continue };
        let quantity = line.quantity.unwrap_or(1).max(1);
        let each = pack.credits.unwrap_or_default();
        let credits = each.micros().checked_mul(quantity).map(Credits::from_micros);
        let credits = credits.ok_or_else(|| Error::internal("more credits than a ledger holds"))?;
        let sale = Sale {
            org_id,
            customer_id: session.customer.as_deref(),
            sold_by: &session.id,
            pack,
            payment: payment_id(session, index),
            quantity,
            credits,
            amount: session.amount_total.unwrap_or(0),
            currency: session.currency.as_deref().unwrap_or_default(),
            by_itself: false,
        };
        bought |= sale.grant(tx, now).await?;
    }
    if bought {
        // Whoever was asked by the bank to confirm has done so, and left the card for later.
        autorecharge::resume(tx, org_id, &[Pause::Authentication], now).await?;
    }
    Ok(())
}

/// What was paid for and is none of our packs gives nothing; somebody has to look. (C7, C9)
async fn report_unknown(
    tx: &mut Tx,
    session: &Session,
    org_id: &str,
    prices: &BTreeMap<String, Resolved>,
    now: Millis,
) -> Result<()> {
    const KIND: &str = "unknown_price";
    let lines = session.line_items.iter().flat_map(|lines| &lines.data);
    let unknown: Vec<&str> = lines
        .filter_map(|line| Some(line.price.as_ref()?.id.as_str()))
        .filter(|price| prices.get(*price).is_none_or(|price| price.kind != "pack"))
        .collect();
    if unknown.is_empty() {
        return findings::resolve(tx, KIND, &session.id, "every line is a pack", now).await;
    }
    let message = format!(
        "{} was paid, which is no pack of ours, and gave nothing. Put its product and price right \
         and replay the event of {}, or refund it; dismiss this if it is sold without credits.",
        unknown.join(" and "),
        session.id
    );
    let found = NewFinding {
        kind: KIND,
        subject: &session.id,
        org_id: Some(org_id),
        message: &message,
        detail: Some(serde_json::json!({ "prices": unknown })),
    };
    findings::record(tx, &found, now).await.map(drop)
}

/// The payment is the source of the grant. Nothing to pay leaves no payment, but a session.
fn payment_id(session: &Session, index: usize) -> String {
    let id = session.payment_intent.as_deref().unwrap_or(&session.id);
    if index == 0 { id.to_owned() } else { format!("{id}:{index}") }
}

/// One paid line of packs: bought on Stripe's page, or by auto-recharge.
#[derive(Debug)]
pub struct Sale<'a> {
    /// Whose the credits are.
    pub org_id: &'a str,
    /// Who paid.
    pub customer_id: Option<&'a str>,
    /// `cs_…`, or the attempt of auto-recharge.
    pub sold_by: &'a str,
    /// What was bought.
    pub pack: &'a Resolved,
    /// `pi_…`, with the line's number where it is not the first.
    pub payment: String,
    /// How many.
    pub quantity: i64,
    /// What it gives, all of it.
    pub credits: Credits,
    /// Minor units that were paid.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: &'a str,
    /// Whether nobody was present, who then is told by somebody else.
    pub by_itself: bool,
}

impl Sale<'_> {
    /// Grants what was paid for, and writes the payment down. Again, it does nothing and answers
    /// false.
    pub async fn grant(&self, tx: &mut Tx, now: Millis) -> Result<bool> {
        let expires_at = self.pack.expires_days.map(|days| now + days * DAY);
        let new = NewGrant {
            effective_at: None,
            org_id: self.org_id.to_owned(),
            source: Source::Pack,
            source_ref: self.payment.clone(),
            amount: self.credits,
            expires_at,
            payment: Some(self.paid_by().to_owned()),
            actor: Actor::Stripe,
            reason: format!("{} bought", self.pack.name),
        };
        let Some(grant_id) = credits::grant(tx, new, now).await? else { return Ok(false) };
        self.record(tx, now).await?;
        let detail = serde_json::json!({
            "payment": self.payment,
            "credits": self.credits,
            "paid": money(self.amount, self.currency),
        });
        let entry = audit::Entry {
            actor: Actor::Stripe,
            org_id: Some(self.org_id),
            action: "topups.grant",
            subject: &grant_id,
            reason: None,
            detail: Some(detail),
        };
        audit::record(tx, &entry, now).await?;
        if !self.by_itself {
            self.write_letters(tx, expires_at, now).await?;
        }
        // It may have come back before we heard that it was paid. (E14)
        refunds::apply(tx, self.org_id, self.paid_by(), now).await?;
        Ok(true)
    }

    /// The payment itself: all lines of one share it, and what comes back of it.
    fn paid_by(&self) -> &str {
        self.payment.split(':').next().unwrap_or(&self.payment)
    }

    async fn write_letters(
        &self,
        tx: &mut Tx,
        expires_on: Option<Millis>,
        now: Millis,
    ) -> Result<()> {
        for to in orgs::owners_and_billing_emails(tx, self.org_id).await? {
            let (name, credits) = (self.pack.name.clone(), self.credits);
            let letter = Template::PackBought { name, credits, expires_on };
            mail::send_later(tx, &to, letter, now).await?;
        }
        Ok(())
    }

    async fn record(&self, tx: &mut Tx, now: Millis) -> Result<()> {
        let text = "insert into payments (payment_id, org_id, customer_id, session_id, price_id, \
                 quantity, amount, currency, credits, paid_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (payment_id) do nothing";
        let row = sql(text)
            .bind(&self.payment)
            .bind(self.org_id)
            .bind(self.customer_id)
            .bind(self.sold_by)
            .bind(&self.pack.price_id)
            .bind(self.quantity)
            .bind(self.amount)
            .bind(self.currency)
            .bind(self.credits)
            .bind(now);
        tx.execute(row).await?;
        Ok(())
    }
}
