//! The ledger: how many credits an org has, and every movement that made it so.
//!
//! Owns `wallets`, `grants`, `operations` and `ledger_entries`. Ledger rows are added, never
//! changed, so that every balance can be recomputed from nothing. Knows no Stripe, no price and no
//! entitlement: a credit is a number. A [`Book`] is one wallet, locked and in memory; everything
//! that moves credits goes through it.

mod balance;
mod book;
mod grants;
#[cfg(test)]
mod oracle;
mod rows;
mod statement;
mod store;
mod sweep;
mod verify;

pub use balance::{AllowanceView, Balance, GrantView, of_book};
pub use book::{Account, Book, Kind, Move, Shortfall};
pub use grants::{Allowance, NewGrant, end_allowance, grant, set_allowance};
pub use rows::{Grant, Source, Wallet};
pub use statement::{Movement, Page, movements, next_expiries, statement};
pub use store::{is_parked, lock, lock_wallet, peek, save};
pub use sweep::sweep;
pub use verify::{Disagreement, verify};
