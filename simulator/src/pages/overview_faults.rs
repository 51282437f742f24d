//! The overview's part about mischief: forms that order it, and what is ordered now.

use super::html::esc;
use super::overview::action;
use crate::world::{ApiFaultKind, TWISTS, WAITING, World};

/// What can be ordered for the API, with the words for it.
const KINDS: [(&str, &str); 9] = [
    ("rate_limit", "429, too many requests"),
    ("server_error", "500, an error on Stripe's side"),
    ("lock_timeout", "409, somebody else holds the object"),
    ("html", "502 with a page of HTML"),
    ("timeout_before", "no answer, nothing done"),
    ("timeout_after", "no answer, everything done"),
    ("reset", "the connection breaks, nothing done"),
    ("reset_after", "the connection breaks, everything done"),
    ("slow", "an answer after five seconds"),
];

/// The card of this part.
pub fn card(world: &World) -> String {
    format!(
        "<section class=\"card\"><h2>Mischief</h2>{}{}{}</section>",
        api(world),
        webhooks(world),
        held(world)
    )
}

fn api(world: &World) -> String {
    let options: String = KINDS
        .iter()
        .map(|(kind, words)| format!("<option value=\"{kind}\">{words}</option>"))
        .collect();
    let ordered: String = world
        .settings
        .api_faults
        .iter()
        .map(|fault| {
            let place = if fault.path.is_empty() { "any call" } else { &fault.path };
            format!("<li>{} × {}, {}</li>", fault.count, name(fault.kind), esc(place))
        })
        .collect();
    format!(
        "<form method=\"post\" action=\"/_sim/actions/api_fault\"><h3>API calls</h3>\
         <div class=\"pair\"><div><label for=\"kind\">What happens</label>\
         <select id=\"kind\" name=\"kind\">{options}</select></div>\
         <div><label for=\"count\">How often</label><input type=\"number\" id=\"count\" \
         name=\"count\" value=\"1\" min=\"1\" max=\"1000\"></div></div>\
         <label for=\"path\">Only paths that begin with (optional)</label>\
         <input type=\"text\" id=\"path\" name=\"path\" placeholder=\"/v1/payment_intents\">\
         <div class=\"actions\"><button>Order</button>\
         <button class=\"quiet\" name=\"clear\" value=\"yes\">Clear</button></div></form>\
         <ul class=\"small\">{ordered}</ul>"
    )
}

fn name(kind: ApiFaultKind) -> &'static str {
    let word = serde_json::to_value(kind).unwrap_or_default();
    let found = KINDS.iter().find(|(known, _)| word == *known);
    found.map(|(_, words)| *words).unwrap_or("a fault")
}

fn webhooks(world: &World) -> String {
    let faults = &world.settings.faults;
    let flags = [
        ("duplicate", "sent twice", faults.duplicate > 0),
        ("new_id", "told again by another event", faults.new_id > 0),
        ("shuffle", "out of order", faults.shuffle),
        ("drop", "lost until resent", faults.drop > 0),
        ("before_answer", "before the API answers", faults.before_answer),
        ("unknown_type", "joined by an unknown type", faults.unknown_type > 0),
    ];
    let words = |twist: &str| twist.replace('_', " ");
    let plain = flags.iter().map(|(name, words, on)| choice(name, words, *on));
    let twisted = TWISTS.iter().map(|twist| {
        let on = faults.twists.get(*twist).is_some_and(|share| *share > 0);
        choice(twist, &words(twist), on)
    });
    let choices: String = plain.chain(twisted).collect();
    format!(
        "<form method=\"post\" action=\"/_sim/actions/webhook_faults\"><h3>Webhooks are</h3>\
         <div class=\"choices\">{choices}</div><div class=\"pair\">\
         <div><label for=\"share\">Out of 100</label><input type=\"number\" \
         id=\"share\" name=\"share\" value=\"30\" min=\"1\" max=\"100\"></div>\
         <div><label for=\"seed\">Seed</label><input type=\"number\" id=\"seed\" name=\"seed\" \
         value=\"{}\" min=\"0\"></div></div><div class=\"actions\"><button>Set</button></div>\
         </form>",
        faults.seed.max(1)
    )
}

fn choice(name: &str, words: &str, on: bool) -> String {
    let checked = if on { " checked" } else { "" };
    format!(
        "<label class=\"choice\"><input type=\"checkbox\" name=\"{name}\" value=\"on\"{checked}> \
         {}</label>",
        esc(words)
    )
}

fn held(world: &World) -> String {
    let pending = world.store.newest(WAITING).count();
    let (words, value, label) = match world.settings.hold {
        true => ("Webhooks are held back.", "no", "Let them go"),
        false => ("Webhooks are sent as they come.", "yes", "Hold them back"),
    };
    format!(
        "<h3>Deliveries</h3><p>{words} <span class=\"muted\">{pending} waiting.</span></p>{}",
        action("hold", "hold", value, label)
    )
}
