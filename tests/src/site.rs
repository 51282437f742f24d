//! One running copy of the product: an engine and the site over it, on a port of its own. Several
//! may share a database, as replicas do.

use std::net::SocketAddr;

use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::auth::accounts::{self, SignUp};
use server::config::Config;
use server::db::sql;
use server::engine::Engine;
use server::{catalog, worker};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Later than any life: what comes round by itself would find what Stripe has not told yet.
const NEVER: i64 = 40_000_000_000_000;

/// A running copy.
pub struct Site {
    /// Its engine.
    pub engine: Engine,
    /// Where it is served.
    pub url: String,
    task: JoinHandle<()>,
}

impl Site {
    /// Starts a copy with these variables of the environment, on a free port.
    pub async fn start(mut vars: Vec<(String, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        vars.push(("BIND_ADDR".to_owned(), address.to_string()));
        let lookup = |name: &str| {
            let found = vars.iter().rev().find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.clone())
        };
        let config = Config::from_vars("turnpike", lookup).expect("a valid configuration");
        let engine = Engine::start(config).await.expect("the engine starts");
        let router = app::serve::router(engine.clone(), app::serve::Site::beside_the_program());
        let task = tokio::spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.expect("served");
        });
        Self { engine, url: format!("http://{address}"), task }
    }

    /// Puts the example catalog on sale and takes in the first org; answers its id and the secret
    /// of a key. What Stripe knows is asked by nobody from here on unless a test does.
    pub async fn open(&self) -> (String, String) {
        let engine = &self.engine;
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
        let off = sql("insert into schedules (name, due_at) \
             values ('stripe.events', $1), ('stripe.reconcile', $1)");
        let now = engine.clock.now();
        let mut tx = engine.db.begin().await.expect("a transaction");
        let (_, secret) = api_keys::create(&mut tx, key, false, now).await.expect("a key");
        tx.execute(off.bind(NEVER)).await.expect("put off");
        tx.commit().await.expect("committed");
        worker::run_once(engine).await.expect("the worker runs");
        (identity.org_id, secret)
    }

    /// Time passes for the copy, and not for Stripe.
    pub async fn passes(&self, seconds: i64) {
        let engine = &self.engine;
        let mut tx = engine.db.begin().await.expect("a transaction");
        engine.clock.advance(&mut tx, seconds).await.expect("moved");
        tx.commit().await.expect("committed");
        engine.clock.refresh(&engine.db).await.expect("seen");
    }

    /// Sees the time as the database has it, as the worker does every moment.
    pub async fn look_at_the_clock(&self) {
        self.engine.clock.refresh(&self.engine.db).await.expect("the clock is read");
    }

    /// Answers nobody any more.
    pub fn hang_up(&self) {
        self.task.abort();
    }

    /// Ends it and closes its connections to the database.
    pub async fn end(self) {
        self.task.abort();
        self.engine.stop().await;
    }
}
