//! Preflight: the same rule on a read, without a lock, a key or a trace.

use crate::engine::Engine;
use crate::error::Result;

use super::answer::{self, Decision};
use super::decide::{Ask, decide};
use super::request::AuthorizeRequest;

/// Whether it would be allowed now, and what it would cost. Nothing is written or promised, and
/// nobody who writes is waited for.
pub async fn authorize(engine: &Engine, request: &AuthorizeRequest) -> Result<Decision> {
    let account = engine.gate.glance(&request.org_id).await?;
    let at = account.book.time(engine.clock.now());
    let ask = Ask {
        feature: request.feature.as_deref(),
        model: request.model.as_deref(),
        meter: request.meter.as_deref(),
        quantity: request.quantity,
        ..Ask::default()
    };
    let verdict = decide(&account.view(at, &engine.rates, None), &ask);
    let available = account.book.spendable(at);
    answer::decision(&account, &verdict, None, &engine.config.base_url, available)
}
