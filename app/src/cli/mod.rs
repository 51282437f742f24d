//! The commands of the program: what may be typed, what is printed, and the exit code.
//!
//! 0 is done, 1 found something wrong, 2 is bad usage or configuration.

mod books;
mod caps;
mod catalog;
mod commands;
mod contracts;
mod credits;
mod doctor;
mod operators;
mod overage;
mod serve;
mod stripe;

use std::io::IsTerminal as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use server::config::{Config, LogFormat};
use server::engine::Engine;
use server::error::Error;

const WRONG: u8 = 1;
const BAD_USAGE: u8 = 2;

/// A product that sells credits: its pages, its API, its worker.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve pages, API and webhooks, and do the work that is due (the default).
    Serve {
        /// Make a demo org with some weeks of use, in development.
        #[arg(long)]
        demo: bool,
    },
    /// Bring the database up to date.
    Migrate,
    /// What is sold: the file, and Stripe.
    #[command(subcommand)]
    Catalog(catalog::Command),
    /// Events that Stripe sent.
    #[command(subcommand)]
    Events(stripe::Events),
    /// Compare what Stripe has with what we have, in both directions.
    Reconcile(stripe::Reconcile),
    /// What was found to be otherwise than it should be.
    #[command(subcommand)]
    Findings(stripe::Findings),
    /// The books.
    #[command(subcommand)]
    Ledger(books::Ledger),
    /// Organisations.
    #[command(subcommand)]
    Orgs(commands::Orgs),
    /// Who orgs are in Stripe.
    #[command(subcommand)]
    Customers(commands::Customers),
    /// Give an org credits.
    Grant(credits::Grant),
    /// Correct what an org has, upwards or downwards.
    Adjust(credits::Adjust),
    /// The ceilings that an org sets for itself and its members.
    #[command(subcommand)]
    Caps(caps::Caps),
    /// Terms made for one org.
    #[command(subcommand)]
    Contracts(contracts::Contracts),
    /// What is billed after use.
    #[command(subcommand)]
    Overage(overage::Overage),
    /// Users who look after the installation.
    #[command(subcommand)]
    Operators(operators::Operators),
    /// API keys.
    #[command(subcommand)]
    Keys(commands::Keys),
    /// The development clock.
    #[command(subcommand)]
    Clock(commands::ClockCommand),
    /// Work that waits or failed.
    #[command(subcommand)]
    Jobs(commands::Jobs),
    /// Check configuration, database, Stripe and catalog.
    Doctor,
}

/// What a command has to say.
struct Report {
    /// For people.
    lines: Vec<String>,
    /// For programs.
    json: serde_json::Value,
    /// Whether all is well.
    ok: bool,
}

impl Report {
    fn done(line: impl Into<String>, json: serde_json::Value) -> Self {
        Self { lines: vec![line.into()], json, ok: true }
    }
}

/// Runs the program. `program` is the name of its binary.
pub fn main(program: &'static str) -> ExitCode {
    let matches = Cli::command().name(program).bin_name(program).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let config = match Config::from_env(program) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{program} cannot start:");
            for problem in problems {
                eprintln!("  {problem}");
            }
            return ExitCode::from(BAD_USAGE);
        }
    };
    start_log(&config);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{program} cannot start: {error}");
            return ExitCode::from(WRONG);
        }
    };
    match runtime.block_on(run(cli.command, config)) {
        Ok(report) => say(&report, cli.json),
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::from(code(&error))
        }
    }
}

async fn run(command: Option<Command>, config: Config) -> Result<Report, Error> {
    let demo = match command {
        None => false,
        Some(Command::Serve { demo }) => demo,
        Some(Command::Migrate) => return commands::migrate(config).await,
        Some(other) => return with_engine(other, config).await,
    };
    serve::serve(config, demo).await
}

