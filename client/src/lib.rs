//! A client for the gate's HTTP API, for a product's own backend.
//!
//! ```no_run
//! use client::{Captured, Client, Error, Key, NewHold, Use};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let gate = Client::builder("http://127.0.0.1:3000").secret("tp_test_…").build()?;
//!
//! // What has one price is charged at once. The key belongs to the request: keep it with your job,
//! // and a job that runs twice is charged once.
//! let key = Key::parse("job-4711")?;
//! match gate.consume(&Use::of("image", 1).member("user_7"), &key).await {
//!     Ok(usage) => println!("{} credits, {:?} left", usage.credits, usage.balance),
//!     Err(Error::Denied(denial)) => println!("no: {}", denial.message),
//!     Err(error) => return Err(error.into()), // no answer is never a yes
//! }
//!
//! // What is known only afterwards is held first, and charged by what it was.
//! let (usage, text) = gate
//!     .with_hold(&NewHold::of("output_tokens", 1_000).model("small-1"), &Key::new(), async |_| {
//!         let text = "…".to_owned(); // ask your model here
//!         Ok::<_, std::io::Error>((Captured::quantity(312), text))
//!     })
//!     .await?;
//! println!("{text}: {} credits", usage.credits);
//! # Ok(())
//! # }
//! ```
//!
//! A denial is an [`Error::Denied`], so that `?` never runs past one. A request without an answer
//! is sent again, the same bytes with the same key, within the bounds of [`Retry`]; then it is
//! [`Error::Unreachable`]. Nothing here decides anything by itself, and nothing falls back to yes.

#![warn(missing_docs)]

mod balance;
mod batch;
#[cfg(test)]
mod behaviour;
mod builder;
mod calls;
mod credits;
mod decision;
mod entitlements;
mod error;
mod holds;
mod key;
mod ledger;
mod pages;
mod retry;
mod runs;
mod send;
mod usage;
mod with_hold;
mod words;

pub use balance::{Allowance, Balance, Cap, Grant, OverageCap, Projection};
pub use batch::{BatchAnswer, BatchLine, Item};
pub use builder::{Builder, Client};
pub use credits::{Credits, DecimalError, Quantity};
pub use decision::{Amount, Ask, Decision, Limit, NextStep, Remaining, Source, StepKind};
pub use entitlements::{Block, Entitlements};
pub use error::{Denial, Error, Failure, Refusal};
pub use holds::{Captured, Hold, HoldStatus, Line, NewHold, Over, Used};
pub use key::Key;
pub use ledger::Movement;
pub use pages::{List, Listed, Pages};
pub use retry::Retry;
pub use runs::{MeterReport, OpenHolds, Reversed, RunRelease, RunReport};
pub use usage::{Billed, GroupBy, Part, Usage, UsageFilter, UsageGroup, UsageLine, Use, Warning};
pub use with_hold::WithHold;
pub use words::Code;

/// What a call answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
