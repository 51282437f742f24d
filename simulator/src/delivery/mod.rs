//! Sends queued webhooks: signed anew for every attempt, retried with growing pauses.
//!
//! First attempts to an endpoint go out one after the other, in the order of the events; what
//! failed is tried again beside them and holds nobody up. It runs outside every API call.

mod shapes;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::json::Json;
use crate::world::{DONE, Origin, Shared, WAITING, World, real_ms};

/// The pauses between attempts in seconds; the last one repeats.
const PAUSES: [i64; 7] = [1, 2, 5, 10, 30, 60, 120];
const MOST_ATTEMPTS: i64 = 20;
/// For how long a delivery is tried again, in simulated seconds.
const LONGEST_SECONDS: i64 = 3 * 86_400;
/// How far back a timestamp lies that nobody accepts any more.
const TOO_OLD: i64 = 900;
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many deliveries beyond the ones in order are looked at for a retry.
const LOOK_AHEAD: usize = 500;
const AT_ONCE: usize = 16;

/// One attempt to be made now.
struct Attempt {
    delivery: String,
    endpoint: String,
    ordered: bool,
    url: String,
    body: String,
    signature: String,
}

/// What came of it.
struct Outcome {
    delivery: String,
    endpoint: String,
    ordered: bool,
    status: Option<u16>,
    error: Option<String>,
    took_ms: i64,
}

/// What is on its way right now.
#[derive(Default)]
struct Busy {
    deliveries: HashSet<String>,
    endpoints: HashSet<String>,
}

/// The header of one attempt: a timestamp, and for each secret the signature of it and the body.
fn sign(secrets: &[&str], timestamp: i64, body: &str) -> String {
    let signatures = secrets.iter().filter_map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(format!("{timestamp}.{body}").as_bytes());
        Some(format!(",v1={}", hex::encode(mac.finalize().into_bytes())))
    });
    format!("t={timestamp}{}", signatures.collect::<String>())
}

/// Delivers until told to stop.
pub async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let Ok(client) = client else {
        tracing::error!("webhooks cannot be sent: no HTTP client");
        return;
    };
    let mut busy = Busy::default();
    let mut flights: JoinSet<Outcome> = JoinSet::new();
    loop {
        let (attempts, wait) = shared.read(|world| plan(world, &busy)).await;
        for attempt in attempts {
            busy.deliveries.insert(attempt.delivery.clone());
            if attempt.ordered {
                busy.endpoints.insert(attempt.endpoint.clone());
            }
            flights.spawn(send(client.clone(), attempt));
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
            Some(done) = flights.join_next() => {
                if let Ok(outcome) = done {
                    busy.deliveries.remove(&outcome.delivery);
                    if outcome.ordered {
                        busy.endpoints.remove(&outcome.endpoint);
                    }
                    record(&shared, outcome).await;
                }
            }
        }
    }
}

/// Which attempts to make now, and how long until the next one is due.
fn plan(world: &World, busy: &Busy) -> (Vec<Attempt>, Duration) {
    let longest = Duration::from_secs(60);
    if world.settings.hold {
        return (Vec::new(), longest);
    }
    let now = real_ms();
    let mut next = now + 60_000;
    let mut blocked = busy.endpoints.clone();
    let mut attempts = Vec::new();
    let endpoints = world.store.newest("webhook_endpoint").count();
    for (index, delivery) in world.store.oldest(WAITING).enumerate() {
        if busy.deliveries.len() + attempts.len() >= AT_ONCE
            || (index > LOOK_AHEAD && blocked.len() >= endpoints)
        {
            break;
        }
        if busy.deliveries.contains(delivery.text("id")) {
            continue;
        }
        let endpoint = delivery.text("endpoint");
        let ordered = delivery.int("attempts") == 0 && delivery.flag("ordered");
        if ordered && blocked.contains(endpoint) {
            continue;
        }
        if ordered {
            blocked.insert(endpoint.to_owned());
        }
        if delivery.int("next_at") > now {
            next = next.min(delivery.int("next_at"));
            continue;
        }
        attempts.extend(prepare(world, delivery, ordered));
    }
    let wait = u64::try_from((next - now).max(1)).unwrap_or(60_000);
    (attempts, Duration::from_millis(wait))
}

/// One attempt with its body and signature as they are now, twisted where that was ordered.
fn prepare(world: &World, delivery: &Value, ordered: bool) -> Option<Attempt> {
    let endpoint = world.get("webhook_endpoint", delivery.text("endpoint")).cloned();
    let endpoint = endpoint.unwrap_or_default();
    let event = world.get("event", delivery.text("event")).map(|event| world.render(event));
    let event = event.unwrap_or_default();
    let first = delivery.int("attempts") == 0;
    let twist = delivery.text("twist");
    let old = endpoint.opt_text("api_version").is_some_and(shapes::before_basil);
    let event = match twist {
        "thin" => shapes::thin(&event),
        "old_version" => shapes::old(world, event),
        "huge" if first => shapes::huge(event),
        _ if old => shapes::old(world, event),
        _ => event,
    };
    let mut body = serde_json::to_string_pretty(&event).ok()?;
    if twist == "truncated" && first {
        body = body.chars().take(body.chars().count() / 2).collect();
    }
    let now = real_ms().div_euclid(1000);
    let timestamp = if twist == "old_timestamp" && first { now - TOO_OLD } else { now };
    let secrets = match twist == "bad_signature" && first {
        true => vec!["whsec_wrong"],
        false => secrets(&endpoint, world.now()),
    };
    Some(Attempt {
        delivery: delivery.text("id").to_owned(),
        endpoint: delivery.text("endpoint").to_owned(),
        ordered,
        url: endpoint.text("url").to_owned(),
        signature: sign(&secrets, timestamp, &body),
        body,
    })
}

