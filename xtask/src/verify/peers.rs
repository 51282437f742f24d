//! Peers: programs that nobody here wrote must find in the simulator the Stripe they know. The
//! official command line makes every event that the product listens to and that it has a recipe
//! for; the official node library buys, lists, is refused, and verifies and signs webhooks.
//!
//! Needs node, npm and the network, so it runs by name or with `--long` only. Both programs go
//! into `target/tools/peers`, at a fixed version.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::running::{self, Running};
use crate::process;
use crate::report::step;
use crate::workspace::{Profile, Workspace};

/// The peers and their versions.
const PACKAGES: [(&str, &str); 2] = [("@stripe/cli", "1.52.0"), ("stripe", "23.0.1")];
/// The oldest node that the library runs on.
const NODE: u32 = 20;
const KEY: &str = "sk_test_peers";
/// What the library signs for the product with.
const SECRET: &str = "whsec_peers";
/// Where the product says which events it listens to.
const EVENTS: &str = "server/src/webhooks/endpoint.rs";
/// What the library does, told in its own language.
const SCRIPT: &str = "tests/peers/sdk.mjs";

/// Recipes that do something else than their name says: what follows from them instead. A schedule
/// is aborted when its subscription is not paid; the recipe cancels one, which is called so.
const ELSEWISE: [(&str, &str); 1] =
    [("subscription_schedule.aborted", "subscription_schedule.canceled")];

