//! A running product of its own for one story: fresh database, real HTTP, the simulator, a clock.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::auth::accounts::{self, SignUp};
use server::clock::{self, Millis};
use server::credits::{self, NewGrant, Source};
use server::db::{Record, Sql};
use server::engine::Engine;
use server::units::Credits;
use server::{catalog, worker};
use tempfile::TempDir;

use crate::database::Database;
use crate::invariants::invariants;
use crate::person::Person;
use crate::program::Program;
use crate::site::Site;
use crate::stripe::Stripe;

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
    site: Site,
    vars: Vec<(String, String)>,
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
    /// What is changed in the example catalog's text: what stands there first, and what instead.
    pub catalog: Vec<(&'static str, String)>,
    /// The text of another rate card.
    pub rates: Option<String>,
    /// Other variables of the environment.
    pub vars: Vec<(String, String)>,
}

impl WorldOptions {
    /// A free tier that includes nothing, so that a story counts only what it gives itself.
    pub fn nothing_free() -> Self {
        Self::default().catalog("included_credits = 100", "included_credits = 0")
    }

    /// Changes the example catalog where this text stands first, which is in the free tier.
    pub fn catalog(mut self, from: &'static str, to: &str) -> Self {
        self.catalog.push((from, to.to_owned()));
        self
    }

    /// Sets ceilings for the free tier: `requests_per_minute = 3`, one a line.
    pub fn limits(self, lines: &str) -> Self {
        self.catalog("keys = 2", &format!("keys = 2\n{lines}"))
    }

    /// With another rate card.
    pub fn rates(mut self, text: &str) -> Self {
        self.rates = Some(text.to_owned());
        self
    }
}

impl World {
    /// A world with the example catalog.
    pub async fn new() -> Self {
        Self::with(WorldOptions::default()).await
    }

    /// A world whose free tier includes this many credits a month.
    pub async fn with_free(credits: i64) -> Self {
        let included = format!("included_credits = {credits}");
        Self::with(WorldOptions::default().catalog("included_credits = 100", &included)).await
    }

    /// A world that differs.
    pub async fn with(options: WorldOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::make(folder.path()).await;
        let (stripe, simulator) = match options.stripe.clone() {
            Some(url) => (url, None),
            None => start_simulator().await,
        };
        let mut vars = vars(&options, &database.url, &stripe);
        if let Some(text) = &options.rates {
            vars.push(("RATES_FILE".to_owned(), write_card(folder.path(), text)));
        }
        let site = Site::start(vars.clone()).await;
        let (engine, url) = (site.engine.clone(), site.url.clone());
        let http = reqwest::Client::new();
        let world = Self { engine, url, stripe, database, folder, simulator, site, vars, http };
        world.listen().await;
        if !options.empty_catalog {
            world.push_changed(&options.catalog).await;
        }
        world
    }

    /// Another copy of the product on the same database, with another rate card where one is
    /// given, as a replica or a newer version is.
    pub async fn another(&self, rates: Option<&str>) -> Site {
        let mut vars = self.vars.clone();
        if let Some(text) = rates {
            vars.push(("RATES_FILE".to_owned(), write_card(self.folder.path(), text)));
        }
        Site::start(vars).await
    }

    /// Answers nobody any more, as a machine that lost its network.
    pub fn hang_up(&self) {
        self.site.hang_up();
    }

    /// Registers our endpoint with the simulator, as an operator does at Stripe.
    async fn listen(&self) {
        let secret = server::config::SIMULATOR_WEBHOOK_SECRET;
        let url = format!("{}/webhooks/stripe", self.url);
        self.control("webhook_endpoints", json!({ "url": url, "secret": secret })).await;
    }

    /// Writes the example catalog into Stripe and reads it back.
    pub async fn push_catalog(&self) {
        self.push_changed(&[]).await;
    }

    /// Writes the example catalog with these changes into Stripe and reads it back.
    pub async fn push_changed(&self, changes: &[(&'static str, String)]) {
        let mut text = catalog::BUILT_IN.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "the catalog does not say {from}");
            text = text.replacen(from, to, 1);
        }
        self.push(&catalog::CatalogFile::parse(&text).expect("a catalog")).await;
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
        self.pass(seconds).await;
        self.control("clock", json!({ "advance_seconds": seconds })).await;
        self.settle().await;
    }

    /// Lets time pass for the product while its worker sleeps: whoever comes next books what is
    /// due.
    pub async fn pass(&self, seconds: i64) {
        let mut tx = self.engine.db.begin().await.expect("a transaction");
        self.engine.clock.advance(&mut tx, seconds).await.expect("moved");
        tx.commit().await.expect("committed");
    }

