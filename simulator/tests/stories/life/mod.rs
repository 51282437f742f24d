//! Subscriptions' whole life, each story under a test clock of its own, so that every amount is
//! known to the second.

mod begin;
mod by_hand;
mod change;
mod client;
mod coupons;
mod dunning;
mod portal;
mod previews;
mod schedules;
mod trials;

use serde_json::{Value, json};

use super::support::{Bench, id};

/// The first of January 2026; its month has 31 days.
pub const NEW_YEAR: i64 = 1_767_225_600;
pub const DAY: i64 = 86_400;
pub const HOUR: i64 = 3_600;
/// Half of January.
pub const HALF: i64 = 31 * DAY / 2;

/// A customer with a clock.
pub struct Person {
    pub bench: Bench,
    pub clock: String,
    pub customer: String,
    pub now: i64,
}

impl Person {
    /// Somebody without a card.
    pub async fn new() -> Person {
        let bench = Bench::new().await;
        let form = format!("frozen_time={NEW_YEAR}");
        let clock = id(&bench.post("/v1/test_helpers/test_clocks", &form).await);
        let form = format!("email=ada@example.com&test_clock={clock}");
        let customer = id(&bench.post("/v1/customers", &form).await);
        Person { bench, clock, customer, now: NEW_YEAR }
    }

    /// Somebody whose card works.
    pub async fn with_card() -> Person {
        let person = Person::new().await;
        person.card("pm_card_visa").await;
        person
    }

    /// Makes a card the one that is charged.
    pub async fn card(&self, card: &str) {
        let form = format!("invoice_settings[default_payment_method]={card}");
        self.bench.post(&format!("/v1/customers/{}", self.customer), &form).await;
    }

    /// Lets time pass.
    pub async fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        let form = format!("frozen_time={}", self.now);
        let path = format!("/v1/test_helpers/test_clocks/{}/advance", self.clock);
        self.bench.post(&path, &form).await;
    }

    /// A subscription; `form` says to what.
    pub async fn subscribe(&self, form: &str) -> Value {
        let form = format!("customer={}&{form}", self.customer);
        self.bench.post("/v1/subscriptions", &form).await
    }

    /// Buys one of a price by the month and answers the subscription's id.
    pub async fn monthly(&self, price: &str) -> String {
        id(&self.subscribe(&format!("items[0][price]={price}")).await)
    }

    pub async fn sub(&self, id: &str) -> Value {
        self.bench.get(&format!("/v1/subscriptions/{id}")).await
    }

    pub async fn change(&self, id: &str, form: &str) -> Value {
        self.bench.post(&format!("/v1/subscriptions/{id}"), form).await
    }

    pub async fn invoice(&self, id: &Value) -> Value {
        self.bench.get(&format!("/v1/invoices/{}", id.as_str().expect("an id"))).await
    }

    /// The newest invoice.
    pub async fn newest(&self) -> Value {
        let form = format!("/v1/invoices?limit=1&customer={}", self.customer);
        self.bench.get(&form).await["data"][0].clone()
    }

    pub async fn balance(&self) -> i64 {
        let found = self.bench.get(&format!("/v1/customers/{}", self.customer)).await;
        found["balance"].as_i64().expect("a balance")
    }

    /// Every event of a type, oldest first.
    pub async fn events(&self, kind: &str) -> Vec<Value> {
        let url = format!("{}/_sim/events?limit=10000", self.bench.url);
        let answer = self.bench.http.get(url).send().await.expect("an answer");
        let all: Value = answer.json().await.expect("JSON");
        let all = all["data"].as_array().expect("a list").iter().rev();
        all.filter(|event| event["type"] == kind).cloned().collect()
    }

    /// What the newest event of a type says was before.
    pub async fn before(&self, kind: &str) -> Value {
        let newest = self.events(kind).await.pop().expect("such an event");
        newest["data"]["previous_attributes"].clone()
    }
}

/// The id of a subscription's item.
pub fn item(sub: &Value, place: usize) -> String {
    id(&sub["items"]["data"][place])
}

/// The amounts of an invoice's lines.
pub fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().expect("lines").iter();
    lines.map(|line| line["amount"].as_i64().expect("an amount")).collect()
}

/// The names of an object's members, in order.
pub fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Total, what is due and status of an invoice.
pub fn sums(invoice: &Value) -> Value {
    json!([invoice["total"], invoice["amount_due"], invoice["status"]])
}
