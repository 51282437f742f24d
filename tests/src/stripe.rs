//! The other side of the wire: what a customer, a bank or an operator does at Stripe, told to what
//! stands in for it. The product hears of it by webhooks only.

use serde_json::{Value, json};

/// Any test key will do.
const KEY: &str = "sk_test_tests";

/// Stripe, as somebody with its key sees it.
#[derive(Clone)]
pub struct Stripe {
    /// Where it is.
    pub url: String,
    http: reqwest::Client,
}

impl Stripe {
    /// Stripe at this address.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), http: reqwest::Client::new() }
    }

    /// Posts a form to `/v1/{path}`; fails unless it is taken.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let (status, body) = self.try_post(path, fields).await;
        assert_eq!(status, 200, "POST /v1/{path} {fields:?}: {body:#}");
        body
    }

    /// Posts a form to `/v1/{path}`; answers the status and the body.
    pub async fn try_post(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.post(format!("{}/v1/{path}", self.url)).bearer_auth(KEY);
        let answer = request.form(fields).send().await.expect("Stripe answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("JSON"))
    }

    /// Reads `/v1/{path}`.
    pub async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/v1/{path}", self.url)).bearer_auth(KEY);
        let answer = request.send().await.expect("Stripe answers");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(status, 200, "GET /v1/{path}: {body:#}");
        body
    }

    /// Deletes `/v1/{path}`, with these fields.
    pub async fn delete(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let request = self.http.delete(format!("{}/v1/{path}", self.url)).bearer_auth(KEY);
        let answer = request.query(fields).send().await.expect("Stripe answers");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(status, 200, "DELETE /v1/{path}: {body:#}");
        body
    }

    /// Tells the control surface something.
    pub async fn control(&self, path: &str, body: Value) -> Value {
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
