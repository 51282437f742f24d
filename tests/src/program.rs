//! A program with an API key: what a product's own backend does.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A program.
#[derive(Clone)]
pub struct Program {
    http: reqwest::Client,
    url: String,
    /// Its secret.
    pub secret: String,
    /// The org it acts for.
    pub org_id: String,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Value,
}

impl Program {
    /// A program that knows this secret.
    pub fn new(url: &str, secret: &str, org_id: &str) -> Self {
        let http = reqwest::Client::new();
        Self { http, url: url.to_owned(), secret: secret.to_owned(), org_id: org_id.to_owned() }
    }

    /// The client that a product's backend would use, with these credentials. What a backend never
    /// sends is posted by hand.
    pub fn client(&self) -> client::Client {
        let builder = client::Client::builder(&self.url).secret(&self.secret).direct();
        builder.build().expect("a client")
    }

    /// Posts a body, with a key where one is given.
    pub async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Answer {
        self.post_text(path, key, body.to_string()).await
    }

    /// Posts a body as it is written.
    pub async fn post_text(&self, path: &str, key: Option<&str>, body: String) -> Answer {
        let request = self.http.post(format!("{}/v1/{path}", self.url)).bearer_auth(&self.secret);
        let request = request.header("content-type", "application/json").body(body);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        read(request.send().await.expect("an answer")).await
    }

    /// Reads something.
    pub async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}/v1/{path}", self.url)).bearer_auth(&self.secret);
        read(request.send().await.expect("an answer")).await
    }

    /// Uses so much of a meter.
    pub async fn consume(&self, key: &str, meter: &str, quantity: i64) -> Answer {
        let body = serde_json::json!({ "meter": meter, "quantity": quantity });
        self.post("consume", Some(key), &body).await
    }

    /// What can be spent.
    pub async fn available(&self) -> String {
        let balance = self.get("balance").await;
        balance.body["available"].as_str().expect("a balance").to_owned()
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}

impl Answer {
    /// The error's code.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The field that the error names.
    pub fn param(&self) -> &str {
        self.body["error"]["param"].as_str().unwrap_or_default()
    }

    /// Whether it was given before.
    pub fn replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }
}
