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
