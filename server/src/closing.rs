//! Closing an org for good: nobody acts in it any more, and nothing is charged. (B20)
//!
//! Owns no tables; each room ends what is its own. The ledger stays as it is, and so does the
//! customer in Stripe. What was asked of Stripe before may still be paid: then somebody is told.
//! Never cancels a subscription: that is for those who pay it, or for a person.

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::{Millis, day};
use crate::credits;
use crate::customers::pages;
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::{api_keys, autorecharge, orgs, recharges};

/// What was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// API keys that were in force.
    pub keys: usize,
}

/// Closes an org as [`close`] does, and at Stripe the pages on which it could still pay for a plan.
/// Nothing is closed where Stripe cannot be asked. A page that is opened while the org is closed is
/// closed after it; one that was paid by then is told to somebody when its subscription is seen.
pub async fn close_with_pages(
    engine: &Engine,
    org_id: &str,
    actor: &Actor,
    reason: &str,
) -> Result<Closed> {
    audit::check_reason(reason)?;
    orgs::find(&engine.db, org_id).await?;
    // An org that stays keeps its pages.
    let mut tx = engine.db.begin().await?;
    refuse_going_on(&mut tx, org_id, engine.clock.now()).await?;
    drop(tx);
    pages::close_all_but(engine, org_id, "").await?;
    let mut tx = engine.db.begin().await?;
    let closed = close(&mut tx, org_id, actor, reason, engine.clock.now()).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    if let Err(error) = pages::close_all_but(engine, org_id, "").await {
        tracing::warn!(org_id, %error, "closed, but a page may be left on which it could pay");
    }
    Ok(closed)
}

/// Closes an org: its keys are revoked, auto-recharge is off, and its members have no way in. A
/// recharge that was begun is let go of, unless Stripe has a payment of it already.
///
/// Refused while a subscription or a contract of it is in force, and named; `reason` has 1–500
/// characters and stays in the audit trail. An org that is closed is not found.
pub async fn close(
    tx: &mut Tx,
    org_id: &str,
    actor: &Actor,
    reason: &str,
    now: Millis,
) -> Result<Closed> {
    audit::check_reason(reason)?;
    // Whoever writes down a subscription of the org holds its wallet.
    credits::lock_wallet(tx, org_id, now).await?;
    refuse_going_on(tx, org_id, now).await?;
    orgs::close(tx, org_id, now).await?;
    autorecharge::stop(tx, org_id, actor.clone(), now).await?;
    recharges::let_go(tx, org_id, now).await?;
    let keys = api_keys::revoke_all(tx, org_id, actor, now).await?;
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: Some(org_id),
        action: "orgs.close",
        subject: org_id,
        reason: Some(reason),
        detail: Some(json!({ "keys_revoked": keys })),
    };
    audit::record(tx, &entry, now).await?;
    Ok(Closed { keys })
}

async fn refuse_going_on(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    refuse_subscribed(tx, org_id).await?;
    refuse_contracted(tx, org_id, now).await
}

async fn refuse_subscribed(tx: &mut Tx, org_id: &str) -> Result<()> {
    let text = "select subscription_id, status, ends_at from subscriptions
         where org_id = $1 and status not in ('canceled', 'incomplete_expired')
         order by created_at, subscription_id";
    let live: Vec<(String, String, Option<Millis>)> = tx.all(sql(text).bind(org_id)).await?;
    if live.is_empty() {
        return Ok(());
    }
    let named = live.iter().map(|(id, status, ends_at)| match ends_at {
        Some(end) => format!("{id} ({status}, until {})", day(*end)),
        None => format!("{id} ({status})"),
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let message =
        format!("Nothing was closed: {named} goes on. Cancel it at once in Stripe first.");
    Err(Error::Conflict(message))
}

async fn refuse_contracted(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    let text = "select id from contracts
         where org_id = $1 and ended_at is null and (ends_at is null or ends_at > $2)
         order by starts_at, id limit 1";
    let Some((id,)) = tx.optional::<(String,)>(sql(text).bind(org_id).bind(now)).await? else {
        return Ok(());
    };
    let message = format!(
        "Nothing was closed: {id} is in force. End it first: `contracts end {id} --reason TEXT`."
    );
    Err(Error::Conflict(message))
}
