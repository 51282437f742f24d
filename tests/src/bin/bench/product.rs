//! The product under load: engine, worker, pages, API and simulator in this process, and wallets
//! with more credits than the load can spend, in an order that has nothing to do with the tables'.

use anyhow::{Context as _, Result, bail, ensure};
use client::{Client, Key, Use};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use serde_json::Value;
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::credits;
use server::engine::Engine;
use server::worker;
use tests::World;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::copies::{self, Pattern};
use crate::program::{self, Program};
use crate::settings::Settings;
use crate::{cpu, fill, progress};

/// How many orgs have a key of their own; for the others the product's own backend asks.
const OWN_KEYS: usize = 200;

/// A running product.
pub struct Product {
    world: World,
    /// `host:port` of the site.
    pub address: String,
    /// What makes this run's idempotency keys its own.
    pub run: String,
    /// Who pays.
    pub wallets: Vec<Wallet>,
    /// The service key's id.
    pub key_id: String,
    /// The org that the others are copies of.
    pub pattern: Pattern,
    /// Where the database works.
    pub database: cpu::Database,
    worker: Option<(JoinHandle<()>, watch::Sender<bool>)>,
}

/// An org with credits, and how a program says that it acts for it.
pub struct Wallet {
    /// The org.
    pub org_id: String,
    /// Lines of a request's head, each with its end.
    pub headers: String,
}

impl Product {
    /// Starts it and fills the wallets.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let world = World::new().await;
        let engine = &world.engine;
        progress(&format!("opening {} wallets", settings.wallets));
        let pattern = copies::pattern(engine).await?;
        let mut orgs = copies::make(engine, &pattern, settings.wallets).await?;
        orgs.shuffle(&mut rand::rngs::StdRng::seed_from_u64(1));
        let (key_id, secret) = key(engine, None).await?;
        let mut wallets = Vec::with_capacity(orgs.len());
        for org_id in orgs {
            let bearer = |secret: &str| format!("authorization: Bearer {secret}\r\n");
            let headers = if wallets.len() < OWN_KEYS {
                bearer(&key(engine, Some(&org_id)).await?.1)
            } else {
                bearer(&secret) + &format!("turnpike-org: {org_id}\r\n")
            };
            wallets.push(Wallet { org_id, headers });
        }
        let last = wallets.last().context("no wallet was asked for")?;
        say_hello(&world.url, &secret, &last.org_id).await?;
        fill::tidy(&engine.db).await?;
        world.settle().await;
        let address = world.url.trim_start_matches("http://").to_owned();
        let run = server::ids::secret().chars().take(12).collect();
        let database = cpu::Database::look(&engine.db).await?;
        let worker = None;
        let mut product = Self { world, address, run, wallets, key_id, pattern, database, worker };
        product.work();
        Ok(product)
    }

    /// Lets the worker work.
    pub fn work(&mut self) {
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(worker::run(self.engine().clone(), stopped));
        self.worker = Some((worker, stop));
    }

    /// Lets the worker finish what it has begun, and rest.
    pub async fn rest(&mut self) {
        let Some((worker, stop)) = self.worker.take() else { return };
        stop.send_replace(true);
        if let Err(error) = worker.await {
            eprintln!("the worker ended badly: {error}");
        }
    }

    /// Where what stands in for Stripe is.
    pub fn stripe(&self) -> &str {
        &self.world.stripe
    }

    /// Tells what stands in for Stripe something.
    pub async fn control(&self, path: &str, body: Value) {
        self.world.control(path, body).await;
    }

    /// Asks what stands in for Stripe something.
    pub async fn ask(&self, path: &str) -> Value {
        self.world.ask(path).await
    }

    /// The engine, for what is measured without HTTP.
    pub fn engine(&self) -> &Engine {
        &self.world.engine
    }

    /// Starts the program itself on the same database, where it is at hand.
    pub fn program(&self) -> Result<Option<Program>> {
        program::binary().map(|binary| Program::beside(&self.world, binary)).transpose()
    }

    /// How many transactions the gate commits beside each other.
    pub fn committers(&self) -> usize {
        self.world.engine.gate.committers()
    }

    /// SQLite or Postgres.
    pub fn engine_name(&self) -> &'static str {
        if self.world.database.is_postgres() { "Postgres" } else { "SQLite" }
    }

    /// Adds operations to the ledger until it has so many; answers how many it has.
    pub async fn fill(&self, target: u64) -> Result<u64> {
        let operations = fill::up_to(&self.engine().db, &self.pattern, target).await?;
        fill::tidy(&self.engine().db).await?;
        Ok(operations)
    }

    /// Checks that every book adds up after all of it, and takes the product down.
    pub async fn end(mut self) -> Result<()> {
        self.rest().await;
        progress("verifying the ledger");
        let engine = self.world.engine.clone();
        let wrong = credits::verify(&engine.db, None).await;
        self.world.hang_up();
        engine.stop().await;
        self.world.database.remove().await;
        match wrong?.as_slice() {
            [] => Ok(()),
            [first, ..] => bail!("the books disagree, first here: {first:?}"),
        }
    }
}

/// One use in the name of an org, sent twice as a program's own client would after a lost answer:
/// what is measured is right before it is fast.
async fn say_hello(url: &str, secret: &str, org_id: &str) -> Result<()> {
    let client = Client::builder(url).secret(secret).direct().build()?.for_org(org_id);
    let (what, key) = (Use::of("text", 1), Key::new());
    let first = client.consume(&what, &key).await?;
    let again = client.consume(&what, &key).await?;
    ensure!(first.id == again.id, "a key was charged twice: {} and {}", first.id, again.id);
    Ok(())
}

/// A key of this org, or a service key: its id and its secret.
async fn key(engine: &Engine, org_id: Option<&str>) -> Result<(String, String)> {
    let new = NewKey {
        org: org_id.map(str::to_owned),
        name: "bench".to_owned(),
        scopes: vec![Scope::Use],
        created_by: Actor::Operator("bench".to_owned()),
    };
    let mut tx = engine.db.begin().await?;
    let (key, secret) = api_keys::create(&mut tx, new, false, engine.clock.now()).await?;
    tx.commit().await?;
    Ok((key.id, secret))
}
