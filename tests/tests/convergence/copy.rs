//! One copy of the product, following the life by what it is told.

use serde_json::Value;
use server::audit::Actor;
use server::autorecharge::{self, Wish};
use server::credits;
use server::db::sql;
use server::stripe::inbox;
use server::units::Credits;
use server::{reconciliation, webhooks, worker};
use tests::lives::{Outcome, outcome};
use tests::{Database, Program, Site, invariants};

use crate::delivery::signed;

/// How long an event that failed waits before it is tried again, at most, in a life without
/// outages: the clock is moved on by this where something waits.
const PATIENCE: i64 = 70;

/// A copy.
pub struct Copy {
    /// 0 is the one that gets everything in order.
    pub number: usize,
    database: Database,
    site: Site,
    program: Program,
    org_id: String,
    used: u64,
}

impl Copy {
    /// A copy that is running.
    pub fn new(number: usize, database: Database, site: Site, secret: &str, org: &str) -> Self {
        let program = Program::new(&site.url, secret, org);
        Self { number, database, site, program, org_id: org.to_owned(), used: 0 }
    }

    /// Is sent an event, as Stripe sends it.
    pub async fn hears(&self, event: &Value) {
        let body = event.to_string();
        let url = format!("{}/webhooks/stripe", self.site.url);
        let request = reqwest::Client::new().post(url).header("stripe-signature", signed(&body));
        let status = request.body(body).send().await.expect("an answer").status();
        assert_eq!(status, 200, "an event is always taken");
    }

    /// Works on a few of the events it has.
    pub async fn works(&self) {
        webhooks::process_due(&self.site.engine, 3).await.expect("the worker runs");
    }

    /// Auto-recharge is switched on.
    pub async fn wants(&self, price_id: &str, below: i64) {
        let wish = Wish {
            threshold: Credits::from_whole(below).expect("fits"),
            price_id: price_id.to_owned(),
            monthly_max: 100_000,
        };
        let engine = &self.site.engine;
        let now = engine.clock.now();
        let mut tx = engine.db.begin().await.expect("a transaction");
        autorecharge::save(&mut tx, &self.org_id, &wish, Actor::System, now).await.expect("saved");
        tx.commit().await.expect("committed");
    }

    /// What came of the attempts to recharge, oldest first.
    pub async fn attempts(&self) -> Vec<String> {
        let text = "select status || ' ' || coalesce(code, '') from recharge_attempts
             where org_id = $1 order by created_at, id";
        let rows: Vec<(String,)> =
            self.site.engine.db.all(sql(text).bind(&self.org_id)).await.expect("read");
        rows.into_iter().map(|(row,)| format!("attempt: {row}")).collect()
    }

    /// A customer uses so many images, if there is something to use.
    pub async fn uses(&mut self, images: i64) {
        self.used += 1;
        let key = format!("use-{}", self.used);
        let answer = self.program.consume(&key, "image", images).await;
        let fine = matches!(answer.status.as_u16(), 200 | 402 | 403);
        assert!(fine, "{}: {}", answer.status, answer.body);
    }

    /// Works until nothing is left to do.
    pub async fn settles(&self) {
        for _ in 0..40 {
            worker::run_once(&self.site.engine).await.expect("the worker runs");
            let waiting = server::db::sql(
                "select count(*) from stripe_events where status in ('pending', 'unmatched')",
            );
            let (waiting,): (i64,) = self.site.engine.db.one(waiting).await.expect("counted");
            if waiting == 0 {
                return;
            }
            self.passes(PATIENCE).await;
        }
        let stuck = inbox::list(&self.site.engine.db, None, None, 10).await.expect("listed");
        panic!("copy {} does not come to rest: {stuck:?}", self.number);
    }

    /// Finds what it was never told: by the list of events, or by comparing the objects.
    pub async fn repairs(&self, by_objects: bool) {
        let engine = &self.site.engine;
        if by_objects {
            let plan = reconciliation::plan(engine).await.expect("a plan");
            reconciliation::apply(engine, &plan, &Actor::System).await.expect("applied");
        } else {
            reconciliation::poll_events(engine).await.expect("polled");
        }
        self.settles().await;
    }

    /// Time passes.
    pub async fn passes(&self, seconds: i64) {
        self.site.passes(seconds).await;
    }

    /// Where it has come to.
    pub async fn outcome(&self) -> Outcome {
        outcome(&self.site.engine.db, &self.org_id).await
    }

    /// What is wrong with its books.
    pub async fn wrong(&self) -> Vec<String> {
        let db = &self.site.engine.db;
        let mut wrong = invariants(db).await;
        let books = credits::verify(db, None).await.expect("verified");
        wrong.extend(books.iter().map(|finding| format!("{finding:?}")));
        wrong
    }

    /// Ends it.
    pub async fn end(self) {
        self.site.end().await;
        self.database.remove().await;
    }
}
