//! What a life is lived on: Stripe, and many copies of the product that are the same at first.

use std::net::SocketAddr;
use std::sync::Arc;

use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::auth::accounts::{self, SignUp};
use server::{catalog, worker};
use tempfile::TempDir;
use tests::{Database, Site, Stripe};

use crate::copy::Copy;

/// Later than any life: what comes round by itself would bring events in order.
const NEVER: i64 = 40_000_000_000_000;

/// Stripe and the copies.
pub struct Ground {
    /// Stripe.
    pub stripe: Stripe,
    /// The copies, the first of which gets everything in order.
    pub copies: Vec<Copy>,
    /// The org that lives.
    pub org_id: String,
    folder: TempDir,
    simulator: Arc<simulator::Running>,
}

impl Ground {
    /// Makes a product with a catalog and an org, and so many copies of it.
    pub async fn make(copies: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = simulator::Settings { addr, data: None };
        let simulator = Arc::new(simulator::start(settings).await.expect("the simulator starts"));
        simulator.judge();
        let stripe = Stripe::at(&simulator.url());
        let original = Database::make(folder.path()).await;
        let (org_id, secret) = prepare(&original, &stripe).await;
        let mut all = Vec::new();
        for number in 0..copies {
            let home = folder.path().join(format!("copy-{number}"));
            std::fs::create_dir(&home).expect("a folder");
            let database = original.copy(&home).await;
            let site = Site::start(vars(&database, &stripe)).await;
            all.push(Copy::new(number, database, site, &secret, &org_id));
        }
        original.remove().await;
        Self { stripe, copies: all, org_id, folder, simulator }
    }

    /// Takes everything down; fails if the simulator spoke otherwise than Stripe does.
    pub async fn end(self) {
        let misfits = self.stripe.misfits().await;
        for copy in self.copies {
            copy.end().await;
        }
        if let Some(simulator) = Arc::into_inner(self.simulator) {
            simulator.stop().await;
        }
        drop(self.folder);
        assert!(misfits.is_empty(), "Stripe does not speak so:\n{}", misfits.join("\n"));
    }
}

fn vars(database: &Database, stripe: &Stripe) -> Vec<(String, String)> {
    let simulator = stripe.url.trim_start_matches("http://").to_owned();
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![set("DATABASE_URL", &database.url), set("SIMULATOR_ADDR", &simulator)]
}

/// The product before anything happened: the catalog, one org, one key.
async fn prepare(database: &Database, stripe: &Stripe) -> (String, String) {
    let site = Site::start(vars(database, stripe)).await;
    let engine = &site.engine;
    let file = catalog::CatalogFile::parse(catalog::BUILT_IN).expect("a catalog");
    let options = catalog::PushOptions { dry_run: false, live: false };
    catalog::push(engine, &file, options).await.expect("pushed");
    catalog::refresh(engine).await.expect("refreshed");
    let form = SignUp {
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
        password: "a good long passphrase".to_owned(),
        org_name: None,
    };
    let identity = accounts::sign_up(engine, form).await.expect("signed up");
    let key = NewKey {
        org: Some(identity.org_id.clone()),
        name: "lives".to_owned(),
        scopes: vec![Scope::Read, Scope::Use],
        created_by: Actor::System,
    };
    worker::run_once(engine).await.expect("the worker runs");
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await.expect("a transaction");
    let made = api_keys::create(&mut tx, key, false, now).await.expect("a key");
    let never = "update schedules set due_at = $1 where name in ('stripe.events', \
             'stripe.reconcile')";
    tx.execute(server::db::sql(never).bind(NEVER)).await.expect("put off");
    tx.commit().await.expect("committed");
    site.end().await;
    (identity.org_id, made.1)
}
