//! Repair: a wallet, its grants and the balances of its statement written anew from the ledger's
//! entries. (F1, F5)
//!
//! The entries are the truth and are never touched. What they do not amount to, such as a grant
//! that they do not fill, stays as it is and keeps its wallet parked.

use serde::Serialize;
use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::Result;
use crate::units::Credits;

use super::parking::{self, told};
use super::store;
use super::sums::{self, GRANT_COLUMNS, Scope};
use super::verify::{self, Disagreement};

/// What the projection says of a wallet.
#[derive(Serialize)]
struct Stand {
    available: Credits,
    held: Credits,
    debt: Credits,
    seq: i64,
    parked: bool,
}

/// Rebuilds an org's projection from its ledger rows and lets its debits go on when everything
/// agrees then. Answers what still disagrees, which keeps the wallet parked. Doing it again changes
/// nothing; each time is one audit row with what was found and how the wallet stood before and
/// after.
pub async fn repair(
    db: &Db,
    org_id: &str,
    actor: &Actor,
    reason: &str,
    now: Millis,
) -> Result<Vec<Disagreement>> {
    audit::check_reason(reason)?;
    let mut tx = db.begin().await?;
    parking::lock(&mut tx, org_id, now).await?;
    let before = stand(&mut tx, org_id).await?;
    let found = verify::check(&mut tx, Some(org_id)).await?;
    rebuild_grants(&mut tx, org_id).await?;
    rebuild_operations(&mut tx, org_id).await?;
    rebuild_wallet(&mut tx, org_id).await?;
    let left = verify::check(&mut tx, Some(org_id)).await?;
    match parking::parking(&left).is_empty() {
        true => drop(parking::clear(&mut tx, org_id, now).await?),
        false => drop(parking::park(&mut tx, org_id, &left, actor, now).await?),
    }
    let after = stand(&mut tx, org_id).await?;
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: Some(org_id),
        action: "wallet.repair",
        subject: org_id,
        reason: Some(reason),
        detail: Some(json!({
            "before": before, "after": after,
            "found": told(&found), "found_count": found.len(),
            "left": told(&left), "left_count": left.len(),
        })),
    };
    audit::record(&mut tx, &entry, now).await?;
    tx.commit().await?;
    Ok(left)
}

async fn stand(tx: &mut Tx, org_id: &str) -> Result<Option<Stand>> {
    let wallets = store::wallets(tx, &[org_id.to_owned()]).await?;
    Ok(wallets.into_iter().next().map(|wallet| Stand {
        available: wallet.available,
        held: wallet.held,
        debt: wallet.debt,
        seq: wallet.seq,
        parked: wallet.parked_at.is_some(),
    }))
}

/// Writes the grants whose columns differ and whose entries make up what was granted. One of which
/// something is left again is open again.
async fn rebuild_grants(tx: &mut Tx, org_id: &str) -> Result<()> {
    let of = |piece: fn(&str) -> String| GRANT_COLUMNS.map(|(column, _)| piece(column));
    let sets = of(|c| format!("{c} = s.{c}")).join(", ");
    let whole = of(|c| format!("s.{c}")).join(" + ");
    let sound = of(|c| format!("s.{c} >= 0")).join(" and ");
    let differ = of(|c| format!("grants.{c} <> s.{c}")).join(" or ");
    let sums = sums::of_grants(Scope::One);
    let text = format!(
        "update grants set {sets}, \
             ended_at = case when s.remaining + s.held > 0 then null else grants.ended_at end \
         from ({sums}) s \
         where s.grant_id = grants.id and grants.org_id = $1 and grants.amount = {whole} \
             and {sound} \
             and ({differ} or (grants.ended_at is not null and s.remaining + s.held > 0))"
    );
    let written = tx.execute(sql(text).bind(org_id)).await?;
    tracing::info!(org = org_id, written, "grants rebuilt from their entries");
    Ok(())
}

/// Writes what operations say they changed and left, where it differs: a wallet that was wrong told
/// it to whatever was booked until it was parked, and to what it was given after that.
async fn rebuild_operations(tx: &mut Tx, org_id: &str) -> Result<()> {
    let sums = sums::of_operations(Scope::One);
    let text = format!(
        "update operations set available_change = s.s_change, available_after = s.available, \
             held_after = s.held \
         from (select t.id, t.s_change, \
                 cast(sum(t.s_change) over w as bigint) as available, \
                 cast(sum(t.s_held) over w as bigint) as held \
             from ({sums}) t window w as (order by t.seq)) s \
         where s.id = operations.id and operations.org_id = $1 \
             and (operations.available_change <> s.s_change \
                 or operations.available_after <> s.available or operations.held_after <> s.held)"
    );
    let written = tx.execute(sql(text).bind(org_id)).await?;
    tracing::info!(org = org_id, written, "the balances of a statement rebuilt");
    Ok(())
}

/// Writes the wallet's balances and the number of its last operation.
async fn rebuild_wallet(tx: &mut Tx, org_id: &str) -> Result<()> {
    let sums = sums::of_wallets(Scope::One);
    // A wallet without entries has no sums, and nothing in it.
    let text = format!(
        "update wallets set available = s.available, held = s.held, debt = s.debt, \
             seq = (select coalesce(max(o.seq), 0) from operations o where o.org_id = $1) \
         from (select coalesce(max(t.available), 0) as available, \
                 coalesce(max(t.held), 0) as held, coalesce(max(t.debt), 0) as debt \
             from ({sums}) t) s \
         where wallets.org_id = $1 and s.available >= 0 and s.held >= 0 and s.debt >= 0"
    );
    tx.execute(sql(text).bind(org_id)).await?;
    Ok(())
}
