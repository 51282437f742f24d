//! The simulator beside the server: started in this process, or found already running, and told
//! where our webhooks are. Spoken to over HTTP, as Stripe would be.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use server::config::{Config, SIMULATOR_WEBHOOK_SECRET};
use server::engine::Engine;
use server::error::{Error, Result};

/// How long the simulator may take: a year's renewals are worked through on the way.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts the simulator that the configuration asks for. One that is there already, because another
/// product on this machine started it, is used as it is.
pub async fn start(config: &Config) -> Result<Option<simulator::Running>> {
    if !(config.is_development() && config.simulated()) {
        return Ok(None);
    }
    let addr = config.simulator_addr;
    let settings = simulator::Settings { addr, data: Some(data_file(&config.database_url)) };
    match simulator::start(settings).await {
        Ok(running) => Ok(Some(running)),
        Err(_) if is_simulator(&format!("http://{addr}")).await => Ok(None),
        Err(error) => {
            let message = format!(
                "{error:#}. Stop what listens there, or choose another address, such as \
                 SIMULATOR_ADDR=127.0.0.1:{}",
                addr.port().saturating_add(1)
            );
            Err(Error::invalid("SIMULATOR_ADDR", message))
        }
    }
}

/// The simulator's file, beside the database where that is a file.
fn data_file(database_url: &str) -> PathBuf {
    let path = database_url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
    let path = path.and_then(|path| path.split('?').next()).unwrap_or("data/turnpike.db");
    PathBuf::from(path).with_file_name("simulator.db")
}

async fn is_simulator(url: &str) -> bool {
    let Ok(client) = client() else { return false };
    let answer = client.get(format!("{url}/_sim/clock")).timeout(Duration::from_secs(2)).send();
    let Ok(answer) = answer.await else { return false };
    answer.json::<Value>().await.is_ok_and(|clock| clock["now"].is_i64())
}

/// Tells the simulator where our webhooks are. Telling it again changes nothing.
pub async fn register(engine: &Engine) -> Result<()> {
    let Some(url) = super::simulator_url(engine) else { return Ok(()) };
    let mut address = engine.config.bind_addr;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let secrets = &engine.config.stripe_webhook_secrets;
    let secret = secrets.first().map_or(SIMULATOR_WEBHOOK_SECRET, |secret| secret.expose());
    let endpoint = json!({ "url": format!("http://{address}/webhooks/stripe"), "secret": secret });
    tell(&url, "webhook_endpoints", &endpoint).await
}

/// Moves the simulator's clock forward.
pub async fn advance(url: &str, seconds: i64) -> Result<()> {
    tell(url, "clock", &json!({ "advance_seconds": seconds })).await
}

async fn tell(url: &str, what: &str, body: &Value) -> Result<()> {
    let failed = |error: reqwest::Error| Error::Stripe {
        code: "simulator".to_owned(),
        message: format!("the simulator at {url} did not answer: {error}"),
        retryable: true,
    };
    let post = client().map_err(failed)?.post(format!("{url}/_sim/{what}")).json(body);
    let answer = post.send().await.map_err(failed)?;
    answer.error_for_status().map(drop).map_err(failed)
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulators_file_lies_beside_the_database() {
        let cases = [
            ("sqlite://data/turnpike.db", "data/simulator.db"),
            ("sqlite:///var/lib/my app.db?mode=rwc", "/var/lib/simulator.db"),
            ("sqlite:mine.db", "simulator.db"),
            ("postgres://localhost/x", "data/simulator.db"),
        ];
        for (url, path) in cases {
            assert_eq!(data_file(url), PathBuf::from(path), "{url}");
        }
    }
}
