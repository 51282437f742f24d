//! What Stripe does with money and time: charging, invoicing, subscriptions, renewals, Checkout.
//!
//! Endpoints and pages call it; it works on the world only and knows nothing of HTTP.

pub mod calendar;
pub mod change;
pub mod charge;
pub mod checkout;
pub mod due;
pub mod invoicing;
pub mod lines;
pub mod methods;
pub mod paying;
pub mod proration;
pub mod renewal;
pub mod subscribing;
pub mod updating;
