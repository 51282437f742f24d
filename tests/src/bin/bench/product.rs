//! The product under load: engine, worker, pages, API and simulator in this process, and orgs with
//! more credits than the load can spend.

use anyhow::Result;
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::auth::accounts;
use server::credits::{self, NewGrant, Source};
use server::engine::Engine;
use server::units::Credits;
use server::worker;
use tests::World;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::settings::Settings;

/// Enough for every request of a run.
const CREDITS: i64 = 1_000_000_000;

/// A running product.
pub struct Product {
    world: World,
    /// `host:port` of the site.
    pub address: String,
    /// What makes this run's idempotency keys its own.
    pub run: String,
    /// Who pays.
    pub wallets: Vec<Wallet>,
    worker: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// An org with credits and a key.
pub struct Wallet {
    /// The org.
    pub org_id: String,
    /// The secret of its API key.
    pub secret: String,
}

impl Product {
    /// Starts it and fills the wallets.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let world = World::new().await;
        let mut wallets = Vec::with_capacity(settings.wallets);
        for number in 0..settings.wallets {
            wallets.push(open_wallet(&world.engine, number).await?);
        }
        world.settle().await;
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(worker::run(world.engine.clone(), stopped));
        let address = world.url.trim_start_matches("http://").to_owned();
        let run = server::ids::secret();
        Ok(Self { world, address, run, wallets, worker, stop })
    }

    /// The engine, for what is measured without HTTP.
    pub fn engine(&self) -> &Engine {
        &self.world.engine
    }

    /// SQLite or Postgres.
    pub fn engine_name(&self) -> &'static str {
        if self.world.database.is_postgres() { "Postgres" } else { "SQLite" }
    }

    /// Checks that every book adds up after all of it, and takes the product down.
    pub async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.worker.await {
            eprintln!("the worker ended badly: {error}");
        }
        self.world.end().await;
    }
}

async fn open_wallet(engine: &Engine, number: usize) -> Result<Wallet> {
    let operator = || Actor::Operator("bench".to_owned());
    let owner = format!("owner{number}@example.com");
    let name = format!("Org {number}");
    let org_id = accounts::create_org(engine, &name, &owner, operator()).await?;
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let grant = NewGrant {
        org_id: org_id.clone(),
        source: Source::Manual,
        source_ref: format!("bench-{number}"),
        amount: Credits::from_whole(CREDITS).unwrap_or(Credits::ZERO),
        expires_at: None,
        payment: None,
        actor: operator(),
        reason: "for the benchmark".to_owned(),
    };
    credits::grant(&mut tx, grant, now).await?;
    let key = NewKey {
        org: Some(org_id.clone()),
        name: "bench".to_owned(),
        scopes: vec![Scope::Use],
        created_by: operator(),
    };
    let (_, secret) = api_keys::create(&mut tx, key, false, now).await?;
    tx.commit().await?;
    Ok(Wallet { org_id, secret })
}
