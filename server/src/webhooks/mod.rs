//! Webhooks: events come in, are kept, and are acted on by looking at what they are about.
//!
//! Owns no tables: the inbox is [`crate::stripe::inbox`]. Never trusts what an event says beyond
//! its id, its type and the ids it names.

mod process;

use crate::customers;
use crate::db::{Db, Tx};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::envelope::{self, Envelope};
use crate::stripe::inbox::{self, Entry, Status};
use crate::stripe::signature;

pub use crate::stripe::inbox::{replay, replay_failed};
pub use process::process_due;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whether it was not there before.
    pub new: bool,
    /// What it was kept as.
    pub status: Status,
}

/// Checks a delivery's signature over the raw body and keeps the event, once. Everything after
/// that is the worker's. (A1, A2)
pub async fn receive(engine: &Engine, header: Option<&str>, body: &[u8]) -> Result<Received> {
    // Stripe signs with the real time, however far the development clock was moved.
    let real_now = engine.clock.now() - engine.clock.moved();
    let secrets = &engine.config.stripe_webhook_secrets;
    signature::verify(secrets, header, body, real_now).map_err(|refusal| {
        tracing::warn!(%refusal, "a webhook was refused");
        Error::invalid("Stripe-Signature", format!("The webhook was refused: {refusal}."))
    })?;
    let text =
        std::str::from_utf8(body).map_err(|_| Error::invalid("body", "The body is not UTF-8."))?;
    let event = envelope::parse(body)
        .map_err(|error| Error::invalid("body", format!("The body is not an event: {error}.")))?;
    let mut tx = engine.db.begin().await?;
    let received = keep(&mut tx, engine, &event, text, "webhook").await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(received)
}

/// Keeps an event in the inbox as what it is: to be done, of the other mode, or of a type that
/// nothing acts on.
pub async fn keep(
    tx: &mut Tx,
    engine: &Engine,
    event: &Envelope,
    payload: &str,
    source: &'static str,
) -> Result<Received> {
    let now = engine.clock.now();
    let status = if event.livemode != engine.config.live() {
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
    let new = inbox::store(tx, event, payload, status, source, now).await?;
    Ok(Received { new, status })
}

/// The newest events. Other products' are left out unless they are asked for.
pub async fn list(
    db: &Db,
    status: Option<&str>,
    starting_after: Option<&str>,
    limit: i64,
) -> Result<Vec<Entry>> {
    inbox::list(db, status, starting_after, limit).await
}
