//! Closing an org for good: nobody acts in it any more, and nothing is charged. (B20)
//!
//! Owns no tables; each room ends what is its own. The ledger stays as it is, and so does the
//! customer in Stripe. Never cancels a subscription: that is for those who pay it, or for a person.

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::{Millis, day};
use crate::credits;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::{api_keys, autorecharge, orgs};

/// What was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// API keys that were in force.
    pub keys: usize,
}

/// Closes an org: its keys are revoked, auto-recharge is off, and its members have no way in.
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
    refuse_subscribed(tx, org_id).await?;
    refuse_contracted(tx, org_id, now).await?;
    orgs::close(tx, org_id, now).await?;
    autorecharge::stop(tx, org_id, actor.clone(), now).await?;
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
