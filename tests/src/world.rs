//! A running product of its own for one story: fresh database, real HTTP, the simulator, a clock.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::auth::accounts::{self, SignUp};
use server::config::Config;
use server::credits::{self, NewGrant, Source};
use server::engine::Engine;
use server::units::Credits;
use server::{catalog, worker};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::database::Database;
use crate::person::Person;
use crate::program::Program;

/// A world, ended by [`World::end`].
pub struct World {
    /// The engine behind the site.
    pub engine: Engine,
    /// The site.
    pub url: String,
    /// The simulator's address.
    pub stripe: String,
    /// Its database.
    pub database: Database,
    folder: TempDir,
    simulator: Option<Arc<simulator::Running>>,
    site: JoinHandle<()>,
    http: reqwest::Client,
}

/// How a world may differ from the usual.
#[derive(Default, Clone)]
pub struct WorldOptions {
    /// The product's tag; "turnpike" unless given.
    pub tag: Option<String>,
    /// A simulator that is running already.
    pub stripe: Option<String>,
    /// Whether the example catalog stays out.
    pub empty_catalog: bool,
    /// Other variables of the environment.
    pub vars: Vec<(String, String)>,
}

impl World {
    /// A world with the example catalog.
    pub async fn new() -> Self {
        Self::with(WorldOptions::default()).await
    }

    /// A world whose free tier includes this many credits a month.
    pub async fn with_free(credits: i64) -> Self {
        let world = Self::with(WorldOptions { empty_catalog: true, ..Default::default() }).await;
        let text = catalog::BUILT_IN.replacen(
            "included_credits = 100",
            &format!("included_credits = {credits}"),
            1,
        );
        world.push(&catalog::CatalogFile::parse(&text).expect("a catalog")).await;
        world
    }