/// The secrets that sign for an endpoint: its own, and one that was rolled a short time ago.
fn secrets(endpoint: &Value, now: i64) -> Vec<&str> {
    let mut all = vec![endpoint.text("_sim.secret")];
    if endpoint.int("_sim.previous.until") > now {
        all.push(endpoint.text("_sim.previous.secret"));
    }
    all
}

async fn send(client: reqwest::Client, attempt: Attempt) -> Outcome {
    let begun = real_ms();
    let request = client
        .post(&attempt.url)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (simulator)")
        .header("stripe-signature", &attempt.signature)
        .body(attempt.body);
    let (status, error) = match request.send().await {
        Ok(response) => (Some(response.status().as_u16()), None),
        Err(error) if error.is_timeout() => (None, Some("no answer within 10 seconds".to_owned())),
        Err(error) if error.is_connect() => (None, Some("nobody listens there".to_owned())),
        Err(error) => (None, Some(error.to_string())),
    };
    Outcome {
        delivery: attempt.delivery,
        endpoint: attempt.endpoint,
        ordered: attempt.ordered,
        status,
        error,
        took_ms: real_ms() - begun,
    }
}

async fn record(shared: &Shared, outcome: Outcome) {
    let written = shared.transact(Origin::default(), |world| {
        note(world, &outcome);
        Ok(())
    });
    if let Err(error) = written.await {
        tracing::error!(reason = error.message(), "a delivery could not be recorded");
    }
}

/// Writes an attempt into its delivery's log and decides how it goes on.
fn note(world: &mut World, outcome: &Outcome) {
    let Some(mut delivery) = world.get(WAITING, &outcome.delivery).cloned() else {
        return;
    };
    let taken = outcome.status.is_some_and(|status| (200..300).contains(&status));
    let attempts = delivery.int("attempts") + 1;
    let entry = json!({
        "attempt": attempts, "at": world.now(), "status": outcome.status, "error": outcome.error,
        "took_ms": outcome.took_ms,
    });
    if let Some(log) = delivery["log"].as_array_mut() {
        log.push(entry);
    }
    delivery["attempts"] = attempts.into();
    let endpoint = world.get("webhook_endpoint", &outcome.endpoint);
    let gone = endpoint.is_none_or(|endpoint| endpoint.text("status") != "enabled");
    let late = world.now() > delivery.int("created") + LONGEST_SECONDS;
    let state = match (taken, gone || late || attempts >= MOST_ATTEMPTS) {
        (true, _) => "delivered",
        (false, true) => "failed",
        (false, false) => "pending",
    };
    delivery["state"] = state.into();
    if state == "pending" {
        let index = usize::try_from(attempts - 1).unwrap_or(0).min(PAUSES.len() - 1);
        delivery["next_at"] = (real_ms() + PAUSES[index] * 1000).into();
        world.store.put(WAITING, &outcome.delivery, delivery);
        return;
    }
    if taken {
        world.edit("event", delivery.text("event"), |event| {
            let left = (event.int("pending_webhooks") - 1).max(0);
            event["pending_webhooks"] = left.into();
        });
    }
    world.store.remove(WAITING, &outcome.delivery);
    world.store.put(DONE, &outcome.delivery, delivery);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_timestamp_and_body() {
        let header = sign(&["whsec_test"], 1_700_000_000, "{}");
        assert!(header.starts_with("t=1700000000,v1="));
        assert_ne!(header, sign(&["whsec_test"], 1_700_000_001, "{}"));
        assert_ne!(header, sign(&["whsec_test"], 1_700_000_000, "{ }"));
        assert_ne!(header, sign(&["whsec_other"], 1_700_000_000, "{}"));
        let both = sign(&["whsec_other", "whsec_test"], 1_700_000_000, "{}");
        assert!(both.ends_with(header.trim_start_matches("t=1700000000")));
        assert_eq!(both.matches("v1=").count(), 2);
    }

    #[test]
    fn a_rolled_secret_signs_until_its_time_is_over() {
        let rolled = json!({"_sim": {
            "secret": "new", "previous": {"secret": "old", "until": 100},
        }});
        assert_eq!(secrets(&rolled, 99), ["new", "old"]);
        assert_eq!(secrets(&rolled, 100), ["new"]);
        assert_eq!(secrets(&json!({"_sim": {"secret": "only"}}), 5), ["only"]);
    }
}
