//! Acting on an event again because a person wants it: put back to the beginning, and written down.

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::customers;
use crate::db::Tx;
use crate::error::Result;
use crate::stripe::inbox;

/// Puts one event back to the beginning. What it did is not undone: doing it again changes nothing.
/// One of the other Stripe mode is not found.
pub async fn replay(tx: &mut Tx, id: &str, actor: &Actor, now: Millis) -> Result<()> {
    let customer = inbox::replay(tx, id, now).await?;
    let org_id = match &customer {
        Some(customer) => customers::org_of(tx, customer).await?,
        None => None,
    };
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: org_id.as_deref(),
        action: "webhooks.replay",
        subject: id,
        reason: None,
        detail: None,
    };
    audit::record(tx, &entry, now).await
}

/// Puts every event that failed or matched nobody back to the beginning; answers how many.
pub async fn replay_failed(tx: &mut Tx, actor: &Actor, now: Millis) -> Result<u64> {
    let count = inbox::replay_failed(tx, now).await?;
    if count > 0 {
        let entry = audit::Entry {
            actor: actor.clone(),
            org_id: None,
            action: "webhooks.replay_failed",
            subject: "inbox",
            reason: None,
            detail: Some(json!({ "events": count })),
        };
        audit::record(tx, &entry, now).await?;
    }
    Ok(count)
}
