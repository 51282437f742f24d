//! `cargo verify`: what continuous integration runs, part by part, each with its time.
//!
//! A part that fails does not keep the next from running; one that lacks a tool installs it or
//! fails saying how. None is skipped silently: the one that needs more than a Rust toolchain and
//! the system's packages runs when asked for, and is named where it did not, and the one that needs
//! a key of yours runs only by name.

mod peers;
mod running;
mod sandbox;
mod seeds;
mod template;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::postgres::{Durability, Postgres};
use crate::report::spoken;
use crate::workspace::{Profile, Workspace};
use crate::{build, process, tools};

const WARNINGS_DENIED: [&str; 3] = ["--", "-D", "warnings"];
const HOUSE_RULES: &str = "house_rules";
const BROWSER: &str = "browser";
const ORACLE: &str = "oracle";
const CONVERGENCE: &str = "convergence";
const SANDBOX: &str = "sandbox";
/// The integration tests that are no stories.
const APART: [&str; 4] = [HOUSE_RULES, BROWSER, ORACLE, CONVERGENCE];

/// One part of the verification.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub enum Part {
    /// The code is formatted.
    Fmt,
    /// Clippy has nothing to say, of the server or of the browser's half.
    Clippy,
    /// The house rules hold.
    Rules,
    /// The tests beside the code.
    Unit,
    /// The stories, on SQLite.
    Sqlite,
    /// The same stories, on Postgres.
    Postgres,
    /// Random stories that the engine and a plain model must agree on, on both engines.
    Oracle,
    /// Lives at Stripe whose events come in any order, twice or never, on both engines.
    Convergence,
    /// The stories lived in a browser, on both engines.
    Browser,
    /// A project made from this one builds, passes its tests, and bears its own name.
    Template,
    /// Stripe's own command line and node library at the simulator. Needs node, npm and the
    /// network: by name or with --long.
    Peers,
    /// Lives at a real Stripe sandbox, whose key is set, and at the simulator. Only by name.
    Sandbox,
}

struct Outcome {
    part: Part,
    took: Duration,
    error: Option<String>,
}

/// What every part may use.
struct Verification<'a> {
    ws: &'a Workspace,
    long: bool,
    postgres: Option<Postgres>,
}

