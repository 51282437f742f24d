//! The pages, each a function from an address to HTML. They ask the engine, and change nothing but
//! what they were left to show once.

pub mod admin;
mod besides;
pub mod billing;
pub mod checkout;
mod compare;
pub mod credits;
pub mod dashboard;
pub mod days;
pub mod desk;
pub mod dev;
pub mod keys;
pub mod landing;
pub mod plans;
pub mod playground;
pub mod pricing;
pub mod settings;
pub mod sign;
pub mod usage;

use server::rates::RateCard;

/// What people call a meter; a meter that the card has no more keeps its own name.
fn meter_label(rates: &RateCard, meter: &str) -> String {
    rates.meters.get(meter).map_or_else(|| meter.to_owned(), |meter| meter.label.clone())
}
