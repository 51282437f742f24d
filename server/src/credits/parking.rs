//! Parking: a wallet whose books disagree is read and not debited, until somebody has mended it.
//! (F1)
//!
//! Writes what parks a wallet, under its lock, and an audit row with it; and what a wallet that
//! goes on pays of its debt. Mends nothing.

use std::collections::BTreeSet;

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};

use super::store;
use super::verify::{self, Disagreement};

/// Disagreements that an audit row tells in full.
const TOLD: usize = 20;

/// Verifies the books of one org, or of all, and parks every wallet that disagrees in more than
/// what its statement shows. Answers what still disagreed with the wallet locked. Again, it only
/// finds the same.
pub async fn audit_books(
    db: &Db,
    org_id: Option<&str>,
    actor: &Actor,
    now: Millis,
) -> Result<Vec<Disagreement>> {
    let found = verify::verify(db, org_id).await?;
    let (named, mut wrong): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|one| !one.org_id.is_empty());
    for one in &wrong {
        tracing::error!(subject = one.subject, "the books disagree: {}", one.message);
    }
    let orgs: BTreeSet<String> = named.into_iter().map(|one| one.org_id).collect();
    for org_id in orgs {
        wrong.extend(audit_one(db, &org_id, actor, now).await?);
    }
    Ok(wrong)
}

/// Lets debits of a parked wallet go on, for an operator who has mended it by hand. Answers whether
/// it was parked. Refused with what still disagrees and would park it again.
pub async fn unpark(
    db: &Db,
    org_id: &str,
    actor: &Actor,
    reason: &str,
    now: Millis,
) -> Result<bool> {
    audit::check_reason(reason)?;
    let mut tx = db.begin().await?;
    lock(&mut tx, org_id, now).await?;
    let wrong = verify::check(&mut tx, Some(org_id)).await?;
    let wrong = parking(&wrong);
    if let Some(first) = wrong.first() {
        let (subject, message, more) = (&first.subject, &first.message, and_more(&wrong));
        let message = format!("The books still disagree: {subject}: {message}{more}.");
        return Err(Error::Conflict(message));
    }
    if !clear(&mut tx, org_id, now).await? {
        return Ok(false);
    }
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: Some(org_id),
        action: "wallet.unpark",
        subject: org_id,
        reason: Some(reason),
        detail: None,
    };
    audit::record(&mut tx, &entry, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// The wallets that are parked, and why.
pub async fn parked(db: &Db, limit: i64) -> Result<Vec<(String, String)>> {
    let text = "select org_id, parked_reason from wallets
         where parked_at is not null order by org_id limit $1";
    db.all(sql(text).bind(limit.clamp(1, 1_000))).await
}

/// Looks again with the wallet locked, since it may have been mended meanwhile.
async fn audit_one(db: &Db, org_id: &str, actor: &Actor, now: Millis) -> Result<Vec<Disagreement>> {
    let mut tx = db.begin().await?;
    store::lock_wallet(&mut tx, org_id, now).await?;
    let wrong = verify::check(&mut tx, Some(org_id)).await?;
    if park(&mut tx, org_id, &wrong, actor, now).await? {
        tx.commit().await?;
    }
    if let Some(one) = wrong.iter().find(|one| !one.parks) {
        let (org, subject, message) = (org_id, &one.subject, &one.message);
        tracing::warn!(org, subject, "a statement shows what a repair would mend: {message}");
    }
    Ok(wrong)
}

/// What of it keeps a wallet from being debited.
pub(super) fn parking(wrong: &[Disagreement]) -> Vec<&Disagreement> {
    wrong.iter().filter(|one| one.parks).collect()
}

/// Parks a locked wallet of which this is wrong, unless all of it is only shown. Answers whether it
/// was parked now.
pub(super) async fn park(
    tx: &mut Tx,
    org_id: &str,
    wrong: &[Disagreement],
    actor: &Actor,
    now: Millis,
) -> Result<bool> {
    let wrong = parking(wrong);
    let Some(first) = wrong.first() else {
        return Ok(false);
    };
    let reason = format!("{}: {}{}", first.subject, first.message, and_more(&wrong));
    // Whoever found it may have begun before the last operation.
    let text = "update wallets set parked_reason = $3,
             parked_at = case when last_at > $2 then last_at else $2 end
         where org_id = $1 and parked_at is null";
    let parked = tx.execute(sql(text).bind(org_id).bind(now).bind(&reason)).await? > 0;
    if !parked {
        return Ok(false);
    }
    tracing::error!(org = org_id, "the books disagree and the wallet is parked: {reason}");
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: Some(org_id),
        action: "wallet.park",
        subject: org_id,
        reason: Some(&reason),
        detail: Some(json!({ "found": told(wrong.iter().copied()), "count": wrong.len() })),
    };
    audit::record(tx, &entry, now).await?;
    Ok(true)
}

/// Takes the mark off a locked wallet and pays its debt from what was given ahead and began while
/// it was parked: what was booked meanwhile hides from the next operation that it has just begun.
/// Answers whether it was parked.
pub(super) async fn clear(tx: &mut Tx, org_id: &str, now: Millis) -> Result<bool> {
    let text =
        "select coalesce(max(o.at), 0) from operations o join wallets w on w.org_id = o.org_id
         where w.org_id = $1 and o.at <= w.parked_at";
    let (since,): (Millis,) = tx.one(sql(text).bind(org_id)).await?;
    let text = "update wallets set parked_at = null, parked_reason = null
         where org_id = $1 and parked_at is not null";
    if tx.execute(sql(text).bind(org_id)).await? == 0 {
        return Ok(false);
    }
    let orgs = std::iter::once(org_id.to_owned()).collect();
    let mut books = store::lock(tx, &orgs, now).await?;
    for book in books.values_mut() {
        let at = book.time(now);
        book.turn_period(at);
        book.pay_from_begun(since, at)?;
    }
    store::save(tx, books.values_mut()).await?;
    Ok(true)
}

/// Locks the wallet of an org that must be there.
pub(super) async fn lock(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    store::lock_wallet(tx, org_id, now).await?;
    let found = store::wallets(tx, &[org_id.to_owned()]).await?;
    if found.is_empty() {
        return Err(Error::NotFound("The organisation"));
    }
    Ok(())
}

/// As much of it as an audit row should hold.
pub(super) fn told<'a>(wrong: impl IntoIterator<Item = &'a Disagreement>) -> Vec<String> {
    let told = wrong.into_iter().take(TOLD);
    told.map(|one| format!("{}: {}", one.subject, one.message)).collect()
}

fn and_more(wrong: &[&Disagreement]) -> String {
    match wrong.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    }
}
