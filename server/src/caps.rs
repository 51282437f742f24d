//! Caps: the ceiling an org sets for itself, in credits per period. Owns `caps`.

use std::collections::BTreeMap;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::credits;
use crate::db::{Db, Reads, Tx, sql};
use crate::error::{Error, Result};
use crate::units::Credits;

/// The most a cap can be, in credits.
const CAP_MAX: i64 = 1_000_000_000;

/// An org's own ceiling.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Cap {
    /// Whose.
    pub org_id: String,
    /// Per period, whatever pays for it.
    pub credits: Credits,
    /// Whether use past it is refused, or only told.
    pub hard: bool,
    /// Raised by every change, so that the alerts are armed anew.
    pub arming: i64,
}

const SELECT: &str = "select org_id, credits, hard, arming from caps where ";

/// The caps of these orgs.
pub async fn load(reads: &mut impl Reads, orgs: &[String]) -> Result<BTreeMap<String, Cap>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!("{SELECT}{any} and credits > 0");
    let caps: Vec<Cap> = reads.all(sql(text).bind(orgs.to_vec())).await?;
    Ok(caps.into_iter().map(|cap| (cap.org_id.clone(), cap)).collect())
}

/// The cap of one org.
pub async fn current(db: &Db, org_id: &str) -> Result<Option<Cap>> {
    let mut reads = db;
    Ok(load(&mut reads, &[org_id.to_owned()]).await?.remove(org_id))
}

/// Sets the cap, or takes it away. A change arms its alerts anew.
pub async fn set(
    tx: &mut Tx,
    org_id: &str,
    cap: Option<(Credits, bool)>,
    actor: Actor,
    now: Millis,
) -> Result<()> {
    let (credits, hard) = cap.unwrap_or((Credits::ZERO, true));
    let most = Credits::from_whole(CAP_MAX).unwrap_or(Credits::ZERO);
    if cap.is_some() && !(credits.is_positive() && credits <= most) {
        let message = "A cap is more than 0 and at most 1,000,000,000 credits.";
        return Err(Error::invalid("credits", message));
    }
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "insert into caps (org_id, credits, hard, arming, updated_at)
         values ($1, $2, $3, 1, $4)
         on conflict (org_id) do update set credits = excluded.credits, hard = excluded.hard,
             arming = caps.arming + 1, updated_at = excluded.updated_at";
    tx.execute(sql(text).bind(org_id).bind(credits).bind(hard).bind(now)).await?;
    let detail = serde_json::json!({ "credits": credits, "hard": hard, "removed": cap.is_none() });
    let entry = audit::Entry {
        actor,
        org_id: Some(org_id),
        action: "cap.set",
        subject: org_id,
        reason: None,
        detail: Some(detail),
    };
    audit::record(tx, &entry, now).await
}
