//! One life at one place: the customer there, and a product that hears of it by asking.

use std::time::Instant;

use server::db::sql;
use server::{credits, reconciliation, worker};
use tests::lives::{Act, Scene, outcome};
use tests::{Database, Program, Site, invariants};

use crate::facts::Facts;
use crate::place::Place;

/// An hour, in seconds: so much earlier than its watermark the poll begins.
const HOUR: i64 = 3_600;
/// How long an event that came too early waits before it is tried again, at most, in seconds.
const RETRY: i64 = 70;
/// How often the product may look for more before it is stuck.
const TURNS: usize = 200;

/// A life at a place.
pub struct Stage<'a> {
    place: &'a Place,
    scene: Scene,
    site: Site,
    database: Database,
    program: Program,
    org_id: String,
    begins: i64,
    used: u32,
}

impl<'a> Stage<'a> {
    /// A product on a database of its own, with one org and the catalog on sale, and a test clock
    /// that stands at this second.
    pub async fn set(place: &'a Place, begins: i64) -> Self {
        let folder = place.folder().join(server::ids::secret());
        std::fs::create_dir(&folder).expect("a folder");
        let database = Database::make(&folder).await;
        let site = Site::start(place.vars(&database.url)).await;
        let (org_id, secret) = site.open().await;
        let program = Program::new(&site.url, &secret, &org_id);
        let scene = Scene::by_api(&place.stripe, &place.tag, &org_id, begins).await;
        // What happened before is another life's.
        let first = (scene.made_at() + HOUR).to_string();
        let mark = sql("insert into settings (name, value, updated_at) \
             values ('stripe_events_watermark', $1, 0)");
        let mut tx = site.engine.db.begin().await.expect("a transaction");
        tx.execute(mark.bind(first)).await.expect("marked");
        tx.commit().await.expect("committed");
        Self { place, scene, site, database, program, org_id, begins, used: 0 }
    }

    /// Something happens, or time passes for Stripe and for the product.
    pub async fn does(&mut self, act: &Act) {
        match *act {
            Act::Does(does) => does(&mut self.scene).await,
            Act::Waits(seconds) => {
                self.scene.wait(seconds).await;
                self.site.passes(seconds).await;
            }
        }
    }

    /// Asks for what happened until it has come to this, or to whatever it comes when nothing new
    /// has been told for a while.
    pub async fn rests(&mut self, expected: Option<&Facts>) -> Facts {
        let mut quiet = Instant::now();
        loop {
            if self.hears().await {
                quiet = Instant::now();
                continue;
            }
            let facts = self.facts().await;
            let is_so = expected.is_none_or(|other| crate::difference(other, &facts).is_none());
            if is_so || quiet.elapsed() > self.place.patience {
                return facts;
            }
            tokio::time::sleep(self.place.pause).await;
        }
    }

    /// Asks Stripe what happened, and acts on it until nothing is left to do. Answers whether there
    /// was anything.
    async fn hears(&mut self) -> bool {
        let engine = &self.site.engine;
        let found = reconciliation::poll_events(engine).await.expect("polled");
        let customer = self.scene.customer().await;
        for _ in 0..TURNS {
            worker::run_once(engine).await.expect("the worker runs");
            // Another life's, or another product's, is none of ours.
            let waiting = sql("select count(*) from stripe_events where status in \
                 ('pending', 'unmatched') and coalesce(customer_id, $1) = $1");
            let waiting = waiting.bind(&customer);
            let (waiting,): (i64,) = engine.db.one(waiting).await.expect("counted");
            if waiting == 0 {
                return found > 0;
            }
            self.site.passes(RETRY).await;
        }
        panic!("{} events still wait", self.place.stripe.url);
    }

    /// Somebody uses something; answers what came of it.
    pub async fn uses(&mut self) -> String {
        self.used += 1;
        let answer = self.program.consume(&format!("use-{}", self.used), "image", 1).await;
        format!("{} {}", answer.status, answer.code())
    }

    /// Where it has come to.
    pub async fn facts(&self) -> Facts {
        let db = &self.site.engine.db;
        let mut lines = outcome(db, &self.org_id).await.lines().to_vec();
        let invoices = sql("select 'invoice: ' || status || ' $' || cast(total as text) || ' '
                 || currency
             from invoices where org_id = $1 and status <> 'draft'");
        let rows: Vec<(String,)> =
            db.all(invoices.bind(&self.org_id)).await.expect("the invoices are read");
        lines.extend(rows.into_iter().map(|(row,)| row));
        Facts::read(&lines, self.begins)
    }

    /// What is wrong with the books.
    pub async fn wrong(&self) -> Vec<String> {
        let db = &self.site.engine.db;
        let mut wrong = invariants(db).await;
        let books = credits::verify(db, None).await.expect("verified");
        wrong.extend(books.iter().map(|finding| format!("{finding:?}")));
        wrong
    }

    /// Ends it, and takes away what was made; answers what could not be.
    pub async fn clear(self) -> Vec<String> {
        let kept = self.scene.clear().await;
        self.site.end().await;
        self.database.remove().await;
        kept
    }
}
