//! Identity: who asks. Signing up, signing in, sessions, and what the pages know of a visitor.
//!
//! The children own `users`, `operators`, `sessions` and `throttles`. Never decides what somebody
//! may do (that is [`crate::orgs::require`]) nor what a request may cost (that is the gate).

pub mod accounts;
pub mod operators;
pub mod password;
pub mod sessions;
pub mod throttle;

use serde::{Deserialize, Serialize};

pub use crate::orgs::{Permission, Role, Who};

use crate::db::{Db, sql};
use crate::error::Result;

/// What a session remembers: ids only, so that a change of role or name counts at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user who signed in.
    pub user_id: String,
    /// The org in whose name the user acts.
    pub org_id: String,
}

#[derive(sqlx::FromRow)]
struct WhoRow {
    name: String,
    email: String,
    role: String,
    org_name: String,
}

/// The visitor behind the ids; `None` when the user, the org or the membership is gone.
pub async fn who(db: &Db, user_id: &str, org_id: &str) -> Result<Option<Who>> {
    let text = "select users.name, users.email, members.role, orgs.name as org_name
         from members
         join users on users.id = members.user_id and users.deleted_at is null
         join orgs on orgs.id = members.org_id and orgs.deleted_at is null
         where members.user_id = $1 and members.org_id = $2";
    let row: Option<WhoRow> = db.optional(sql(text).bind(user_id).bind(org_id)).await?;
    row.map(|row| {
        Ok(Who {
            user_id: user_id.to_owned(),
            org_id: org_id.to_owned(),
            role: Role::parse(&row.role)?,
            name: row.name,
            email: row.email,
            org_name: row.org_name,
        })
    })
    .transpose()
}
