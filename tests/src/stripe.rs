//! The other side of the wire: what a customer, a bank or an operator does at Stripe, told to what
//! stands in for it, or to a sandbox of Stripe's own. The product hears of it by webhooks only, or
//! by asking for what happened.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Any test key will do at the simulator.
const KEY: &str = "sk_test_tests";
/// What the product speaks, whatever the account's own version is.
const VERSION: &str = "2026-09-30.endive";
/// The status of a refusal for lack of time.
const TOO_MANY: u16 = 429;
/// How often a call is made again that Stripe had no time for.
const AGAIN: u32 = 6;

/// Stripe, as somebody with its key sees it.
#[derive(Clone)]
pub struct Stripe {
    /// Where it is.
    pub url: String,
    http: reqwest::Client,
    key: String,
    /// When the next call may be made, where it is asked as Stripe itself must be.
    pace: Option<Pace>,
}

#[derive(Clone)]
struct Pace {
    next: Arc<Mutex<Instant>>,
    pause: Duration,
}

impl Stripe {
    /// The simulator at this address.
    pub fn at(url: &str) -> Self {
        let http = reqwest::Client::new();
        Self { url: url.to_owned(), http, key: KEY.to_owned(), pace: None }
    }

    /// Stripe at this address, or somebody who is treated no other than Stripe: it has no control
    /// surface, speaks the version that it is asked for, and is called with a pause in between.
    pub fn sandbox(url: &str, key: &str, pause: Duration) -> Self {
        let pace = Some(Pace { next: Arc::new(Mutex::new(Instant::now())), pause });
        Self { key: key.to_owned(), pace, ..Self::at(url) }
    }

    /// Posts a form to `/v1/{path}`; fails unless it is taken.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let (status, body) = self.try_post(path, fields).await;
        assert_eq!(status, 200, "POST /v1/{path} {fields:?}: {body:#}");
        body
    }

    /// Posts a form to `/v1/{path}`; answers the status and the body.
    pub async fn try_post(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.post(format!("{}/v1/{path}", self.url));
        self.send(request.form(fields)).await
    }

    /// Reads `/v1/{path}`.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(self.http.get(format!("{}/v1/{path}", self.url))).await;
        assert_eq!(status, 200, "GET /v1/{path}: {body:#}");
        body
    }

    /// Deletes `/v1/{path}`, with these fields.
    pub async fn delete(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let (status, body) = self.try_delete(path, fields).await;
        assert_eq!(status, 200, "DELETE /v1/{path}: {body:#}");
        body
    }

    /// Deletes `/v1/{path}`; answers the status and the body.
    pub async fn try_delete(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.delete(format!("{}/v1/{path}", self.url));
        self.send(request.query(fields)).await
    }

    /// Makes a call, again where Stripe says that it had no time for it: nothing was done then.
    async fn send(&self, request: RequestBuilder) -> (u16, Value) {
        let request = request.bearer_auth(&self.key);
        let Some(pace) = &self.pace else { return read(request).await };
        let request = request.header("stripe-version", VERSION);
        for attempt in 0..AGAIN {
            let copy = request.try_clone().expect("a form can be sent twice");
            let mut next = pace.next.lock().await;
            tokio::time::sleep_until(*next).await;
            *next = Instant::now() + pace.pause;
            let (status, body) = read(copy).await;
            if status != TOO_MANY {
                return (status, body);
            }
            *next = Instant::now() + Duration::from_secs(1 << attempt);
        }
        panic!("Stripe takes no calls");
    }

    /// Tells the control surface something.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        assert!(self.pace.is_none(), "Stripe has no control surface for {path}");
        let request = self.http.post(format!("{}/_sim/{path}", self.url)).json(&body);
        let answer = request.send().await.expect("the simulator answers");
        let status = answer.status().as_u16();
        let said: Value = answer.json().await.unwrap_or_default();
        assert_eq!(status, 200, "_sim/{path} {body}: {said:#}");
        said
    }

    /// Lets time pass at Stripe.
    pub async fn wait(&self, seconds: i64) {
        self.control("clock", json!({ "advance_seconds": seconds })).await;
    }

    /// Whether every webhook was delivered that can be.
    pub async fn idle(&self) -> bool {
        let url = format!("{}/_sim/idle", self.url);
        let answer = self.http.get(url).send().await.expect("the simulator answers");
        let body: Value = answer.json().await.expect("JSON");
        body["idle"] == json!(true)
    }

    /// Every event so far, oldest first.
    pub async fn events(&self) -> Vec<Value> {
        let url = format!("{}/_sim/events?limit=10000", self.url);
        let answer = self.http.get(url).send().await.expect("the simulator answers");
        let mut body: Value = answer.json().await.expect("JSON");
        let mut events = std::mem::take(body["data"].as_array_mut().expect("a list"));
        events.reverse();
        events
    }
    /// What does not fit Stripe's published description, of everything that was answered and told
    /// so far: one line for each mistake. Fails where nobody looked.
    pub async fn misfits(&self) -> Vec<String> {
        let url = format!("{}/_sim/judge", self.url);
        let answer = self.http.get(url).send().await.expect("the simulator answers");
        let verdict: Value = answer.json().await.expect("JSON");
        assert_eq!(verdict["on"], json!(true), "the simulator's judge is asleep");
        let wrong = verdict["wrong"].as_array().expect("a list");
        let word = |mistake: &Value, key: &str| mistake[key].as_str().unwrap_or("?").to_owned();
        let line = |mistake| {
            let [what, path, message] = ["what", "path", "message"].map(|key| word(mistake, key));
            format!("{what}: {path}: {message}")
        };
        wrong.iter().map(line).collect()
    }
}

/// Sends a call and reads what is answered.
async fn read(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("Stripe answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}
