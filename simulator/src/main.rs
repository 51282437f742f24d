//! The simulator as a program of its own: `cargo run -p simulator -- --addr 127.0.0.1:12111`.
//!
//! It reads its arguments, starts the library and waits for Ctrl-C. Mistakes end with status 2
//! and a sentence that says what to do.

mod config;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use config::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if config::in_production() {
        eprintln!(
            "The simulator refuses to start with APP_ENV=production: it is no payment system."
        );
        return ExitCode::from(2);
    }
    let settings = simulator::Settings { addr: arguments.addr, data: arguments.data.clone() };
    let running = match simulator::start(settings).await {
        Ok(running) => running,
        Err(error) => {
            eprintln!("{error:#}");
            eprintln!("Choose another address with --addr or another file with --data.");
            return ExitCode::from(2);
        }
    };
    let url = running.url();
    println!("A local Stripe is running; no real money moves.");
    println!("  API base     {url}   (any key that begins with sk_test_)");
    println!("  Look around  {url}/_sim");
    println!("  Test card    4242 4242 4242 4242, any future date, any CVC");
    match &arguments.data {
        Some(path) => println!("  Kept in      {}", path.display()),
        None => println!("  Kept in      memory, until it ends (--data FILE keeps it)"),
    }
    println!("Press Ctrl-C to stop.");
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot wait for Ctrl-C: {error}");
    }
    running.stop().await;
    ExitCode::SUCCESS
}
