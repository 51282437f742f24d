//! The simulator as a program of its own: `cargo run -p simulator -- --addr 127.0.0.1:12111`.
//!
//! It reads its arguments, starts the library and waits for Ctrl-C. Mistakes end with status 2
//! and a sentence that says what to do.

mod config;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use simulator::Running;
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
    let running = match begin(&arguments).await {
        Ok(running) => running,
        Err(error) => {
            eprintln!("{error:#}");
            eprintln!("Choose another address with --addr or another file with --data.");
            return ExitCode::from(2);
        }
    };
    greet(&running.url(), &arguments);
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot wait for Ctrl-C: {error}");
    }
    let code = match &arguments.record {
        Some(folder) => report(&running, folder),
        None => ExitCode::SUCCESS,
    };
    running.stop().await;
    code
}

/// Starts it as the arguments say.
async fn begin(arguments: &Arguments) -> Result<Running> {
    let settings = simulator::Settings { addr: arguments.addr, data: arguments.data.clone() };
    let running = simulator::start(settings).await?;
    if arguments.reset {
        running.reset().await.context("the file could not be emptied")?;
    }
    if let Some(url) = &arguments.webhook {
        running.deliver_to(url, &arguments.secret).await.context("--webhook")?;
    }
    if arguments.record.is_some() {
        running.judge();
    }
    Ok(running)
}

/// Says what is there and what to do next.
fn greet(url: &str, arguments: &Arguments) {
    println!("A local Stripe is running; no real money moves.");
    println!("  API base     {url}   (any key that begins with sk_test_)");
    println!("  Look around  {url}");
    println!("  Test card    4242 4242 4242 4242, any future date, any CVC");
    match &arguments.data {
        Some(path) if arguments.reset => println!("  Kept in      {}, emptied", path.display()),
        Some(path) => println!("  Kept in      {}", path.display()),
        None => println!("  Kept in      memory, until it ends (--data FILE keeps it)"),
    }
    match &arguments.webhook {
        Some(hook) => println!("  Webhooks     to {hook}, signed with {}", arguments.secret),
        None => println!("  Webhooks     nowhere yet (--webhook URL, or by the API)"),
    }
    println!("Try it:");
    println!("  curl {url}/v1/customers -u sk_test_simulator: -d email=ada@example.com");
    println!("  npx @stripe/cli trigger invoice.paid --api-base {url} --api-key sk_test_simulator");
    println!("Press Ctrl-C to stop.");
}

/// Writes the examples down and says what did not fit.
fn report(running: &Running, folder: &Path) -> ExitCode {
    let verdict = running.verdict();
    match write(running, folder) {
        Ok(count) => println!("{count} kinds of answers and events are in {}.", folder.display()),
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    }
    let wrong = verdict["wrong"].as_array().map(Vec::as_slice).unwrap_or(&[]);
    for mistake in wrong {
        eprintln!("{}: {} {}", mistake["what"], mistake["path"], mistake["message"]);
    }
    println!("{} were looked at, {} mistakes.", verdict["checked"], wrong.len());
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write(running: &Running, folder: &Path) -> Result<usize> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let recorded = running.recorded();
    let kinds = recorded.as_object().cloned().unwrap_or_default();
    for (what, examples) in &kinds {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let path = folder.join(format!("{}.json", what.chars().map(plain).collect::<String>()));
        std::fs::write(&path, serde_json::to_string_pretty(examples)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(kinds.len())
}
