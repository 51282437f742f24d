//! The simulator's own page at `/_sim`: what exists, what time it is, what was sent.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;
use time::OffsetDateTime;

use super::html::{esc, message, page, refused};
use crate::control;
use crate::json::Json;
use crate::world::{Origin, Shared, World};

const SHOWN: usize = 30;

fn moment(at: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(at) else {
        return at.to_string();
    };
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", time.date())
}

/// The overview.
pub async fn show(State(shared): State<Arc<Shared>>) -> Response {
    let body = shared
        .read(|world| {
            let ahead = ahead(world.settings.offset_ms);
            format!(
                "<h1>The simulator</h1><p>API base <code>{}</code>, any key that begins with \
                 <code>sk_test_</code>.</p>{}<div class=\"card\"><h2>Clock</h2><p>{} \
                 <span class=\"muted\">({ahead})</span></p>{}</div>{}{}",
                esc(&world.base_url),
                counts(world),
                moment(world.now()),
                clock_buttons(),
                events(world),
                deliveries(world),
            )
        })
        .await;
    page("The simulator", "wide", &body)
}

/// How far the clock is from the real one, in words.
fn ahead(offset_ms: i64) -> String {
    let hours = offset_ms / 3_600_000;
    match (hours / 24, hours % 24) {
        (0, 0) => "real time".to_owned(),
        (days, hours) => format!("{days} days and {hours} hours ahead of real time"),
    }
}

fn counts(world: &World) -> String {
    let rows: String = world
        .store
        .counts()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("<span class=\"tag\">{} {count}</span> ", esc(&kind)))
        .collect();
    let held = if world.settings.hold { "<p class=\"error\">Webhooks are held.</p>" } else { "" };
    match rows.is_empty() {
        true => format!("<p class=\"muted\">Nothing exists yet.</p>{held}"),
        false => format!("<p>{rows}</p>{held}"),
    }
}

fn clock_buttons() -> String {
    let steps =
        [(3600, "1 hour"), (86_400, "1 day"), (7 * 86_400, "1 week"), (31 * 86_400, "31 days")];
    let buttons: String = steps
        .iter()
        .map(|(seconds, label)| {
            format!("<button name=\"seconds\" value=\"{seconds}\">Forward {label}</button>")
        })
        .collect();
    format!(
        "<form method=\"post\" action=\"/_sim/actions/advance\" class=\"actions\">{buttons}</form>"
    )
}

fn events(world: &World) -> String {
    let rows: String = world
        .store
        .newest("event")
        .take(SHOWN)
        .map(|event| {
            let id = esc(event.text("id"));
            format!(
                "<tr><td>{}</td><td><a href=\"/_sim/events/{id}\">{}</a></td><td><code>{}</code>\
                 </td><td class=\"num\">{}</td><td><form method=\"post\" \
                 action=\"/_sim/actions/resend/{id}\"><button class=\"quiet\">Resend</button>\
                 </form></td></tr>",
                moment(event.int("created")),
                esc(event.text("type")),
                esc(event.text("data.object.id")),
                event.int("pending_webhooks"),
            )
        })
        .collect();
    format!(
        "<div class=\"card\"><h2>Events</h2><div class=\"scroll\"><table><thead><tr><th>When</th>\
         <th>Type</th><th>Object</th><th>Pending</th><th></th></tr></thead><tbody>{rows}</tbody>\
         </table></div></div>"
    )
}

fn deliveries(world: &World) -> String {
    let rows: String = control::recent(world, SHOWN)
        .iter()
        .map(|delivery| {
            let state = delivery.text("state");
            let tag = match state {
                "delivered" => "ok",
                "pending" => "",
                _ => "bad",
            };
            format!(
                "<tr><td><span class=\"tag {tag}\">{}</span></td><td>{}</td><td><code>{}</code>\
                 </td><td class=\"num\">{}</td><td>{}</td></tr>",
                esc(state),
                esc(delivery.text("type")),
                esc(delivery.text("url")),
                delivery.int("attempts"),
                esc(&last_attempt(delivery)),
            )
        })
        .collect();
    format!(
        "<div class=\"card\"><h2>Deliveries</h2><div class=\"scroll\"><table><thead><tr>\
         <th>State</th><th>Type</th><th>Endpoint</th><th>Attempts</th><th>Last</th></tr></thead>\
         <tbody>{rows}</tbody></table></div></div>"
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

/// One event as it was sent.
pub async fn event(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let found = shared.read(|world| world.get("event", &id).map(|event| world.render(event))).await;
    let Some(event) = found else {
        return message(StatusCode::NOT_FOUND, "Not found", "There is no such event.", None);
    };
    let text = serde_json::to_string_pretty(&event).unwrap_or_default();
    let body = format!(
        "<p><a href=\"/_sim\">← The simulator</a></p><h1>{}</h1><pre>{}</pre>",
        esc(event.text("type")),
        esc(&text)
    );
    page("Event", "wide", &body)
}

/// Sends an event again and goes back to the overview.
pub async fn resend(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let sent =
        shared.transact(Origin::default(), |world| control::send_again(world, &id, 1).map(|_| ()));
    match sent.await {
        Ok(()) => Redirect::to("/_sim").into_response(),
        Err(error) => refused(&error, "/_sim"),
    }
}

/// Moves the clock and goes back to the overview.
pub async fn advance(
    State(shared): State<Arc<Shared>>,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    let seconds = fields.get("seconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let moved =
        shared.transact(Origin::default(), |world| control::advance(world, seconds).map(|_| ()));
    match moved.await {
        Ok(()) => Redirect::to("/_sim").into_response(),
        Err(error) => refused(&error, "/_sim"),
    }
}
