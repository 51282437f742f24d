//! The product held to Stripe's pace, in front of somebody who refuses whatever comes faster.

use anyhow::{Context as _, Result};
use serde_json::json;
use server::engine::Engine;

use crate::outcome::Calls;
use crate::product::Product;

/// What Stripe takes of one account in a sandbox, in calls a second.
pub const STRIPES_PACE: u32 = 25;

/// A second engine of the same product, with the limit, while what stands in for Stripe has it too.
pub struct Held {
    /// The engine.
    pub engine: Engine,
    before: Calls,
}

impl Held {
    /// From now on more calls than the limit are refused, whoever makes them.
    pub async fn begin(product: &Product) -> Result<Self> {
        let mut config = (*product.engine().config).clone();
        config.stripe_calls_per_second = STRIPES_PACE;
        let engine = Engine::start(config).await?;
        product.control("settings", json!({ "rate_limit": STRIPES_PACE })).await;
        let before = calls(product).await?;
        Ok(Self { engine, before })
    }

    /// The calls since then; from now on any number is taken.
    pub async fn end(self, product: &Product) -> Result<Calls> {
        let after = calls(product).await?;
        product.control("settings", json!({ "rate_limit": 0 })).await;
        self.engine.stop().await;
        Ok(Calls {
            taken: after.taken - self.before.taken,
            refused: after.refused - self.before.refused,
        })
    }
}

async fn calls(product: &Product) -> Result<Calls> {
    let said = product.ask("settings").await;
    let figure = |name: &str| said[name].as_u64().with_context(|| format!("no {name}: {said}"));
    Ok(Calls { taken: figure("calls")?, refused: figure("rate_limited")? })
}
