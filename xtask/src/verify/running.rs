//! Programs of ours that a part of the verification starts on a free port, asks over plain HTTP,
//! and ends. Never keeps anything they leave behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::postgres::free_port;
use crate::process;

/// What would make the product another one than a newcomer starts.
const SETTINGS: [&str; 8] = [
    "APP_ENV",
    "BASE_URL",
    "DATABASE_URL",
    "PRODUCT_NAME",
    "STRIPE_API_BASE",
    "STRIPE_PRODUCT_TAG",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
];

/// A program that answers. Ended when dropped.
pub struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    /// Starts a program that will listen on this address, and waits until it answers `path`.
    pub fn start(command: &mut Command, address: SocketAddr, path: &str) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {command:?}"))?;
        let mut running = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let outcome = running.get(path);
            if outcome.is_ok() {
                return Ok(running);
            }
            if let Some(status) = running.child.try_wait()? {
                bail!("{command:?} ended at once ({status})");
            }
            if Instant::now() > deadline || process::interrupted() {
                return outcome.map(|_| running);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// `http://127.0.0.1:…`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The body of a page. An error unless the answer is 200.
    pub fn get(&self, path: &str) -> Result<String> {
        get(self.address, path)
    }
}

fn get(address: SocketAddr, path: &str) -> Result<String> {
    let wait = Duration::from_secs(30);
    let mut stream = TcpStream::connect_timeout(&address, wait)
        .with_context(|| format!("nobody answers on {address}"))?;
    stream.set_read_timeout(Some(wait))?;
    // Version 1.0 has neither chunks nor a connection that stays.
    let asked = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    stream.write_all(asked.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("GET {path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = process::stop(&mut self.child, Duration::from_secs(5)) {
            eprintln!("a program may still run on {}: {error}", self.address);
        }
    }
}

/// The product, to be started in this folder on this address as a newcomer would.
pub fn product(program: &Path, folder: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command.arg("serve").current_dir(folder);
    for setting in SETTINGS {
        command.env_remove(setting);
    }
    command.env("BIND_ADDR", address.to_string());
    command
}

/// An address of this machine on which nobody listens at this moment.
pub fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Asks somebody who gives this answer.
    fn asked(answer: &'static str) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let somebody = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).expect("a question");
            stream.write_all(answer.as_bytes()).expect("answered");
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let outcome = get(address, "/x");
        let asked = somebody.join().expect("no panic");
        assert!(asked.starts_with("GET /x HTTP/1.0\r\n"), "{asked}");
        outcome
    }

    #[test]
    fn only_an_answer_of_200_is_one() {
        let body = asked("HTTP/1.0 200 OK\r\nx: y\r\n\r\nhere").expect("a body");
        assert_eq!(body, "here");
        let error = asked("HTTP/1.0 404 Not Found\r\n\r\n").expect_err("no page");
        assert_eq!(error.to_string(), "GET /x: HTTP/1.0 404 Not Found");
        assert!(asked("HTTP/1.0 200").is_err(), "half an answer is none");
    }
}
