//! Where the stories are played: one database with one running engine, or two on Postgres, and orgs
//! made without pages, mail or passwords. Time is moved from tick to tick.

use std::collections::BTreeMap;

use server::audit::Actor;
use server::caps;
use server::clock::{self, Millis, SECOND};
use server::config::Config;
use server::credits::{self, NewGrant, Source};
use server::db::{Tx, sql};
use server::engine::Engine;
use server::gate::{Caller, NewHold, Operation, Request};
use server::ids;
use server::units::{Credits, Quantity};
use tempfile::TempDir;
use tests::Database;

use super::order::Rows;
use super::rules::{CARD, FEATURE, MODELS, OVERAGE_PRICE};
use super::wallet::Terms;
use super::words::{self, Gift, TICK, Tick, middle_of};

/// From here on the next tick is better begun.
const DRIFT_MAX: Millis = 20 * SECOND;
/// All that happens in a tick must happen in its first minute, as limits are by the minute.
const DRIFT_LAST: Millis = 55 * SECOND;
/// The clock moves at most ten years, so a ground is left in time.
const MOVED_MAX: Millis = 8 * 365 * clock::DAY;

/// A database with its engines.
pub struct Ground {
    /// One, or two that share the database.
    pub engines: Vec<Engine>,
    /// The tick that all the wallets live in.
    pub now: Tick,
    /// An org that nobody else may know of.
    pub stranger: Stranger,
    database: Database,
    folder: TempDir,
}

/// What an org has that is not its wallet's business.
#[derive(Clone, Debug, Default)]
pub struct Stranger {
    /// An open hold.
    pub hold: String,
    /// A use that was charged.
    pub usage: String,
}