    /// A world that differs.
    pub async fn with(options: WorldOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::make(folder.path()).await;
        let (stripe, simulator) = match options.stripe.clone() {
            Some(url) => (url, None),
            None => start_simulator().await,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = config(&options, &database.url, address, &stripe);
        let engine = Engine::start(config).await.expect("the engine starts");
        let router = app::serve::router(engine.clone(), app::serve::Site::beside_the_program());
        let site = tokio::spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.expect("served");
        });
        let url = format!("http://{address}");
        let http = reqwest::Client::new();
        let world = Self { engine, url, stripe, database, folder, simulator, site, http };
        world.listen().await;
        if !options.empty_catalog {
            world.push_catalog().await;
        }
        world
    }

    /// Registers our endpoint with the simulator, as an operator does at Stripe.
    async fn listen(&self) {
        let secret = server::config::SIMULATOR_WEBHOOK_SECRET;
        let url = format!("{}/webhooks/stripe", self.url);
        self.control("webhook_endpoints", json!({ "url": url, "secret": secret })).await;
    }

    /// Writes the example catalog into Stripe and reads it back.
    pub async fn push_catalog(&self) {
        self.push(&catalog::CatalogFile::parse(catalog::BUILT_IN).expect("the example")).await;
    }

    async fn push(&self, file: &catalog::CatalogFile) {
        let options = catalog::PushOptions { dry_run: false, live: false };
        catalog::push(&self.engine, file, options).await.expect("pushed");
        catalog::refresh(&self.engine).await.expect("refreshed");
        self.settle().await;
    }

    /// Lets everything that is under way arrive: deliveries, then jobs, until nothing is left.
    pub async fn settle(&self) {
        for _ in 0..50 {
            let idle = self.ask("idle").await["idle"] == json!(true);
            let done = worker::run_once(&self.engine).await.expect("the worker runs");
            if idle && done == 0 {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Moves both clocks forward, ours and Stripe's, and lets everything arrive.
    pub async fn advance(&self, seconds: i64) {
        let mut tx = self.engine.db.begin().await.expect("a transaction");
        self.engine.clock.advance(&mut tx, seconds).await.expect("moved");
        tx.commit().await.expect("committed");
        self.control("clock", json!({ "advance_seconds": seconds })).await;
        self.settle().await;
    }

    /// Tells the simulator's control surface something.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/_sim/{path}", self.stripe);
        let answer = self.http.post(url).json(&body).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "_sim/{path}: {}", answer.status());
        answer.json().await.unwrap_or(Value::Null)
    }

    /// Asks the simulator's control surface something.
    pub async fn ask(&self, path: &str) -> Value {
        let url = format!("{}/_sim/{path}", self.stripe);
        let answer = self.http.get(url).send().await.expect("the simulator answers");
        answer.json().await.expect("JSON")
    }

    /// Somebody who has never been here.
    pub fn stranger(&self) -> Person {
        Person::stranger(&self.url)
    }

    /// Somebody who signed up.
    pub async fn sign_up(&self, name: &str) -> Person {
        let mut person = self.stranger();
        person.sign_up(name).await;
        person
    }

    /// An org made without pages, with credits given by hand and a key that may use them.
    pub async fn program(&self, name: &str, credits: i64) -> Program {
        let form = SignUp {
            name: name.to_owned(),
            email: format!("{}@programs.example", name.to_lowercase()),
            password: "a good long passphrase".to_owned(),
            org_name: None,
        };
        let identity = accounts::sign_up(&self.engine, form).await.expect("signed up");
        if credits > 0 {
            self.give(&identity.org_id, credits, &format!("for {name}")).await;
        }
        let secret = self.key(&identity.org_id, &[Scope::Read, Scope::Use]).await;
        Program::new(&self.url, &secret, &identity.org_id)
    }

    /// Gives credits by hand.
    pub async fn give(&self, org_id: &str, credits: i64, key: &str) {
        let now = self.engine.clock.now();
        let grant = NewGrant {
            org_id: org_id.to_owned(),
            source: Source::Manual,
            source_ref: key.to_owned(),
            amount: Credits::from_whole(credits).expect("fits"),
            expires_at: None,
            payment: None,
            actor: Actor::Operator("tests".to_owned()),
            reason: "given by hand".to_owned(),
        };
        let mut tx = self.engine.db.begin().await.expect("a transaction");
        credits::grant(&mut tx, grant, now).await.expect("granted");
        tx.commit().await.expect("committed");
    }

    /// A new API key of this org.
    pub async fn key(&self, org_id: &str, scopes: &[Scope]) -> String {
        let new = NewKey {
            org: Some(org_id.to_owned()),
            name: "tests".to_owned(),
            scopes: scopes.to_vec(),
            created_by: Actor::Operator("tests".to_owned()),
        };
        let mut tx = self.engine.db.begin().await.expect("a transaction");
        let now = self.engine.clock.now();
        let made = api_keys::create(&mut tx, new, false, now).await.expect("a key");
        tx.commit().await.expect("committed");
        made.1
    }

    /// The org that this person owns.
    pub async fn org_of(&self, person: &Person) -> String {
        let text = "select members.org_id from members join users on users.id = members.user_id
             where users.email = $1";
        let statement = server::db::sql(text).bind(person.email.as_str());
        self.engine.db.one::<(String,)>(statement).await.expect("a member").0
    }

    /// The folder that is gone afterwards.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Checks that every book adds up, and takes the world down.
    pub async fn end(mut self) {
        let wrong = server::credits::verify(&self.engine.db, None).await.expect("verified");
        assert!(wrong.is_empty(), "the books disagree: {wrong:?}");
        self.site.abort();
        self.engine.stop().await;
        if let Some(simulator) = self.simulator.take().and_then(Arc::into_inner) {
            simulator.stop().await;
        }
        self.database.remove().await;
    }
}

async fn start_simulator() -> (String, Option<Arc<simulator::Running>>) {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = simulator::Settings { addr, data: None };
    let running = simulator::start(settings).await.expect("the simulator starts");
    (running.url(), Some(Arc::new(running)))
}

fn config(options: &WorldOptions, database: &str, address: SocketAddr, stripe: &str) -> Config {
    let simulator = stripe.trim_start_matches("http://").to_owned();
    let mut vars = vec![
        ("DATABASE_URL".to_owned(), database.to_owned()),
        ("BIND_ADDR".to_owned(), address.to_string()),
        ("SIMULATOR_ADDR".to_owned(), simulator),
        ("STRIPE_PRODUCT_TAG".to_owned(), options.tag.clone().unwrap_or("turnpike".to_owned())),
    ];
    vars.extend(options.vars.clone());
    let lookup = |name: &str| {
        let found = vars.iter().rev().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.clone())
    };
    Config::from_vars("turnpike", lookup).expect("a valid configuration")
}
