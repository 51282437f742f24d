//! The program itself, as a process of its own: what it takes of memory and processors is nobody
//! else's. `APP_BIN` says where it is.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tests::World;

use crate::memory;

/// A running program, ended when dropped.
pub struct Program {
    child: Child,
    /// `host:port` of its site.
    pub address: String,
}

/// Where it is, where that is known.
pub fn binary() -> Option<OsString> {
    std::env::var_os("APP_BIN")
}

/// Its resident memory, started in an empty folder on SQLite with the simulator in its process, and
/// left alone for some seconds; `None` where the program is not at hand.
pub fn resident_when_idle() -> Result<Option<u64>> {
    let Some(binary) = binary() else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let simulator = format!("127.0.0.1:{}", free_port()?);
    let program = Program::start(binary, folder.path(), &[("SIMULATOR_ADDR", &simulator)])?;
    std::thread::sleep(Duration::from_secs(3));
    memory::resident(&program.process()).map(Some)
}

impl Program {
    /// Starts it as another copy of the product of this world, on the same database.
    pub fn beside(world: &World, binary: OsString) -> Result<Self> {
        let vars = [
            ("DATABASE_URL", world.database.url.as_str()),
            // Another key than the simulator's own, so that it does not start one itself.
            ("STRIPE_SECRET_KEY", "sk_test_bench"),
            ("STRIPE_WEBHOOK_SECRET", server::config::SIMULATOR_WEBHOOK_SECRET),
            ("STRIPE_API_BASE", world.stripe.as_str()),
        ];
        Self::start(binary, world.folder(), &vars)
    }

    fn start(binary: OsString, folder: &Path, vars: &[(&str, &str)]) -> Result<Self> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let child = Command::new(&binary)
            .arg("serve")
            .current_dir(folder)
            .env_remove("DATABASE_URL")
            .env("BIND_ADDR", &address)
            .envs(vars.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.to_string_lossy()))?;
        let mut program = Self { child, address };
        program.wait_until_ready(port)?;
        Ok(program)
    }

    /// Its number, as the system names it.
    pub fn process(&self) -> String {
        self.child.id().to_string()
    }

    fn wait_until_ready(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("the program ended at once: {status}");
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the program does not listen on port {port}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
