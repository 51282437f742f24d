//! What Stripe does with money and time: charging, invoicing, subscriptions, renewals, Checkout.
//!
//! Endpoints and pages call it; it works on the world only and knows nothing of HTTP.

pub mod balance;
pub mod bank;
pub mod calendar;
pub mod change;
pub mod charge;
pub mod charged;
pub mod checkout;
pub mod consent;
pub mod crediting;
pub mod debiting;
pub mod discounting;
pub mod disputing;
pub mod due;
pub mod dunning;
pub mod ending;
pub mod invoice_items;
pub mod invoicing;
pub mod lines;
pub mod methods;
pub mod pausing;
pub mod paying;
pub mod phases;
pub mod preview;
pub mod proration;
pub mod refunding;
pub mod releasing;
pub mod renewal;
pub mod saving;
pub mod scheduling;
pub mod setting_up;
pub mod standing;
pub mod subscribing;
pub mod sums;
pub mod updating;
