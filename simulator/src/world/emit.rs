//! Emits events and queues a delivery of each to every endpoint that wants it.
//!
//! It sends nothing itself; the dispatcher does that later, outside any API call.

use serde_json::{Value, json};

use super::{API_VERSION, World, real_ms};
use crate::ids;
use crate::json::Json;

/// The internal kind of deliveries that wait for their (next) attempt.
pub const WAITING: &str = "delivery";
/// The internal kind of deliveries that are over: delivered, given up or dropped.
pub const DONE: &str = "delivery_done";
/// The type of an event that no receiver can know.
const UNKNOWN_TYPE: &str = "simulator.something_new.happened";
/// How far apart shuffled deliveries may end up.
const SHUFFLE_SPREAD_MS: u64 = 400;

impl World {
    /// Records that something happened to an object, as it is now.
    pub fn emit(&mut self, kind: &str, object: &Value, previous: Option<Value>) {
        if self.store.is_rehearsing() {
            return;
        }
        let mut data = json!({"object": self.render(object)});
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        let event = json!({
            "api_version": API_VERSION,
            "data": data,
            "pending_webhooks": 0,
            "request": {
                "id": self.origin.request,
                "idempotency_key": self.origin.idempotency_key,
            },
            "type": kind,
        });
        let event = self.create("event", event);
        self.judge.event(&event);
        let id = event.text("id").to_owned();
        self.queue(&id, kind);
        self.echo(event);
    }

    /// Where that was ordered: the same fact under another id, and something nobody has heard of.
    fn echo(&mut self, event: Value) {
        if self.settings.faults.new_id == 0 && self.settings.faults.unknown_type == 0 {
            return;
        }
        let mut faults = self.settings.faults.clone();
        let again = faults.happens(faults.new_id);
        let unknown = faults.happens(faults.unknown_type);
        self.set(|settings| settings.faults = faults);
        let kind = event.text("type").to_owned();
        let types = [(again, kind.as_str()), (unknown, UNKNOWN_TYPE)];
        for (_, name) in types.into_iter().filter(|(wanted, _)| *wanted) {
            let mut twin = event.clone();
            twin["id"] = Value::Null;
            twin["type"] = name.into();
            twin["pending_webhooks"] = 0.into();
            let twin = self.create("event", twin);
            // Whoever listens to the first is told of the second.
            self.queue(twin.text("id"), &kind);
        }
    }

    /// Queues a new event for the endpoints that listen to its type, with the set mischief.
    fn queue(&mut self, event: &str, kind: &str) {
        let endpoints: Vec<String> = self
            .store
            .oldest("webhook_endpoint")
            .filter(|endpoint| endpoint.text("status") == "enabled" && listens(endpoint, kind))
            .map(|endpoint| endpoint.text("id").to_owned())
            .collect();
        if endpoints.is_empty() {
            return;
        }
        self.edit("event", event, |event| event["pending_webhooks"] = endpoints.len().into());
        for endpoint in endpoints {
            let mut faults = self.settings.faults.clone();
            let dropped = faults.happens(faults.drop);
            let copies = if faults.happens(faults.duplicate) { 2 } else { 1 };
            for _ in 0..copies {
                let spread = if faults.shuffle { faults.draw() % SHUFFLE_SPREAD_MS } else { 0 };
                let wait = faults.delay_ms + i64::try_from(spread).unwrap_or(0);
                let twist = faults.twist();
                self.deliver(event, &endpoint, wait, dropped, twist);
            }
            if faults.drawn != self.settings.faults.drawn {
                self.set(|settings| settings.faults = faults);
            }
        }
    }

    /// Queues one delivery; returns its id. A twist says what is done to it on the way.
    pub fn deliver(
        &mut self,
        event: &str,
        endpoint: &str,
        wait_ms: i64,
        dropped: bool,
        twist: Option<&str>,
    ) -> String {
        let id = ids::new("delivery");
        let kind = if dropped { DONE } else { WAITING };
        let delivery = json!({
            "id": id,
            "event": event,
            "endpoint": endpoint,
            "state": if dropped { "dropped" } else { "pending" },
            "attempts": 0,
            "next_at": real_ms() + wait_ms,
            "ordered": !self.settings.faults.shuffle,
            "twist": twist,
            "created": self.now(),
            "log": [],
        });
        self.store.put(kind, &id, delivery);
        id
    }
}

/// Whether an endpoint wants events of this type.
fn listens(endpoint: &Value, kind: &str) -> bool {
    endpoint.list("enabled_events").iter().any(|wanted| wanted == "*" || wanted == kind)
}
