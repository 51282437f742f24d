//! The backend of what is sold here: it asks the gate over HTTP with a service key, as the backend
//! of any product does.
//!
//! The key is made when it is first needed. Its secret lives in this process's memory and nowhere
//! else, so every start makes a new key; what is older than a week is revoked by the way. A key
//! that was revoked meanwhile is replaced once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use client::{Client, Code, Retry};
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use server::clock::DAY;
use server::engine::Engine;
use tokio::sync::Mutex;

use crate::error::AppError;

/// What the service key is called.
const NAME: &str = "playground";
/// When another process's key is taken for forgotten, in milliseconds.
const FORGOTTEN: i64 = 7 * DAY;
/// Somebody waits in front of the page.
const RETRY: Retry = Retry {
    attempts: 4,
    deadline: Duration::from_secs(20),
    attempt_timeout: Duration::from_secs(15),
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_secs(2),
};

/// The clients of this process, one for each server that runs in it.
static CLIENTS: Mutex<BTreeMap<SocketAddr, Made>> = Mutex::const_new(BTreeMap::new());

#[derive(Clone)]
struct Made {
    key_id: String,
    client: Client,
}

/// Asks the gate. `call` is made again with a new service key when the old one is refused, which
/// must not matter to it: its writes have idempotency keys.
pub async fn ask<T, F>(
    engine: &Engine,
    call: impl Fn(Client) -> F,
) -> Result<client::Result<T>, AppError>
where
    F: Future<Output = client::Result<T>>,
{
    let made = client_of(engine, None).await?;
    let answer = call(made.client).await;
    let refused = |error: &client::Error| error.code() == Some(&Code::Unauthenticated);
    if !answer.as_ref().is_err_and(refused) {
        return Ok(answer);
    }
    let made = client_of(engine, Some(&made.key_id)).await?;
    Ok(call(made.client).await)
}

/// The client that is kept, or a new one where there is none but the one that was refused.
async fn client_of(engine: &Engine, refused: Option<&str>) -> Result<Made, AppError> {
    let address = engine.config.bind_addr;
    let mut clients = CLIENTS.lock().await;
    let kept = clients.get(&address).filter(|made| Some(made.key_id.as_str()) != refused);
    if let Some(made) = kept {
        return Ok(made.clone());
    }
    let made = make(engine).await?;
    clients.insert(address, made.clone());
    Ok(made)
}

async fn make(engine: &Engine) -> Result<Made, AppError> {
    let now = engine.clock.now();
    let known = api_keys::list_service(&engine.db, NAME).await?;
    let new = NewKey {
        org: None,
        name: NAME.to_owned(),
        scopes: vec![Scope::Use],
        created_by: Actor::System,
    };
    let mut tx = engine.db.begin().await?;
    for old in known.iter().filter(|key| key.created_at < now - FORGOTTEN) {
        api_keys::revoke_service(&mut tx, &old.id, Actor::System, now).await?;
    }
    let (key, secret) = api_keys::create(&mut tx, new, engine.config.live(), now).await?;
    tx.commit().await?;
    let builder = Client::builder(address(engine.config.bind_addr)).secret(secret).retry(RETRY);
    let client = builder.direct().build().map_err(AppError::fault)?;
    Ok(Made { key_id: key.id, client })
}

/// Where this process reaches itself: one that listens everywhere does so on loopback, too.
fn address(bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_reached_on_loopback() {
        let cases = [
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("0.0.0.0:3000", "http://127.0.0.1:3000"),
            ("10.0.0.7:80", "http://10.0.0.7:80"),
            ("[::]:3000", "http://[::1]:3000"),
            ("[::1]:3000", "http://[::1]:3000"),
        ];
        for (bound, expected) in cases {
            assert_eq!(address(bound.parse().expect("an address")), expected);
        }
    }
}
