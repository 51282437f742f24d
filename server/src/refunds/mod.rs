//! Money back: refunds, disputes, credit notes and invoices that were voided or given up.
//!
//! Owns `money_backs`, `refunded_charges`, `refunds`, `disputes` and `credit_notes`. What is taken
//! from a payment's grants is one target, computed from all that is known of the payment, so that
//! repeats and any order end in the same. Never refunds anything itself.

mod facts;
mod listing;
mod settling;
mod sync;
mod target;
mod telling;

pub use listing::{MoneyBack, list};
pub use settling::{InvoiceState, apply, set_invoice};
pub use sync::{
    charge as sync_charge, credit_note as sync_credit_note, dispute as sync_dispute,
    refund as sync_refund,
};
