//! Events made by hand and delivered as Stripe delivers them: signed over their raw bytes, now.

use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::world::World;

/// Now, in seconds of this machine, by which Stripe signs.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

/// What `v1` is for this secret, time and body.
pub fn signature(secret: &str, at: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// An event in today's shape about this object.
pub fn event(id: &str, kind: &str, object: Value) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "created": now(), "livemode": false,
        "api_version": "2026-09-30.endive", "data": { "object": object },
    })
}

/// Delivers a body with this header to the webhook endpoint at this address; answers the status.
pub async fn deliver_as(url: &str, header: &str, body: &[u8]) -> u16 {
    let request = reqwest::Client::new().post(format!("{url}/webhooks/stripe"));
    let request = request.header("stripe-signature", header).body(body.to_vec());
    request.send().await.expect("an answer").status().as_u16()
}

/// Delivers a body with the right signature, whatever it says.
pub async fn deliver_raw(world: &World, body: &[u8]) -> u16 {
    let at = now();
    let v1 = signature(server::config::SIMULATOR_WEBHOOK_SECRET, at, body);
    deliver_as(&world.url, &format!("t={at},v1={v1}"), body).await
}

/// Delivers an event with the right signature.
pub async fn deliver(world: &World, event: &Value) -> u16 {
    deliver_raw(world, event.to_string().as_bytes()).await
}
