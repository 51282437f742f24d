//! The audit trail: who did what to what, why, in the same transaction as the deed.
//!
//! Owns `audits`. Rows are added, never changed. Never decides anything.

use serde_json::Value;

use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};
use crate::ids;

/// Longer reasons are not taken.
const REASON_CHARS_MAX: usize = 500;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person who is signed in: the user's id.
    User(String),
    /// A program: the API key's id.
    Key(String),
    /// Somebody at the command line or in the admin pages, by name.
    Operator(String),
    /// Stripe told us.
    Stripe,
    /// The program itself, because a time had come.
    System,
}

impl Actor {
    /// The kind, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::Operator(_) => "operator",
            Self::Stripe => "stripe",
            Self::System => "system",
        }
    }

    /// Which one, where there are several of the kind; of a user the address, while it is known.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::User(id) | Self::Key(id) | Self::Operator(id) => Some(id),
            Self::Stripe | Self::System => None,
        }
    }
}

/// `user:user_01…`, `stripe`: the actor as one word.
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.id() {
            Some(id) => write!(f, "{}:{id}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

/// One deed.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who did it.
    pub actor: Actor,
    /// Whose it was, where it was an org's.
    pub org_id: Option<&'a str>,
    /// What was done: a room and a verb, such as `api_keys.revoke`.
    pub action: &'static str,
    /// The id of what it was done to.
    pub subject: &'a str,
    /// Why, in the actor's words.
    pub reason: Option<&'a str>,
    /// What else helps to understand it. Never a secret.
    pub detail: Option<Value>,
}

/// Refuses a reason that says nothing, or that nobody would read.
pub fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Error::invalid("reason", "must be 1 to 500 characters"));
    }
    Ok(())
}

/// Writes the deed down.
pub async fn record(tx: &mut Tx, entry: &Entry<'_>, now: Millis) -> Result<()> {
    let text = "insert into audits
         (id, at, actor_kind, actor_id, org_id, action, subject, reason, detail)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    tx.execute(
        sql(text)
            .bind(ids::new("audit", now))
            .bind(now)
            .bind(entry.actor.kind())
            .bind(entry.actor.id())
            .bind(entry.org_id)
            .bind(entry.action)
            .bind(entry.subject)
            .bind(entry.reason)
            .bind(entry.detail.as_ref().map(Value::to_string)),
    )
    .await?;
    Ok(())
}

/// A deed that was written down.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Written {
    /// `audit_…`
    pub id: String,
    /// When.
    pub at: Millis,
    /// What kind of actor did it.
    pub actor_kind: String,
    /// Which one, where there are several of the kind; of a user the address, while it is known.
    pub actor_id: Option<String>,
    /// A room and a verb.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// Why.
    pub reason: Option<String>,
}

/// What was done last to what is an org's, newest first.
pub async fn of_org(db: &Db, org_id: &str, limit: i64) -> Result<Vec<Written>> {
    let text = "select audits.id, at, actor_kind, coalesce(users.email, actor_id) as actor_id, \
             action, subject, reason
         from audits left join users on actor_kind = 'user' and users.id = actor_id
         where org_id = $1 order by at desc, audits.id desc limit $2";
    db.all(sql(text).bind(org_id).bind(limit.clamp(1, 1_000))).await
}