/// Has both peers at the simulator, and asks its judge what it said wrong.
pub fn verify(ws: &Workspace) -> Result<()> {
    let home = installed(ws)?;
    // Together, so that cargo settles on the same features for the dependencies as elsewhere.
    step("build", || {
        process::run(ws.cargo().args(["build", "--bin", &ws.binary, "--bin", "simulator"]))
    })?;
    let address = running::free_address()?;
    let program = ws.executables(Profile::Debug);
    let program = program.join(format!("simulator{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.args(["--addr", &address.to_string()]).stdout(Stdio::null());
    let simulator = Running::start(&mut command, address, "/_sim/clock")?;
    let by_recipe = step("the command line's recipes", || recipes(ws, &home, &simulator));
    let by_library = step("the node library", || library(ws, &home, &simulator));
    let judged = step("the judge", || judge(&simulator));
    by_recipe.and(by_library).and(judged)
}

/// The folder with the peers in it.
fn installed(ws: &Workspace) -> Result<PathBuf> {
    let missing = format!(
        "install Node {NODE} or newer, which brings npm, from your system's packages or \
         nodejs.org, and start again"
    );
    let version = process::output(Command::new("node").arg("--version"));
    let version = version.with_context(|| format!("node is missing: {missing}"))?;
    ensure!(major(&version) >= Some(NODE), "node {} is too old: {missing}", version.trim());
    let npm = process::which("npm").with_context(|| format!("npm is missing: {missing}"))?;
    let home = ws.target.join("tools").join("peers");
    if PACKAGES.iter().all(|(name, version)| has(&home, name, version)) {
        return Ok(home);
    }
    println!("    installing the peers into {} (once)", home.display());
    fs::create_dir_all(&home)?;
    // Without one of its own, npm would look for a package in the folders above.
    fs::write(home.join("package.json"), "{ \"private\": true }\n")?;
    let mut install = Command::new(npm);
    install.args(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
    install.args(PACKAGES.map(|(name, version)| format!("{name}@{version}")));
    process::run(install.current_dir(&home).stdin(Stdio::null()))
        .context("npm could not fetch the peers: this part needs the network once")?;
    Ok(home)
}

/// `v20.20.2` is of version 20.
fn major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

fn has(home: &Path, name: &str, version: &str) -> bool {
    let manifest = home.join("node_modules").join(name).join("package.json");
    let manifest = fs::read(manifest).ok().and_then(|text| serde_json::from_slice(&text).ok());
    manifest.is_some_and(|manifest: Value| manifest["version"] == version)
}

/// Every event that we listen to and the command line can make is made and told.
fn recipes(ws: &Workspace, home: &Path, simulator: &Running) -> Result<()> {
    let ours = listened_to(&fs::read_to_string(ws.root.join(EVENTS))?)?;
    let help = process::output(cli(home).args(["trigger", "--help"]))?;
    let known = offered(&help);
    let (with, without): (Vec<_>, Vec<_>) = ours.iter().partition(|event| known.contains(*event));
    ensure!(!with.is_empty(), "the command line offers none of our events:\n{help}");
    let mut failed = Vec::new();
    for event in &with {
        if process::interrupted() {
            bail!("interrupted");
        }
        if let Err(error) = trigger(home, simulator, event) {
            eprintln!("    {event}: {error:#}");
            failed.push(event.as_str());
        }
    }
    let good = with.len() - failed.len();
    println!("    {good} of {} recipes told what they should", with.len());
    for (recipe, told) in ELSEWISE {
        println!("    (the one called {recipe} makes {told})");
    }
    println!("    {} of our {} events have none: {}", without.len(), ours.len(), listed(&without));
    ensure!(failed.is_empty(), "these recipes failed: {}", failed.join(", "));
    Ok(())
}

fn listed(names: &[&String]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The names in the list `EVENTS` of our source.
fn listed_in(text: &str) -> Option<BTreeSet<String>> {
    let (_, rest) = text.split_once("pub const EVENTS")?;
    let (list, _) = rest.split_once("];")?;
    Some(list.split('"').skip(1).step_by(2).map(String::from).collect())
}

fn listened_to(text: &str) -> Result<BTreeSet<String>> {
    let events = listed_in(text).unwrap_or_default();
    ensure!(!events.is_empty(), "{EVENTS} has no list of events");
    Ok(events)
}

/// The events that the help text of `stripe trigger` lists, one a line.
fn offered(help: &str) -> BTreeSet<String> {
    let lines = help.lines().filter(|line| line.starts_with("  ")).map(str::trim);
    let is_event = |line: &&str| {
        let letters = line.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_'));
        letters && line.contains('.')
    };
    lines.filter(is_event).map(String::from).collect()
}

/// The command line, which keeps its settings to itself and tells nobody what it does.
fn cli(home: &Path) -> Command {
    let mut command = Command::new(home.join("node_modules").join(".bin").join("stripe"));
    command.env("HOME", home).env("XDG_CONFIG_HOME", home.join("config"));
    command.env("STRIPE_CLI_TELEMETRY_OPTOUT", "1").stdin(Stdio::null());
    // It would be taken instead of the key on the line, and might be a real one.
    command.env_remove("STRIPE_API_KEY");
    command
}

/// Follows one recipe, and waits until what follows from it is told.
fn trigger(home: &Path, simulator: &Running, event: &str) -> Result<()> {
    let before = newest(simulator, 1)?.into_iter().next().map(|(id, _)| id);
    let mut command = cli(home);
    command.args(["trigger", event, "--api-base", &simulator.url(), "--api-key", KEY]);
    let output = within(&mut command, Duration::from_secs(60))?;
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let said = said.concat();
    ensure!(output.status.success() && said.contains("Trigger succeeded"), "{}", said.trim());
    let elsewise = ELSEWISE.iter().find(|(recipe, _)| *recipe == event);
    let expected = elsewise.map_or(event, |(_, told)| told);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let all = newest(simulator, 200)?;
        let told = all.iter().take_while(|(id, _)| Some(id) != before.as_ref());
        let types: BTreeSet<&str> = told.map(|(_, name)| name.as_str()).collect();
        if types.contains(expected) {
            return Ok(());
        }
        // A bank takes its time to answer.
        if Instant::now() > deadline || process::interrupted() {
            bail!("the recipe worked, yet told only of {types:?}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The newest events, newest first: id and type.
fn newest(simulator: &Running, count: usize) -> Result<Vec<(String, String)>> {
    let body = simulator.get(&format!("/_sim/events?limit={count}"))?;
    let list: Value = serde_json::from_str(&body)?;
    let word = |event: &Value, key: &str| event[key].as_str().map(String::from);
    let events = list["data"].as_array().context("no list of events")?.iter();
    events
        .map(|event| word(event, "id").zip(word(event, "type")))
        .collect::<Option<_>>()
        .context("an event without id and type")
}

/// Runs a command to its end, which comes by force when its time is up.
fn within(command: &mut Command, patience: Duration) -> Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + patience;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline || process::interrupted() {
            process::stop(&mut child, Duration::from_secs(2))?;
            bail!("it did not end within {} s", patience.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(child.wait_with_output()?)
}

/// The library as a buyer at the simulator, and as one who signs for a product that runs.
fn library(ws: &Workspace, home: &Path, simulator: &Running) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let address = running::free_address()?;
    let mut command = running::product(&ws.server(Profile::Debug), folder.path(), address);
    command.env("STRIPE_API_BASE", simulator.url()).env("STRIPE_SECRET_KEY", KEY);
    command.env("STRIPE_WEBHOOK_SECRET", SECRET).env("LOG", "error").stdout(Stdio::null());
    let product = Running::start(&mut command, address, "/readyz")?;
    // Beside the library, where node looks for it.
    let script = home.join("sdk.mjs");
    fs::copy(ws.root.join(SCRIPT), &script).with_context(|| format!("cannot copy {SCRIPT}"))?;
    let mut node = Command::new("node");
    node.arg(&script).current_dir(home).stdin(Stdio::null());
    node.env("SIMULATOR", simulator.url()).env("PRODUCT", product.url());
    node.env("KEY", KEY).env("SECRET", SECRET);
    process::run(&mut node)
}

/// Nothing that was answered or told differs from Stripe's description.
fn judge(simulator: &Running) -> Result<()> {
    let verdict: Value = serde_json::from_str(&simulator.get("/_sim/judge")?)?;
    let wrong = verdict["wrong"].as_array().context("the judge says nothing")?;
    let kinds = verdict["kinds"].as_array().map_or(0, Vec::len);
    ensure!(verdict["on"] == true && kinds > 0, "the judge looked at nothing");
    println!("    {} answers and events of {kinds} kinds looked at", verdict["checked"]);
    let lines: Vec<_> = wrong.iter().map(Value::to_string).collect();
    ensure!(lines.is_empty(), "Stripe does not speak so:\n{}", lines.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_events_are_read_from_the_source() {
        let text = "const A: [&str; 1] = [\"no\"];\n\
                    pub const EVENTS: [&str; 2] = [\n    \"a.b\",\n    \"c.d_e\",\n];\n\
                    const C: &str = \"no\";";
        let events: Vec<_> = listened_to(text).expect("a list").into_iter().collect();
        assert_eq!(events, ["a.b", "c.d_e"]);
        assert!(listened_to("nothing here").is_err());
    }

    #[test]
    fn the_help_text_is_read_line_by_line() {
        let help = "Usage:\n  stripe trigger <event> [flags]\n\n\
                    Supported events:\n  charge.refunded\n  invoice.payment_failed\n\n\
                    Flags:\n      --add stringArray   Add. Now.\n";
        let events: Vec<_> = offered(help).into_iter().collect();
        assert_eq!(events, ["charge.refunded", "invoice.payment_failed"]);
    }

    #[test]
    fn the_version_of_node_is_its_first_number() {
        for (said, number) in [("v20.20.2\n", Some(20)), ("v8", Some(8)), ("none", None)] {
            assert_eq!(major(said), number, "{said}");
        }
    }
}
