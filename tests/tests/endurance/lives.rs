//! Lives at Stripe, with the server killed in the middle of each: after everything that happens at
//! Stripe, while its webhooks come in and are worked on. A copy of the product that nobody kills
//! follows the same life; both must come to the same. On Postgres two processes share the life.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use server::db::{Db, sql};
use server::worker;
use tests::lives::{self, Act, Life, Scene, outcome};
use tests::{Database, Site, Stripe, invariants};

use crate::ground::Ground;
use crate::server::Server;

/// Lives that are lived beside each other.
const AT_ONCE: usize = 3;
/// For an act and everything that follows from it, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_of_a_life_comes_to_the_same_end() {
    // A5, A6, A8, F7
    let seed = crate::kills::seed();
    eprintln!("lives with TURNPIKE_SEED={seed}");
    let only = std::env::var("TURNPIKE_LIFE").ok();
    let all = lives::all().into_iter().zip(seed..);
    let chosen = all.filter(|(life, _)| only.as_deref().is_none_or(|o| life.name.contains(o)));
    let lived = futures::stream::iter(chosen).map(|(life, seed)| live(life, seed));
    let wrong: Vec<Vec<String>> = lived.buffer_unordered(AT_ONCE).collect().await;
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The product that is killed, and its copy that is not.
struct Stage {
    ground: Ground,
    servers: Vec<Server>,
    killed: Db,
    spared: Site,
    spared_database: Database,
    stripe: Stripe,
    simulator: simulator::Running,
    org_id: String,
}

async fn live(life: Life, seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::set().await;
    let mut scene = Scene::new(&stage.stripe, "turnpike", &stage.org_id);
    for act in &life.acts {
        match *act {
            Act::Does(does) => {
                does(&mut scene).await;
                // Long enough for some webhooks to be in, too short for all of them to be done.
                let moment = Duration::from_millis(random.random_range(0..150));
                tokio::time::sleep(moment).await;
                let victim = random.random_range(0..stage.servers.len());
                stage.servers[victim].kill().await;
                stage.servers[victim].start_again(&stage.ground).await;
            }
            Act::Waits(seconds) => {
                stage.rests().await;
                stage.passes(seconds).await;
            }
        }
    }
    stage.rests().await;
    let wrong = stage.compare(life.name, seed).await;
    stage.end().await;
    wrong
}

impl Stage {
    async fn set() -> Self {
        let ground = Ground::make().await;
        let addr = std::net::SocketAddr::from(([127, 0, 0, 1], ground.simulator));
        let settings = simulator::Settings { addr, data: None };
        let simulator = simulator::start(settings).await.expect("the simulator starts");
        simulator.judge();
        let stripe = Stripe::at(&simulator.url());
        // The catalog is pushed by the first server; then the database is copied.
        let mut first = ground.serve().await;
        let owner = ["orgs", "create", "--name", "Lives", "--owner", "ada@example.com"];
        let org = ground.command(&owner).await;
        let org_id = org["id"].as_str().expect("an org").to_owned();
        first.terminate().await;
        first.ended().await;
        for endpoint in stripe.get("webhook_endpoints").await["data"].as_array().expect("a list") {
            // Nobody is there any more.
            let id = endpoint["id"].as_str().expect("an id");
            stripe.delete(&format!("webhook_endpoints/{id}"), &[]).await;
        }
        let (spared, spared_database) = spare(&ground, &stripe).await;
        let servers = ground.replicas().await;
        let killed = Db::connect(&ground.database.url).await.expect("the database answers");
        Self { ground, servers, killed, spared, spared_database, stripe, simulator, org_id }
    }

    /// Waits until everything that Stripe tells is known and done, by everybody.
    async fn rests(&self) {
        for event in self.stripe.events().await {
            // What came while a server was dead comes again; the rest is nothing new.
            let path = format!("events/{}/resend", event["id"].as_str().expect("an id"));
            self.stripe.control(&path, json!({ "times": 1 })).await;
        }
        let begun = Instant::now();
        loop {
            worker::run_once(&self.spared.engine).await.expect("the worker runs");
            let waiting =
                [self.waiting(&self.killed).await, self.waiting(&self.spared.engine.db).await];
            if self.stripe.idle().await && waiting == [0, 0] {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "events wait: {waiting:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn waiting(&self, db: &Db) -> i64 {
        let text = "select count(*) from stripe_events where status in ('pending', 'unmatched')";
        db.one::<(i64,)>(sql(text)).await.expect("counted").0
    }

    /// Time passes for Stripe and for both products.
    async fn passes(&self, seconds: i64) {
        self.ground.advance(seconds).await;
        self.spared.passes(seconds).await;
    }

    async fn compare(&self, life: &str, seed: u64) -> Vec<String> {
        let expected = outcome(&self.spared.engine.db, &self.org_id).await;
        let found = outcome(&self.killed, &self.org_id).await;
        let name = format!("{life}, seed {seed}");
        let mut wrong = invariants(&self.killed).await;
        wrong.extend(self.stripe.misfits().await);
        wrong.iter_mut().for_each(|line| *line = format!("{name}: {line}"));
        if found != expected {
            wrong.push(format!("{name}: without kills it is\n{expected}\nbut here\n{found}"));
        }
        wrong
    }

    async fn end(self) {
        self.killed.close().await;
        self.ground.end(self.servers).await;
        self.spared.end().await;
        self.spared_database.remove().await;
        self.simulator.stop().await;
    }
}

/// A copy of the product as it is now, in this process, where nobody kills it.
async fn spare(ground: &Ground, stripe: &Stripe) -> (Site, Database) {
    let folder = ground.folder().join("spared");
    std::fs::create_dir(&folder).expect("a folder");
    let database = ground.database.copy(&folder).await;
    let simulator = stripe.url.trim_start_matches("http://").to_owned();
    let vars = vec![
        ("DATABASE_URL".to_owned(), database.url.clone()),
        ("SIMULATOR_ADDR".to_owned(), simulator),
    ];
    let site = Site::start(vars).await;
    let secret = server::config::SIMULATOR_WEBHOOK_SECRET;
    let url = format!("{}/webhooks/stripe", site.url);
    stripe.control("webhook_endpoints", json!({ "url": url, "secret": secret })).await;
    (site, database)
}
