//! A server on a port of its own that answers by script and remembers what it was asked. A request
//! past the end of the script is answered with 418, which no test expects.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{Client, Retry};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const SECRET: &str = "tp_test_of_the_script";

/// What the server does with one request.
pub enum Step {
    /// Answers with a status, headers and a body.
    Answer(u16, Vec<(&'static str, &'static str)>, Value),
    /// Answers with text that is no JSON.
    Text(u16, &'static str),
    /// Lets the connection break off.
    Break,
    /// Never answers.
    Hang,
}

/// 200 with this body.
pub fn ok(body: Value) -> Step {
    Step::Answer(200, Vec::new(), body)
}

/// An error with this status and code.
pub fn error(status: u16, code: &str) -> Step {
    Step::Answer(status, Vec::new(), json!({ "error": told(code) }))
}

/// What an error's body says.
pub fn told(code: &str) -> Value {
    json!({ "type": "some_error", "code": code, "message": format!("It is {code}.") })
}

/// What was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

#[derive(Clone)]
struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The server; gone when dropped.
pub struct Scripted {
    pub url: String,
    script: Script,
    task: JoinHandle<()>,
}

impl Scripted {
    pub async fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Script {
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            asked: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = axum::Router::new().fallback(answer).with_state(script.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("served");
        });
        Self { url, script, task }
    }

    /// A client that hardly pauses and waits for one answer for a second.
    pub fn client(&self) -> Client {
        self.client_with(patient())
    }

    pub fn client_with(&self, retry: Retry) -> Client {
        let builder = Client::builder(&self.url).secret(SECRET).retry(retry).direct();
        builder.build().expect("a client")
    }

    /// Everything that was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().expect("not poisoned").clone()
    }

    /// The one thing that was asked.
    pub fn asked_once(&self) -> Asked {
        let mut all = self.asked();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Short pauses, and time enough for a slow machine.
pub fn patient() -> Retry {
    Retry {
        attempts: 10,
        deadline: Duration::from_secs(60),
        attempt_timeout: Duration::from_secs(20),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let asked = Asked {
        line: format!("{} {}", parts.method, parts.uri),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).expect("text"),
    };
    script.asked.lock().expect("not poisoned").push(asked);
    let step = script.steps.lock().expect("not poisoned").pop_front();
    match step {
        Some(Step::Answer(status, headers, body)) => {
            let mut response = respond(status, body.to_string());
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("a header"));
            }
            response
        }
        Some(Step::Text(status, text)) => respond(status, text.to_owned()),
        Some(Step::Break) => {
            let broken = futures::stream::iter([
                Ok(bytes::Bytes::from_static(b"{\"id\":")),
                Err(io::Error::other("broken off")),
            ]);
            Response::new(Body::from_stream(broken))
        }
        Some(Step::Hang) => std::future::pending().await,
        None => respond(418, json!({ "error": told("end_of_script") }).to_string()),
    }
}

fn respond(status: u16, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// A usage as the gate answers it.
pub fn usage(id: &str, credits: &str) -> Value {
    json!({
        "object": "usage", "id": id, "seq": 7, "key": "job-1", "meter": "image", "model": null,
        "feature": null, "quantity": 1, "credits": credits,
        "from": [{ "grant": "grant_1", "credits": credits }], "overage": "0", "debt": "0",
        "lines": [], "hold": null, "late": false, "run": null, "member": "user_1",
        "rate_card": "2026-11-01", "cost": null, "metadata": null,
        "at": "2026-11-02T10:00:00Z", "occurred_at": null, "reversed_at": null, "warnings": [],
        "balance": { "available": "80", "held": "0" }, "newer_than_this_crate": { "a": 1 }
    })
}

/// A hold as the gate answers it.
pub fn hold(id: &str, status: &str) -> Value {
    json!({
        "object": "hold", "id": id, "seq": 8, "key": "job-1", "status": status, "meter": "text",
        "model": null, "feature": null, "quantity": 1000, "credits": "10", "captured": "0",
        "overage": "0", "usage": null, "run": null, "member": null, "rate_card": "2026-11-01",
        "on_expiry": "release", "metadata": null, "created_at": "2026-11-02T10:00:00Z",
        "expires_at": "2026-11-02T10:10:00Z", "ended_at": null,
        "balance": { "available": "70", "held": "10" }
    })
}

/// A decision as the gate makes it.
pub fn decision(allowed: bool, code: &str) -> Value {
    json!({
        "object": "decision", "id": null, "allowed": allowed, "code": code,
        "message": if allowed { "" } else { "20 credits are needed, 3 are available." },
        "credits": "20", "balance": { "available": "3", "held": "0.5" },
        "sources": [{ "kind": "feature", "name": "image", "source": "tier", "source_id": "ver_1",
            "source_name": "Free", "amount": null, "expires_at": null }],
        "limits": [
            { "name": "keys", "limit": 2, "source": "tier" },
            { "name": "cap", "limit": "30", "used": "27.5", "kind": "hard", "source": "org" }
        ],
        "next_step": if allowed { Value::Null } else {
            json!({ "kind": "top_up", "url": "http://a.example/billing#packs" })
        }
    })
}
