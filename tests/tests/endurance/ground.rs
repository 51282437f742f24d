//! What servers stand on: a folder, a database, a catalog whose free tier includes no credits, so
//! that every credit of a story was granted by it; and the program's own commands.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use rand::Rng as _;
use serde_json::Value;
use tempfile::TempDir;
use tests::Database;
use tokio::process::Command;

use crate::caller::Wallet;
use crate::server::Server;

/// Below the ports that systems give to outgoing connections, so that none takes a server's port
/// while it is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A folder and a database, for one server or several.
pub struct Ground {
    folder: TempDir,
    /// The database.
    pub database: Database,
    /// Where the simulator is, or will be.
    pub simulator: u16,
}

impl Ground {
    /// A fresh one.
    pub async fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::make(folder.path()).await;
        let example = std::fs::read_to_string(root().join("catalog.toml")).expect("a catalog");
        let catalog = example.replacen("included_credits = 100", "included_credits = 0", 1);
        assert_ne!(catalog, example, "the free tier includes credits");
        std::fs::write(folder.path().join("catalog.toml"), catalog).expect("written");
        Self { folder, database, simulator: free_port() }
    }

    /// A server of its own port; the first one brings the simulator.
    pub async fn serve(&self) -> Server {
        Server::start(self, free_port()).await
    }

    /// Two servers on one database, or one where the database is a file: SQLite serves one process.
    pub async fn replicas(&self) -> Vec<Server> {
        let mut servers = vec![self.serve().await];
        if self.database.is_postgres() {
            servers.push(self.serve().await);
        } else {
            eprintln!("SQLite serves one process: the story is told by one.");
        }
        servers
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program, about to be started in the folder.
    pub fn program(&self, port: u16) -> Command {
        let (binary, site) = built();
        let mut command = Command::new(binary);
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .env("DATABASE_URL", &self.database.url)
            .env("BIND_ADDR", format!("127.0.0.1:{port}"))
            .env("SIMULATOR_ADDR", format!("127.0.0.1:{}", self.simulator))
            .env("CATALOG_FILE", "catalog.toml")
            .env("LEPTOS_SITE_ROOT", site)
            .env("LOG", "warn");
        command
    }

    /// Runs one of the program's commands and reads what it printed.
    pub async fn command(&self, arguments: &[&str]) -> Value {
        let output = self.program(0).arg("--json").args(arguments).output().await;
        let output = output.expect("the command runs");
        let (said, printed) = (text(&output.stderr), text(&output.stdout));
        assert!(output.status.success(), "{arguments:?}: {said}{printed}");
        serde_json::from_str(&printed).expect("JSON")
    }

    /// An org with so many credits and a key that may use them.
    pub async fn wallet(&self, name: &str, credits: i64) -> Wallet {
        let owner = format!("{name}@endurance.example");
        let org = self.command(&["orgs", "create", "--name", name, "--owner", &owner]).await;
        let org = org["id"].as_str().expect("an org").to_owned();
        let key = self.command(&["keys", "create", "--org", &org, "--name", name]).await;
        let secret = key["secret"].as_str().expect("a secret").to_owned();
        let mut wallet = Wallet { org, secret, granted: 0 };
        self.grant(&mut wallet, credits, "first").await;
        wallet
    }

    /// Credits by hand; `key` names the grant. Tells its id.
    pub async fn grant(&self, wallet: &mut Wallet, credits: i64, key: &str) -> String {
        let amount = credits.to_string();
        let what = ["grant", "--org", &wallet.org, "--credits", &amount];
        let why = ["--reason", "for the story", "--key", key];
        let made = self.command(&[what.as_slice(), &why].concat()).await;
        assert_eq!(made["credits"], amount.as_str());
        wallet.granted += credits;
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Computes every balance from nothing: they must agree.
    pub async fn verify(&self) {
        let verified = self.command(&["ledger", "verify"]).await;
        assert_eq!(verified["ok"], true, "{verified}");
        assert_eq!(verified["findings"], serde_json::json!([]));
    }

    /// Moves the clock of everybody on this database.
    pub async fn advance(&self, seconds: i64) {
        self.command(&["clock", "advance", &seconds.to_string()]).await;
    }

    /// Where the log of a server is.
    pub fn log(&self, port: u16) -> PathBuf {
        self.folder.path().join(format!("server-{port}.log"))
    }

    /// Checks the books, ends the servers, and takes the database away.
    pub async fn end(self, servers: Vec<Server>) {
        self.verify().await;
        for mut server in servers {
            server.kill().await;
        }
        self.database.remove().await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The folder of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The binary and its site: those of `cargo verify`, or built now.
fn built() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = root();
        if let Ok(binary) = std::env::var("APP_BIN") {
            let site = std::env::var("LEPTOS_SITE_ROOT").map(PathBuf::from);
            return (PathBuf::from(binary), site.unwrap_or_else(|_| root.join("target/site")));
        }
        let manifest = std::fs::read_to_string(root.join("app/Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
        let name = manifest["bin"][0]["name"].as_str().expect("the program's name");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        // This test runs from `deps/` in the folder of its profile, where programs go, too.
        let test = std::env::current_exe().expect("a test's path");
        let folder = test.ancestors().nth(2).expect("the folder of the profile");
        let profile = folder.ends_with("release").then_some("--release");
        let mut build = std::process::Command::new(cargo);
        build.args(["build", "--quiet", "--bin", name]).args(profile).current_dir(&root);
        assert!(build.status().expect("cargo runs").success(), "the program is built");
        let binary = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        (binary, folder.join("../site"))
    })
}

fn free_port() -> u16 {
    let mut random = rand::rng();
    for _ in 0..1_000 {
        let port = random.random_range(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
