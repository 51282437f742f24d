//! The line between the product and Stripe, on which answers can be spoiled: fields are lost,
//! shapes are older, a proxy puts its own page in place. Only what the product asks for is spoiled,
//! and nothing while no rule is set; whoever else speaks to Stripe hears the truth.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::stripe::Stripe;

/// What comes in place of an answer to the request for this path.
type Rule = Box<dyn Fn(&str, Value) -> String + Send + Sync>;

/// The key by which the product is told from everybody else.
const PRODUCT: &str = "Bearer sk_test_simulator";
/// More than any answer has.
const LARGEST: usize = 16 << 20;

struct Line {
    to: String,
    http: reqwest::Client,
    rule: Mutex<Option<Rule>>,
}

/// A simulator with such a line before it.
pub struct Wire {
    /// Where the product finds Stripe.
    pub url: String,
    line: Arc<Line>,
    simulator: simulator::Running,
    server: JoinHandle<()>,
}

impl Wire {
    /// A fresh simulator, and a line that spoils nothing yet.
    pub async fn start() -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = simulator::Settings { addr, data: None };
        let simulator = simulator::start(settings).await.expect("the simulator starts");
        simulator.judge();
        let plain = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = plain.build().expect("a client");
        let line = Arc::new(Line { to: simulator.url(), http, rule: Mutex::new(None) });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&line));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("served");
        });
        Self { url, line, simulator, server }
    }

    /// From now on every object that the product reads by GET arrives as this rule makes it, which
    /// is given the path, as `/v1/invoices/in_1`, and the object.
    pub fn spoil(&self, rule: impl Fn(&str, Value) -> String + Send + Sync + 'static) {
        *self.rule() = Some(Box::new(rule));
    }

    /// Everything arrives as it is again.
    pub fn mend(&self) {
        *self.rule() = None;
    }

    fn rule(&self) -> std::sync::MutexGuard<'_, Option<Rule>> {
        self.line.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that the simulator spoke as Stripe does, and ends both.
    pub async fn end(self) {
        let misfits = Stripe::at(&self.simulator.url()).misfits().await;
        self.server.abort();
        self.simulator.stop().await;
        assert!(misfits.is_empty(), "Stripe does not speak so:\n{}", misfits.join("\n"));
    }
}

/// Passes a request on, and its answer back.
async fn pass(State(line): State<Arc<Line>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let is_read = parts.method == http::Method::GET
        && parts.headers.get("authorization").is_some_and(|key| key == PRODUCT);
    let body = axum::body::to_bytes(body, LARGEST).await.expect("a body");
    let mut headers = parts.headers.clone();
    headers.remove("host");
    let sent = line.http.request(parts.method.clone(), format!("{}{path}", line.to));
    let answer = sent.headers(headers).body(body).send().await.expect("the simulator answers");
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in ["content-length", "transfer-encoding"] {
        headers.remove(name);
    }
    let bytes = answer.bytes().await.expect("a body");
    let bytes = match is_read && status.is_success() {
        true => line.spoiled(parts.uri.path(), bytes),
        false => bytes,
    };
    (status, headers, bytes).into_response()
}

impl Line {
    fn spoiled(&self, path: &str, bytes: Bytes) -> Bytes {
        let rule = self.rule.lock().unwrap_or_else(PoisonError::into_inner);
        match rule.as_ref() {
            Some(rule) => {
                let object = serde_json::from_slice(&bytes).expect("Stripe answers with JSON");
                Bytes::from(rule(path, object))
            }
            None => bytes,
        }
    }
}
