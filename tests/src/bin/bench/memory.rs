//! Resident memory, as the system counts it.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Bytes of this process.
pub fn resident() -> Result<u64> {
    resident_of("self")
}

fn resident_of(process: &str) -> Result<u64> {
    let file = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// Looks at this process again and again and remembers the most.
pub struct Watch {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Begins to look.
    pub fn start() -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&most));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(resident().unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { stop, most, thread }
    }

    /// Stops looking and tells the most that was seen.
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            eprintln!("the watch over memory ended badly: its figure is a part of the truth");
        }
        self.most.load(Ordering::Relaxed)
    }
}

/// The program itself, started in an empty folder on SQLite with the simulator in its process, and
/// left alone for some seconds. `APP_BIN` says where it is; `None` without it.
pub fn of_the_program_alone() -> Result<Option<u64>> {
    let Some(program) = std::env::var_os("APP_BIN") else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let (port, simulator) = (free_port()?, free_port()?);
    let child = Command::new(&program)
        .arg("serve")
        .current_dir(folder.path())
        .env("BIND_ADDR", format!("127.0.0.1:{port}"))
        .env("SIMULATOR_ADDR", format!("127.0.0.1:{simulator}"))
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
    let mut program = Program(child);
    program.wait_until_ready(port)?;
    std::thread::sleep(Duration::from_secs(3));
    resident_of(&program.0.id().to_string()).map(Some)
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Ended when dropped.
struct Program(Child);

impl Program {
    fn wait_until_ready(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                bail!("the program ended at once: {status}");
            }
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the program does not listen on port {port}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}
