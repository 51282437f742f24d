//! The house rules, as tests that read the repository's text. Each names what it found, where, and
//! what to do instead.
//!
//! A rule worth having is held by a tool. The compiler and clippy hold theirs; what they cannot see
//! is held here.

mod doors;
mod rooms;
mod shape;
mod source;
mod table;
mod tables;
mod texts;
