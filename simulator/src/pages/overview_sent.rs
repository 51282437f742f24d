//! The overview's part about events and their deliveries.

use serde_json::Value;

use super::html::esc;
use super::overview::{action, moment, table};
use crate::control;
use crate::json::Json;
use crate::world::World;

const SHOWN: usize = 15;

/// The cards of this part.
pub fn cards(world: &World) -> String {
    [endpoints(world), deliveries(world), events(world)].concat()
}

fn endpoints(world: &World) -> String {
    let rows: String = world
        .store
        .oldest("webhook_endpoint")
        .map(|endpoint| {
            let events: Vec<&str> =
                endpoint.list("enabled_events").iter().filter_map(Value::as_str).collect();
            let events = match events.len() {
                0..=3 => events.join(", "),
                count => format!("{count} types"),
            };
            format!(
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                esc(endpoint.text("url")),
                esc(endpoint.text("status")),
                esc(&events)
            )
        })
        .collect();
    let nothing = "Nobody is told of anything: make a webhook endpoint, or start with --webhook.";
    table("Webhook endpoints", &["URL", "Status", "Events"], &rows, nothing)
}

fn events(world: &World) -> String {
    let rows: String = world
        .store
        .newest("event")
        .take(SHOWN)
        .map(|event| {
            let id = esc(event.text("id"));
            let again = action(&format!("resend/{}", event.text("id")), "times", "1", "Resend");
            format!(
                "<tr><td class=\"num\">{}</td><td><a href=\"/_sim/objects/event/{id}\">{}</a></td>\
                 <td><code>{}</code></td><td>{}</td><td>{again}</td></tr>",
                moment(event.int("created")),
                esc(event.text("type")),
                esc(event.text("data.object.id")),
                pending(event),
            )
        })
        .collect();
    let heads = ["When (UTC)", "Type", "Object", "Webhooks", ""];
    table("Events", &heads, &rows, "Nothing has happened yet.")
}

fn pending(event: &Value) -> String {
    match event.int("pending_webhooks") {
        0 => String::new(),
        count => format!("{count} pending"),
    }
}

fn deliveries(world: &World) -> String {
    let rows: String = control::recent(world, SHOWN).iter().map(delivery).collect();
    let heads = ["State", "Type", "Endpoint", "Attempts", "Last"];
    table("Deliveries", &heads, &rows, "Nothing was sent yet.")
}

fn delivery(delivery: &Value) -> String {
    let state = delivery.text("state");
    let tag = match state {
        "delivered" => "ok",
        "pending" => "",
        _ => "bad",
    };
    let twist = match delivery.opt_text("twist") {
        Some(twist) => format!(" <span class=\"tag\">{}</span>", esc(twist)),
        None => String::new(),
    };
    format!(
        "<tr><td><span class=\"tag {tag}\">{}</span></td><td>{}{twist}</td><td><code>{}</code>\
         </td><td>{}</td><td>{}</td></tr>",
        esc(state),
        esc(delivery.text("type")),
        esc(delivery.text("url")),
        match delivery.int("attempts") {
            1 => "1 attempt".to_owned(),
            count => format!("{count} attempts"),
        },
        esc(&last_attempt(delivery)),
    )
}

fn last_attempt(delivery: &Value) -> String {
    let Some(last) = delivery.list("log").last() else {
        return String::new();
    };
    match (last.opt_int("status"), last.opt_text("error")) {
        (Some(status), _) => format!("{status} in {} ms", last.int("took_ms")),
        (None, error) => error.unwrap_or_default().to_owned(),
    }
}
