//! Webhooks: events come in, are kept, and are acted on by looking at what they are about.
//!
//! Owns no tables: the inbox is [`crate::stripe::inbox`]. Never trusts what an event says beyond
//! its id, its type and the ids it names.

mod again;
pub mod endpoint;
mod process;
mod stuck;

use crate::clock::Millis;
use crate::customers;
use crate::db::{Reads, Tx};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::findings::{self, NewFinding};
use crate::stripe::envelope::{self, Envelope};
use crate::stripe::inbox::{self, Arrived, Status};
use crate::stripe::signature::{self, Refusal};

pub use self::again::{replay, replay_failed};
pub use self::stuck::{DEAD, UNMATCHED, report};
pub use crate::stripe::inbox::{counts, find, list, stuck as count_stuck, waiting_since};
pub use process::process_due;

/// The kind of finding that events of the other mode make.
pub const MODE_MISMATCH: &str = "mode_mismatch";

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whether it was not there before.
    pub new: bool,
    /// What it was kept as.
    pub status: Status,
}

/// How an event came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// webhook or poll
    pub source: &'static str,
    /// When.
    pub at: Millis,
    /// Whether this database is for real money.
    pub live: bool,
}

impl Arrival {
    /// Just now.
    pub fn now(engine: &Engine, source: &'static str) -> Self {
        Self { source, at: engine.clock.now(), live: engine.config.live() }
    }
}

/// Checks a delivery's signature over the raw body and keeps the event, once. Everything after
/// that is the worker's. (A1, A2)
pub async fn receive(engine: &Engine, header: Option<&str>, body: &[u8]) -> Result<Received> {
    check_signature(engine, header, body).map_err(|refusal| {
        tracing::warn!(%refusal, "a webhook was refused");
        Error::invalid("Stripe-Signature", format!("The webhook was refused: {refusal}."))
    })?;
    let text =
        std::str::from_utf8(body).map_err(|_| Error::invalid("body", "The body is not UTF-8."))?;
    let event = envelope::parse(body)
        .map_err(|error| Error::invalid("body", format!("The body is not an event: {error}.")))?;
    let arrival = Arrival::now(engine, "webhook");
    let (status, payload) = judge(&mut &engine.db, &event, text, &arrival).await?;
    if status == Status::ModeMismatch {
        let mut tx = engine.db.begin().await?;
        let received = keep(&mut tx, &event, text, &arrival).await?;
        tx.commit().await?;
        return Ok(received);
    }
    let (source, at) = (arrival.source, arrival.at);
    let new = engine.inbox.keep(Arrived { event, payload, status, source, at }).await?;
    engine.wake.notify_one();
    Ok(Received { new, status })
}

/// Stripe signs with the real time, however far the development clock was moved; what stands in for
/// Stripe may have moved its own clock along with ours.
fn check_signature(engine: &Engine, header: Option<&str>, body: &[u8]) -> Result<(), Refusal> {
    let secrets = &engine.config.stripe_webhook_secrets;
    let (now, moved) = (engine.clock.now(), engine.clock.moved());
    match signature::verify(secrets, header, body, now - moved) {
        Err(Refusal::Stale) if moved != 0 => signature::verify(secrets, header, body, now),
        verdict => verdict,
    }
}

/// Keeps an event in the inbox as what it is: to be done, of the other mode, or of a type that
/// nothing acts on.
pub async fn keep(
    tx: &mut Tx,
    event: &Envelope,
    payload: &str,
    arrival: &Arrival,
) -> Result<Received> {
    let (status, payload) = judge(tx, event, payload, arrival).await?;
    let (source, at) = (arrival.source, arrival.at);
    let new = inbox::store(tx, event, payload.as_deref(), status, source, at).await?;
    if new && status == Status::ModeMismatch {
        report_mode(tx, event, arrival).await?;
    }
    Ok(Received { new, status })
}

/// What an event is to be kept as, and what of it.
async fn judge(
    reads: &mut impl Reads,
    event: &Envelope,
    payload: &str,
    arrival: &Arrival,
) -> Result<(Status, Option<String>)> {
    let status = if event.livemode != arrival.live {
        Status::ModeMismatch
    } else if process::is_acted_on(&event.kind) {
        return Ok((Status::Pending, Some(payload.to_owned())));
    } else {
        Status::Ignored
    };
    // Whose an event is that nothing acts on is never looked up; unless its customer is known to be
    // ours, what it says is not kept. (F13)
    let known = match &event.customer_id {
        Some(customer) => customers::org_of(reads, customer).await?.is_some(),
        None => false,
    };
    Ok((status, known.then(|| payload.to_owned())))
}

/// One finding for all events of the other mode: an endpoint or a secret is set up wrongly. (I15,
/// A12)
async fn report_mode(tx: &mut Tx, event: &Envelope, arrival: &Arrival) -> Result<()> {
    let (theirs, ours) = if event.livemode { ("live", "test") } else { ("test", "live") };
    let message = format!(
        "Events of Stripe's {theirs} mode come here, but this database serves {ours} mode. They \
         are kept without effect; correct the endpoint, or its secret, in Stripe's {theirs} mode."
    );
    let found = NewFinding {
        kind: MODE_MISMATCH,
        subject: theirs,
        org_id: None,
        message: &message,
        detail: Some(serde_json::json!({ "event": event.id, "type": event.kind })),
    };
    findings::record(tx, &found, arrival.at).await.map(drop)
}
