//! The gate: decides for every request whether it may run and what it costs, and books it.
//!
//! Check, debit and record are one transaction; requests that arrive together share one (group
//! commit), so that a durable answer does not cost a disk flush each. [`decide`] is the pure rule,
//! [`queue`](self) the place where requests wait for their turn. Owns `decisions` and `counters`;
//! credits move only through the ledger's books.

mod account;
mod answer;
mod authorize;
mod batch;
mod ceilings;
mod codes;
mod counters;
mod decide;
#[cfg(test)]
mod decide_cases;
mod decisions;
mod memory;
mod queue;
mod recharging;
mod request;
mod runs;
mod spend;
mod stock;
mod sweep;
mod undo;
mod verdict;
mod views;
mod watch;

pub use account::standing;
pub use answer::{Answer, Decision};
pub use authorize::authorize;
pub use decisions::find as find_decision;
pub use queue::Gate;
pub use request::{
    AuthorizeRequest, Caller, Capture, Item, LINES_MAX, Line, NewHold, Operation, Over, Request,
    Use, Used,
};
pub use runs::{find_hold, run_report};
pub use sweep::{book_due, sweep, tidy};
pub use views::{Billed, billed};
