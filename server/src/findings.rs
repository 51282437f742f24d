//! Findings: differences between what is and what should be, for a person to see. Owns `findings`.
//!
//! One open row a difference, however often it is found; it stays as it was when it is gone. Never
//! mends anything: whoever found it says what would.

use serde_json::{Value, json};

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};
use crate::ids;

/// What [`Finding`] reads.
const COLUMNS: &str =
    "id, kind, subject, org_id, message, detail, first_at, last_at, resolved_at, resolution";

/// A difference, as it was found.
#[derive(Clone, Debug)]
pub struct NewFinding<'a> {
    /// What kind: `paid_without_grant`, `event_dead`, …
    pub kind: &'static str,
    /// What it is about; one open finding for each kind and subject.
    pub subject: &'a str,
    /// Whose that is, where it is known.
    pub org_id: Option<&'a str>,
    /// What is wrong and what would mend it.
    pub message: &'a str,
    /// The two sides that differ.
    pub detail: Option<Value>,
}

/// A difference, as people see it.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Finding {
    /// `finding_…`
    pub id: String,
    /// What kind.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Whose that is.
    pub org_id: Option<String>,
    /// What is wrong and what would mend it.
    pub message: String,
    /// The two sides, as JSON.
    pub detail: Option<String>,
    /// When it was first seen.
    pub first_at: Millis,
    /// When it was last seen.
    pub last_at: Millis,
    /// When it was gone.
    pub resolved_at: Option<Millis>,
    /// How it went away.
    pub resolution: Option<String>,
}

/// Writes a difference down; answers whether it is new. The same again only moves its last time.
pub async fn record(tx: &mut Tx, found: &NewFinding<'_>, now: Millis) -> Result<bool> {
    let text =
        "insert into findings (id, kind, subject, org_id, message, detail, first_at, last_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)
         on conflict (kind, subject) where resolved_at is null do update set
             last_at = excluded.last_at, message = excluded.message, detail = excluded.detail
         returning first_at";
    let row = sql(text)
        .bind(ids::new("finding", now))
        .bind(found.kind)
        .bind(found.subject)
        .bind(found.org_id)
        .bind(found.message)
        .bind(found.detail.as_ref().map(Value::to_string))
        .bind(now);
    let (first_at,): (Millis,) = tx.one(row).await?;
    if first_at == now {
        tracing::warn!(kind = found.kind, subject = found.subject, "found: {}", found.message);
    }
    Ok(first_at == now)
}

/// Closes the open finding of a kind about a subject, if there is one.
pub async fn resolve(
    tx: &mut Tx,
    kind: &str,
    subject: &str,
    resolution: &str,
    now: Millis,
) -> Result<()> {
    let text = "update findings set resolved_at = $3, resolution = $4
         where kind = $1 and subject = $2 and resolved_at is null";
    tx.execute(sql(text).bind(kind).bind(subject).bind(now).bind(resolution)).await?;
    Ok(())
}

/// Closes every open finding of a kind that was not seen since: what is not found again is gone.
pub async fn resolve_unseen(tx: &mut Tx, kind: &str, since: Millis, now: Millis) -> Result<u64> {
    let text = "update findings set resolved_at = $3, resolution = 'not found any more'
         where kind = $1 and resolved_at is null and last_at < $2";
    tx.execute(sql(text).bind(kind).bind(since).bind(now)).await
}

/// Says why an open finding may stay as it is. It is closed, and found anew if it is seen again.
pub async fn dismiss(
    tx: &mut Tx,
    id: &str,
    reason: &str,
    actor: &Actor,
    now: Millis,
) -> Result<()> {
    audit::check_reason(reason)?;
    let text = "update findings set resolved_at = $2, resolution = $3
         where id = $1 and resolved_at is null returning kind, subject, org_id";
    let row = sql(text).bind(id).bind(now).bind(reason);
    let closed: Option<(String, String, Option<String>)> = tx.optional(row).await?;
    let (kind, subject, org_id) = closed.ok_or(Error::NotFound("An open finding of that id"))?;
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: org_id.as_deref(),
        action: "findings.dismiss",
        subject: id,
        reason: Some(reason),
        detail: Some(json!({ "kind": kind, "subject": subject })),
    };
    audit::record(tx, &entry, now).await
}

/// The newest findings, open ones only where that is asked.
pub async fn list(db: &Db, open_only: bool, limit: i64) -> Result<Vec<Finding>> {
    page(db, open_only, None, limit).await
}

/// The newest findings before the one named: an id tells when it was first seen.
pub async fn page(
    db: &Db,
    open_only: bool,
    starting_after: Option<&str>,
    limit: i64,
) -> Result<Vec<Finding>> {
    let open = if open_only { "and resolved_at is null" } else { "" };
    let text = format!(
        "select {COLUMNS} from findings where ($1 = '' or id < $1) {open} order by id desc limit $2"
    );
    let rows = sql(text).bind(starting_after.unwrap_or_default()).bind(limit.clamp(1, 1_000));
    db.all(rows).await
}

/// One finding, open or gone.
pub async fn find(db: &Db, id: &str) -> Result<Finding> {
    let text = format!("select {COLUMNS} from findings where id = $1");
    db.optional(sql(text).bind(id)).await?.ok_or(Error::NotFound("The finding"))
}

/// How many are open.
pub async fn count_open(db: &Db) -> Result<i64> {
    let text = "select count(*) from findings where resolved_at is null";
    Ok(db.one::<(i64,)>(sql(text)).await?.0)
}
