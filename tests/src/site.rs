//! One running copy of the product: an engine and the site over it, on a port of its own. Several
//! may share a database, as replicas do.

use std::net::SocketAddr;

use server::config::Config;
use server::engine::Engine;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running copy.
pub struct Site {
    /// Its engine.
    pub engine: Engine,
    /// Where it is served.
    pub url: String,
    task: JoinHandle<()>,
}

impl Site {
    /// Starts a copy with these variables of the environment, on a free port.
    pub async fn start(mut vars: Vec<(String, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        vars.push(("BIND_ADDR".to_owned(), address.to_string()));
        let lookup = |name: &str| {
            let found = vars.iter().rev().find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.clone())
        };
        let config = Config::from_vars("turnpike", lookup).expect("a valid configuration");
        let engine = Engine::start(config).await.expect("the engine starts");
        let router = app::serve::router(engine.clone(), app::serve::Site::beside_the_program());
        let task = tokio::spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.expect("served");
        });
        Self { engine, url: format!("http://{address}"), task }
    }

    /// Sees the time as the database has it, as the worker does every moment.
    pub async fn look_at_the_clock(&self) {
        self.engine.clock.refresh(&self.engine.db).await.expect("the clock is read");
    }

    /// Answers nobody any more.
    pub fn hang_up(&self) {
        self.task.abort();
    }

    /// Ends it and closes its connections to the database.
    pub async fn end(self) {
        self.task.abort();
        self.engine.stop().await;
    }
}
