//! Contracts: terms made for one org. Owns `contracts`.
//!
//! Made by an operator, with a key and a reason; what they allow is read beside the tier's, in
//! their time and not a moment longer. What they give each month is granted here; what they bill in
//! money is billed like overage. Never speaks to Stripe.

mod file;
mod months;

pub use file::{Agreed, parse};
pub use months::turn;

use crate::audit::{self, Actor};
use crate::clock::{self, DAY, Millis};
use crate::credits::{self, Source};
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::entitlements::ContractTerms;
use crate::error::{Error, Result};
use crate::ids;
use crate::orgs;

/// How far back a contract may begin.
const BACK_MAX: Millis = 366 * DAY;

/// A contract, as it stands.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Contract {
    /// `contract_…`
    pub id: String,
    /// Whose.
    pub org_id: String,
    /// The key it was made with.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// Three lowercase letters.
    pub currency: String,
    /// What was agreed, as JSON.
    terms: String,
    /// Whether it stands instead of what the tier allows.
    pub replaces: bool,
    /// From when on.
    pub starts_at: Millis,
    /// Until when; `None` is open-ended.
    pub ends_at: Option<Millis>,
    /// Which month's credits come next, counted from the start.
    next_month: i64,
    /// When they come; `None` is never.
    pub next_at: Option<Millis>,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Millis,
    /// Since when it counts no more.
    pub ended_at: Option<Millis>,
}

impl Contract {
    /// What was agreed.
    pub fn terms(&self) -> Result<ContractTerms> {
        Ok(serde_json::from_str(&self.terms)?)
    }

    /// `coming`, `in force` or `ended`.
    pub fn standing(&self, now: Millis) -> &'static str {
        match (self.ended_at, self.ends_at) {
            (Some(_), _) => "ended",
            (_, Some(end)) if end <= now => "ended",
            _ if now < self.starts_at => "coming",
            _ => "in force",
        }
    }
}

const COLUMNS: &str = "id, org_id, key, name, currency, terms, replaces, starts_at, ends_at, \
     next_month, next_at, created_by, reason, created_at, ended_at";

/// Contracts, newest first; of one org where it is named.
pub async fn list(db: &Db, org_id: Option<&str>, limit: i64) -> Result<Vec<Contract>> {
    let text = format!(
        "select {COLUMNS} from contracts where ($1 is null or org_id = $1) \
         order by created_at desc, id desc limit $2"
    );
    db.all(sql(text).bind(org_id).bind(limit.clamp(1, 1_000))).await
}

/// The contracts of an org that have not ended, the earliest first.
pub async fn of_org(db: &Db, org_id: &str, now: Millis) -> Result<Vec<Contract>> {
    let text = format!(
        "select {COLUMNS} from contracts where org_id = $1 and ended_at is null \
         and (ends_at is null or ends_at > $2) order by starts_at, id limit 100"
    );
    db.all(sql(text).bind(org_id).bind(now)).await
}

/// One contract.
pub async fn find(db: &Db, id: &str) -> Result<Contract> {
    let text = format!("select {COLUMNS} from contracts where id = $1");
    db.optional(sql(text).bind(id)).await?.ok_or(Error::NotFound("The contract"))
}

/// A contract to be made.
#[derive(Clone, Debug)]
pub struct NewContract {
    /// For whom.
    pub org_id: String,
    /// What was agreed.
    pub agreed: Agreed,
    /// Names it: the same key makes one contract for an org.
    pub key: String,
    /// Who makes it.
    pub actor: Actor,
    /// Why.
    pub reason: String,
}