async fn with_engine(command: Command, config: Config) -> Result<Report, Error> {
    let engine = open(config).await?;
    let report = match command {
        Command::Catalog(command) => catalog::run(&engine, command).await,
        Command::Events(command) => stripe::events(&engine, command).await,
        Command::Reconcile(command) => stripe::reconcile(&engine, command).await,
        Command::Findings(command) => stripe::findings(&engine, command).await,
        Command::Ledger(command) => books::ledger(&engine, command).await,
        Command::Orgs(command) => commands::orgs(&engine, command).await,
        Command::Customers(command) => commands::customers(&engine, command).await,
        Command::Grant(command) => credits::grant(&engine, command).await,
        Command::Adjust(command) => credits::adjust(&engine, command).await,
        Command::Caps(command) => caps::run(&engine, command).await,
        Command::Contracts(command) => contracts::run(&engine, command).await,
        Command::Overage(command) => overage::run(&engine, command).await,
        Command::Operators(command) => operators::run(&engine, command).await,
        Command::Keys(command) => commands::keys(&engine, command).await,
        Command::Clock(command) => commands::clock(&engine, command).await,
        Command::Jobs(command) => commands::jobs(&engine, command).await,
        Command::Doctor => doctor::examine(&engine).await,
        Command::Serve { .. } | Command::Migrate => Err(Error::internal("no engine is needed")),
    };
    engine.stop().await;
    report
}

/// The engine; a database that cannot be opened is a matter of configuration.
async fn open(config: Config) -> Result<Engine, Error> {
    let url = config.database_url.clone();
    Engine::start(config).await.map_err(|error| match error {
        Error::Database { source, .. } => {
            // What stands before an @ may be a password.
            let shown = url.rsplit('@').next().unwrap_or(&url).to_owned();
            let message = format!(
                "the database {shown} cannot be opened: {source}. Check that the folder can be \
                 written to, or that the server runs"
            );
            Error::invalid("DATABASE_URL", message)
        }
        other => other,
    })
}

fn say(report: &Report, json: bool) -> ExitCode {
    let text = if json { report.json.to_string() } else { report.lines.join("\n") };
    if !text.is_empty() {
        // A reader that has seen enough, such as `head`, is no failure of ours.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
    if report.ok { ExitCode::SUCCESS } else { ExitCode::from(WRONG) }
}

fn explain(error: &Error) -> String {
    match error {
        Error::Invalid { field, message } if !field.is_empty() => format!("{field}: {message}"),
        other => other.to_string(),
    }
}

/// What the caller can put right by calling otherwise is bad usage.
fn code(error: &Error) -> u8 {
    match error {
        Error::Invalid { .. } | Error::Forbidden(_) => BAD_USAGE,
        _ => WRONG,
    }
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(&config.log);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    // A second start in the same process keeps the first one's log.
    let _ = match config.log_format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_command_can_be_typed() {
        let lines = [
            "x",
            "x serve --demo",
            "x migrate",
            "x catalog push --dry-run",
            "x catalog check",
            "x catalog show --json",
            "x events list",
            "x events replay evt_1",
            "x events replay --failed",
            "x events show evt_1",
            "x events poll",
            "x reconcile",
            "x reconcile --apply --days 400 --json",
            "x findings list --all",
            "x findings dismiss finding_1 --reason R",
            "x ledger verify --org org_1",
            "x ledger verify --dry-run --json",
            "x ledger repair --org org_1 --reason R",
            "x ledger unpark --org org_1 --reason R",
            "x adjust --org org_1 --credits -5 --reason R --key K --json",
            "x caps set --org org_1 --credits 5",
            "x caps set --org org_1 --member m_1 --credits none",
            "x caps show --org org_1",
            "x contracts create --org org_1 --file F --key K --reason R",
            "x contracts list --org org_1",
            "x contracts show contract_1 --json",
            "x contracts end contract_1 --reason R",
            "x overage settle bline_1 --reason R --json",
            "x operators add --email a@example.com --reason R --json",
            "x operators list",
            "x operators remove --email a@example.com --reason R",
            "x orgs list",
            "x orgs create --name N --owner a@example.com",
            "x orgs close --org org_1 --reason R",
            "x customers release --org org_1 --reason R",
            "x grant --org org_1 --credits 5 --reason R --key K",
            "x keys create --org org_1 --name N --scopes read",
            "x keys create --service --name N",
            "x clock advance 60",
            "x jobs list",
            "x jobs retry job_1",
            "x doctor",
        ];
        for line in lines {
            Cli::command().debug_assert();
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
        for line in [
            "x keys create --name N",
            "x events replay",
            "x reconcile --days 0",
            "x findings dismiss finding_1",
            "x clock advance",
            "x fly",
            "x ledger repair --org org_1",
            "x ledger unpark --reason R",
            "x adjust --org org_1 --credits -5 --reason R",
            "x contracts create --org org_1 --file F --key K",
            "x contracts end contract_1",
            "x overage settle bline_1",
            "x operators add --email a@example.com",
            "x orgs close --org org_1",
            "x customers release --reason R",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
