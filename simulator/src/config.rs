//! The program's arguments and the one environment variable it minds.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// A local Stripe on loopback: API, hosted pages, signed webhooks, a clock that can be moved.
#[derive(Parser)]
#[command(version, after_help = "Its page says everything else: open the address it prints.")]
pub struct Arguments {
    /// Where to listen; loopback only, port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:12111")]
    pub addr: SocketAddr,
    /// The SQLite file that keeps everything; without it all is forgotten at the end.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Forget what the file holds and begin anew.
    #[arg(long)]
    pub reset: bool,
    /// Send webhooks to this address.
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// What the webhooks are signed with.
    #[arg(long, value_name = "SECRET", default_value = "whsec_simulator")]
    pub secret: String,
    /// Hold every answer against Stripe's description, and write one example of each distinct
    /// answer and event into this folder at the end.
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

/// Whether this is a production environment, where a simulator has no place.
pub fn in_production() -> bool {
    std::env::var("APP_ENV").is_ok_and(|env| env == "production")
}
