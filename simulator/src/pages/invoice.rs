//! The hosted invoice, its receipt, credit notes, and the receipt of a single charge.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::html::{esc, link_to, message, page, refused};
use crate::billing::{consent, lines, paying};
use crate::json::Json;
use crate::world::{Origin, Shared, World};

fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "Not found", "There is no such invoice.", None)
}

/// An invoice that was finalized; drafts have no page.
fn find(world: &World, id: &str) -> Option<Value> {
    world.get("invoice", id).filter(|invoice| invoice.text("status") != "draft").cloned()
}

fn rows(invoice: &Value) -> String {
    let currency = invoice.text("currency");
    let line = |label: &str, amount: i64| {
        format!(
            "<tr><td>{}</td><td class=\"num\">{}</td></tr>",
            esc(label),
            lines::money(amount, currency)
        )
    };
    let mut out: String = invoice
        .list("lines.data")
        .iter()
        .map(|entry| line(entry.text("description"), entry.int("amount")))
        .collect();
    out.push_str(&line("Total", invoice.int("total")));
    let notes = invoice.int("pre_payment_credit_notes_amount");
    let balance = invoice.int("amount_due") + notes - invoice.int("total").max(0);
    if balance != 0 {
        out.push_str(&line("Applied balance", balance));
    }
    if notes != 0 {
        out.push_str(&line("Credit notes", -notes));
    }
    out.push_str(&line("Amount due", invoice.int("amount_due")));
    let given_back = invoice.int("post_payment_credit_notes_amount");
    if given_back != 0 {
        out.push_str(&line("Credited after payment", -given_back));
    }
    out
}

fn document(world: &World, invoice: &Value, title: &str, below: &str) -> Response {
    let base = world.base_url.trim_start_matches("http://");
    let body = format!(
        "<div class=\"card\"><h1>{title} {}</h1><p class=\"muted\">{} <span class=\"tag\">{}</span>\
         </p><p>Billed to {} {}</p><div class=\"scroll\"><table><thead><tr><th>Description</th>\
         <th class=\"num\">Amount</th></tr></thead><tbody>{}</tbody></table></div>{below}\
         <p class=\"muted small\">Made by the simulator at {}; no money moved.</p></div>",
        esc(invoice.text("number")),
        lines::day(invoice.int("created")),
        esc(invoice.text("status")),
        esc(invoice.text("customer_name")),
        esc(invoice.text("customer_email")),
        rows(invoice),
        esc(base),
    );
    page(&format!("{title} {}", invoice.text("number")), "", &body)
}

/// The hosted invoice, with a button when it is still to be paid.
pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let shown = shared.read(|world| {
        let invoice = find(world, &id)?;
        let receipt = link_to(&format!("/i/{id}/receipt"), "Receipt for printing");
        let below = match invoice.text("status") {
            "open" | "uncollectible" => format!(
                "{}<form method=\"post\" action=\"/i/{}\"><button class=\"main\" id=\"pay\">Pay \
                 with the card on file</button></form>",
                waiting(world, &id),
                esc(&id)
            ),
            _ => format!("<p class=\"noprint\">{receipt}</p>"),
        };
        Some(document(world, &invoice, "Invoice", &below))
    });
    shown.await.unwrap_or_else(not_found)
}

/// The link to the bank's page, when the last attempt waits there.
fn waiting(world: &World, invoice: &str) -> String {
    let intent = paying::open_payment(world, invoice)
        .and_then(|payment| world.get("payment_intent", payment.text("payment.payment_intent")));
    match intent.filter(|intent| consent::waits(intent)) {
        Some(intent) => {
            let page = format!("/3ds/{}", intent.text("id"));
            format!("<p>{}</p>", link_to(&page, "Confirm this payment with your bank"))
        }
        None => String::new(),
    }
}

/// Pays the invoice with the card on file; its holder is there to confirm.
pub async fn pay(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let home = format!("/i/{id}");
    let paid = shared
        .transact(Origin::default(), |world| paying::pay(world, &id, None, false).map(|_| ()));
    match paid.await {
        Ok(()) => Redirect::to(&home).into_response(),
        Err(error) => match error.body.at("payment_intent").opt_text("id") {
            Some(intent) if consent::waits(error.body.at("payment_intent")) => {
                Redirect::to(&format!("/3ds/{intent}")).into_response()
            }
            _ => refused(&error, &home),
        },
    }
}

/// The invoice as a document to print.
pub async fn receipt(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let shown = shared.read(|world| {
        let invoice = find(world, &id)?;
        let paid = invoice.opt_int("status_transitions.paid_at");
        let below = match paid {
            Some(at) => format!(
                "<p>Paid {} on {}.</p>",
                lines::money(invoice.int("amount_paid"), invoice.text("currency")),
                lines::day(at)
            ),
            None => "<p>Not paid yet.</p>".to_owned(),
        };
        Some(document(world, &invoice, "Receipt", &below))
    });
    shown.await.unwrap_or_else(not_found)
}

/// The receipt of one charge.
pub async fn charge_receipt(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let shown = shared.read(|world| {
        let charge = world.get("charge", &id)?;
        let currency = charge.text("currency");
        let amount = lines::money(charge.int("amount"), currency);
        let back = lines::money(charge.int("amount_refunded"), currency);
        let body = format!(
            "<div class=\"card\"><h1>Receipt</h1><div class=\"row\"><span>Amount</span>\
             <span class=\"num\">{amount}</span></div><div class=\"row\"><span>Refunded</span>\
             <span class=\"num\">{back}</span></div><div class=\"row\"><span>Card</span>\
             <span>{} {}</span></div><div class=\"row\"><span>Date</span><span>{}</span></div>\
             <div class=\"row\"><span>Status</span><span>{}</span></div></div>",
            esc(charge.text("payment_method_details.card.brand")),
            esc(charge.text("payment_method_details.card.last4")),
            lines::day(charge.int("created")),
            esc(charge.text("status")),
        );
        Some(page("Receipt", "", &body))
    });
    shown.await.unwrap_or_else(not_found)
}

/// A credit note as a document to print.
pub async fn credit_note(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let shown = shared.read(|world| {
        let note = world.get("credit_note", &id)?;
        let currency = note.text("currency");
        let rows: String = note
            .list("lines.data")
            .iter()
            .map(|line| {
                format!(
                    "<tr><td>{}</td><td class=\"num\">{}</td></tr>",
                    esc(line.text("description")),
                    lines::money(line.int("amount"), currency)
                )
            })
            .collect();
        let body = format!(
            "<div class=\"card\"><h1>Credit note {}</h1><p class=\"muted\">{} <span \
             class=\"tag\">{}</span></p><div class=\"scroll\"><table><thead><tr><th>Description\
             </th><th class=\"num\">Amount</th></tr></thead><tbody>{rows}<tr><td>Total</td>\
             <td class=\"num\">{}</td></tr></tbody></table></div></div>",
            esc(note.text("number")),
            lines::day(note.int("created")),
            esc(note.text("status")),
            lines::money(note.int("total"), currency),
        );
        Some(page("Credit note", "", &body))
    });
    shown.await.unwrap_or_else(not_found)
}
