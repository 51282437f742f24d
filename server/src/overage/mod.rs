//! What is billed after use: overage and meters in money, one invoice item a subscription, period
//! and meter. Owns `billed_lines`.
//!
//! First a period that is over gets its lines, all from our own rows; then each line is posted. A
//! line's row comes first, its id is the key, and it is looked for at Stripe before it is made
//! again. Never charges anything itself: the invoice does.

mod by_hand;
mod lines;
mod payer;
mod place;
mod post;
mod rounding;
mod views;

pub use by_hand::{Settled, settle};
pub use views::{Billed, BilledLine, Statement, statement};

use crate::engine::Engine;
use crate::error::Result;

/// Orgs whose lines are written, and lines that are posted, in one turn; the rest comes later.
const TURN_MAX: i64 = 500;

/// Posts what was billed in periods that are over and is on no invoice yet. Answers how many lines
/// were posted. Two workers at once post each once. (E5, E6)
pub async fn post_due(engine: &Engine) -> Result<usize> {
    for org_id in lines::due(&engine.db, engine.clock.now(), TURN_MAX).await? {
        if let Err(error) = write_lines(engine, &org_id).await {
            tracing::error!(org_id, "what is billed was put on no line: {error}");
        }
    }
    let mut posted = 0;
    let mut hopeless = None;
    for line in lines::open(&engine.db, TURN_MAX).await? {
        match post::post(engine, &line).await {
            Ok(true) => {
                posted += 1;
                hopeless = None;
            }
            Ok(false) => {}
            // One customer's trouble is nobody else's; an outage is everybody's. Those that failed
            // come last at the next turn.
            Err(error) if error.is_retryable() => {
                tracing::warn!(line = line.id, "a line is posted later: {error}");
                if hopeless.replace(line.org_id.clone()).is_some_and(|org| org != line.org_id) {
                    return Err(error);
                }
            }
            Err(error) => tracing::error!(line = line.id, "a line is not posted: {error}"),
        }
    }
    Ok(posted)
}

/// The lines that one org's periods lack. One that fails holds up no other.
async fn write_lines(engine: &Engine, org_id: &str) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    lines::write(&mut tx, &engine.clock, &engine.rates, org_id).await?;
    tx.commit().await
}
