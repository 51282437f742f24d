//! `cargo dev`: builds, serves, and does both again on every change.
//!
//! A page reloads by itself: in development it holds a connection to the server and notices when
//! another server answers. A failed build leaves the last good server running.

mod server;
mod watch;

use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::build;
use crate::process;
use crate::report::{spoken, step};
use crate::workspace::{Profile, Workspace};
use server::{Server, Start};
use watch::{Stale, Wake};

/// Bad usage or configuration: what the server exits with when it cannot serve as told.
const BAD_SETTINGS: u8 = 2;

/// An editor writes a file in several steps; this long after the last, it is done.
const SETTLED: Duration = Duration::from_millis(120);

/// Builds and serves until Ctrl-C.
pub fn run(ws: &Workspace) -> Result<ExitCode> {
    let begun = Instant::now();
    let address = server::address()?;
    if server::is_taken(address) {
        let other = address.port().saturating_add(1);
        eprintln!(
            "error: {address} is taken by another program. Stop it, or choose another address:\n\
             \n    BIND_ADDR={}:{other} cargo dev",
            address.ip()
        );
        return Ok(ExitCode::from(BAD_SETTINGS));
    }
    let (wake, woken) = channel();
    let stop = wake.clone();
    process::end_children_on_interrupt(move || drop(stop.send(Wake::Stop)))?;
    if !ws.server(Profile::Debug).exists() {
        println!(
            "The first build compiles every dependency, which takes some minutes. \
             Later ones take seconds."
        );
    }
    // Watching begins before building, so that no change in between is lost.
    let watcher = watch::watch(&ws.root, wake)?;
    let built = build_stale(ws, Stale::ALL);
    if process::interrupted() {
        return Ok(ExitCode::SUCCESS);
    }
    built?;
    let server = match Server::start(ws, address)? {
        Start::Ready(server) => server,
        Start::Ended(_) if process::interrupted() => return Ok(ExitCode::SUCCESS),
        Start::Ended(status) => return Ok(exit_code(status)),
    };
    if !process::interrupted() {
        println!("{}", welcome(&format!("http://{address}"), begun.elapsed()));
    }
    let outcome = serve(ws, address, server, &woken);
    drop(watcher);
    outcome
}

/// What to do first.
fn welcome(url: &str, elapsed: Duration) -> String {
    format!(
        "\nReady in {}. What to do first:\n\
         \n  1. Open {url} and sign in with the demo address and password above.\
         \n  2. Spend credits in the playground: {url}/playground\
         \n  3. See the mailbox, the clock and the simulator: {url}/dev\
         \n  4. Change a page in app/src/pages: it reloads by itself.\n\
         \nCtrl-C ends it; the data stays in data/.\n",
        spoken(elapsed)
    )
}

/// Builds what is stale; only when all of it succeeded does the site change.
fn build_stale(ws: &Workspace, stale: Stale) -> Result<()> {
    if stale.server {
        step("the server", || build::server(ws, Profile::Debug))?;
    }
    if stale.wasm {
        step("the browser's half (wasm)", || build::wasm(ws, Profile::Debug))?;
    }
    step("the site", || build::site(ws, Profile::Debug, None))
}

/// Waits for changes and for Ctrl-C.
fn serve(
    ws: &Workspace,
    address: std::net::SocketAddr,
    server: Server,
    woken: &Receiver<Wake>,
) -> Result<ExitCode> {
    let mut server = Some(server);
    // What a failed build left undone is built with the next change.
    let mut undone = Stale::default();
    loop {
        let Some(stale) = next_change(&ws.root, woken, server.as_mut())? else {
            break;
        };
        let begun = Instant::now();
        undone = undone.and(stale);
        if let Err(error) = build_stale(ws, undone) {
            if process::interrupted() {
                break;
            }
            let kept = if server.is_some() { "The last good build is still served. " } else { "" };
            eprintln!("\nerror: {error:#}\n{kept}Waiting for the next change.\n");
            continue;
        }
        undone = Stale::default();
        if let Some(old) = server.take() {
            old.stop()?;
        }
        match Server::start(ws, address)? {
            Start::Ready(new) => {
                server = Some(new);
                println!("Served again after {}.\n", spoken(begun.elapsed()));
            }
            Start::Ended(status) => say_ended(status),
        }
    }
    if let Some(server) = server {
        server.stop()?;
    }
    println!("\nStopped.");
    Ok(ExitCode::SUCCESS)
}

/// Waits for a change that makes something stale; `None` after Ctrl-C.
fn next_change(
    root: &Path,
    woken: &Receiver<Wake>,
    mut server: Option<&mut Server>,
) -> Result<Option<Stale>> {
    let mut stale = Stale::default();
    loop {
        let wait = if stale.any() { SETTLED } else { Duration::from_secs(1) };
        match woken.recv_timeout(wait) {
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Ok(Wake::Changed(file)) => {
                let name = file.strip_prefix(root).unwrap_or(&file);
                stale = stale.and(Stale::after(name));
            }
            Err(RecvTimeoutError::Timeout) if stale.any() => return Ok(Some(stale)),
            Err(RecvTimeoutError::Timeout) => {
                let ended = server.as_mut().map(|server| server.ended()).transpose()?.flatten();
                if let Some(status) = ended {
                    say_ended(status);
                    server = None;
                }
            }
        }
    }
}

fn say_ended(status: ExitStatus) {
    eprintln!("The server ended ({status}). Waiting for the next change.");
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_names_the_address_and_the_time() {
        let text = welcome("http://127.0.0.1:3000", Duration::from_secs(62));
        assert!(text.contains("Ready in 1 min 02 s"));
        assert!(text.contains("http://127.0.0.1:3000/dev"));
    }
}
