//! By hand: credits granted, corrected or taken away by an operator, once per key. (F6)
//!
//! The only writer of `adjustments`.

use serde_json::json;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};
use crate::ids;
use crate::units::Credits;

use super::accounts::{Act, Kind};
use super::book::Book;
use super::grants::{NewGrant, grant};
use super::rows::{Grant, Source};
use super::store;

/// The most that one correction moves, in credits.
const CREDITS_MAX: i64 = 1_000_000_000;
/// The longest key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// A correction that somebody wants.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// Whose wallet.
    pub org_id: String,
    /// More than nothing gives, less takes away; at most 1,000,000,000 either way.
    pub credits: Credits,
    /// 1–255 characters: the same key corrects this org once.
    pub key: String,
    /// Who.
    pub actor: Actor,
    /// Why, in 1–500 characters; the customer reads it in the statement.
    pub reason: String,
}

/// A correction that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// `adj_…`
    pub id: String,
    /// What was given, or taken away.
    pub credits: Credits,
    /// Whether it was made before, and nothing was done now.
    pub replayed: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    credits: Credits,
    reason: String,
}

/// Gives credits as a grant by hand, or takes them from what can be spent, in burn order. The same
/// key with the same content answers what it did the first time; with another content it is a
/// conflict. Taking more than there is is refused, with both numbers, and so is taking from a
/// parked wallet.
pub async fn adjust(tx: &mut Tx, wanted: Adjustment, now: Millis) -> Result<Adjusted> {
    check(&wanted)?;
    let orgs = std::iter::once(wanted.org_id.clone()).collect();
    let mut books = store::lock(tx, &orgs, now).await?;
    let book = books.get_mut(&wanted.org_id).ok_or(Error::NotFound("The organisation"))?;
    if let Some(made) = find(tx, &wanted.org_id, &wanted.key).await? {
        return again(made, &wanted);
    }
    let at = book.time(now);
    book.settle(at)?;
    let id = ids::new("adj", at);
    match wanted.credits.is_positive() {
        true => {
            let grant = book.new_grant(Source::Manual, id.clone(), wanted.credits, at, None);
            book.put_in(grant, &wanted.actor, &wanted.reason)?;
        }
        false => take_away(book, &wanted, at)?,
    }
    book.close_spent(at);
    store::save(tx, std::iter::once(book)).await?;
    write_down(tx, &id, &wanted, at).await?;
    Ok(Adjusted { id, credits: wanted.credits, replayed: false })
}

/// Gives credits by hand under a key of its own; answers the grant's id, or nothing where the key
/// has granted before.
pub async fn grant_by_hand(tx: &mut Tx, wanted: Adjustment, now: Millis) -> Result<Option<String>> {
    check(&wanted)?;
    if !wanted.credits.is_positive() {
        return Err(Error::invalid("credits", "must be more than 0"));
    }
    let Adjustment { org_id, credits, key, actor, reason } = wanted;
    let new = NewGrant {
        effective_at: None,
        org_id: org_id.clone(),
        source: Source::Manual,
        source_ref: manual_ref(&org_id, &key),
        amount: credits,
        expires_at: None,
        payment: None,
        actor: actor.clone(),
        reason: reason.clone(),
    };
    let Some(id) = grant(tx, new, now).await? else { return Ok(None) };
    let entry = audit::Entry {
        actor,
        org_id: Some(&org_id),
        action: "wallet.grant",
        subject: &id,
        reason: Some(&reason),
        detail: Some(json!({ "credits": credits, "key": key })),
    };
    audit::record(tx, &entry, now).await?;
    Ok(Some(id))
}

/// What makes a grant by hand unique: its key, within its org.
pub fn manual_ref(org_id: &str, key: &str) -> String {
    format!("{org_id}:{key}")
}

/// What was granted by hand under a key, spent to the end or not.
pub async fn manual_grant(db: &Db, org_id: &str, key: &str) -> Result<Option<Grant>> {
    let text = "select id from grants
         where source_kind = $1 and source_ref = $2 and org_id = $3";
    let (kind, source_ref) = (Source::Manual.word(), manual_ref(org_id, key));
    let statement = sql(text).bind(kind).bind(source_ref).bind(org_id);
    let Some((id,)) = db.optional::<(String,)>(statement).await? else {
        return Ok(None);
    };
    let mut reads = db;
    Ok(store::grants(&mut reads, &[id]).await?.into_iter().next())
}

/// Refuses a key of an operator that is not 1–255 characters.
pub fn check_key(key: &str) -> Result<()> {
    if !(1..=KEY_CHARS_MAX).contains(&key.chars().count()) {
        return Err(Error::invalid("key", "must be 1 to 255 characters"));
    }
    Ok(())
}

fn check(wanted: &Adjustment) -> Result<()> {
    check_key(&wanted.key)?;
    audit::check_reason(&wanted.reason)?;
    let most = Credits::from_whole(CREDITS_MAX).unwrap_or(Credits::ZERO).micros();
    let credits = wanted.credits.micros();
    if credits == 0 || !(-most..=most).contains(&credits) {
        let message = "must be more or less than 0, and at most 1,000,000,000 either way";
        return Err(Error::invalid("credits", message));
    }
    Ok(())
}

async fn find(tx: &mut Tx, org_id: &str, key: &str) -> Result<Option<Row>> {
    let text = "select id, credits, reason from adjustments where org_id = $1 and key = $2";
    tx.optional(sql(text).bind(org_id).bind(key)).await
}

fn again(made: Row, wanted: &Adjustment) -> Result<Adjusted> {
    if made.credits == wanted.credits && made.reason == wanted.reason {
        return Ok(Adjusted { id: made.id, credits: made.credits, replayed: true });
    }
    let Row { id, credits, reason } = made;
    Err(Error::Conflict(format!(
        "This key was used for {id}: {credits} credits, “{reason}”. Nothing was done."
    )))
}

fn take_away(book: &mut Book, wanted: &Adjustment, at: Millis) -> Result<()> {
    if book.wallet.parked_at.is_some() {
        let message = "The wallet is parked: nothing is taken from it until it is repaired.";
        return Err(Error::Conflict(message.to_owned()));
    }
    let taken = Credits::ZERO.minus(wanted.credits).unwrap_or(Credits::ZERO);
    let act = Act { kind: Kind::Adjust, at, actor: &wanted.actor, reason: &wanted.reason };
    if book.take_away(&act, taken)?.is_err() {
        let available = book.spendable(at);
        let message =
            format!("takes {taken} credits away, but {available} are available. Nothing was done");
        return Err(Error::invalid("credits", message));
    }
    Ok(())
}

async fn write_down(tx: &mut Tx, id: &str, wanted: &Adjustment, at: Millis) -> Result<()> {
    let text = "insert into adjustments
         (id, org_id, key, credits, actor_kind, actor_id, reason, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let row = sql(text)
        .bind(id)
        .bind(&wanted.org_id)
        .bind(&wanted.key)
        .bind(wanted.credits)
        .bind(wanted.actor.kind())
        .bind(wanted.actor.id().unwrap_or_default())
        .bind(&wanted.reason)
        .bind(at);
    tx.execute(row).await?;
    let entry = audit::Entry {
        actor: wanted.actor.clone(),
        org_id: Some(&wanted.org_id),
        action: "wallet.adjust",
        subject: id,
        reason: Some(&wanted.reason),
        detail: Some(json!({ "credits": wanted.credits, "key": wanted.key })),
    };
    audit::record(tx, &entry, at).await
}
