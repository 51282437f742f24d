//! What a person has to know about events: findings for those that were given up, or that belong
//! to nobody. They go away when the events do.

use serde_json::json;

use crate::clock::Millis;
use crate::db::Tx;
use crate::engine::Engine;
use crate::error::Result;
use crate::findings::{self, NewFinding};
use crate::stripe::inbox::{self, Claim, Status};

/// The kind of finding of an object whose events were given up.
pub const DEAD: &str = "event_dead";
/// The kind of finding of an object that is ours by its price, but nobody's.
pub const UNMATCHED: &str = "event_unmatched";
/// Rows looked through at a time when everything is looked through.
const PAGE: i64 = 100;

/// Events about an object were given up. (A7)
pub(super) async fn dead(
    tx: &mut Tx,
    claim: &Claim,
    events: &[String],
    error: &str,
    now: Millis,
) -> Result<()> {
    let known = claim.known.as_ref();
    let found = NewFinding {
        kind: DEAD,
        subject: claim.subject(),
        org_id: known.map(|known| known.org_id.as_str()),
        message: &given_up(&claim.kind, error),
        detail: Some(json!({ "events": events, "type": claim.kind, "error": error })),
    };
    findings::record(tx, &found, now).await.map(drop)
}

/// Events about an object are of nobody we know. (A10)
pub(super) async fn unmatched(tx: &mut Tx, claim: &Claim, why: &str, now: Millis) -> Result<()> {
    let found = NewFinding {
        kind: UNMATCHED,
        subject: claim.subject(),
        org_id: None,
        message: &nobodys(why),
        detail: Some(json!({
            "events": claim.events, "type": claim.kind, "customer": claim.customer_id,
        })),
    };
    findings::record(tx, &found, now).await.map(drop)
}

/// The events are done with after all.
pub(super) async fn resolve(tx: &mut Tx, claim: &Claim, how: &str, now: Millis) -> Result<()> {
    for kind in [DEAD, UNMATCHED] {
        findings::resolve(tx, kind, claim.subject(), how, now).await?;
    }
    Ok(())
}

fn given_up(kind: &str, error: &str) -> String {
    format!(
        "{kind} failed too often and is not tried any more: {error}. When the cause is gone, run \
         `events replay --failed`."
    )
}

fn nobodys(why: &str) -> String {
    format!(
        "Somebody paid for something of ours, but {why}. Set the metadata keys product and org_id \
         of the customer in Stripe, then run `events replay --failed`."
    )
}

/// Goes through everything that is stuck and brings the findings in line with it: a crash may have
/// come between an event and its finding.
pub async fn report(engine: &Engine) -> Result<()> {
    let begun = engine.clock.now();
    for (status, kind) in [(Status::Dead, DEAD), (Status::Unmatched, UNMATCHED)] {
        let mut after: Option<String> = None;
        loop {
            let page = inbox::list(&engine.db, Some(status.word()), after.as_deref(), PAGE).await?;
            let mut tx = engine.db.begin().await?;
            for event in &page {
                let said = event.last_error.as_deref().unwrap_or("nobody knows why");
                let message = match status {
                    Status::Dead => given_up(&event.kind, said),
                    _ => nobodys(said),
                };
                let found = NewFinding {
                    kind,
                    subject: event.object_id.as_deref().unwrap_or(&event.id),
                    org_id: None,
                    message: &message,
                    detail: Some(json!({ "events": [event.id], "type": event.kind })),
                };
                findings::record(&mut tx, &found, begun).await?;
            }
            tx.commit().await?;
            after = page.last().map(|event| event.id.clone());
            if after.is_none() {
                break;
            }
        }
        let mut tx = engine.db.begin().await?;
        findings::resolve_unseen(&mut tx, kind, begun, begun).await?;
        tx.commit().await?;
    }
    Ok(())
}
