//! The poll: Stripe's own list of events, from an hour before the newest one that was read, into
//! the inbox.

use serde_json::json;
use stripe_core::event::ListEvent;
use stripe_types::RangeQueryTs;

use crate::clock::{DAY, HOUR, SECOND};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::findings::{self, NewFinding};
use crate::settings;
use crate::stripe::envelope;
use crate::stripe::shapes::{Event, Identified as _, List};
use crate::webhooks::{self, Arrival};

const WATERMARK: &str = "stripe_events_watermark";
/// For so long Stripe keeps events, in seconds.
const KEPT: i64 = 30 * DAY / SECOND;
/// As many pages as a busy account has in that time, and more.
const PAGES_MAX: usize = 10_000;
/// The kind of finding that events make which nobody can read any more.
const GAP: &str = "events_gap";

/// Reads Stripe's list of events from an hour before the newest one that was read before, and keeps
/// those that no webhook brought. Answers how many. (A14)
pub async fn poll_events(engine: &Engine) -> Result<usize> {
    let watermark = settings::read(&engine.db, WATERMARK).await?;
    let watermark = watermark.and_then(|text| text.parse::<i64>().ok());
    // Events carry real time, however far the development clock was moved.
    let real_now = (engine.clock.now() - engine.clock.moved()) / SECOND;
    let since = watermark.unwrap_or(real_now) - HOUR / SECOND;
    // In a quiet account the newest one may be long ago, and was read all the same.
    let mut newest = watermark.unwrap_or(since).max(real_now - HOUR / SECOND);
    let mut found = 0;
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut request = ListEvent::new().created(RangeQueryTs::gte(since)).limit(100);
        if let Some(after) = after.take() {
            request = request.starting_after(after);
        }
        let page: List<Event> = engine.stripe.fetch(&request).await?;
        found += keep(engine, &page, &mut newest).await?;
        after = page.data.last().map(|event| event.id().to_owned());
        if !page.has_more || after.is_none() {
            break;
        }
    }
    // Only now: a poll that was cut short begins where it began.
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    settings::write(&mut tx, WATERMARK, &newest.to_string(), now).await?;
    if let Some(watermark) = watermark.filter(|watermark| real_now - watermark > KEPT) {
        let days = (real_now - watermark) * SECOND / DAY;
        let message = format!(
            "No event was read for {days} days, and Stripe keeps them for 30: what happened before \
             was not heard of. Run `reconcile --days {} --apply`.",
            days + 1
        );
        let found = NewFinding {
            kind: GAP,
            subject: "events",
            org_id: None,
            message: &message,
            detail: Some(json!({ "newest_read": watermark })),
        };
        findings::record(&mut tx, &found, now).await?;
    }
    tx.commit().await?;
    if found > 0 {
        tracing::info!(found, "events that no webhook had brought");
        engine.wake.notify_one();
    }
    Ok(found)
}

async fn keep(engine: &Engine, page: &List<Event>, newest: &mut i64) -> Result<usize> {
    let mut found = 0;
    let arrival = Arrival::now(engine, "poll");
    // In the order of their ids, as deliveries are kept, so that neither waits for the other in a
    // ring.
    let mut events: Vec<&Event> = page.data.iter().collect();
    events.sort_by(|a, b| a.id().cmp(b.id()));
    let mut tx = engine.db.begin().await?;
    for event in events {
        let payload = serde_json::to_string(&event.raw)?;
        let envelope = envelope::parse(payload.as_bytes())
            .map_err(|error| Error::internal(format!("an event in Stripe's list: {error}")))?;
        *newest = envelope.created.max(*newest);
        found += usize::from(webhooks::keep(&mut tx, &envelope, &payload, &arrival).await?.new);
    }
    tx.commit().await?;
    Ok(found)
}
