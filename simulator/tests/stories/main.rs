//! The simulator seen from outside: over plain HTTP and through the real client.

mod chain;
mod checkout_page;
mod client;
mod deliveries;
mod faults;
mod life;
mod looking_up;
mod money;
mod recipes;
mod support;
mod wire;