    /// Goes to the beginning of the next window of this length, so that a story is not cut in two
    /// by the turn of a minute or a day.
    pub async fn pass_to_next(&self, length: Millis) {
        let left = length - self.engine.clock.now().rem_euclid(length);
        self.pass(left / clock::SECOND + 1).await;
    }

    /// Goes to noon on the first of July of next year, before anybody buys anything: periods that
    /// begin there have 31 days each until the autumn, whatever today is.
    pub async fn to_july(&self) {
        let now = self.engine.clock.now();
        let year = clock::date_time(now).year() + 1;
        let july = clock::parse_rfc3339(&format!("{year}-07-01T12:00:00Z")).expect("a day");
        self.advance((july - now) / clock::SECOND).await;
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
        self.give_as(org_id, Source::Manual, credits, key, None).await;
    }

    /// Gives credits from any source, for so many seconds where they do not stay. Answers the
    /// grant's id, or none where this source had granted before.
    pub async fn give_as(
        &self,
        org_id: &str,
        source: Source,
        credits: i64,
        key: &str,
        seconds: Option<i64>,
    ) -> Option<String> {
        let now = self.engine.clock.now();
        let grant = NewGrant {
            org_id: org_id.to_owned(),
            source,
            source_ref: key.to_owned(),
            amount: Credits::from_whole(credits).expect("fits"),
            effective_at: None,
            expires_at: seconds.map(|seconds| now + seconds * clock::SECOND),
            payment: None,
            actor: Actor::Operator("tests".to_owned()),
            reason: "given by hand".to_owned(),
        };
        let mut tx = self.engine.db.begin().await.expect("a transaction");
        let made = credits::grant(&mut tx, grant, now).await.expect("granted");
        tx.commit().await.expect("committed");
        made
    }

    /// Reads rows behind the product's back.
    pub async fn rows<T: Record>(&self, statement: Sql) -> Vec<T> {
        self.engine.db.all(statement).await.expect("read")
    }

    /// Changes rows behind the product's back, and makes it look at every wallet anew; answers how
    /// many were changed.
    pub async fn tamper(&self, statement: Sql) -> u64 {
        let mut tx = self.engine.db.begin().await.expect("a transaction");
        let count = tx.execute(statement).await.expect("changed");
        let anew = server::db::sql("update wallets set revision = revision + 1");
        tx.execute(anew).await.expect("changed");
        tx.commit().await.expect("committed");
        count
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

    /// Checks that every book adds up, every invariant holds, and the simulator spoke as Stripe
    /// does, and takes the world down.
    pub async fn end(mut self) {
        let wrong = credits::verify(&self.engine.db, None).await.expect("verified");
        assert!(wrong.is_empty(), "the books disagree: {wrong:?}");
        let broken = invariants(&self.engine.db).await;
        assert!(broken.is_empty(), "broken invariants:\n{}", broken.join("\n"));
        self.site.end().await;
        let mut misfits = Vec::new();
        if let Some(simulator) = self.simulator.take().and_then(Arc::into_inner) {
            misfits = Stripe::at(&self.stripe).misfits().await;
            simulator.stop().await;
        }
        self.database.remove().await;
        assert!(misfits.is_empty(), "Stripe does not speak so:\n{}", misfits.join("\n"));
    }
}

async fn start_simulator() -> (String, Option<Arc<simulator::Running>>) {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = simulator::Settings { addr, data: None };
    let running = simulator::start(settings).await.expect("the simulator starts");
    running.judge();
    (running.url(), Some(Arc::new(running)))
}

/// The environment of every copy of the product in this world.
fn vars(options: &WorldOptions, database: &str, stripe: &str) -> Vec<(String, String)> {
    let simulator = stripe.trim_start_matches("http://").to_owned();
    let mut vars = vec![
        ("DATABASE_URL".to_owned(), database.to_owned()),
        ("SIMULATOR_ADDR".to_owned(), simulator),
        ("STRIPE_PRODUCT_TAG".to_owned(), options.tag.clone().unwrap_or("turnpike".to_owned())),
    ];
    vars.extend(options.vars.clone());
    vars
}

/// Writes a rate card to a file of its own; answers where.
fn write_card(folder: &Path, text: &str) -> String {
    let path = folder.join(format!("{}.toml", server::ids::secret()));
    std::fs::write(&path, text).expect("written");
    path.to_string_lossy().into_owned()
}
