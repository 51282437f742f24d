//! The program's arguments and the one environment variable it minds.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// A local Stripe on loopback: API, hosted pages, webhooks, a clock that can be moved.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    /// Where to listen; loopback only, port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:12111")]
    pub addr: SocketAddr,
    /// The SQLite file that keeps everything; without it all is forgotten at the end.
    #[arg(long)]
    pub data: Option<PathBuf>,
}

/// Whether this is a production environment, where a simulator has no place.
pub fn in_production() -> bool {
    std::env::var("APP_ENV").is_ok_and(|env| env == "production")
}
