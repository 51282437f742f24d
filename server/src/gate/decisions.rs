//! The gate's stored answers, looked up by key. Owns `decisions`.

use std::collections::HashMap;

use crate::clock::{Millis, rfc3339};
use crate::db::{Arg, Bulk, Db, Tx, sql};
use crate::error::{Error, Result};

/// An answer that was given to a key, kept as long as the ledger.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StoredDecision {
    /// `dec_…`
    pub id: String,
    /// Whose.
    pub org_id: String,
    /// The idempotency key.
    pub key: String,
    /// SHA-256 of what was asked.
    pub fingerprint: String,
    /// The HTTP status.
    pub status: i64,
    /// The body, word for word.
    pub body: String,
    /// allowed, or why not.
    pub code: String,
    /// The usage or the hold it made.
    pub subject: Option<String>,
    /// When.
    pub at: Millis,
    /// When its effect was taken back.
    pub reversed_at: Option<Millis>,
}

/// What is known of a decision: it is taken back with the usage or the hold that it made.
const SELECT: &str = "select decisions.id, decisions.org_id, decisions.key, \
         decisions.fingerprint, decisions.status, decisions.body, decisions.code, \
         decisions.subject, decisions.at, coalesce(usages.reversed_at, \
             case when holds.status in ('released', 'expired') then holds.ended_at end) \
             as reversed_at \
     from decisions left join usages on usages.id = decisions.subject \
         left join holds on holds.id = decisions.subject where ";

/// What was answered before to any of these (org, key) pairs.
pub(super) async fn load(
    tx: &mut Tx,
    asked: Vec<(String, String)>,
) -> Result<HashMap<(String, String), StoredDecision>> {
    let pairs = tx.dialect().pairs("decisions.org_id", "decisions.key", 1);
    let text = format!("{SELECT}{pairs}");
    let rows: Vec<StoredDecision> = tx.all(sql(text).bind(asked)).await?;
    Ok(rows.into_iter().map(|row| ((row.org_id.clone(), row.key.clone()), row)).collect())
}

const DECISIONS: Bulk = Bulk {
    table: "decisions",
    columns: &["id", "org_id", "key", "fingerprint", "status", "body", "code", "subject", "at"],
    conflict: "",
};

/// Stores answers.
pub(super) async fn save(tx: &mut Tx, decisions: &[StoredDecision]) -> Result<()> {
    let rows = decisions.iter().map(|decision| -> Vec<Arg> {
        vec![
            (&decision.id).into(),
            (&decision.org_id).into(),
            (&decision.key).into(),
            (&decision.fingerprint).into(),
            decision.status.into(),
            (&decision.body).into(),
            (&decision.code).into(),
            decision.subject.clone().into(),
            decision.at.into(),
        ]
    });
    tx.insert_many(&DECISIONS, rows.collect()).await
}

/// A stored decision and why, as `/v1/decisions/{id}` shows it.
pub async fn find(db: &Db, org_id: &str, id: &str) -> Result<serde_json::Value> {
    let text = format!("{SELECT}decisions.id = $1 and decisions.org_id = $2");
    let row: Option<StoredDecision> = db.optional(sql(text).bind(id).bind(org_id)).await?;
    let row = row.ok_or(Error::NotFound("The decision"))?;
    let body: serde_json::Value = serde_json::from_str(&row.body)?;
    let allowed = row.code == "allowed";
    let mut decision = match body.pointer("/error/decision") {
        Some(denied) => denied.clone(),
        None => serde_json::json!({
            "object": "decision", "id": row.id, "allowed": allowed, "code": row.code,
            "message": "Allowed.", "credits": body["credits"], "balance": body["balance"],
            "sources": [], "limits": [], "next_step": null,
        }),
    };
    decision["key"] = row.key.into();
    decision["at"] = rfc3339(row.at).into();
    decision["reversed_at"] = row.reversed_at.map(rfc3339).into();
    let made = body["object"].as_str().unwrap_or_default().to_owned();
    for object in ["usage", "hold"] {
        let shown = allowed && made == object;
        decision[object] = if shown { body.clone() } else { serde_json::Value::Null };
    }
    Ok(decision)
}
