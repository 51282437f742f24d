//! The inbox: every event once, and what became of it. Owns `stripe_events`.
//!
//! Rows are never removed; only the payload of another product's event is erased. A claim is a
//! lease: whoever dies with it loses it to another when it lapses. Never acts on an event.

use crate::clock::{HOUR, MINUTE, Millis, SECOND};
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};

use super::envelope::Envelope;

/// How long a claim lasts. A look that takes longer may be done by somebody else as well: tickets
/// keep the older one from being written.
const LEASE: Millis = 20 * SECOND;
/// How often an event is tried before it waits for a person.
const ATTEMPTS_MAX: i64 = 14;

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

/// Events about one object, taken to be dealt with by one look at it.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// The first one's type.
    pub kind: String,
    /// The object they are about.
    pub object_id: Option<String>,
    /// The customer they name.
    pub customer_id: Option<String>,
    /// The events; none where the look was not caused by an event.
    pub events: Vec<String>,
    attempts: i64,
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

#[derive(sqlx::FromRow)]
struct Claimed {
    id: String,
    #[sqlx(rename = "type")]
    kind: String,
    object_id: Option<String>,
    customer_id: Option<String>,
    attempts: i64,
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
             status, source, created, received_at, run_at, lease_until, attempts)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 0, 0)
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
        .bind(now);
    Ok(tx.execute(row).await? == 1)
}

/// Whether anything waits to be claimed, without taking the writer's turn.
pub async fn is_due(db: &Db, now: Millis) -> Result<bool> {
    let text = "select id from stripe_events where status in ('pending', 'unmatched')
         and run_at <= $1 and lease_until <= $1 limit 1";
    Ok(db.optional::<(String,)>(sql(text).bind(now)).await?.is_some())
}

/// Takes the event that waits longest, and with it every other one about the same object, or about
/// the catalog where it is about that.
pub async fn claim(tx: &mut Tx, now: Millis) -> Result<Option<Claim>> {
    let first = "update stripe_events set lease_until = $2, attempts = attempts + 1
         where id = (select id from stripe_events where status in ('pending', 'unmatched')
                     and run_at <= $1 and lease_until <= $1
                     order by run_at, received_at, id limit 1)
         and lease_until <= $1
         returning id, type, object_id, customer_id, attempts";
    let row = tx.optional::<Claimed>(sql(first).bind(now).bind(now + LEASE)).await?;
    let Some(first) = row else { return Ok(None) };
    let about_catalog = first.kind.starts_with("product.") || first.kind.starts_with("price.");
    let which = match about_catalog {
        true => "(type like 'product.%' or type like 'price.%')",
        false => "object_id = $3",
    };
    let others = format!(
        "update stripe_events set lease_until = $2, attempts = attempts + 1
         where status in ('pending', 'unmatched') and lease_until <= $1 and {which} returning id"
    );
    let mut others = sql(others).bind(now).bind(now + LEASE);
    if !about_catalog {
        others = others.bind(first.object_id.as_deref());
    }
    let mut events = vec![first.id];
    events.extend(tx.all::<(String,)>(others).await?.into_iter().map(|row| row.0));
    Ok(Some(Claim {
        kind: first.kind,
        object_id: first.object_id,
        customer_id: first.customer_id,
        events,
        attempts: first.attempts,
    }))
}

/// Marks these events as done with, in the transaction that did what they asked for. (A6)
pub async fn settle(tx: &mut Tx, claim: &Claim, status: Status, now: Millis) -> Result<()> {
    settle_some(tx, &claim.events, status, now).await
}

/// Marks some of a claim's events.
pub async fn settle_some(
    tx: &mut Tx,
    events: &[String],
    status: Status,
    now: Millis,
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    // What belongs to another product is none of our business, and is not kept. (A11, F13)
    let payload = if status == Status::Foreign { "null" } else { "payload" };
    let any = tx.dialect().any("id", 3);
    let text = format!(
        "update stripe_events set status = $1, settled_at = $2, last_error = null, \
             lease_until = 0, payload = {payload} where {any}"
    );
    tx.execute(sql(text).bind(status.word()).bind(now).bind(events.to_vec())).await?;
    Ok(())
}

