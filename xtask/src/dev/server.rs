//! The server while developing: started, asked whether it is ready, stopped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::{Profile, Workspace};

/// How long a server may take to finish what it is doing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The running server.
pub struct Server {
    child: Child,
}

/// How a start went.
pub enum Start {
    /// It answers.
    Ready(Server),
    /// It ended, having said why.
    Ended(ExitStatus),
}

impl Server {
    /// Starts the server with its example customers and waits until it answers.
    pub fn start(ws: &Workspace, address: SocketAddr) -> Result<Start> {
        let program = ws.server(Profile::Debug);
        let mut child = Command::new(&program)
            .args(["serve", "--demo"])
            .current_dir(&ws.root)
            .env("LEPTOS_SITE_ROOT", ws.site_root(Profile::Debug))
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline && !process::interrupted() {
            if let Some(status) = child.try_wait()? {
                return Ok(Start::Ended(status));
            }
            if answers(address) {
                break;
            }
            thread::sleep(Duration::from_millis(25));
        }
        Ok(Start::Ready(Self { child }))
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Lets it finish what it is doing, but not for ever.
    pub fn stop(mut self) -> Result<()> {
        process::stop(&mut self.child, PATIENCE).context("cannot stop the server")
    }
}

/// Where the server will listen.
pub fn address() -> Result<SocketAddr> {
    let text = std::env::var("BIND_ADDR").unwrap_or_else(|_| String::from("127.0.0.1:3000"));
    text.parse().with_context(|| {
        format!("BIND_ADDR is \"{text}\", which is no address such as 127.0.0.1:3000")
    })
}

/// Whether somebody else listens there already.
pub fn is_taken(address: SocketAddr) -> bool {
    address.port() != 0 && TcpListener::bind(address).is_err()
}

fn answers(address: SocketAddr) -> bool {
    let mut host = address;
    if host.ip().is_unspecified() {
        host.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let ask = || -> std::io::Result<String> {
        let wait = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&host, wait)?;
        stream.set_read_timeout(Some(wait))?;
        write!(stream, "GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split_whitespace().nth(1) == Some("200"))
}
