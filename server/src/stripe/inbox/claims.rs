//! Claims: whole queues of events are taken at a time, dealt with object by object, and marked as
//! done with, put off or set aside.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use crate::clock::{HOUR, MINUTE, Millis, SECOND};
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};

use super::super::{INCOMPLETE, KEY_REFUSED};
use super::Status;

/// How long a claim lasts. A look that takes longer may be done by somebody else as well: tickets
/// keep the older one from being written.
pub const LEASE: Millis = 30 * SECOND;
/// How often an event is tried before it waits for a person.
const ATTEMPTS_MAX: i64 = 14;
/// Events that are looked through for queues to claim.
const SIGHT: i64 = 1_000;

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
    /// That customer, where it is one of ours, and the ticket that was taken for all the looks at
    /// its objects.
    pub known: Option<Known>,
    attempts: Vec<i64>,
    failed_before: bool,
}

/// A customer of ours, as it was when its events were claimed.
#[derive(Clone, Debug)]
pub struct Known {
    /// `cus_…`
    pub customer_id: String,
    /// Whose.
    pub org_id: String,
    /// The ticket for the next look at anything of it.
    pub ticket: Arc<AtomicI64>,
}

/// One event that was taken.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Taken {
    /// `evt_…`
    pub id: String,
    /// Its type.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// What it is about.
    pub object_id: Option<String>,
    /// Whose that is.
    pub customer_id: Option<String>,
    /// The queue it waited in.
    pub queue: String,
    received_at: Millis,
    attempts: i64,
    last_error: Option<String>,
}

impl Claim {
    /// A claim that begins with this event.
    pub fn of(taken: Taken, known: Option<Known>) -> Self {
        Self {
            kind: taken.kind,
            object_id: taken.object_id,
            customer_id: taken.customer_id,
            events: vec![taken.id],
            known,
            attempts: vec![taken.attempts],
            failed_before: taken.last_error.is_some(),
        }
    }

    /// Another event that the same look answers.
    pub fn add(&mut self, taken: Taken) {
        self.events.push(taken.id);
        self.attempts.push(taken.attempts);
        self.failed_before |= taken.last_error.is_some();
        self.customer_id = self.customer_id.take().or(taken.customer_id);
    }

    /// The same customer, but no events: for a look at something else on the way.
    pub fn aside(&self) -> Self {
        Self { known: self.known.clone(), ..Self::default() }
    }

    /// Whether one of its events was tried before and did not succeed.
    pub fn failed_before(&self) -> bool {
        self.failed_before
    }

    /// What it is about, for people: the object, else the first event.
    pub fn subject(&self) -> &str {
        let event = self.events.first().map_or("", String::as_str);
        self.object_id.as_deref().unwrap_or(event)
    }
}

/// Whether anything waits to be claimed, without taking the writer's turn.
pub async fn is_due(db: &Db, now: Millis) -> Result<bool> {
    let text = format!("select e.id from stripe_events e where {DUE} limit 1");
    Ok(db.optional::<(String,)>(sql(text).bind(now)).await?.is_some())
}

/// Due, and nobody works on its queue. `$1` is the time.
const DUE: &str = "e.status in ('pending', 'unmatched') and e.run_at <= $1
     and e.lease_until <= $1 and not exists (
         select 1 from stripe_events o where o.queue = e.queue
         and o.status in ('pending', 'unmatched') and o.lease_until > $1)";