/// Runs the parts named, or all that [`chosen`] says.
pub fn run(ws: &Workspace, parts: &[Part], long: bool) -> Result<ExitCode> {
    process::end_children_on_interrupt(|| ())?;
    let mut verification = Verification { ws, long, postgres: None };
    let mut outcomes = Vec::new();
    for part in Part::value_variants() {
        if !chosen(*part, parts, long) {
            continue;
        }
        let name = format!("{part:?}").to_lowercase();
        println!("\n==> {name}");
        let begun = Instant::now();
        let outcome = verification.run(*part);
        let took = begun.elapsed();
        let error = outcome.err().map(|error| format!("{error:#}"));
        match &error {
            None => println!("<== {name} passed in {}", spoken(took)),
            Some(error) => println!("<== {name} FAILED in {}: {error}", spoken(took)),
        }
        outcomes.push(Outcome { part: *part, took, error });
        if process::interrupted() {
            break;
        }
    }
    drop(verification);
    println!("\n{}", summary(&outcomes));
    if parts.is_empty() && !long {
        println!(
            "  peers     not run, it needs npm and the network: cargo verify peers, or --long"
        );
    }
    let passed = outcomes.iter().all(|outcome| outcome.error.is_none());
    Ok(match process::interrupted() {
        // What a shell says of a command that Ctrl-C ended.
        true => ExitCode::from(130),
        false if passed => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Whether a part is run: each that is named, else all but those with needs of their own.
fn chosen(part: Part, named: &[Part], long: bool) -> bool {
    match named {
        [] => part != Part::Sandbox && (part != Part::Peers || long),
        named => named.contains(&part),
    }
}

impl Verification<'_> {
    fn run(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Fmt => self.fmt(),
            Part::Clippy => self.clippy(),
            Part::Rules => self.test(&[HOUSE_RULES], Engine::Sqlite),
            Part::Unit => self.unit(),
            Part::Sqlite => {
                self.need_server()?;
                self.test(&self.stories()?, Engine::Sqlite)
            }
            Part::Postgres => {
                self.need_postgres()?;
                self.need_server()?;
                self.test(&self.stories()?, Engine::Postgres)
            }
            Part::Oracle => self.on_both(ORACLE),
            Part::Convergence => self.on_both(CONVERGENCE),
            Part::Browser => self.browser(),
            Part::Template => template::verify(self.ws),
            Part::Peers => peers::verify(self.ws),
            Part::Sandbox => {
                sandbox::need_key()?;
                self.test(&[SANDBOX], Engine::Sqlite)
            }
        }
    }

    fn fmt(&self) -> Result<()> {
        tools::component("fmt", "rustfmt")?;
        process::run(self.ws.cargo().args(["fmt", "--all", "--", "--check"]))
    }

    fn clippy(&self) -> Result<()> {
        tools::component("clippy", "clippy")?;
        tools::wasm_target()?;
        process::run(self.ws.cargo().args(["clippy", "--all-targets"]).args(WARNINGS_DENIED))?;
        let mut cargo = self.ws.cargo();
        cargo.args(["clippy", "--package", "frontend", "--target", "wasm32-unknown-unknown"]);
        process::run(cargo.args(WARNINGS_DENIED))
    }

    fn unit(&self) -> Result<()> {
        let mut cargo = self.ws.cargo();
        cargo.env_remove("TEST_POSTGRES_URL");
        process::run(cargo.args(["test", "--lib", "--bins", "--no-fail-fast"]))
    }

    /// Every integration test that needs neither a browser nor the source text, and does not take
    /// a part of its own.
    fn stories(&self) -> Result<Vec<&str>> {
        let names = self.ws.tests.iter().map(String::as_str);
        let stories: Vec<_> = names.filter(|name| !APART.contains(name)).collect();
        if stories.is_empty() {
            bail!("the tests crate has no stories");
        }
        Ok(stories)
    }

    /// The same comparison on either engine, each with its time.
    fn on_both(&mut self, name: &str) -> Result<()> {
        let begun = Instant::now();
        let on_sqlite = self.test(&[name], Engine::Sqlite);
        println!("{name} on sqlite: {}", spoken(begun.elapsed()));
        if process::interrupted() {
            return on_sqlite;
        }
        self.need_postgres()?;
        let begun = Instant::now();
        let on_postgres = self.test(&[name], Engine::Postgres);
        println!("{name} on postgres: {}", spoken(begun.elapsed()));
        on_sqlite.and(on_postgres)
    }

    fn browser(&mut self) -> Result<()> {
        tools::browser()?;
        build::everything(self.ws, Profile::Debug, None)?;
        let on_sqlite = self.test(&[BROWSER], Engine::Sqlite);
        if process::interrupted() {
            return on_sqlite;
        }
        self.need_postgres()?;
        let on_postgres = self.test(&[BROWSER], Engine::Postgres);
        on_sqlite.and(on_postgres)
    }

    /// Runs integration tests by name. The choice among the default members, here and in the build,
    /// is what lets cargo use the same compiled dependencies for all parts.
    fn test(&self, names: &[&str], engine: Engine) -> Result<()> {
        let mut cargo = self.ws.cargo();
        cargo.args(["test", "--no-fail-fast"]);
        for name in names {
            cargo.args(["--test", name]);
        }
        cargo.env("APP_BIN", self.ws.server(Profile::Debug));
        cargo.env("LEPTOS_SITE_ROOT", self.site_root());
        match (&self.postgres, engine) {
            (Some(postgres), Engine::Postgres) => cargo.env("TEST_POSTGRES_URL", postgres.url()),
            _ => cargo.env_remove("TEST_POSTGRES_URL"),
        };
        if self.long {
            cargo.env("TURNPIKE_LONG", "1");
        } else {
            seeds::give(&self.ws.root, &mut cargo);
        }
        if names == [SANDBOX] {
            cargo.env(sandbox::MEANT, "1");
        } else {
            cargo.env_remove(sandbox::MEANT);
        }
        if names == [ORACLE] || names == [CONVERGENCE] || names == [SANDBOX] {
            // It tells its seed and how much it compared.
            cargo.args(["--", "--nocapture"]);
        }
        process::run(&mut cargo)
    }

    fn site_root(&self) -> PathBuf {
        self.ws.site_root(Profile::Debug)
    }

    /// Builds the program that some stories start and kill.
    fn need_server(&self) -> Result<()> {
        build::server(self.ws, Profile::Debug)
    }

    /// Starts a cluster, once for all parts.
    fn need_postgres(&mut self) -> Result<()> {
        if self.postgres.is_none() {
            self.postgres = Some(Postgres::given_or_new(Durability::None)?);
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

fn summary(outcomes: &[Outcome]) -> String {
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    let lines = outcomes.iter().map(|Outcome { part, took, error }| {
        let name = format!("{part:?}").to_lowercase();
        let verdict = if error.is_none() { "passed" } else { "FAILED" };
        format!("  {name:<10}{verdict:<8}{:>14}\n", spoken(*took))
    });
    let body: String = lines.collect();
    format!("{body}  {:<18}{:>14}", "total", spoken(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_and_the_sandbox_come_when_they_are_asked() {
        assert!(chosen(Part::Fmt, &[], false));
        assert!(!chosen(Part::Peers, &[], false));
        assert!(chosen(Part::Peers, &[], true));
        assert!(chosen(Part::Peers, &[Part::Peers], false));
        assert!(!chosen(Part::Peers, &[Part::Fmt], true));
        assert!(!chosen(Part::Sandbox, &[], true));
        assert!(chosen(Part::Sandbox, &[Part::Sandbox], false));
    }

    #[test]
    fn the_summary_has_a_line_for_each_part_and_the_total() {
        let seconds = Duration::from_secs;
        let outcomes = [
            Outcome { part: Part::Fmt, took: seconds(1), error: None },
            Outcome { part: Part::Sqlite, took: seconds(70), error: Some("no".into()) },
        ];
        let expected = [
            "  fmt       passed           1.0 s",
            "  sqlite    FAILED    1 min 10 s",
            "  total                 1 min 11 s",
        ];
        let text = summary(&outcomes);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), expected.len());
        for (line, words) in lines.iter().zip(expected) {
            let spaced = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
            assert_eq!(spaced(line), spaced(words));
        }
    }
}
