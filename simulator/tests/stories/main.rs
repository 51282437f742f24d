//! The simulator seen from outside: over plain HTTP and through the real client.

mod chain;
mod client;
mod deliveries;
mod support;
mod wire;
