//! The simulator's own page: what exists, what time it is, what waits, what was sent.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use time::OffsetDateTime;

use super::html::{esc, message, page};
use super::{overview_faults, overview_money, overview_sent};
use crate::json::Json;
use crate::world::{DONE, Shared, WAITING, World};

/// Kinds that are no objects of Stripe's.
const INTERNAL: [&str; 3] = [WAITING, DONE, "idempotency"];
/// How many objects of a kind are listed.
const LISTED: usize = 200;

/// A moment as people read it.
pub fn moment(at: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(at) else {
        return at.to_string();
    };
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02}", time.date())
}

/// A button that posts to an action.
pub fn action(path: &str, name: &str, value: &str, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/_sim/actions/{}\"><button class=\"quiet\" \
         name=\"{name}\" value=\"{}\">{}</button></form>",
        esc(path),
        esc(value),
        esc(label)
    )
}

/// A table with a heading, or a sentence when there is nothing in it.
pub fn table(title: &str, heads: &[&str], rows: &str, nothing: &str) -> String {
    if rows.is_empty() {
        return format!(
            "<section class=\"card\"><h2>{title}</h2><p class=\"muted\">{nothing}</p></section>"
        );
    }
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!(
        "<section class=\"card\"><h2>{title}</h2><div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" aria-label=\"{title}\"><table class=\"stack\"><thead><tr>{heads}</tr>\
         </thead><tbody>{rows}</tbody></table></div></section>"
    )
}

/// The overview.
pub async fn show(State(shared): State<Arc<Shared>>) -> Response {
    let verdict = shared.judge.verdict();
    let body = shared
        .read(|world| {
            let left = [clock(world), objects(world), judged(&verdict)].concat();
            let right = overview_faults::card(world);
            format!(
                "<h1>The simulator</h1><p>API base <code>{}</code>, any key that begins with \
                 <code>sk_test_</code>. No real money moves.</p>\
                 <div class=\"columns\"><div>{left}</div><div>{right}</div></div>{}{}",
                esc(&world.base_url),
                overview_money::cards(world),
                overview_sent::cards(world),
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
        (days, hours) => {
            format!("{} and {} ahead of real time", many(days, "day"), many(hours, "hour"))
        }
    }
}

fn many(count: i64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn clock(world: &World) -> String {
    let steps =
        [(3600, "1 hour"), (86_400, "1 day"), (7 * 86_400, "1 week"), (31 * 86_400, "31 days")];
    let buttons: String = steps
        .iter()
        .map(|(seconds, label)| {
            format!("<button name=\"seconds\" value=\"{seconds}\">Forward {label}</button>")
        })
        .collect();
    format!(
        "<section class=\"card\"><h2>Clock</h2><p><strong class=\"num\">{} UTC</strong><br>\
         <span class=\"muted\">{}</span></p><form method=\"post\" class=\"actions\" \
         action=\"/_sim/actions/advance\">{buttons}</form><p class=\"muted small\">Everything \
         that becomes due on the way happens: renewals, retries, trials, expiries.</p></section>",
        moment(world.now()),
        ahead(world.settings.offset_ms),
    )
}

fn objects(world: &World) -> String {
    let links: String = world
        .store
        .counts()
        .into_iter()
        .filter(|(kind, count)| *count > 0 && !INTERNAL.contains(&kind.as_str()))
        .map(|(kind, count)| {
            let kind = esc(&kind);
            format!("<a class=\"tag\" href=\"/_sim/objects/{kind}\">{kind} <b>{count}</b></a> ")
        })
        .collect();
    let shown = match links.is_empty() {
        true => "<p class=\"muted\">Nothing exists yet.</p>".to_owned(),
        false => format!("<p class=\"tags\">{links}</p>"),
    };
    format!(
        "<section class=\"card\"><h2>Objects</h2>{shown}<form method=\"post\" \
         action=\"/_sim/actions/reset\"><label class=\"choice\"><input type=\"checkbox\" \
         name=\"sure\" value=\"yes\" required> I want everything gone</label>\
         <button class=\"quiet\">Forget everything</button></form></section>"
    )
}

/// What the judge says.
fn judged(verdict: &serde_json::Value) -> String {
    if !verdict.flag("on") {
        return String::new();
    }
    let wrong = verdict.list("wrong");
    let words = match wrong.len() {
        0 => "<p class=\"ok\">Everything fits Stripe's description.</p>".to_owned(),
        count => format!("<p class=\"error\">{count} mistakes.</p>"),
    };
    let rows: String = wrong
        .iter()
        .take(20)
        .map(|mistake| {
            format!(
                "<li><code>{} {}</code> {}</li>",
                esc(mistake.text("what")),
                esc(mistake.text("path")),
                esc(mistake.text("message"))
            )
        })
        .collect();
    format!(
        "<section class=\"card\"><h2>Judge</h2>{words}<p class=\"muted small\">{} answers and \
         events of {} kinds were looked at.</p><ul class=\"small\">{rows}</ul></section>",
        verdict.int("checked"),
        verdict.list("kinds").len()
    )
}

/// The newest objects of a kind.
pub async fn list(State(shared): State<Arc<Shared>>, Path(kind): Path<String>) -> Response {
    let rows: String = shared
        .read(|world| {
            let all = world.store.newest(&kind).take(LISTED);
            let rows = all.map(|object| {
                let id = esc(object.text("id"));
                format!(
                    "<tr><td><a href=\"/_sim/objects/{}/{id}\"><code>{id}</code></a></td>\
                     <td>{}</td><td class=\"num\">{}</td></tr>",
                    esc(&kind),
                    esc(&gist(object)),
                    moment(object.int("created"))
                )
            });
            rows.collect()
        })
        .await;
    let body = format!(
        "<p><a href=\"/\">← The simulator</a></p>{}",
        table(&esc(&kind), &["Id", "What it is", "Made (UTC)"], &rows, "There is none.")
    );
    page(&kind, "wide", &body)
}

/// The few words that tell one object from another.
fn gist(object: &serde_json::Value) -> String {
    let names = ["name", "email", "number", "status", "nickname", "code", "url", "type"];
    let mut words: Vec<String> =
        names.iter().filter_map(|name| object.opt_text(name)).map(str::to_owned).collect();
    let amounts = ["amount", "total", "amount_total", "unit_amount"];
    if let Some(amount) = amounts.iter().find_map(|name| object.opt_int(name)) {
        words.push(crate::billing::lines::money(amount, object.text("currency")));
    }
    words.truncate(4);
    words.join(", ")
}

/// One object as the API shows it.
pub async fn object(
    State(shared): State<Arc<Shared>>,
    Path((kind, id)): Path<(String, String)>,
) -> Response {
    let known = !INTERNAL.contains(&kind.as_str());
    let found = shared.read(|world| world.get(&kind, &id).map(|object| world.render(object))).await;
    let Some(object) = found.filter(|_| known) else {
        return message(StatusCode::NOT_FOUND, "Not found", "There is no such object.", None);
    };
    let text = serde_json::to_string_pretty(&object).unwrap_or_default();
    let body = format!(
        "<p><a href=\"/\">← The simulator</a> · <a href=\"/_sim/objects/{0}\">{0}</a></p>\
         <h1><code>{1}</code></h1><pre tabindex=\"0\">{2}</pre>",
        esc(&kind),
        esc(&id),
        esc(&text)
    );
    page(&id, "wide", &body)
}
