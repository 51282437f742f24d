//! The card page of a Checkout session: `GET` shows it, `POST` pays.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::html::{esc, link_to, message, page_with};
use super::pay_form::{self, Mistakes};
use crate::billing::{checkout, lines};
use crate::json::Json;
use crate::world::{Origin, Shared, World};

/// Shows the card page, or says why it is over.
pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.read(|world| open_page(world, &id, &HashMap::new(), &Mistakes::default())).await
}

fn open_page(
    world: &World,
    id: &str,
    typed: &HashMap<String, String>,
    mistakes: &Mistakes,
) -> Response {
    let Some(session) = world.get("checkout.session", id) else {
        let text = "There is no such Checkout session.";
        return message(StatusCode::NOT_FOUND, "Not found", text, None);
    };
    let back = session.opt_text("cancel_url").map(|url| (url, "Back to the shop"));
    match session.text("status") {
        "open" => {
            let status = match mistakes.none() {
                true => StatusCode::OK,
                false => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let summary = summary(world, session);
            let form = pay_form::render(world, session, typed, mistakes);
            page_with(status, "Checkout", "two", &format!("{summary}{form}"))
        }
        "complete" => {
            let done = success_url(session);
            let onwards = done.as_deref().map(|url| (url, "Return to the shop")).or(back);
            let text = "This payment is complete. You were charged only once.";
            message(StatusCode::OK, "You're all done here", text, onwards)
        }
        _ => {
            let text = "This Checkout session has expired. Start again from the shop.";
            message(StatusCode::GONE, "Session expired", text, back)
        }
    }
}

/// What is bought, for how much, and the way back.
fn summary(world: &World, session: &Value) -> String {
    let currency = session.text("currency");
    let total = lines::money(session.int("amount_total"), currency);
    let mut rows = String::new();
    for item in session.list("_sim.line_items") {
        let price = item.at("price");
        let name = esc(item.text("description"));
        let rate = esc(&lines::rate(price));
        let amount = lines::money(item.int("amount_total"), currency);
        let quantity = item.int("quantity");
        rows.push_str(&format!(
            "<div class=\"row\"><div><strong>{name}</strong><br>\
             <span class=\"muted small\">Qty {quantity}, {rate}</span></div>\
             <div class=\"num\">{amount}</div></div>"
        ));
    }
    let days = session.int("_sim.subscription_data.trial_period_days");
    let trial = match days {
        0 => String::new(),
        days => format!("<p class=\"muted\">{days} days free, then as shown.</p>"),
    };
    let verb = if session.text("mode") == "subscription" { "Subscribe" } else { "Pay" };
    let back = session.opt_text("cancel_url").map(|url| link_to(url, "← Back"));
    let shop = world.base_url.trim_start_matches("http://");
    format!(
        "<section><p class=\"small\">{}</p><h1 class=\"muted\">{verb}</h1>\
         <p class=\"total\">{total}</p>{trial}<div class=\"card\">{rows}\
         <div class=\"row\"><strong>Total due today</strong>\
         <strong class=\"num\">{total}</strong></div></div>\
         <p class=\"muted small\">A local card page at {}. Nothing leaves this machine.</p>\
         </section>",
        back.unwrap_or_default(),
        esc(shop)
    )
}

/// Where a paid session leads.
fn success_url(session: &Value) -> Option<String> {
    let url = session.opt_text("success_url")?;
    Some(url.replace("{CHECKOUT_SESSION_ID}", session.text("id")))
}

/// Pays the session, or shows the form again with what was typed and what is wrong.
pub async fn submit(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(typed): Form<HashMap<String, String>>,
) -> Response {
    let known = shared.read(|world| world.get("checkout.session", &id).cloned()).await;
    let session = match known {
        Some(session) if session.text("status") == "open" => session,
        _ => return show(State(shared), Path(id)).await,
    };
    let payer = match shared.read(|world| pay_form::read(world, &session, &typed)).await {
        Ok(payer) => payer,
        Err(mistakes) => {
            return shared.read(|world| open_page(world, &id, &typed, &mistakes)).await;
        }
    };
    if checkout::asks(&payer) {
        return pay_form::authentication(&id, &typed);
    }
    let paid = shared.transact(Origin::default(), |world| checkout::complete(world, &id, &payer));
    match paid.await {
        Ok(session) => match success_url(&session) {
            Some(url) => Redirect::to(&url).into_response(),
            None => show(State(shared), Path(id)).await,
        },
        Err(error) => {
            let mistakes = Mistakes::card(error.message());
            shared.read(|world| open_page(world, &id, &typed, &mistakes)).await
        }
    }
}
