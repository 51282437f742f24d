//! The gate's stored answers, looked up by key. Owns `decisions`.

use std::collections::{BTreeSet, HashMap};

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
    /// The operation it booked.
    pub operation_id: Option<String>,
    /// When.
    pub at: Millis,
    /// When its effect was taken back.
    pub reversed_at: Option<Millis>,
}

const COLUMNS: &str = "decisions.id, decisions.org_id, decisions.key, decisions.fingerprint, \
     decisions.status, decisions.body, decisions.code, decisions.operation_id, decisions.at, \
     usages.reversed_at";

/// What was answered before to any of these (org, key) pairs.
pub(super) async fn load(
    tx: &mut Tx,
    asked: &BTreeSet<(String, String)>,
) -> Result<HashMap<(String, String), StoredDecision>> {
    let orgs: BTreeSet<&String> = asked.iter().map(|(org, _)| org).collect();
    let orgs: Vec<String> = orgs.into_iter().cloned().collect();
    let keys: Vec<String> = asked.iter().map(|(_, key)| key.clone()).collect();
    let of_org = tx.dialect().any("decisions.org_id", 1);
    let of_key = tx.dialect().any("decisions.key", 2);
    let text = format!(
        "select {COLUMNS} from decisions \
         left join usages on usages.operation_id = decisions.operation_id \
         where {of_org} and {of_key}"
    );
    let rows: Vec<StoredDecision> = tx.all(sql(text).bind(orgs).bind(keys)).await?;
    let found = rows.into_iter().map(|row| ((row.org_id.clone(), row.key.clone()), row));
    Ok(found.filter(|(pair, _)| asked.contains(pair)).collect())
}

const DECISIONS: Bulk = Bulk {
    table: "decisions",
    columns: &[
        "id",
        "org_id",
        "key",
        "fingerprint",
        "status",
        "body",
        "code",
        "operation_id",
        "at",
    ],
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
            decision.operation_id.clone().into(),
            decision.at.into(),
        ]
    });
    tx.insert_many(&DECISIONS, rows.collect()).await
}

/// A stored decision and why, as `/v1/decisions/{id}` shows it.
pub async fn find(db: &Db, org_id: &str, id: &str) -> Result<serde_json::Value> {
    let text = format!(
        "select {COLUMNS} from decisions \
         left join usages on usages.operation_id = decisions.operation_id \
         where decisions.id = $1 and decisions.org_id = $2"
    );
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
    decision["usage"] = if allowed { body } else { serde_json::Value::Null };
    Ok(decision)
}
