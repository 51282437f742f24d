//! API keys: how programs say who they are.
//!
//! Owns `api_keys`. A secret is shown once and kept as a hash. Nothing is remembered between two
//! requests: a revoked key is refused at once.

mod scopes;
mod secret;

use std::collections::HashMap;

use serde::Serialize;

pub use scopes::{Scope, parse_scopes};

use crate::audit::{self, Actor, Entry};
use crate::clock::{MINUTE, Millis};
use crate::db::{Db, Gather, Tx, sql};
use crate::error::{Error, Result};
use crate::ids;

/// Live keys of one org.
pub const KEYS_MAX: i64 = 50;
/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 60;

/// The last use is written down at most so often.
const TOUCH_EVERY: Millis = MINUTE;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose it is; `None` makes a service key, which names the org with every request.
    pub org: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Who makes it.
    pub created_by: Actor,
}

/// A key, without its secret.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// Whose it is; `None` for a service key.
    pub org_id: Option<String>,
    /// What people call it.
    pub name: String,
    /// The secret's prefix and last four characters.
    pub hint: String,
    /// What it may be used for, as `read,use`.
    pub scopes: String,
    /// Who made it.
    pub created_by: String,
    /// Since when it exists.
    pub created_at: Millis,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Millis>,
    /// Since when it is refused.
    pub revoked_at: Option<Millis>,
}

const COLUMNS: &str =
    "id, org_id, name, hint, scopes, created_by, created_at, last_used_at, revoked_at";

/// A program that showed a key which is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key.
    pub key_id: String,
    /// What people call it.
    pub key_name: String,
    /// In whose name this request acts.
    pub org_id: String,
    /// What the key may be used for.
    pub scopes: Vec<Scope>,
    /// Whether it is a service key.
    pub service: bool,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Millis>,
}

impl Caller {
    /// Whether the key may be used for that; using includes reading.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| *held >= scope)
    }
}

/// Makes a key. The secret is in the answer and nowhere else.
pub async fn create(tx: &mut Tx, new: NewKey, live: bool, now: Millis) -> Result<(ApiKey, String)> {
    let name = check_name(&new.name)?;
    if new.scopes.is_empty() {
        return Err(Error::invalid("scopes", "Choose read, use or both."));
    }
    if let Some(org_id) = &new.org {
        check_room(tx, org_id).await?;
    }
    let secret = secret::new(live);
    let key = insert(tx, &new, &name, &secret, live, now).await?;
    let entry = Entry {
        actor: new.created_by,
        org_id: new.org.as_deref(),
        action: "api_keys.create",
        subject: &key.id,
        reason: None,
        detail: Some(serde_json::json!({ "name": key.name, "scopes": key.scopes })),
    };
    audit::record(tx, &entry, now).await?;
    Ok((key, secret))
}

