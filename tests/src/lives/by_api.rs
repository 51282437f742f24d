//! The ways of a scene that has nothing but Stripe's public API: a test clock in place of time,
//! cards by their names in place of pages, evidence in place of a bank. Packs are sold on Stripe's
//! page, so that nobody buys one here.

use std::time::Duration;

use serde_json::Value;

use super::{DAY, Scene};
use crate::stripe::Stripe;

/// A clock moves by two intervals of the shortest plan at once, at most: two months.
const FARTHEST: i64 = 56 * DAY;
/// How often Stripe is asked whether something is done, and for how long.
const LOOK: Duration = Duration::from_millis(250);
const LOOKS: u32 = 1_200;

/// What such a scene has.
pub struct ByApi {
    /// The test clock.
    pub clock: String,
    /// When it was made, in real seconds.
    made_at: i64,
    /// Where it stands, in seconds.
    now: i64,
    /// What is deleted at the end: nothing of it is a customer's.
    left: Vec<String>,
}

impl Scene {
    /// A scene by API alone, in which it is `begins`, in seconds since 1970.
    pub async fn by_api(stripe: &Stripe, tag: &str, org_id: &str, begins: i64) -> Self {
        let fields = [("frozen_time", begins.to_string()), ("name", tag.to_owned())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let made = stripe.post("test_helpers/test_clocks", &fields).await;
        let by_api = ByApi {
            clock: made["id"].as_str().expect("an id").to_owned(),
            made_at: made["created"].as_i64().expect("a time"),
            now: begins,
            left: Vec::new(),
        };
        let mut scene = Self::new(stripe, tag, org_id);
        scene.by_api = Some(by_api);
        scene
    }

    /// When a scene by API was made, by Stripe's own clock, in seconds: no event is older.
    pub fn made_at(&self) -> i64 {
        self.ours().made_at
    }

    /// So many seconds pass, for this customer where the clock is the customer's own.
    pub async fn wait(&mut self, seconds: i64) {
        if self.by_api.is_none() {
            return self.stripe.wait(seconds).await;
        }
        let mut left = seconds;
        while left > 0 {
            let part = left.min(FARTHEST);
            left -= part;
            let ours = self.by_api.as_mut().expect("by API");
            ours.now += part;
            let path = format!("test_helpers/test_clocks/{}", ours.clock);
            let target = ours.now.to_string();
            self.stripe.post(&format!("{path}/advance"), &[("frozen_time", &target)]).await;
            let clock = self.until(&path, |clock| clock["status"] != "advancing").await;
            assert_eq!(clock["status"], "ready", "the clock does not go: {clock:#}");
        }
    }

    /// Makes a coupon; answers its id.
    pub async fn coupon(&mut self, terms: &[(&str, &str)]) -> String {
        let made = self.stripe.post("coupons", terms).await;
        let id = made["id"].as_str().expect("an id").to_owned();
        if let Some(ours) = &mut self.by_api {
            ours.left.push(format!("coupons/{id}"));
        }
        id
    }

    /// Takes away what was made by API: the clock with its customers, and what is nobody's.
    /// Answers what could not be taken away.
    pub async fn clear(&self) -> Vec<String> {
        let clock = format!("test_helpers/test_clocks/{}", self.ours().clock);
        // While it moves it cannot be deleted.
        self.until(&clock, |clock| clock["status"] != "advancing").await;
        let mut kept = Vec::new();
        for path in self.ours().left.iter().chain([&clock]) {
            let (status, body) = self.stripe.try_delete(path, &[]).await;
            if status != 200 {
                kept.push(format!("{path} is still at Stripe: {body}"));
            }
        }
        kept
    }

    /// Reads something until it is as it must become.
    pub async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut found = Value::Null;
        for _ in 0..LOOKS {
            found = self.stripe.get(path).await;
            if is_so(&found) {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("GET /v1/{path} has not become what it must: {found:#}");
    }

    pub(super) async fn subscribe_by_api(
        &mut self,
        card: &str,
        lookup: &str,
        more: &[(&str, &str)],
    ) {
        self.use_card(card).await;
        let (customer, price) = (self.customer().await, self.price(lookup).await);
        let mut fields = vec![
            ("customer", customer.as_str()),
            ("items[0][price]", &price),
            ("items[0][quantity]", "1"),
            ("metadata[product]", &self.tag),
            ("metadata[org_id]", &self.org_id),
        ];
        // What the page is told about the subscription to be, the subscription is told itself.
        for (name, value) in more {
            let inner = name.strip_prefix("subscription_data[");
            let name = inner.and_then(|name| name.strip_suffix(']')).unwrap_or(name);
            fields.push((name, value));
        }
        let made = self.stripe.post("subscriptions", &fields).await;
        self.keep("plan", &made);
        if made["latest_invoice"].is_string() {
            self.keep("first", &made["latest_invoice"]);
        }
    }

    /// Sends evidence that convinces the bank, or does not.
    pub(super) async fn convince(&mut self, outcome: &str) {
        let evidence = match outcome {
            "won" => "winning_evidence",
            "lost" => "losing_evidence",
            other => panic!("a dispute is won or lost by API, not {other}"),
        };
        let path = format!("disputes/{}", self.id("dispute"));
        let fields = [("evidence[uncategorized_text]", evidence), ("submit", "true")];
        self.stripe.post(&path, &fields).await;
        self.until(&path, |dispute| dispute["status"] == outcome).await;
    }

    fn ours(&self) -> &ByApi {
        self.by_api.as_ref().expect("the scene is by API")
    }
}
