//! Subscriptions: what an org pays for again and again, mirrored from Stripe.
//!
//! Owns `subscriptions`, `subscription_items`, `ended_items`, `invoices`, `paid_lines` and
//! `allowance_schedules`. Stripe is the truth: nothing here is changed but by looking at it anew.
//! Never grants anything that is not paid, and never decides what may be used: entitlements and the
//! gate do.

mod addons;
mod allowance;
mod apply;
mod change;
mod checkout;
mod current;
mod invoices;
mod items;
mod later;
mod months;
mod portal_configuration;
mod preview;
mod requests;
mod seats;
pub mod sync;
mod targets;
mod telling;

use crate::clock::{DAY, Millis};
use crate::db::sql;
use crate::engine::Engine;
use crate::entitlements;
use crate::error::Result;
use crate::stripe::inbox::Claim;

pub use addons::{AddonOffer, QUANTITY_MAX, addons, set_addon};
pub use change::{Decided, confirm, keep, resume, undo};
pub use checkout::{Flow, Returned, checkout, portal, portal_for, refresh, returned};
pub use current::{Current, Extra, Next, currency, current};
pub use invoices::{InvoiceRow, list as invoices};
pub use preview::{Preview, When, preview};
pub use seats::{SEATS_MAX, set_seats};

/// What comes with time alone: months of yearly plans begin, forgiveness ends, and the end of a
/// trial comes near. Answers how much was done.
pub async fn turn(engine: &Engine) -> Result<usize> {
    let mut done = months::open_due(engine).await?;
    let now = engine.clock.now();
    for org_id in entitlements::overdue(&mut &engine.db, now).await? {
        let mut tx = engine.db.begin().await?;
        entitlements::derive(&mut tx, &org_id, now).await?;
        tx.commit().await?;
        done += 1;
    }
    for id in trials_to_tell(engine, now).await? {
        match sync::subscription(engine, &id, &Claim::default()).await {
            Ok(_) => done += 1,
            Err(error) => tracing::warn!(id, "the trial's end could not be looked at: {error}"),
        }
    }
    Ok(done)
}

/// Trials that end within three days and of which nobody was told: Stripe says so by an event, and
/// events may be lost.
async fn trials_to_tell(engine: &Engine, now: Millis) -> Result<Vec<String>> {
    let text = "select subscription_id from subscriptions
         where status = 'trialing' and trial_told_at is null and ends_at is null
         and trial_end > $1 and trial_end <= $2 and synced_at < trial_end - $3
         order by trial_end limit 20";
    let row = sql(text).bind(now).bind(now + 3 * DAY).bind(3 * DAY);
    let rows: Vec<(String,)> = engine.db.all(row).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}