impl Ground {
    /// A new one.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::make(folder.path()).await;
        let card = folder.path().join("rates.toml");
        std::fs::write(&card, CARD).expect("written");
        let vars = BTreeMap::from([
            ("DATABASE_URL", database.url.clone()),
            ("RATES_FILE", card.to_string_lossy().into_owned()),
            ("STRIPE_PRODUCT_TAG", "oracle".to_owned()),
        ]);
        let mut engines = Vec::new();
        for _ in 0..if database.is_postgres() { 2 } else { 1 } {
            let config = Config::from_vars("oracle", |name| vars.get(name).cloned());
            let config = config.expect("a valid configuration");
            engines.push(Engine::start(config).await.expect("the engine starts"));
        }
        let stranger = Stranger::default();
        let mut ground = Self { engines, now: 0, stranger, database, folder };
        ground.make_tier().await;
        ground.wait(1).await;
        ground.stranger = ground.make_stranger().await;
        ground
    }

    /// The engine that reads and that moves the clock.
    pub fn engine(&self) -> &Engine {
        &self.engines[0]
    }

    /// Lets so many ticks pass. With none it only takes care that the tick does not end while
    /// it is looked at.
    pub async fn wait(&mut self, ticks: Tick) {
        let real = self.engine().clock.now();
        let drifted = real - self.now * TICK > DRIFT_MAX;
        if ticks == 0 && !drifted {
            return;
        }
        let next = real.div_euclid(TICK) + 1;
        self.now = (self.now + ticks.max(1)).max(next);
        // A second into the tick: two clocks that differ by a little agree on it.
        let missing = self.now * TICK + SECOND - real;
        if missing > 0 {
            let mut tx = self.begin().await;
            let seconds = (missing + SECOND - 1) / SECOND;
            self.engine().clock.advance(&mut tx, seconds).await.expect("moved");
            tx.commit().await.expect("committed");
        }
        for engine in &self.engines {
            engine.clock.refresh(&engine.db).await.expect("read");
        }
    }

    /// Whether the tick's first minute is not over.
    pub fn is_in_time(&self) -> bool {
        self.engine().clock.now() - self.now * TICK < DRIFT_LAST
    }

    /// Whether the clock can be moved for another story.
    pub fn has_time(&self) -> bool {
        self.engine().clock.moved() < MOVED_MAX
    }

    /// An org on these terms, as old as this tick.
    pub async fn make_org(&self, terms: &Terms) -> String {
        let mut tx = self.begin().await;
        let created = self.now * TICK;
        let id = ids::new("org", created);
        let org = "insert into orgs (id, name, created_at) values ($1, 'Oracle', $2)";
        tx.execute(sql(org).bind(&id).bind(created)).await.expect("made");
        let plan = "insert into org_plans (org_id, tier, tier_name, version_id, subscription_id,
                 status, period_start, period_end, overage_allowed, overage_price, currency,
                 derived_at)
             values ($1, 'oracle', 'Oracle', 'ver_oracle', 'sub_oracle', 'active', $2, $3, $4,
                 $5, 'usd', $2)";
        let plan = sql(plan).bind(&id).bind(created).bind(clock::add_months(created, 1));
        let plan = plan.bind(terms.overage).bind(OVERAGE_PRICE * 1_000_000);
        tx.execute(plan).await.expect("made");
        let mut lines = vec![("feature", FEATURE, None)];
        lines.extend(MODELS.map(|model| ("model", model, None)));
        lines.extend(terms.limits.iter().map(|(name, most)| ("limit", &**name, Some(*most))));
        for (kind, name, amount) in lines {
            let text = "insert into entitlements (org_id, kind, name, source_kind, source_id,
                     source_name, amount) values ($1, $2, $3, 'tier', 'si_oracle', 'Oracle', $4)";
            let line = sql(text).bind(&id).bind(kind).bind(name).bind(amount);
            tx.execute(line).await.expect("made");
        }
        tx.commit().await.expect("committed");
        id
    }

    /// Gives credits. Answers the grant, or none where its source had granted before.
    pub async fn give(engine: &Engine, org_id: &str, gift: &Gift) -> Option<String> {
        let grant = NewGrant {
            org_id: org_id.to_owned(),
            source: gift.source,
            source_ref: gift.source_ref.clone(),
            amount: Credits::from_micros(gift.credits),
            effective_at: gift.starts.map(middle_of),
            expires_at: gift.expires.map(middle_of),
            payment: None,
            actor: Actor::Operator("oracle".to_owned()),
            reason: "given by the oracle".to_owned(),
        };
        let mut tx = engine.db.begin().await.expect("a transaction");
        let made = credits::grant(&mut tx, grant, engine.clock.now()).await.expect("granted");
        tx.commit().await.expect("committed");
        made
    }

    /// Sets an org's own ceiling.
    pub async fn cap(engine: &Engine, org_id: &str, cap: Option<(i64, bool)>) {
        let cap = cap.map(|(credits, hard)| (Credits::from_micros(credits), hard));
        let actor = Actor::Operator("oracle".to_owned());
        let mut tx = engine.db.begin().await.expect("a transaction");
        let now = engine.clock.now();
        caps::set(&mut tx, org_id, cap, actor, now).await.expect("set");
        tx.commit().await.expect("committed");
    }

    /// The rows of these wallets as they stand.
    pub async fn rows(&self, orgs: &[String]) -> BTreeMap<String, Rows> {
        let db = &self.engine().db;
        let any = db.dialect().any("org_id", 1);
        let text = format!(
            "select org_id, available, held, debt, period_used, overage from wallets where {any}"
        );
        let wallets: Vec<(String, i64, i64, i64, i64, i64)> =
            db.all(sql(text).bind(orgs.to_vec())).await.expect("read");
        let mut rows = BTreeMap::new();
        for (org, available, held, debt, used, overage) in wallets {
            let (cap, grants) = (None, BTreeMap::new());
            rows.insert(org, Rows { available, held, debt, used, overage, cap, grants });
        }
        let text = format!("select org_id, credits, hard from caps where {any} and credits > 0");
        let caps: Vec<(String, i64, bool)> =
            db.all(sql(text).bind(orgs.to_vec())).await.expect("read");
        for (org, credits, hard) in caps {
            rows.entry(org).or_default().cap = Some((credits, hard));
        }
        let text = format!(
            "select org_id, id, remaining, held from grants
             where {any} and (remaining > 0 or held > 0)"
        );
        let grants: Vec<(String, String, i64, i64)> =
            db.all(sql(text).bind(orgs.to_vec())).await.expect("read");
        for (org, id, remaining, held) in grants {
            rows.entry(org).or_default().grants.insert(id, (remaining, held));
        }
        rows
    }

    /// The grants that these wallets were given without anybody being told: what had paid a debt
    /// that was taken back.
    pub async fn returned(&self, orgs: &[String]) -> BTreeMap<String, Vec<(String, i64)>> {
        let db = &self.engine().db;
        let any = db.dialect().any("org_id", 1);
        let text = format!(
            "select org_id, id, amount from grants
             where {any} and source_kind = 'manual' and source_ref like 'op_%' order by id"
        );
        let grants: Vec<(String, String, i64)> =
            db.all(sql(text).bind(orgs.to_vec())).await.expect("read");
        let mut returned: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        for (org, id, amount) in grants {
            returned.entry(org).or_default().push((id, amount));
        }
        returned
    }

    /// Everything that does not add up in the books.
    pub async fn disagreements(&self) -> Vec<String> {
        let found = credits::verify(&self.engine().db, None).await.expect("verified");
        found.into_iter().map(|found| format!("{found:?}")).collect()
    }

    /// Leaves nothing behind.
    pub async fn end(self) {
        for engine in &self.engines {
            engine.stop().await;
        }
        self.database.remove().await;
        drop(self.folder);
    }

    async fn begin(&self) -> Tx {
        self.engine().db.begin().await.expect("a transaction")
    }

    async fn make_stranger(&self) -> Stranger {
        let org_id = self.make_org(&Terms::default()).await;
        let (source, source_ref) = (Source::Manual, "stranger".to_owned());
        let gift = Gift { source, source_ref, credits: 10_000_000, starts: None, expires: None };
        Self::give(self.engine(), &org_id, &gift).await.expect("granted");
        let what = words::use_of("text", Quantity::from_micros(1_000_000));
        let hold = Operation::Hold(NewHold { what: what.clone(), ttl: clock::DAY });
        let mut names = Vec::new();
        for (number, what) in [hold, Operation::Consume(what)].into_iter().enumerate() {
            let (org_id, key) = (org_id.clone(), format!("stranger {number}"));
            let fingerprint = String::new();
            let request = Request { org_id, caller: Caller::System, key, fingerprint, what };
            let answer = self.engine().gate.submit(request).await.expect("answered");
            names.push(words::names(&answer).id);
        }
        let usage = names.pop().unwrap_or_default();
        Stranger { hold: names.pop().unwrap_or_default(), usage }
    }

    async fn make_tier(&self) {
        let mut tx = self.begin().await;
        let text = "insert into tier_versions (id, product_id, tier, name, terms, fingerprint,
             created_at) values ('ver_oracle', 'prod_oracle', 'oracle', 'Oracle', '{}', '-', 0)";
        tx.execute(sql(text)).await.expect("made");
        tx.commit().await.expect("committed");
    }
}
