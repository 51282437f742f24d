//! What the simulator's tests share: a running simulator, plain API calls, a webhook listener.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use simulator::{Running, Settings};

/// A simulator with a client that does not follow redirects.
pub struct Bench {
    pub running: Running,
    pub url: String,
    pub http: reqwest::Client,
}

pub const KEY: &str = "sk_test_bench";

impl Bench {
    pub async fn new() -> Bench {
        Bench::with(None).await
    }

    pub async fn with(data: Option<std::path::PathBuf>) -> Bench {
        let addr: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let running = simulator::start(Settings { addr, data }).await.expect("it starts");
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Bench { url: running.url(), running, http }
    }

    pub async fn call(&self, method: &str, path: &str, form: &str) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(KEY)
            .header("stripe-version", "2026-09-30.endive")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    pub async fn post(&self, path: &str, form: &str) -> Value {
        let (status, body) = self.call("POST", path, form).await;
        assert_eq!(status, 200, "POST {path} {form}: {body}");
        body
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, "").await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub async fn control(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).json(&body);
        let response = request.send().await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.expect("JSON")
    }

    pub async fn idle(&self) {
        let response = self.http.get(format!("{}/_sim/idle", self.url)).send().await;
        let body: Value = response.expect("an answer").json().await.expect("JSON");
        assert_eq!(body["idle"], true, "{body}");
    }

    /// A product with a price; returns the price's id.
    pub async fn price(&self, name: &str, amount: i64, interval: Option<&str>) -> String {
        let product = self.post("/v1/products", &format!("name={name}")).await;
        let recurring = interval.map(|i| format!("&recurring[interval]={i}")).unwrap_or_default();
        let product = product["id"].as_str().expect("an id").to_owned();
        let form = format!("product={product}&currency=usd&unit_amount={amount}{recurring}");
        id(&self.post("/v1/prices", &form).await)
    }

    /// Presses pay on the card page; returns status and where it leads.
    pub async fn pay(&self, session: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let request = self.http.post(format!("{}/c/pay/{session}", self.url)).form(fields);
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let location = response.headers().get("location");
        let location = location.and_then(|l| l.to_str().ok()).unwrap_or("").to_owned();
        (status, location, response.text().await.expect("text"))
    }

    /// Ends the simulator, after asking its judge whether everything it said was right.
    pub async fn end(self) {
        let answer = self.http.get(format!("{}/_sim/judge", self.url)).send().await;
        let verdict: Value = answer.expect("an answer").json().await.expect("JSON");
        assert!(verdict["checked"].as_u64() > Some(0), "the judge looked at nothing: {verdict}");
        assert_eq!(verdict["wrong"], json!([]), "what does not fit Stripe's description");
        self.running.stop().await;
    }

    /// The types of all events, oldest first.
    pub async fn event_types(&self) -> Vec<String> {
        let events = self.get("/v1/events?limit=100").await;
        let all = events["data"].as_array().expect("a list").iter().rev();
        all.map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
    }
}

pub fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

pub const CARD: [(&str, &str); 5] = [
    ("number", "4242 4242 4242 4242"),
    ("expiry", "12/34"),
    ("cvc", "123"),
    ("name", "Ada Example"),
    ("email", "ada@example.com"),
];

pub fn card_with(number: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut fields = CARD.to_vec();
    fields[0].1 = number;
    fields
}

/// An endpoint that verifies and keeps what it is sent.
pub struct Listener {
    pub received: Arc<Mutex<Vec<Value>>>,
    pub refuse: Arc<Mutex<usize>>,
}

pub const SECRET: &str = "whsec_bench";

type Kept = (Arc<Mutex<Vec<Value>>>, Arc<Mutex<usize>>);

impl Listener {
    pub async fn start(bench: &Bench) -> Listener {
        let received: Arc<Mutex<Vec<Value>>> = Arc::default();
        let refuse: Arc<Mutex<usize>> = Arc::default();
        let state: Kept = (Arc::clone(&received), Arc::clone(&refuse));
        let app = Router::new().route("/hook", post(take)).with_state(state);
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", socket.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(socket, app).await });
        bench.control("/_sim/webhook_endpoints", json!({"url": url, "secret": SECRET})).await;
        Listener { received, refuse }
    }

    pub fn types(&self) -> Vec<String> {
        let received = self.received.lock().expect("not poisoned");
        received.iter().map(|e| e["type"].as_str().unwrap_or("").to_owned()).collect()
    }
}

async fn take(State((kept, refuse)): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    {
        let mut left = refuse.lock().expect("not poisoned");
        if *left > 0 {
            *left -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    let header = headers.get("stripe-signature").and_then(|v| v.to_str().ok()).unwrap_or("");
    if !verified(header, &body) {
        return StatusCode::BAD_REQUEST;
    }
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    kept.lock().expect("not poisoned").push(event);
    StatusCode::OK
}

/// Whether any of the signatures in the header is ours.
fn verified(header: &str, body: &[u8]) -> bool {
    let mut parts = header.split(',');
    let Some(t) = parts.next().and_then(|part| part.strip_prefix("t=")) else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(t.as_bytes());
    mac.update(b".");
    mac.update(body);
    let ours = hex::encode(mac.finalize().into_bytes());
    parts.any(|part| part.strip_prefix("v1=") == Some(ours.as_str()))
}
