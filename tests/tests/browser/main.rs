//! The product as it is shipped: the running binary, a real browser, and a kill in the middle.

mod browser;
mod chain;
mod crash;
mod money;
mod program;
