//! The gate: decides for every request whether it may run and what it costs, and books it.
//!
//! Check, debit and record are one transaction; requests that arrive together share one (group
//! commit), so that a durable answer does not cost a disk flush each. [`decide`] is the pure rule,
//! [`queue`](self) the place where requests wait for their turn. Owns `decisions` and `counters`;
//! credits move only through the ledger's books.

mod account;
mod answer;
mod authorize;
mod consume;
mod counters;
mod decide;
mod decisions;
mod queue;
mod request;
mod watch;

pub use account::standing;
pub use answer::{Answer, Decision};
pub use authorize::authorize;
pub use consume::{Setting, run_batch};
pub use decide::{Ask, Code, View, decide};
pub use decisions::{StoredDecision, find as find_decision};
pub use queue::Gate;
pub use request::{AuthorizeRequest, Caller, ConsumeRequest};
