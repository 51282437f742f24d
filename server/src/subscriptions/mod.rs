//! Subscriptions: what an org pays for again and again, mirrored from Stripe.
//!
//! Owns `subscriptions`, `subscription_items`, `invoices`, `paid_lines` and `allowance_schedules`.
//! Stripe is the truth: nothing here is changed but by looking at it anew. Never grants anything
//! that is not paid, and never decides what may be used: entitlements and the gate do.

mod allowance;
mod apply;
mod checkout;
mod invoices;
mod portal_configuration;
pub mod sync;
mod targets;

use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::entitlements;
use crate::entitlements::access::{Status, judge};
use crate::error::Result;

pub use allowance::open_due_months;
pub use checkout::{Flow, Returned, checkout, portal, portal_for, refresh, returned};
pub use invoices::{InvoiceRow, list as invoices};

/// The subscription an org is on, for its pages.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Current {
    /// `sub_…`
    pub subscription_id: String,
    /// Stripe's word.
    pub status: String,
    /// The plan's name.
    pub plan: String,
    /// `price_…`
    pub price_id: String,
    /// Minor units for each.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// day, week, month or year
    pub per: Option<String>,
    /// Every so many of them.
    pub per_count: i64,
    /// How many.
    pub quantity: i64,
    /// The current period, half open.
    pub period_start: Millis,
    /// Its end.
    pub period_end: Millis,
    /// When it ends, if an end is set.
    pub ends_at: Option<Millis>,
    /// Until when it is tried for free.
    pub trial_end: Option<Millis>,
}

impl Current {
    /// What the customer should know about its state.
    pub fn message(&self) -> Option<&'static str> {
        judge(Status::parse(&self.status)?, 0, 0, 0).message
    }
}

/// The subscription that gives an org its plan; none on the free tier.
pub async fn current(db: &Db, org_id: &str) -> Result<Option<Current>> {
    let text = "select s.subscription_id, s.status, p.name as plan, i.price_id, x.amount, \
             x.currency, x.per, x.per_count, i.quantity, i.period_start, i.period_end, s.ends_at, \
             s.trial_end
         from subscriptions s
         join subscription_items i on i.subscription_id = s.subscription_id
         join catalog_prices x on x.price_id = i.price_id
         join catalog_products p on p.product_id = x.product_id
         where s.org_id = $1 and p.kind = 'plan'
         and s.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused')
         order by p.rank desc, s.created_at desc, i.item_id limit 1";
    db.optional(sql(text).bind(org_id)).await
}

/// Whether an org has another subscription that is not over.
async fn has_other_live(tx: &mut Tx, org_id: &str, than: &str) -> Result<bool> {
    let text = "select subscription_id from subscriptions
         where org_id = $1 and subscription_id <> $2
         and status in ('trialing', 'active', 'past_due', 'unpaid', 'paused') limit 1";
    Ok(tx.optional::<(String,)>(sql(text).bind(org_id).bind(than)).await?.is_some())
}

/// What comes with time alone: months of yearly plans begin, and forgiveness ends. Answers how
/// much was done.
pub async fn turn(engine: &Engine) -> Result<usize> {
    let mut done = open_due_months(engine).await?;
    let now = engine.clock.now();
    for org_id in entitlements::overdue(&mut &engine.db, now).await? {
        let mut tx = engine.db.begin().await?;
        entitlements::derive(&mut tx, &org_id, now).await?;
        tx.commit().await?;
        done += 1;
    }
    Ok(done)
}
