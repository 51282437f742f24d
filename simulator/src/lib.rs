//! A local Stripe: state, time, hosted pages and signed webhooks on the loopback interface.
//!
//! It speaks Stripe's wire format on the other side of HTTP, so that the real client code always
//! runs, and depends on nothing else of this workspace. It moves no real money, takes no live key
//! and is no part of a production configuration.

mod api;
mod billing;
mod cards;
mod control;
mod delivery;
mod errors;
mod form;
mod http;
mod ids;
mod json;
mod judge;
mod pages;
mod spec;
mod ticking;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower_http::catch_panic::CatchPanicLayer;

use world::{Disk, Shared};

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one. Anything but loopback is refused.
    pub addr: SocketAddr,
    /// Its file; without one everything is forgotten at the end.
    pub data: Option<PathBuf>,
}

/// A started simulator.
pub struct Running {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// How long open connections are waited for at the end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Starts a simulator on the current runtime.
pub async fn start(settings: Settings) -> Result<Running> {
    if !settings.addr.ip().is_loopback() {
        bail!("the simulator listens on loopback only, not on {}", settings.addr.ip());
    }
    let listener = TcpListener::bind(settings.addr)
        .await
        .with_context(|| format!("the simulator cannot listen on {}", settings.addr))?;
    let addr = listener.local_addr()?;
    let disk = match &settings.data {
        Some(path) => Some(Disk::open(path).await?),
        None => None,
    };
    let shared = Arc::new(Shared::open(format!("http://{addr}"), disk).await?);
    let (stop, stopped) = watch::channel(false);
    let helpers = vec![
        tokio::spawn(delivery::run(Arc::clone(&shared), stopped.clone())),
        tokio::spawn(ticking::run(Arc::clone(&shared), stopped.clone())),
    ];
    let router = router(Arc::clone(&shared));
    let server = tokio::spawn(async move {
        let mut stopped = stopped;
        let ended = async move {
            // An error means that the sender is gone, which is an end as well.
            let _ = stopped.changed().await;
        };
        let served = axum::serve(listener, router).with_graceful_shutdown(ended).await;
        if let Err(error) = served {
            tracing::error!(%error, "the simulator stopped serving");
        }
    });
    Ok(Running { addr, stop, server, helpers, shared })
}

impl Running {
    /// Where it is reached: the API base, the pages and the control surface.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Has every answer and event judged from now on, which debug builds do from the start.
    pub fn judge(&self) {
        self.shared.judge.switch(true);
    }

    /// What the judge found in everything answered and told so far: how much was looked at, which
    /// kinds of answers and events, and what does not fit Stripe's description.
    pub fn verdict(&self) -> Value {
        self.shared.judge.verdict()
    }

    /// One example of each distinct answer and event so far, by what it is.
    pub fn recorded(&self) -> Value {
        self.shared.judge.recorded()
    }

    /// Forgets every object, fault and clock offset.
    pub async fn reset(&self) -> Result<()> {
        self.shared.reset().await
    }

    /// Makes sure that webhooks go to this URL, signed with this secret.
    pub async fn deliver_to(&self, url: &str, secret: &str) -> Result<()> {
        let made = self.shared.transact(world::Origin::default(), |world| {
            api::upsert_endpoint(world, url, secret, &["*".into()])
        });
        made.await.map(|_| ()).map_err(|error| anyhow::anyhow!("{}", error.message()))
    }

    /// Ends it: running requests finish, the file is closed.
    pub async fn stop(self) {
        // Nobody listening any more means that it has stopped already.
        let _ = self.stop.send(true);
        let abort = self.server.abort_handle();
        if tokio::time::timeout(PATIENCE, self.server).await.is_err() {
            abort.abort();
        }
        for helper in self.helpers {
            let abort = helper.abort_handle();
            if tokio::time::timeout(PATIENCE, helper).await.is_err() {
                abort.abort();
            }
        }
        self.shared.close().await;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .merge(control::routes())
        .merge(pages::routes())
        .layer(middleware::from_fn(same_site))
        .route("/v1/{*path}", any(http::answer))
        .layer(CatchPanicLayer::new())
        .with_state(shared)
}

/// Pages of other sites must not press the buttons here through somebody's browser.
async fn same_site(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    let foreign = site.is_some_and(|site| site == "cross-site");
    if foreign && request.method() != axum::http::Method::GET {
        return (StatusCode::FORBIDDEN, "cross-site requests are refused").into_response();
    }
    next.run(request).await
}
