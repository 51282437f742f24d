//! A place where lives are lived: a Stripe sandbox, or a simulator, with what the product needs to
//! speak to it, and the clearing up afterwards.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use simulator::Running;
use tempfile::TempDir;
use tests::Stripe;

/// What every product of this test is called at Stripe, before the lot.
const FAMILY: &str = "turnpike-sandbox-";
/// Of the 25 calls that a sandbox takes in a second so many are the product's,
const PRODUCT_CALLS: &str = "10";
/// and the lives make eight.
const PAUSE: Duration = Duration::from_millis(125);
/// What is older, in seconds, was left behind by a run that was interrupted.
const FORGOTTEN: i64 = 86_400;

/// A place.
pub struct Place {
    /// Stripe, as it is there.
    pub stripe: Stripe,
    /// The product's tag: every run has its own.
    pub tag: String,
    /// How long nothing new may come before what there is counts as all of it.
    pub patience: Duration,
    /// How long to wait before Stripe is asked again.
    pub pause: Duration,
    vars: Vec<(String, String)>,
    folder: TempDir,
    simulator: Option<Running>,
}

impl Place {
    /// The sandbox whose key is set; a second simulator where the run is a rehearsal.
    pub async fn sandbox() -> Self {
        if std::env::var("TURNPIKE_SANDBOX").is_err() {
            let simulator = start().await;
            let url = simulator.url();
            let vars = [("STRIPE_SECRET_KEY", "sk_test_rehearsal"), ("STRIPE_API_BASE", &url)];
            let vars = [vars[0], vars[1], ("STRIPE_CALLS_PER_SECOND", "0")];
            let stripe = Stripe::sandbox(&url, "sk_test_rehearsal", Duration::ZERO);
            return Self::of(stripe, &vars, Some(simulator));
        }
        let key = std::env::var("STRIPE_SECRET_KEY").expect("STRIPE_SECRET_KEY is set");
        let is_test = key.starts_with("sk_test_") || key.starts_with("rk_test_");
        assert!(is_test, "STRIPE_SECRET_KEY is no key of a sandbox");
        let base = std::env::var("STRIPE_API_BASE").ok();
        let url = base.clone().unwrap_or_else(|| "https://api.stripe.com".to_owned());
        let url = url.trim_end_matches('/');
        let mut vars =
            vec![("STRIPE_SECRET_KEY", &*key), ("STRIPE_CALLS_PER_SECOND", PRODUCT_CALLS)];
        if base.is_some() {
            vars.push(("STRIPE_API_BASE", url));
        }
        let place = Self::of(Stripe::sandbox(url, &key, PAUSE), &vars, None);
        match base {
            // Whoever stands in for Stripe on this machine tells everything at once.
            Some(_) => place,
            None => {
                Self { patience: Duration::from_secs(45), pause: Duration::from_secs(2), ..place }
            }
        }
    }

    /// A simulator.
    pub async fn simulator() -> Self {
        let simulator = start().await;
        let address = simulator.url().trim_start_matches("http://").to_owned();
        let stripe = Stripe::sandbox(&simulator.url(), "sk_test_simulator", Duration::ZERO);
        Self::of(stripe, &[("SIMULATOR_ADDR", &address)], Some(simulator))
    }

    fn of(stripe: Stripe, vars: &[(&str, &str)], simulator: Option<Running>) -> Self {
        let lot = server::ids::secret().to_lowercase();
        let lot: String = lot.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let tag = format!("{FAMILY}{lot}");
        let tagged = [("APP_ENV", "development"), ("STRIPE_PRODUCT_TAG", &tag)];
        let vars = vars.iter().chain(&tagged);
        let vars = vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let (patience, pause) = (Duration::from_millis(500), Duration::from_millis(100));
        Self { stripe, tag, patience, pause, vars, folder, simulator }
    }

    /// The settings of a product on this database.
    pub fn vars(&self, database_url: &str) -> Vec<(String, String)> {
        let mut vars = self.vars.clone();
        vars.push(("DATABASE_URL".to_owned(), database_url.to_owned()));
        vars
    }

    /// Where its databases are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Archives what was on sale, and takes away what an interrupted run has left behind; answers
    /// what could not be.
    pub async fn end(self) -> Vec<String> {
        let mut kept = Vec::new();
        for product in self.every("products", "&active=true").await {
            if self.is_over(&product, product["metadata"]["product"].as_str()) {
                kept.extend(self.archive(id(&product)).await);
            }
        }
        for clock in self.every("test_helpers/test_clocks", "").await {
            if self.is_over(&clock, clock["name"].as_str()) {
                let path = format!("test_helpers/test_clocks/{}", id(&clock));
                let (status, body) = self.stripe.try_delete(&path, &[]).await;
                let gone = matches!(status, 200 | 404);
                kept.extend((!gone).then(|| format!("{path} is still there: {body}")));
            }
        }
        if let Some(simulator) = self.simulator {
            let verdict = simulator.verdict();
            kept.extend((verdict["wrong"] != serde_json::json!([])).then(|| verdict.to_string()));
            simulator.stop().await;
        }
        kept
    }

    /// Whether something is this run's, or one's that will not clear up any more.
    fn is_over(&self, object: &Value, tag: Option<&str>) -> bool {
        let Some(tag) = tag.filter(|tag| tag.starts_with(FAMILY)) else { return false };
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = i64::try_from(since.expect("after 1970").as_secs()).expect("a time");
        let forgotten = object["created"].as_i64().is_some_and(|at| at < now - FORGOTTEN);
        tag == self.tag || forgotten
    }

    /// Takes a product and its prices off the shelf: what has prices cannot be deleted.
    async fn archive(&self, product: &str) -> Vec<String> {
        let mut paths = vec![format!("products/{product}")];
        for price in self.every("prices", &format!("&active=true&product={product}")).await {
            paths.push(format!("prices/{}", id(&price)));
        }
        let mut kept = Vec::new();
        for path in paths {
            let (status, body) = self.stripe.try_post(&path, &[("active", "false")]).await;
            kept.extend((status != 200).then(|| format!("{path} is still on sale: {body}")));
        }
        kept
    }

    /// Everything in a list, page after page.
    async fn every(&self, path: &str, filter: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map(|last| format!("&starting_after={}", id(last)));
            let after = after.unwrap_or_default();
            let page = self.stripe.get(&format!("{path}?limit=100{filter}{after}")).await;
            all.extend(page["data"].as_array().expect("a list").iter().cloned());
            if page["has_more"] != true {
                return all;
            }
        }
    }
}

async fn start() -> Running {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    simulator::start(simulator::Settings { addr, data: None }).await.expect("it starts")
}

fn id(object: &Value) -> &str {
    object["id"].as_str().expect("an id")
}