async fn insert(
    tx: &mut Tx,
    new: &NewKey,
    name: &str,
    secret: &str,
    live: bool,
    now: Millis,
) -> Result<ApiKey> {
    let mut scopes = new.scopes.clone();
    scopes.sort();
    scopes.dedup();
    let scopes: Vec<&str> = scopes.into_iter().map(Scope::as_str).collect();
    let text = format!(
        "insert into api_keys
         (id, org_id, name, secret_hash, hint, scopes, live, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning {COLUMNS}"
    );
    tx.one(
        sql(text)
            .bind(ids::new("key", now))
            .bind(new.org.clone())
            .bind(name)
            .bind(secret::hash(secret))
            .bind(secret::hint(secret))
            .bind(scopes.join(","))
            .bind(live)
            .bind(new.created_by.to_string())
            .bind(now),
    )
    .await
}

/// There must be such an org, and it must not have too many keys already. The org's row is locked,
/// so that two keys made at once are both counted.
async fn check_room(tx: &mut Tx, org_id: &str) -> Result<()> {
    let lock = tx.dialect().for_update();
    let text = format!("select id from orgs where id = $1 and deleted_at is null{lock}");
    let org: Option<(String,)> = tx.optional(sql(text).bind(org_id)).await?;
    org.ok_or(Error::NotFound("The org"))?;
    let text = "select count(*) from api_keys where org_id = $1 and revoked_at is null";
    let (keys,): (i64,) = tx.one(sql(text).bind(org_id)).await?;
    if keys < KEYS_MAX {
        return Ok(());
    }
    Err(Error::invalid("", format!("An org has at most {KEYS_MAX} keys. Revoke one first.")))
}

/// The org's keys, those in force first, newest first.
pub async fn list(db: &Db, org_id: &str) -> Result<Vec<ApiKey>> {
    let text = format!(
        "select {COLUMNS} from api_keys where org_id = $1
         order by case when revoked_at is null then 0 else 1 end, created_at desc, id desc
         limit 100"
    );
    db.all(sql(text).bind(org_id)).await
}

/// The org's keys and the service keys among these, revoked ones too.
pub async fn named(db: &Db, org_id: &str, ids: &[String]) -> Result<Vec<ApiKey>> {
    let any = db.dialect().any("id", 2);
    let text =
        format!("select {COLUMNS} from api_keys where (org_id = $1 or org_id is null) and {any}");
    db.all(sql(text).bind(org_id).bind(ids.to_vec())).await
}

/// The service keys of this name that are in force, oldest first.
pub async fn list_service(db: &Db, name: &str) -> Result<Vec<ApiKey>> {
    let text = format!(
        "select {COLUMNS} from api_keys
         where org_id is null and name = $1 and revoked_at is null
         order by created_at, id limit 100"
    );
    db.all(sql(text).bind(name)).await
}

/// From now on the key is refused. Revoking it twice changes nothing.
pub async fn revoke(
    tx: &mut Tx,
    org_id: &str,
    key_id: &str,
    actor: Actor,
    now: Millis,
) -> Result<()> {
    revoke_of(tx, Some(org_id), key_id, actor, now).await
}

/// From now on every key of the org is refused; answers how many were in force.
pub async fn revoke_all(tx: &mut Tx, org_id: &str, actor: &Actor, now: Millis) -> Result<usize> {
    let text = "select id from api_keys where org_id = $1 and revoked_at is null order by id";
    let keys: Vec<(String,)> = tx.all(sql(text).bind(org_id)).await?;
    for (key_id,) in &keys {
        revoke(tx, org_id, key_id, actor.clone(), now).await?;
    }
    Ok(keys.len())
}

/// From now on the service key is refused.
pub async fn revoke_service(tx: &mut Tx, key_id: &str, actor: Actor, now: Millis) -> Result<()> {
    revoke_of(tx, None, key_id, actor, now).await
}

async fn revoke_of(
    tx: &mut Tx,
    org_id: Option<&str>,
    key_id: &str,
    actor: Actor,
    now: Millis,
) -> Result<()> {
    let text = "select revoked_at from api_keys where id = $1
         and (org_id = $2 or (org_id is null and cast($2 as text) is null))";
    let row: Option<(Option<Millis>,)> = tx.optional(sql(text).bind(key_id).bind(org_id)).await?;
    let (revoked_at,) = row.ok_or(Error::NotFound("The key"))?;
    if revoked_at.is_some() {
        return Ok(());
    }
    let text = "update api_keys set revoked_at = $2 where id = $1 and revoked_at is null";
    tx.execute(sql(text).bind(key_id).bind(now)).await?;
    let entry = Entry {
        actor,
        org_id,
        action: "api_keys.revoke",
        subject: key_id,
        reason: None,
        detail: None,
    };
    audit::record(tx, &entry, now).await
}

/// A secret that was shown, and the org that was named with it.
#[derive(Clone)]
pub struct Shown {
    /// The secret.
    pub secret: String,
    /// The header `Turnpike-Org`.
    pub org: Option<String>,
}

/// Finds out who calls. Callers that arrive together share one read; a key that is revoked is
/// refused from the next read on.
#[derive(Clone)]
pub struct Doorkeeper(Gather<Shown, Caller>);

impl Doorkeeper {
    /// Starts on the current runtime.
    pub fn start(db: &Db) -> Self {
        let db = db.clone();
        Self(Gather::start(move |shown| {
            let db = db.clone();
            async move { authenticate_many(&db, &shown).await }
        }))
    }

    /// Who shows this. The org named must be that of an org's own key; a service key has to name
    /// one.
    pub async fn authenticate(&self, shown: Shown) -> Result<Caller> {
        match secret::well_formed(&shown.secret) {
            true => self.0.ask(shown).await,
            false => Err(Error::Unauthenticated),
        }
    }
}

#[derive(Clone, sqlx::FromRow)]
struct Presented {
    secret_hash: String,
    named: String,
    id: String,
    name: String,
    key_org_id: Option<String>,
    org_id: Option<String>,
    scopes: String,
    last_used_at: Option<Millis>,
}

/// Who shows these secrets. One read by index.
async fn authenticate_many(db: &Db, shown: &[Shown]) -> Result<Vec<Result<Caller>>> {
    let asked: Vec<(String, String)> = shown
        .iter()
        .map(|one| (secret::hash(&one.secret), one.org.clone().unwrap_or_default()))
        .collect();
    let rows = db.dialect().pair_rows(1);
    let text = format!(
        "select k.secret_hash, a.second as named, k.id, k.name, k.org_id as key_org_id, \
             orgs.id as org_id, k.scopes, k.last_used_at \
         from ({rows}) a join api_keys k on k.secret_hash = a.first and k.revoked_at is null \
             left join orgs on orgs.id = coalesce(k.org_id, a.second) \
                 and orgs.deleted_at is null"
    );
    let found: Vec<Presented> = db.all(sql(text).bind(asked.clone())).await?;
    let found: HashMap<(String, String), Presented> =
        found.into_iter().map(|row| ((row.secret_hash.clone(), row.named.clone()), row)).collect();
    let callers = asked.iter().map(|pair| {
        let row = found.get(pair).cloned().ok_or(Error::Unauthenticated)?;
        caller(row)
    });
    Ok(callers.collect())
}

fn caller(row: Presented) -> Result<Caller> {
    let service = row.key_org_id.is_none();
    let named = Some(row.named).filter(|named| !named.is_empty());
    if service && named.is_none() {
        let message = "A service key names the org it acts for, such as Turnpike-Org: org_….";
        return Err(Error::invalid("Turnpike-Org", message));
    }
    let named_another = named.is_some_and(|named| row.org_id.as_ref() != Some(&named));
    let org_id = row.org_id.filter(|_| !named_another).ok_or(Error::NotFound("The org"))?;
    Ok(Caller {
        key_id: row.id,
        key_name: row.name,
        org_id,
        scopes: parse_scopes(&row.scopes)?,
        service,
        last_used_at: row.last_used_at,
    })
}

/// Whether the last use should be written down again.
pub fn touch_due(caller: &Caller, now: Millis) -> bool {
    caller.last_used_at.is_none_or(|last| last <= now - TOUCH_EVERY)
}

/// Writes the last use down, unless another request did so meanwhile.
pub async fn touch(tx: &mut Tx, key_id: &str, now: Millis) -> Result<()> {
    let text = "update api_keys set last_used_at = $2
         where id = $1 and (last_used_at is null or last_used_at <= $3)";
    tx.execute(sql(text).bind(key_id).bind(now).bind(now - TOUCH_EVERY)).await?;
    Ok(())
}

fn check_name(name: &str) -> Result<String> {
    let name = name.trim();
    let length = name.chars().count();
    if (1..=NAME_CHARS_MAX).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let message = format!("A name has 1 to {NAME_CHARS_MAX} characters on one line.");
    Err(Error::invalid("name", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn using_includes_reading() {
        let caller = |scopes| Caller {
            key_id: "key_1".to_owned(),
            key_name: "backend".to_owned(),
            org_id: "org_1".to_owned(),
            scopes,
            service: false,
            last_used_at: Some(1_000_000),
        };
        let cases = [
            (vec![Scope::Read], true, false),
            (vec![Scope::Use], true, true),
            (vec![Scope::Read, Scope::Use], true, true),
        ];
        for (scopes, reads, uses) in cases {
            let caller = caller(scopes);
            assert_eq!((caller.may(Scope::Read), caller.may(Scope::Use)), (reads, uses));
            assert!(!touch_due(&caller, 1_000_000 + TOUCH_EVERY - 1));
            assert!(touch_due(&caller, 1_000_000 + TOUCH_EVERY));
        }
    }

    #[test]
    fn names_have_bounds() {
        let long = "x".repeat(61);
        for bad in ["", "  ", long.as_str(), "a\tb"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name(" backend ").expect("a name"), "backend");
    }
}
