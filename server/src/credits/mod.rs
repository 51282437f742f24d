//! The ledger: how many credits an org has, and every movement that made it so.
//!
//! Owns `wallets`, `grants`, `holds`, `operations`, `ledger_entries` and `adjustments`. Ledger rows
//! are added, never changed, so that every balance can be recomputed from nothing. Knows no Stripe,
//! no price and no entitlement: a credit is a number. A [`Book`] is one wallet, locked and in
//! memory; everything that moves credits goes through it.

mod accounts;
mod adjust;
mod balance;
mod book;
mod carried;
mod claws;
mod grants;
mod holds;
#[cfg(test)]
mod oracle;
mod parking;
mod periods;
mod repair;
mod rows;
mod shares;
mod spending;
mod statement;
mod store;
mod sums;
mod verify;
mod written;

pub use accounts::{Account, Act, Kind, Move};
pub use adjust::{
    Adjusted, Adjustment, adjust, check_key, grant_by_hand, manual_grant, manual_ref,
};
pub use balance::{AllowanceView, Balance, GrantView, of_book};
pub use book::Book;
pub use grants::{
    Allowance, NewGrant, Taken, claw_back, end_of, freeze, freeze_grants, grant, grant_period,
    move_end, set_allowance, void,
};
pub use parking::{audit_books, parked, unpark};
pub use repair::repair;
pub use rows::{Grant, Hold, OPEN, Source, Wallet};
pub use shares::Share;
pub use spending::{Charged, Paid, Shortfall, Uncovered};
pub use statement::{Movement, Page, movements, statement};
pub use store::{
    grants as grants_by_id, holds as holds_by_id, is_parked, lock, lock_wallet, lock_wallets, open,
    paid, peek, save, wallets,
};
pub use verify::{Disagreement, verify};
