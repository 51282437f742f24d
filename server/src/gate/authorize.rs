//! Preflight: the same rule on a read, without a lock, a key or a trace.

use crate::engine::Engine;
use crate::error::Result;

use super::account;
use super::answer::{self, Decision};
use super::decide::{Ask, decide};
use super::request::AuthorizeRequest;

/// Whether it would be allowed now, and what it would cost. Nothing is written or promised.
pub async fn authorize(engine: &Engine, request: &AuthorizeRequest) -> Result<Decision> {
    let now = engine.clock.now();
    let account = account::peek(&engine.db, &request.org_id, now).await?;
    let at = account.book.time(now);
    let ask = Ask {
        feature: request.feature.as_deref(),
        model: request.model.as_deref(),
        meter: request.meter.as_deref(),
        quantity: request.quantity,
    };
    let verdict = decide(&account.view(at, &engine.rates), &ask);
    let available = account.book.spendable(at);
    answer::decision(&account, &verdict, None, &engine.config.base_url, available)
}
