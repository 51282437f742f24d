//! One running server: started, killed as a power cut would, told to stop as an operator does, and
//! started again on the same files and port.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::Child;

use crate::ground::Ground;

/// How long a start or an orderly end may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of its log that are shown when a story fails.
const LINES: usize = 40;

/// A server; it ends with this value.
pub struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
    /// The site.
    pub url: String,
}

impl Server {
    /// Starts it, and waits until it is ready.
    pub async fn start(ground: &Ground, port: u16) -> Self {
        let url = format!("http://127.0.0.1:{port}");
        let mut server = Self { child: spawn(ground, port), port, log: ground.log(port), url };
        server.ready().await;
        server
    }

    /// Kills it, as a power cut would.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Starts it again on the same files and port.
    pub async fn start_again(&mut self, ground: &Ground) {
        self.child = spawn(ground, self.port);
        self.ready().await;
    }

    /// Asks it to stop. It goes on until it has finished what it began.
    #[cfg(unix)]
    pub async fn terminate(&self) {
        let id = self.child.id().expect("it runs");
        let mut shell = tokio::process::Command::new("sh");
        let told = shell.args(["-c", &format!("kill -TERM {id}")]).status().await;
        assert!(told.expect("a shell").success(), "the signal is sent");
    }

    /// Waits for its own end.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends in time").expect("a status")
    }

    async fn ready(&mut self) {
        let begun = Instant::now();
        let client = reqwest::Client::new();
        loop {
            let answer = client.get(format!("{}/readyz", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.try_wait().expect("a state");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(begun.elapsed() < PATIENCE, "the server is not ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(LINES);
        eprintln!("the log of the server at {}:\n{}", self.url, lines[last..].join("\n"));
    }
}

fn spawn(ground: &Ground, port: u16) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(ground.log(port));
    let mut program = ground.program(port);
    program.arg("serve").stdout(Stdio::null()).stderr(log.expect("a log"));
    program.spawn().expect("the server starts")
}
