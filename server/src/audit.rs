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

/// Refuses a reason that says nothing, that nobody would read, or that holds signs which nobody
/// can see and not every database can keep.
pub fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Error::invalid("reason", "must be 1 to 500 characters"));
    }
    if reason.chars().any(char::is_control) {
        return Err(Error::invalid("reason", "must be one line without control characters"));
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

/// How somebody signing in is written down: the only entry that nobody did anything with.
pub const SIGN_IN: &str = "auth.sign_in";

/// Which part of an org's trail.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Whether it tells of sign-ins, too.
    pub sign_ins: bool,
    /// 1–1,000.
    pub limit: i64,
    /// The id of the last entry seen.
    pub starting_after: Option<String>,
}

/// What was done to what is an org's, newest first, and whether there is more.
pub async fn of_org(db: &Db, org_id: &str, part: &Trail) -> Result<(Vec<Written>, bool)> {
    let text = "select audits.id, at, actor_kind, coalesce(users.email, actor_id) as actor_id, \
             action, subject, reason
         from audits left join users on actor_kind = 'user' and users.id = actor_id
         where org_id = $1 and action <> $2
         and ($3 = '' or at < (select at from audits where id = $3)
              or (at = (select at from audits where id = $3) and audits.id < $3))
         order by at desc, audits.id desc limit $4";
    let limit = part.limit.clamp(1, 1_000);
    let unwanted = if part.sign_ins { "" } else { SIGN_IN };
    let after = part.starting_after.as_deref().unwrap_or_default();
    let page = sql(text).bind(org_id).bind(unwanted).bind(after).bind(limit + 1);
    let mut all: Vec<Written> = db.all(page).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = all.len() > shown;
    all.truncate(shown);
    Ok((all, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_bounds() {
        let long = "x".repeat(501);
        for bad in ["", "  ", long.as_str(), "a\0b", "a\nb", "a\u{7f}"] {
            assert!(check_reason(bad).is_err(), "{bad:?}");
        }
        for good in ["they asked", &long[..500], "“Ünïcode” – so"] {
            assert!(check_reason(good).is_ok(), "{good:?}");
        }
    }
}
