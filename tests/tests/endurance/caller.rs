//! A program with an API key that bears a server which goes away in the middle: what got no answer
//! is sent again with the same key, once the server is back.

use std::time::Duration;

use serde_json::Value;
use tests::Program;
use tokio::sync::watch;

use crate::server::Server;

/// How often one request may stay without an answer before something else must be wrong.
const TRIES: u32 = 200;
/// No answer may take longer; a server that hangs is no better than one that is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// An org, its key, and what it was given.
#[derive(Clone, Debug)]
pub struct Wallet {
    /// `org_…`
    pub org: String,
    /// Its key's secret.
    pub secret: String,
    /// Whole credits granted so far.
    pub granted: i64,
}

impl Wallet {
    /// A program that expects every request to be answered.
    pub fn at(&self, server: &Server) -> Program {
        Program::new(&server.url, &self.secret, &self.org)
    }
}

/// An answer, to the letter.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether it was given before.
    pub replayed: bool,
    /// The body as it was sent.
    pub text: String,
    /// The body, read.
    pub body: Value,
}

impl Answer {
    /// The error's code; empty where there is none.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// Whether it only says that it was not done now: all of it, or an item of a batch.
    fn is_for_later(&self) -> bool {
        let later = |status: u64, code: &Value| status == 503 || *code == "idempotency_in_progress";
        let items = self.body["data"].as_array().into_iter().flatten();
        let mut items = items.map(|item| (item["status"].as_u64(), &item["error"]["code"]));
        later(self.status.into(), &self.body["error"]["code"])
            || items.any(|(status, code)| later(status.unwrap_or_default(), code))
    }

    /// Whether the gate keeps this answer with the key.
    pub fn stored(&self) -> bool {
        matches!(self.status, 200 | 402 | 403)
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Not one byte of it came.
    Whole,
    /// It broke off in the middle.
    Half,
}

/// One wallet's program.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    /// Its own server first; the others answer when that one does not.
    urls: Vec<String>,
    secret: String,
    /// Whether the server is there.
    open: watch::Receiver<bool>,
}

impl Caller {
    /// A caller that knocks at these servers only while `open` says true.
    pub fn new(servers: &[Server], wallet: &Wallet, open: watch::Receiver<bool>) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build();
        let urls = servers.iter().map(|server| server.url.clone()).collect();
        Self { http: http.expect("a client"), urls, secret: wallet.secret.clone(), open }
    }

    /// The same caller at home with another server, if there is one.
    pub fn moved(&self, by: usize) -> Self {
        let mut moved = self.clone();
        moved.urls.rotate_left(by % self.urls.len());
        moved
    }

    /// Posts once.
    pub async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Result<Answer, Lost> {
        self.post_to(&self.urls[0], path, key, body).await
    }

    async fn post_to(
        &self,
        url: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Answer, Lost> {
        let request = self.http.post(format!("{url}/v1/{path}")).bearer_auth(&self.secret);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        self.send(request.json(body)).await
    }

    /// Posts until there is an answer; tells how many attempts got none.
    pub async fn insist(&self, path: &str, key: Option<&str>, body: &Value) -> (Answer, u32) {
        for (lost, url) in (0..TRIES).zip(self.urls.iter().cycle()) {
            // The sender is only gone when the story is over.
            let _ = self.open.clone().wait_for(|open| *open).await;
            let Ok(answer) = self.post_to(url, path, key, body).await else { continue };
            if answer.is_for_later() {
                tokio::task::yield_now().await;
                continue;
            }
            assert!(answer.status < 500, "{path} {body}: {answer:?}");
            return (answer, lost);
        }
        panic!("{path} {key:?} got no answer in {TRIES} attempts");
    }

    /// Reads something.
    pub async fn get(&self, path: &str) -> Value {
        let request =
            self.http.get(format!("{}/v1/{path}", self.urls[0])).bearer_auth(&self.secret);
        let answer = self.send(request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.body
    }

    /// Reads a list to its end.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut rows: Vec<Value> = Vec::new();
        loop {
            let after = rows.last().and_then(|row| row["id"].as_str());
            let after = after.map(|id| format!("&starting_after={id}")).unwrap_or_default();
            let page = self.get(&format!("{path}?limit=100{after}")).await;
            rows.extend(page["data"].as_array().expect("a list").iter().cloned());
            if page["has_more"] != true {
                return rows;
            }
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Lost> {
        let response = request.send().await.map_err(|_| Lost::Whole)?;
        let status = response.status().as_u16();
        let replayed = response.headers().get("idempotent-replayed");
        let replayed = replayed.is_some_and(|value| value == "true");
        let text = response.text().await.map_err(|_| Lost::Half)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, replayed, text, body })
    }
}
