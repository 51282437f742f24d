//! Webhook endpoints. The secret is shown once, when an endpoint is made.

use serde_json::{Value, json};

use super::{Route, delete, get, post};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::ids;
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    get("/v1/webhook_endpoints", list),
    post("/v1/webhook_endpoints", create),
    get("/v1/webhook_endpoints/{webhook_endpoint}", read),
    post("/v1/webhook_endpoints/{webhook_endpoint}", update),
    delete("/v1/webhook_endpoints/{webhook_endpoint}", remove),
];

const KIND: &str = "webhook_endpoint";
const MOST: usize = 16;
/// How long a rolled secret may go on signing.
const LONGEST_KEPT: i64 = 86_400;

fn list(call: &mut Call) -> Answer {
    page(call, KIND, "/v1/webhook_endpoints", |_| true)
}

fn checked_url(url: &str) -> Answer<()> {
    let parsed = url::Url::parse(url);
    let good = parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if good {
        return Ok(());
    }
    let message = "Invalid URL: An explicit scheme (such as https) must be provided.";
    Err(ApiError::param("url_invalid", "url", message))
}

/// Stores a new endpoint with a secret.
fn make(world: &mut World, url: &str, secret: &str, fields: Value) -> Answer {
    if world.store.newest(KIND).count() >= MOST {
        let message = "You have reached the maximum of 16 test webhook endpoints.";
        return Err(ApiError::invalid(message));
    }
    let mut endpoint = json!({
        "enabled_events": ["*"], "metadata": {}, "status": "enabled", "url": url,
        "_sim": {"secret": secret},
    });
    if let (Some(into), Some(from)) = (endpoint.as_object_mut(), fields.as_object()) {
        into.extend(from.clone());
    }
    Ok(world.create(KIND, endpoint))
}

fn create(call: &mut Call) -> Answer {
    let url = call.need("url")?;
    checked_url(&url)?;
    let metadata = call.metadata(&Value::Null)?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["description", "enabled_events", "api_version"]);
    let secret = ids::new("webhook_secret");
    let endpoint = make(call.world, &url, &secret, fields)?;
    let mut shown = call.world.render(&endpoint);
    shown["secret"] = secret.into();
    Ok(shown)
}

/// Makes sure that there is an endpoint with this URL and exactly this secret.
pub fn upsert(world: &mut World, url: &str, secret: &str, events: &[Value]) -> Answer {
    checked_url(url)?;
    let known = world.store.newest(KIND).find(|endpoint| endpoint.text("url") == url);
    let id = match known.map(|endpoint| endpoint.text("id").to_owned()) {
        Some(id) => id,
        None => make(world, url, secret, json!({}))?.text("id").to_owned(),
    };
    let endpoint = world.edit(KIND, &id, |endpoint| {
        endpoint["enabled_events"] = events.to_vec().into();
        endpoint["status"] = "enabled".into();
        endpoint.put("_sim.secret", secret);
    });
    Ok(world.render(&endpoint))
}

/// Gives an endpoint a new secret. The old one signs beside it for a while, a day at most.
pub fn roll(world: &mut World, id: &str, keep: i64, secret: Option<&str>) -> Answer {
    let before = world.find(KIND, id)?.text("_sim.secret").to_owned();
    let secret = secret.map(str::to_owned).unwrap_or_else(|| ids::new("webhook_secret"));
    let until = world.now() + keep.clamp(0, LONGEST_KEPT);
    let endpoint = world.edit(KIND, id, |endpoint| {
        endpoint.put("_sim.secret", secret.as_str());
        endpoint.put("_sim.previous", json!({"secret": before, "until": until}));
    });
    let mut shown = world.render(&endpoint);
    shown["secret"] = secret.into();
    shown["previous_secret_until"] = until.into();
    Ok(shown)
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find(KIND, call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find(KIND, call.id())?.clone();
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    if let Some(url) = call.opt("url") {
        checked_url(&url)?;
    }
    call.copy(&mut fields, &["description", "enabled_events", "url"]);
    if let Some(disabled) = call.params["disabled"].as_bool() {
        fields["status"] = if disabled { "disabled" } else { "enabled" }.into();
    }
    let endpoint = call.world.edit(KIND, &id, |endpoint| {
        if let (Some(into), Some(from)) = (endpoint.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    });
    Ok(call.world.render(&endpoint))
}

fn remove(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    call.world.find(KIND, &id)?;
    call.world.store.remove(KIND, &id);
    Ok(json!({"id": id, "object": KIND, "deleted": true}))
}