/// Makes a contract, and grants its first month where that has begun. The same key again answers
/// the contract that it made, and is refused where it agreed on something else.
pub async fn create(engine: &Engine, new: NewContract) -> Result<Contract> {
    let org = orgs::find(&engine.db, &new.org_id).await?;
    credits::check_key(&new.key)?;
    audit::check_reason(&new.reason)?;
    check_meters(engine, &new.agreed)?;
    let terms = serde_json::to_string(&new.agreed.terms)?;
    let mut tx = engine.db.begin().await?;
    credits::lock_wallet(&mut tx, &org.id, engine.clock.now()).await?;
    orgs::refuse_closed(&mut tx, &org.id).await?;
    let now = engine.clock.now();
    if let Some(before) = by_key(&mut tx, &org.id, &new.key).await? {
        return match is_same(&before, &new.agreed, &terms) {
            true => Ok(before),
            false => Err(Error::Conflict(format!(
                "This key made {} before, with other terms. Nothing was done; use another key.",
                before.id
            ))),
        };
    }
    let starts_at = check_time(&new.agreed, now)?;
    let id = ids::new("contract", now);
    insert(&mut tx, &id, &new, &terms, starts_at, now).await?;
    let detail = serde_json::json!({
        "name": new.agreed.name, "replaces": new.agreed.replaces, "terms": new.agreed.terms,
        "starts_at": clock::rfc3339(starts_at), "ends_at": new.agreed.ends_at.map(clock::rfc3339),
    });
    let entry = audit::Entry {
        actor: new.actor.clone(),
        org_id: Some(&org.id),
        action: "contracts.create",
        subject: &id,
        reason: Some(&new.reason),
        detail: Some(detail),
    };
    audit::record(&mut tx, &entry, now).await?;
    months::open_due(&mut tx, &id, now).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    find(&engine.db, &id).await
}

async fn insert(
    tx: &mut Tx,
    id: &str,
    new: &NewContract,
    terms: &str,
    starts_at: Millis,
    now: Millis,
) -> Result<()> {
    let text = format!(
        "insert into contracts ({COLUMNS})
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13, null)"
    );
    let monthly = new.agreed.terms.included.is_positive();
    let row = sql(text)
        .bind(id)
        .bind(&new.org_id)
        .bind(&new.key)
        .bind(&new.agreed.name)
        .bind(&new.agreed.currency)
        .bind(terms)
        .bind(new.agreed.replaces)
        .bind(starts_at)
        .bind(new.agreed.ends_at)
        .bind(monthly.then_some(starts_at))
        .bind(new.actor.to_string())
        .bind(&new.reason)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

async fn by_key(tx: &mut Tx, org_id: &str, key: &str) -> Result<Option<Contract>> {
    let text = format!("select {COLUMNS} from contracts where org_id = $1 and key = $2");
    tx.optional(sql(text).bind(org_id).bind(key)).await
}

fn is_same(before: &Contract, agreed: &Agreed, terms: &str) -> bool {
    before.name == agreed.name
        && before.currency == agreed.currency
        && before.terms == terms
        && before.replaces == agreed.replaces
        && agreed.starts_at.is_none_or(|start| start == before.starts_at)
        // One that was ended before its time was made with another end.
        && (before.ends_at == agreed.ends_at || before.ended_at.is_some())
}

/// From when on it counts: now, unless it says otherwise.
fn check_time(agreed: &Agreed, now: Millis) -> Result<Millis> {
    let starts_at = agreed.starts_at.unwrap_or(now);
    if starts_at < now - BACK_MAX {
        return Err(Error::invalid("starts", "A contract begins at most a year ago."));
    }
    if agreed.ends_at.is_some_and(|end| end <= now.max(starts_at)) {
        return Err(Error::invalid("ends", "A contract ends after it begins, and not before now."));
    }
    Ok(starts_at)
}

/// Meters in money belong to the rate card, so that everybody knows how they are called.
fn check_meters(engine: &Engine, agreed: &Agreed) -> Result<()> {
    let known = &engine.rates.meters;
    match agreed.terms.meters.keys().find(|name| !known.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            let message = format!(
                "The rate card has no meter {name}. It knows {}; one that only contracts price is \
                 written there with by_contract = true.",
                names.join(", ")
            );
            Err(Error::invalid("meters", message))
        }
    }
}

/// Ends a contract now: what it allowed is over, and so are the credits it gave that are left. What
/// it billed goes onto an invoice. Ending it again changes nothing.
pub async fn end(engine: &Engine, id: &str, actor: Actor, reason: &str) -> Result<Contract> {
    audit::check_reason(reason)?;
    let contract = find(&engine.db, id).await?;
    let mut tx = engine.db.begin().await?;
    credits::lock_wallet(&mut tx, &contract.org_id, engine.clock.now()).await?;
    let now = engine.clock.now();
    if months::close(&mut tx, id, now).await? {
        let sources = [Source::Contract];
        credits::end_of(&mut tx, &contract.org_id, &sources, id, "the contract ended", now).await?;
        let entry = audit::Entry {
            actor,
            org_id: Some(&contract.org_id),
            action: "contracts.end",
            subject: id,
            reason: Some(reason),
            detail: None,
        };
        audit::record(&mut tx, &entry, now).await?;
    }
    tx.commit().await?;
    engine.wake.notify_one();
    find(&engine.db, id).await
}
