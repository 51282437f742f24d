//! `serve`: pages, API, webhooks and worker in one process, and in development the simulator too.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use server::catalog::{self, CatalogFile, PushOptions};
use server::config::Config;
use server::demo;
use server::engine::Engine;
use server::error::{Error, Result};
use server::worker;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Report;
use crate::dev::simulator;
use crate::serve::{Site, router};

/// How long running requests may take after the order to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until it is told to stop, then finishes what it has begun.
pub async fn serve(config: Config, demo: bool) -> Result<Report> {
    if demo && !config.is_development() {
        return Err(Error::Forbidden("--demo is for development only.".to_owned()));
    }
    let listener = listen(config.bind_addr).await?;
    let simulator = simulator::start(&config).await?;
    let engine = super::open(config).await?;
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(worker::run(engine.clone(), stopping.clone()));
    // A local stand-in is filled in a moment, so nobody sees an empty shop; Stripe itself may take
    // its time or be away, and must not hold up the start.
    let simulated = crate::dev::simulator_url(&engine).is_some();
    let at_once = if simulated { Some(prepare(&engine, demo).await) } else { None };
    let site = Site::beside_the_program();
    let service = router(engine.clone(), site).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(told(stopping.clone()));
    tasks.spawn(async move {
        if let Err(error) = server.await {
            tracing::error!("the server ended: {error}");
        }
    });
    let prepared = match at_once {
        Some(prepared) => prepared,
        None => prepare(&engine, demo).await,
    };
    if let Ok(made) = &prepared {
        welcome(&engine, demo, *made);
        interrupted().await;
    }
    // Nobody listening any more means that everything has stopped already.
    let _ = stop.send(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(PATIENCE, drained).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    tasks.shutdown().await;
    engine.stop().await;
    if let Some(simulator) = simulator {
        simulator.stop().await;
    }
    prepared.map(|_| Report { lines: Vec::new(), json: serde_json::json!({}), ok: true })
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let other = SocketAddr::new(address.ip(), address.port().saturating_add(1));
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => "is taken by another program".to_owned(),
            _ => format!("cannot be listened on: {error}"),
        };
        let message = format!("{address} {why}. Choose another, such as BIND_ADDR={other}");
        Error::invalid("BIND_ADDR", message)
    })
}

/// What has to be there before anybody looks: webhooks, a catalog, the demo org.
async fn prepare(engine: &Engine, demo: bool) -> Result<bool> {
    simulator::register(engine).await?;
    fill_catalog(engine).await?;
    if demo { demo::seed(engine).await } else { Ok(false) }
}

/// Brings the catalog up to date; where the simulator stands in for Stripe and nothing is sold, the
/// example is put on sale. A Stripe that does not answer leaves what is known.
async fn fill_catalog(engine: &Engine) -> Result<()> {
    if let Err(error) = catalog::refresh(engine).await {
        tracing::warn!("the catalog could not be brought up to date: {error}");
    }
    let known = catalog::current(&engine.db).await?;
    for problem in &known.problems {
        let (id, name, message) = (&problem.object_id, &problem.name, &problem.message);
        tracing::warn!("not on sale: {id}, {name}: {message}");
    }
    let nothing = known.tiers.is_empty() && known.packs.is_empty() && known.problems.is_empty();
    if nothing && crate::dev::simulator_url(engine).is_some() {
        let file = CatalogFile::load(&engine.config)?;
        catalog::push(engine, &file, PushOptions::default()).await?;
    }
    Ok(())
}

fn welcome(engine: &Engine, demo: bool, made: bool) {
    let config = &engine.config;
    println!("{} is at {}", config.product_name, config.base_url);
    if demo {
        let state = if made { "made just now" } else { "kept from before" };
        let (email, password) = (demo::EMAIL, demo::PASSWORD);
        println!("  demo org ({state}): sign in with {email} and the password {password}");
    }
    if config.is_development() {
        println!("  mailbox, clock and inbox: {}/dev", config.base_url);
    }
    if let Some(url) = crate::dev::simulator_url(engine) {
        println!("  the simulator that stands in for Stripe: {url}/_sim");
    }
}

async fn told(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Waits for Ctrl-C or the order to terminate.
async fn interrupted() {
    #[cfg(unix)]
    let terminated = terminated();
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    wait_for_either(tokio::signal::ctrl_c(), terminated).await;
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::warn!("the order to terminate cannot be heard: {error}");
            std::future::pending::<()>().await;
        }
    }
}

async fn wait_for_either<T>(one: impl Future<Output = T>, other: impl Future<Output = ()>) {
    tokio::select! {
        _ = one => {}
        () = other => {}
    }
}
