//! Requests that Stripe would not hear of, for a reason that is no card's: a key that may not do
//! this, an amount that cannot be. An operator is told; those who pay are not, and nothing is
//! counted as a decline. (E2)

use serde_json::json;

use crate::autorecharge;
use crate::clock::{DAY, MINUTE, Millis};
use crate::db::Tx;
use crate::engine::Engine;
use crate::error::Result;
use crate::findings::{self, NewFinding};
use crate::stripe::KEY_REFUSED;

use super::attempts::{self, Attempt};

/// The kind of finding where Stripe would not hear of a recharge.
const FINDING: &str = "recharge_refused";

/// How often is tried whether a key was mended. All that an org has waiting tries at one moment.
const AGAIN: Millis = 2 * MINUTE;

/// The key was refused before there was an attempt: an operator is told, and it is tried again
/// soon, however long that lasts. The job that was tried is done, so that whatever crosses the
/// threshold after the key was mended is heard at once.
pub async fn wait(engine: &Engine, org_id: &str, said: &str) -> Result<()> {
    let now = engine.clock.now();
    let message = format!(
        "Auto-recharge cannot look at what card there is: Stripe refuses the key ({KEY_REFUSED}: \
         {said}). No card was declined, and the customer was told nothing. It is tried again \
         every two minutes: mend the key in Stripe."
    );
    let found = NewFinding {
        kind: FINDING,
        subject: org_id,
        org_id: Some(org_id),
        message: &message,
        detail: Some(json!({ "code": KEY_REFUSED })),
    };
    let at = (now / AGAIN + 1) * AGAIN;
    let mut tx = engine.db.begin().await?;
    findings::record(&mut tx, &found, now).await?;
    autorecharge::want(&mut tx, org_id, at, &format!("refused:{at}")).await?;
    tx.commit().await
}

/// The org is closed: nobody asks for its attempt any more, and nothing is left to mend.
pub async fn let_go(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    let why = ("org_closed", "The organisation was closed.");
    attempts::let_go(tx, org_id, why, now).await?;
    findings::resolve(tx, FINDING, org_id, "the org was closed", now).await
}

/// Writes down what Stripe said, for an operator.
pub async fn tell(engine: &Engine, attempt: &Attempt, code: &str, said: &str) -> Result<()> {
    let message = format!(
        "Auto-recharge cannot buy {} credits: Stripe refuses the request ({code}: {said}). The \
         card was not declined, and the customer was told nothing. It is asked for again at least \
         every hour: mend the key or the pack's price in Stripe.",
        attempt.credits
    );
    let found = NewFinding {
        kind: FINDING,
        subject: &attempt.org_id,
        org_id: Some(&attempt.org_id),
        message: &message,
        detail: Some(json!({
            "attempt": attempt.id, "code": code, "price": attempt.price_id,
            "amount": attempt.amount, "currency": attempt.currency,
        })),
    };
    let mut tx = engine.db.begin().await?;
    findings::record(&mut tx, &found, engine.clock.now()).await?;
    tx.commit().await
}

/// There is a payment: whatever was refused before, is not any more.
pub async fn is_mended(engine: &Engine, attempt: &Attempt) -> Result<()> {
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    findings::resolve(&mut tx, FINDING, &attempt.org_id, "Stripe took the request", now).await?;
    tx.commit().await
}

/// Whether the same request will never be taken: a key is mended, and what is asked for stays as it
/// was when the attempt was begun.
pub fn is_hopeless(engine: &Engine, attempt: &Attempt, code: &str) -> bool {
    code != KEY_REFUSED && engine.clock.now() - attempt.created_at >= DAY
}

/// Lets go of an attempt for which there is no payment, so that the next one asks for what the pack
/// costs then. The finding stays until that one succeeds.
pub async fn give_up(engine: &Engine, attempt: &Attempt, code: &str) -> Result<()> {
    let why = ("failed", code, "The payment could not be asked for.");
    let mut tx = engine.db.begin().await?;
    attempts::fail(&mut tx, &attempt.id, why, engine.clock.now()).await?;
    tx.commit().await
}
