//! Webhooks: events come in, are kept, and are acted on by looking at what they are about.
//!
//! Owns no tables: the inbox is [`crate::stripe::inbox`]. Never trusts what an event says beyond
//! its id, its type and the ids it names.

pub mod endpoint;
mod process;

use crate::clock::Millis;
use crate::customers;
use crate::db::Tx;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::envelope::{self, Envelope};
use crate::stripe::inbox::{self, Status};
use crate::stripe::signature::{self, Refusal};

pub use crate::stripe::inbox::{list, replay, replay_failed};
pub use process::process_due;

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
    let mut tx = engine.db.begin().await?;
    let received = keep(&mut tx, &event, text, &Arrival::now(engine, "webhook")).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(received)
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
    let status = if event.livemode != arrival.live {
        // I15, A12
        tracing::error!(id = event.id, "an event of the other Stripe mode: kept, without effect");
        Status::ModeMismatch
    } else if process::is_acted_on(&event.kind) {
        Status::Pending
    } else {
        Status::Ignored
    };
    // Whose an event is that nothing acts on is never looked up; unless its customer is known to be
    // ours, what it says is not kept. (F13)
    let known = match &event.customer_id {
        Some(customer) => customers::org_of(tx, customer).await?.is_some(),
        None => false,
    };
    let payload = (status == Status::Pending || known).then_some(payload);
    let new = inbox::store(tx, event, payload, status, arrival.source, arrival.at).await?;
    Ok(Received { new, status })
}
