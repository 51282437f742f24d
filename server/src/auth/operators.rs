//! Operators: users who look after every org of this installation. Owns `operators`.
//!
//! Made and unmade at the command line only, with a reason, and audited in the same transaction.
//! Never decides what an operator may do: the doors ask [`is_operator`], and nothing else.

use super::accounts;
use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// An operator, for people.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Operator {
    /// The user.
    pub user_id: String,
    /// The user's name.
    pub name: String,
    /// The user's address.
    pub email: String,
    /// Who said so.
    pub added_by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: Millis,
}

/// Whether this user is an operator, and still a user.
pub async fn is_operator(db: &Db, user_id: &str) -> Result<bool> {
    let text = "select operators.user_id from operators
         join users on users.id = operators.user_id and users.deleted_at is null
         where operators.user_id = $1";
    let row: Option<(String,)> = db.optional(sql(text).bind(user_id)).await?;
    Ok(row.is_some())
}

/// Makes the user with that address an operator; answers whether they were none before.
pub async fn add(engine: &Engine, email: &str, reason: &str, actor: Actor) -> Result<bool> {
    audit::check_reason(reason)?;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let user_id = user_of(&mut tx, email).await?;
    let text = "insert into operators (user_id, added_by, reason, created_at)
         values ($1, $2, $3, $4) on conflict (user_id) do nothing";
    let row = sql(text).bind(&user_id).bind(actor.to_string()).bind(reason).bind(now);
    let added = tx.execute(row).await? > 0;
    if added {
        tell(&mut tx, "operators.add", &user_id, reason, actor, now).await?;
    }
    tx.commit().await?;
    Ok(added)
}

/// Takes it back; what that user opens next is closed already. A user who is none is not found.
pub async fn remove(engine: &Engine, email: &str, reason: &str, actor: Actor) -> Result<()> {
    audit::check_reason(reason)?;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let user_id = user_of(&mut tx, email).await?;
    let text = "delete from operators where user_id = $1";
    if tx.execute(sql(text).bind(&user_id)).await? == 0 {
        return Err(Error::NotFound("An operator of that address"));
    }
    tell(&mut tx, "operators.remove", &user_id, reason, actor, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Every operator, the first one first.
pub async fn list(db: &Db) -> Result<Vec<Operator>> {
    let text = "select operators.user_id, users.name, users.email, operators.added_by,
             operators.reason, operators.created_at
         from operators join users on users.id = operators.user_id and users.deleted_at is null
         order by operators.created_at, operators.user_id limit 1000";
    db.all(sql(text)).await
}

async fn user_of(tx: &mut Tx, email: &str) -> Result<String> {
    let email = accounts::check_email(email)?;
    let text = "select id from users where email = $1 and deleted_at is null";
    let row: Option<(String,)> = tx.optional(sql(text).bind(email)).await?;
    Ok(row.ok_or(Error::NotFound("A user of that address"))?.0)
}

async fn tell(
    tx: &mut Tx,
    action: &'static str,
    user_id: &str,
    reason: &str,
    actor: Actor,
    now: Millis,
) -> Result<()> {
    let entry = audit::Entry {
        actor,
        org_id: None,
        action,
        subject: user_id,
        reason: Some(reason),
        detail: None,
    };
    audit::record(tx, &entry, now).await
}
