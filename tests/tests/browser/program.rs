//! The running binary: started on free ports with a database of its own, killed and started again.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::{Database, Stripe};

/// The product, running.
pub struct Program {
    child: Child,
    folder: TempDir,
    /// Its database.
    pub database: Database,
    /// The site.
    pub url: String,
    /// The simulator's address.
    pub stripe: String,
    ports: (u16, u16),
}

impl Program {
    /// Starts it as a newcomer would, in an empty folder.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::make(folder.path()).await;
        let ports = free_ports();
        let child = spawn(folder.path(), &database.url, ports);
        let url = format!("http://127.0.0.1:{}", ports.0);
        let stripe = format!("http://127.0.0.1:{}", ports.1);
        let mut program = Self { child, folder, database, url, stripe, ports };
        program.ready().await;
        program
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Starts it again on the same files and ports.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.folder.path(), &self.database.url, self.ports);
        self.ready().await;
    }

    /// Runs one of its commands beside it and gives what it printed.
    pub fn command(&self, args: &[&str]) -> String {
        let output = command(self.folder.path(), &self.database.url, self.ports)
            .args(args)
            .output()
            .expect("the command runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends it, and its database; fails if the simulator inside spoke otherwise than Stripe does.
    pub async fn end(mut self) {
        let misfits = Stripe::at(&self.stripe).misfits().await;
        self.kill();
        self.database.remove().await;
        assert!(misfits.is_empty(), "Stripe does not speak so:\n{}", misfits.join("\n"));
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
            assert!(ended.is_none(), "the program ended: {ended:?}");
            assert!(begun.elapsed() < Duration::from_secs(60), "the program is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A story that failed must not leave the program behind.
        drop(self.child.kill());
    }
}

fn spawn(folder: &Path, database: &str, ports: (u16, u16)) -> Child {
    command(folder, database, ports).arg("serve").spawn().expect("the program starts")
}

fn command(folder: &Path, database: &str, ports: (u16, u16)) -> Command {
    let (binary, site) = built();
    let mut command = Command::new(binary);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .env("DATABASE_URL", database)
        .env("BIND_ADDR", format!("127.0.0.1:{}", ports.0))
        .env("SIMULATOR_ADDR", format!("127.0.0.1:{}", ports.1))
        .env("LEPTOS_SITE_ROOT", site)
        .env("LOG", "warn");
    command
}

/// The binary and its site: those of `cargo verify`, or built now.
fn built() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        if let Ok(binary) = std::env::var("APP_BIN") {
            let site = std::env::var("LEPTOS_SITE_ROOT").map(PathBuf::from);
            return (PathBuf::from(binary), site.unwrap_or_else(|_| root.join("target/site")));
        }
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let build = Command::new(cargo)
            .args(["run", "--quiet", "--package", "xtask", "--", "build"])
            .current_dir(&root)
            .status()
            .expect("cargo runs");
        assert!(build.success(), "the program is built");
        let manifest = std::fs::read_to_string(root.join("app/Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
        let name = manifest["bin"][0]["name"].as_str().expect("the program's name");
        (root.join("target/debug").join(name), root.join("target/site"))
    })
}

/// Two different ones: a port that was let go may be drawn again.
fn free_ports() -> (u16, u16) {
    let first = free_port();
    loop {
        let second = free_port();
        if second != first {
            return (first, second);
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
