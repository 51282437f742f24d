//! The engine of a product that sells credits: what happened to money, and what a customer may do.
//!
//! Each module is a room that owns a noun: its tables, its SQL, its types and its rules. Calls go
//! down this list only; the house-rules test holds it.

// Foundations: no tables of ours but `settings`.
pub mod clock;
pub mod config;
pub mod db;
pub mod error;
pub mod ids;
pub mod settings;
pub mod units;

// Rooms that everybody may call.
pub mod audit;
pub mod findings;
pub mod jobs;
pub mod mail;

// Who asks.
pub mod api_keys;
pub mod auth;
pub mod orgs;

// What is sold, and what it allows.
pub mod blocks;
pub mod catalog;
pub mod entitlements;
pub mod rates;
pub mod stripe;

// Credits and the gate.
pub mod autorecharge;
pub mod caps;
pub mod credits;
pub mod gate;
pub mod notices;
pub mod usage;

// Money.
pub mod closing;
pub mod contracts;
pub mod customers;
pub mod overage;
pub mod recharges;
pub mod reconciliation;
pub mod refunds;
pub mod subscriptions;
pub mod topups;
pub mod webhooks;

// Everything together, and the doors for programs and for time.
pub mod demo;
pub mod engine;
pub mod http;
pub mod worker;
