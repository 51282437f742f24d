//! The inbox: every event once, and what became of it. Owns `stripe_events`.
//!
//! Rows are never removed; only the payload of another product's event is erased. A claim is a
//! lease: whoever dies with it loses it to another when it lapses. Events of one customer wait in
//! one queue, and a queue is claimed by one worker at a time. Never acts on an event.

mod claims;
mod intake;

use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};

use super::envelope::Envelope;

pub use claims::{
    Claim, Known, Taken, claim, fail, hand_back, is_due, objects, park, settle, settle_some,
};
pub use intake::{Arrived, Intake};

/// What [`Entry`] reads.
const COLUMNS: &str = "id, type, status, object_id, customer_id, received_at, attempts, \
     last_error, settled_at";

/// The queue of everything about the catalog.
const CATALOG: &str = "catalog";

/// What may become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// To be done.
    Pending,
    /// Done.
    Processed,
    /// Of a type that nothing acts on.
    Ignored,
    /// Of another product in the same account.
    Foreign,
    /// Of one of our prices, but of nobody we know.
    Unmatched,
    /// Of the other Stripe mode.
    ModeMismatch,
    /// Failed too often.
    Dead,
}

impl Status {
    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::Ignored => "ignored",
            Self::Foreign => "foreign",
            Self::Unmatched => "unmatched",
            Self::ModeMismatch => "mode_mismatch",
            Self::Dead => "dead",
        }
    }
}

/// An event as people see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Entry {
    /// `evt_…`
    pub id: String,
    /// `invoice.paid`
    #[sqlx(rename = "type")]
    pub kind: String,
    /// One of [`Status`].
    pub status: String,
    /// What it is about.
    pub object_id: Option<String>,
    /// Whose that is.
    pub customer_id: Option<String>,
    /// When it came.
    pub received_at: Millis,
    /// How often it was tried.
    pub attempts: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was done with.
    pub settled_at: Option<Millis>,
}

/// Keeps an event; `false` when it was there already. (A2, A4)
pub async fn store(
    tx: &mut Tx,
    event: &Envelope,
    payload: Option<&str>,
    status: Status,
    source: &'static str,
    now: Millis,
) -> Result<bool> {
    let text = "insert into stripe_events (id, type, livemode, object_id, customer_id, payload, \
             status, source, created, received_at, run_at, lease_until, attempts, queue)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 0, 0, $11)
         on conflict (id) do nothing";
    let row = sql(text)
        .bind(&event.id)
        .bind(&event.kind)
        .bind(event.livemode)
        .bind(event.object_id.as_deref())
        .bind(event.customer_id.as_deref())
        .bind(payload)
        .bind(status.word())
        .bind(source)
        .bind(event.created)
        .bind(now)
        .bind(queue(event));
    Ok(tx.execute(row).await? == 1)
}

/// Whose queue an event waits in: its customer's where it names one, else its object's.
fn queue(event: &Envelope) -> &str {
    if event.kind.starts_with("product.") || event.kind.starts_with("price.") {
        return CATALOG;
    }
    let named = event.customer_id.as_deref().or(event.object_id.as_deref());
    named.unwrap_or(&event.id)
}

/// The newest events of one status, or of every one but other products', before the one named.
pub async fn list(
    db: &Db,
    status: Option<&str>,
    starting_after: Option<&str>,
    limit: i64,
) -> Result<Vec<Entry>> {
    // The few that wait for a worker or for a person are found by an index of their own, however
    // many there are of the others.
    let few = match status {
        Some("pending" | "unmatched") => "status in ('pending', 'unmatched') and",
        Some("dead" | "mode_mismatch") => "status in ('dead', 'mode_mismatch') and",
        _ => "",
    };
    let text = format!(
        "select {COLUMNS} from stripe_events
         where {few} (status = $1 or ($1 = '' and status <> 'foreign'))
         and ($2 = '' or received_at < (select received_at from stripe_events where id = $2)
              or (received_at = (select received_at from stripe_events where id = $2) and id < $2))
         order by received_at desc, id desc limit $3"
    );
    let page = sql(text).bind(status.unwrap_or_default()).bind(starting_after.unwrap_or_default());
    db.all(page.bind(limit.clamp(1, 100))).await
}

/// One event, with what is kept of what it said.
pub async fn find(db: &Db, id: &str) -> Result<(Entry, Option<String>)> {
    let text = format!("select {COLUMNS} from stripe_events where id = $1");
    let entry: Option<Entry> = db.optional(sql(text).bind(id)).await?;
    let entry = entry.ok_or(Error::NotFound("The event"))?;
    let payload = sql("select payload from stripe_events where id = $1").bind(id);
    Ok((entry, db.one::<(Option<String>,)>(payload).await?.0))
}

/// How many events there are of each status that somebody has to see to: a worker or a person.
/// Those that are done with are not counted, being without end.
pub async fn counts(db: &Db) -> Result<Vec<(String, i64)>> {
    let text = "select status, count(*) from stripe_events
         where status in ('pending', 'unmatched') group by status
         union all
         select status, count(*) from stripe_events
         where status in ('dead', 'mode_mismatch') group by status";
    db.all(sql(text)).await
}

/// Puts one event back to the beginning; answers the customer it names. What it did is not undone:
/// doing it again changes nothing.
pub async fn replay(tx: &mut Tx, id: &str, now: Millis) -> Result<Option<String>> {
    let text = "update stripe_events set status = 'pending', run_at = $2, lease_until = 0, \
             attempts = 0, settled_at = null where id = $1 and status <> 'mode_mismatch' \
         returning customer_id";
    let put_back: Option<(Option<String>,)> = tx.optional(sql(text).bind(id).bind(now)).await?;
    let gone = Error::NotFound("An event of that id that could be replayed");
    put_back.map(|row| row.0).ok_or(gone)
}

/// Puts every event that failed or matched nobody back to the beginning; answers how many.
pub async fn replay_failed(tx: &mut Tx, now: Millis) -> Result<u64> {
    let text = "update stripe_events set status = 'pending', run_at = $1, lease_until = 0, \
             attempts = 0, settled_at = null where status in ('dead', 'unmatched')";
    tx.execute(sql(text).bind(now)).await
}

/// What waits for a person: how many events of this status, and what the newest says.
pub async fn stuck(db: &Db, status: Status) -> Result<(i64, Option<String>)> {
    let text = "select count(*) from stripe_events where status = $1";
    let (count,): (i64,) = db.one(sql(text).bind(status.word())).await?;
    let newest = list(db, Some(status.word()), None, 1).await?;
    Ok((count, newest.into_iter().next().and_then(|event| event.last_error)))
}

/// Since when the oldest event waits that is due and was never tried, if one does: the worker
/// should have come by.
pub async fn waiting_since(db: &Db, now: Millis) -> Result<Option<Millis>> {
    let text = "select received_at from stripe_events where status = 'pending' and attempts = 0
         and run_at <= $1 order by run_at limit 1";
    Ok(db.optional::<(Millis,)>(sql(text).bind(now)).await?.map(|row| row.0))
}
