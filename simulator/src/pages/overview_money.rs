//! The overview's part about money: what waits for somebody, and what was paid.

use serde_json::Value;

use super::html::{esc, link_to};
use super::overview::{action, moment, table};
use crate::billing::{bank, lines};
use crate::json::Json;
use crate::world::World;

/// How many payments are shown.
const PAYMENTS: usize = 10;

/// The cards of this part.
pub fn cards(world: &World) -> String {
    [waiting(world), payments(world)].concat()
}

fn amount(object: &Value, field: &str) -> String {
    lines::money(object.int(field), object.text("currency"))
}

fn linked(object: &Value) -> String {
    let (kind, id) = (esc(object.text("object")), esc(object.text("id")));
    format!("<a href=\"/_sim/objects/{kind}/{id}\"><code>{id}</code></a>")
}

/// What waits for a buyer, a bank or a decision.
fn waiting(world: &World) -> String {
    let mut rows = String::new();
    for session in world.store.newest("checkout.session") {
        if bank::answers_at(session).is_some() {
            let path = format!("settle/{}", session.text("id"));
            let buttons = [
                action(&path, "outcome", "succeeded", "Money arrives"),
                action(&path, "outcome", "failed", "Money does not arrive"),
            ];
            let what = format!("Bank debit of {}", amount(session, "amount_total"));
            rows.push_str(&row(&what, session, &buttons.concat()));
        } else if session.text("status") == "open" {
            let what = format!("Open Checkout of {}", amount(session, "amount_total"));
            rows.push_str(&row(&what, session, &link_to(session.text("url"), "Open its page")));
        }
    }
    let open =
        |dispute: &&Value| !matches!(dispute.text("status"), "won" | "lost" | "warning_closed");
    for dispute in world.store.newest("dispute").filter(open) {
        let path = format!("decide/{}", dispute.text("id"));
        let (kind, outcomes): (&str, &[(&str, &str)]) =
            match dispute.text("status").starts_with("warning") {
                true => ("Inquiry about", &[("won", "Closed"), ("escalated", "Becomes a dispute")]),
                false => ("Dispute of", &[("won", "Won"), ("lost", "Lost")]),
            };
        let buttons: String = outcomes
            .iter()
            .map(|(outcome, label)| action(&path, "outcome", outcome, label))
            .collect();
        let what = format!("{kind} {}", amount(dispute, "amount"));
        rows.push_str(&row(&what, dispute, &buttons));
    }
    let nothing = "Nothing waits for a buyer, a bank or a decision.";
    table("Waiting", &["What", "Object", ""], &rows, nothing)
}

fn row(what: &str, object: &Value, buttons: &str) -> String {
    format!(
        "<tr><td>{}</td><td>{}</td><td><div class=\"actions\">{buttons}</div></td></tr>",
        esc(what),
        linked(object)
    )
}

/// The newest charges, with what a holder can do about them.
fn payments(world: &World) -> String {
    let rows: String = world.store.newest("charge").take(PAYMENTS).map(payment).collect();
    let heads = ["When (UTC)", "Amount", "Status", "Object", ""];
    table("Payments", &heads, &rows, "Nothing was paid yet.")
}

/// Gives back what is left of it.
fn refund(charge: &Value) -> String {
    match charge.flag("refunded") {
        true => String::new(),
        false => action(&format!("refund/{}", charge.text("id")), "kind", "full", "Refund"),
    }
}

fn payment(charge: &Value) -> String {
    let (status, tag) = match charge.text("status") {
        "succeeded" if charge.flag("disputed") => ("disputed", "bad"),
        "succeeded" if charge.flag("refunded") => ("refunded", ""),
        "succeeded" if charge.int("amount_refunded") > 0 => ("partly refunded", ""),
        "succeeded" => ("succeeded", "ok"),
        "pending" => ("pending", ""),
        _ => ("failed", "bad"),
    };
    let path = format!("dispute/{}", charge.text("id"));
    let buttons = match charge.flag("paid") && !charge.flag("disputed") {
        true => [
            action(&path, "kind", "dispute", "Dispute"),
            action(&path, "kind", "inquiry", "Inquire"),
            refund(charge),
        ]
        .concat(),
        false => String::new(),
    };
    format!(
        "<tr><td class=\"num\">{}</td><td class=\"num\">{}</td>\
         <td><span class=\"tag {tag}\">{status}</span></td><td>{}</td>\
         <td><div class=\"actions\">{buttons}</div></td></tr>",
        moment(charge.int("created")),
        amount(charge, "amount"),
        linked(charge)
    )
}