/// Takes the queues whose events wait longest, so many of them, with all that is due in each and
/// whatever else is about the same objects. Answers the events in the order in which they came,
/// queue after queue.
pub async fn claim(tx: &mut Tx, queues: usize, now: Millis) -> Result<Vec<Taken>> {
    let due = format!(
        "select e.queue from stripe_events e where {DUE}
         order by e.run_at, e.received_at, e.id limit $2"
    );
    let mut chosen: Vec<String> = Vec::new();
    for (queue,) in tx.all::<(String,)>(sql(due).bind(now).bind(SIGHT)).await? {
        if chosen.len() == queues {
            break;
        }
        if !chosen.contains(&queue) {
            chosen.push(queue);
        }
    }
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    // Locked in one order, so that two workers do not wait for each other in a ring; the condition
    // stands twice because Postgres looks at it again after waiting for a row.
    let (any, lock) = (tx.dialect().any("queue", 3), tx.dialect().for_update());
    let text = format!(
        "update stripe_events set lease_until = $2, attempts = attempts + 1
         where lease_until <= $1 and id in (
             select id from stripe_events where status in ('pending', 'unmatched')
             and lease_until <= $1 and {any} and (run_at <= $1 or object_id in (
                 select object_id from stripe_events where status in ('pending', 'unmatched')
                 and run_at <= $1 and {any}))
             order by id{lock})
         returning id, type, object_id, customer_id, queue, received_at, attempts, last_error"
    );
    let statement = sql(text).bind(now).bind(now + LEASE).bind(chosen.clone());
    let mut taken: Vec<Taken> = tx.all(statement).await?;
    let place = |queue: &str| chosen.iter().position(|chosen| chosen == queue);
    taken.sort_by(|a, b| {
        let by = |one: &Taken| (place(&one.queue), one.received_at);
        by(a).cmp(&by(b)).then_with(|| a.id.cmp(&b.id))
    });
    Ok(taken)
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

/// Gives back what was claimed and not begun, as if it had never been tried.
pub async fn hand_back(tx: &mut Tx, claim: &Claim) -> Result<()> {
    let any = tx.dialect().any("id", 1);
    let text = format!(
        "update stripe_events set lease_until = 0, attempts = attempts - 1
         where status in ('pending', 'unmatched') and attempts > 0 and {any}"
    );
    tx.execute(sql(text).bind(claim.events.clone())).await?;
    Ok(())
}

/// Tries these events again later, each time after a longer pause; after the last one they wait for
/// a person. While Stripe cannot be reached nothing is ever given up. (A7, A17) Answers those that
/// were given up.
pub async fn fail(tx: &mut Tx, claim: &Claim, error: &Error, now: Millis) -> Result<Vec<String>> {
    let outage = is_outage(error);
    let ceiling = if outage { 10 * MINUTE } else { HOUR };
    let tried = claim.events.iter().cloned().zip(claim.attempts.iter().copied());
    // Each counts for itself: an event that came a moment ago is not given up with an old one.
    let (dead, alive): (Vec<_>, Vec<_>) =
        tried.partition(|(_, attempts)| *attempts >= ATTEMPTS_MAX && !outage);
    let most = alive.iter().map(|(_, attempts)| *attempts).max().unwrap_or(1);
    let ids = |list: Vec<(String, i64)>| list.into_iter().map(|one| one.0).collect::<Vec<_>>();
    let (dead, alive, said) = (ids(dead), ids(alive), error.to_string());
    let later =
        Later { status: Status::Pending, reason: &said, run_at: now + pause(most, ceiling) };
    later.put_off(tx, alive, now).await?;
    let never = Later { status: Status::Dead, reason: &said, run_at: now };
    never.put_off(tx, dead.clone(), now).await?;
    Ok(dead)
}

/// Whether it says nothing about the event: Stripe is away, or our key is. An answer that lacks
/// what is needed will lack it the next time too, and is for a person to see. (A13)
fn is_outage(error: &Error) -> bool {
    match error {
        Error::Stripe { code, .. } if code == INCOMPLETE => false,
        Error::Stripe { retryable, code, .. } => *retryable || code == KEY_REFUSED,
        other => matches!(other, Error::Unavailable),
    }
}

/// Keeps events whose customer nobody knows, and looks again later. (A10)
pub async fn park(tx: &mut Tx, claim: &Claim, reason: &str, now: Millis) -> Result<()> {
    let most = claim.attempts.iter().copied().max().unwrap_or(1);
    let run_at = now + pause(most, 6 * HOUR);
    let later = Later { status: Status::Unmatched, reason, run_at };
    later.put_off(tx, claim.events.clone(), now).await
}

/// 2 s, 4 s, 8 s … up to the ceiling.
fn pause(attempts: i64, ceiling: Millis) -> Millis {
    let doublings = attempts.clamp(1, 20) - 1;
    ((2 * SECOND) << doublings).min(ceiling)
}

struct Later<'a> {
    status: Status,
    reason: &'a str,
    run_at: Millis,
}

impl Later<'_> {
    async fn put_off(&self, tx: &mut Tx, events: Vec<String>, now: Millis) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let any = tx.dialect().any("id", 5);
        let text = format!(
            "update stripe_events set status = $1, last_error = $2, run_at = $3, lease_until = 0, \
                 settled_at = $4 where {any}"
        );
        let settled_at = (self.status == Status::Dead).then_some(now);
        let reason: String = self.reason.chars().take(500).collect();
        // Not all at the same moment, so that an outage does not end in a rush.
        let spread = events.iter().flat_map(|id| id.bytes()).map(i64::from).sum::<i64>() % SECOND;
        let row = sql(text).bind(self.status.word()).bind(reason).bind(self.run_at + spread);
        tx.execute(row.bind(settled_at).bind(events)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_ceiling() {
        let pauses: Vec<i64> = [1, 2, 3, 8, 99].map(|n| pause(n, HOUR) / SECOND).to_vec();
        assert_eq!(pauses, [2, 4, 8, 256, 3_600]);
    }

    fn taken(id: &str, attempts: i64, last_error: Option<&str>) -> Taken {
        Taken {
            id: id.to_owned(),
            kind: "invoice.paid".to_owned(),
            object_id: Some("in_1".to_owned()),
            customer_id: None,
            queue: "in_1".to_owned(),
            received_at: 0,
            attempts,
            last_error: last_error.map(str::to_owned),
        }
    }

    #[test]
    fn events_that_join_a_claim_keep_their_own_count() {
        let mut claim = Claim::of(taken("evt_1", 13, Some("no")), None);
        claim.add(taken("evt_2", 1, None));
        assert_eq!(claim.events, ["evt_1", "evt_2"]);
        assert_eq!(claim.attempts, [13, 1]);
        assert!(claim.failed_before());
        assert_eq!(claim.subject(), "in_1");
        assert!(claim.aside().events.is_empty());
    }
}
