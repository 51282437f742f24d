//! Lives of a customer at Stripe, act by act: subscribing, changing, failing to pay, getting money
//! back. Each is told to Stripe alone, so that any number of products, running or dead, may follow
//! it by webhooks and must come to the same end. Those that need no page can be told by the public
//! API alone, and so to a sandbox of Stripe's own.

mod by_api;
mod money;
mod outcome;
mod plans;
mod scene;

use futures::future::BoxFuture;

pub use outcome::{Outcome, outcome};
pub use scene::Scene;

/// Something that happens.
#[derive(Clone, Copy)]
pub enum Act {
    /// Somebody does something at Stripe.
    Does(for<'a> fn(&'a mut Scene) -> BoxFuture<'a, ()>),
    /// So many seconds pass.
    Waits(i64),
}

/// A life.
#[derive(Clone)]
pub struct Life {
    /// What it is about.
    pub name: &'static str,
    /// What happens, in order.
    pub acts: Vec<Act>,
}

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Every life.
pub fn all() -> Vec<Life> {
    let mut all = plans::all();
    all.extend(money::all());
    all
}

/// The lives that can be told by Stripe's public API alone: those without a pack, which is sold on
/// Stripe's page, and without a bank that has to be told what to do.
pub fn by_api() -> Vec<Life> {
    let mut all = plans::all();
    all.extend(money::by_api());
    all
}