/// What each of these events is about.
pub async fn objects(tx: &mut Tx, events: &[String]) -> Result<Vec<(String, Option<String>)>> {
    let any = tx.dialect().any("id", 1);
    let text = format!("select id, object_id from stripe_events where {any} order by id");
    tx.all(sql(text).bind(events.to_vec())).await
}

/// Tries these events again later, each time after a longer pause; after the last one they wait for
/// a person. While Stripe cannot be reached nothing is ever given up. (A7, A17)
pub async fn fail(tx: &mut Tx, claim: &Claim, error: &Error, now: Millis) -> Result<Status> {
    let outage = matches!(error, Error::Stripe { retryable: true, .. } | Error::Unavailable);
    let dead = claim.attempts >= ATTEMPTS_MAX && !outage;
    let status = if dead { Status::Dead } else { Status::Pending };
    let ceiling = if outage { 10 * MINUTE } else { HOUR };
    postpone(tx, claim, status, &error.to_string(), pause(claim.attempts, ceiling), now).await?;
    Ok(status)
}

/// Keeps events whose customer nobody knows, and looks again later. (A10)
pub async fn park(tx: &mut Tx, claim: &Claim, reason: &str, now: Millis) -> Result<()> {
    let pause = pause(claim.attempts, 6 * HOUR);
    postpone(tx, claim, Status::Unmatched, reason, pause, now).await
}

/// 2 s, 4 s, 8 s … up to the ceiling.
fn pause(attempts: i64, ceiling: Millis) -> Millis {
    let doublings = attempts.clamp(1, 20) - 1;
    ((2 * SECOND) << doublings).min(ceiling)
}

async fn postpone(
    tx: &mut Tx,
    claim: &Claim,
    status: Status,
    reason: &str,
    pause: Millis,
    now: Millis,
) -> Result<()> {
    let any = tx.dialect().any("id", 5);
    let text = format!(
        "update stripe_events set status = $1, last_error = $2, run_at = $3, lease_until = 0, \
             settled_at = $4 where {any}"
    );
    let settled_at = (status == Status::Dead).then_some(now);
    let reason: String = reason.chars().take(500).collect();
    let row = sql(text).bind(status.word()).bind(reason).bind(now + pause).bind(settled_at);
    tx.execute(row.bind(claim.events.clone())).await?;
    Ok(())
}

/// The newest events of one status, or of every one but other products', before the one named.
pub async fn list(
    db: &Db,
    status: Option<&str>,
    starting_after: Option<&str>,
    limit: i64,
) -> Result<Vec<Entry>> {
    let text = "select id, type, status, object_id, customer_id, received_at, attempts, \
             last_error, settled_at
         from stripe_events
         where (status = $1 or ($1 = '' and status <> 'foreign'))
         and ($2 = '' or received_at < (select received_at from stripe_events where id = $2)
              or (received_at = (select received_at from stripe_events where id = $2) and id < $2))
         order by received_at desc, id desc limit $3";
    let page = sql(text).bind(status.unwrap_or_default()).bind(starting_after.unwrap_or_default());
    db.all(page.bind(limit.clamp(1, 100))).await
}

/// Puts one event back to the beginning. What it did is not undone: doing it again changes nothing.
pub async fn replay(tx: &mut Tx, id: &str, now: Millis) -> Result<()> {
    let text = "update stripe_events set status = 'pending', run_at = $2, lease_until = 0, \
             attempts = 0, settled_at = null where id = $1 and status <> 'mode_mismatch'";
    match tx.execute(sql(text).bind(id).bind(now)).await? {
        0 => Err(Error::NotFound("An event of that id that could be replayed")),
        _ => Ok(()),
    }
}

/// Puts every event that failed or matched nobody back to the beginning; answers how many.
pub async fn replay_failed(tx: &mut Tx, now: Millis) -> Result<u64> {
    let text = "update stripe_events set status = 'pending', run_at = $1, lease_until = 0, \
             attempts = 0, settled_at = null where status in ('dead', 'unmatched')";
    tx.execute(sql(text).bind(now)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_ceiling() {
        let pauses: Vec<i64> = [1, 2, 3, 8, 99].map(|n| pause(n, HOUR) / SECOND).to_vec();
        assert_eq!(pauses, [2, 4, 8, 256, 3_600]);
    }
}
