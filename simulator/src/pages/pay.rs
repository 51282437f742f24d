//! The page of a Checkout session: `GET` shows it, `POST` pays or changes the order.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::checkout_form::{self, verb};
use super::html::{esc, link_to, message, page_with};
use super::pay_form::{Mistakes, input_with};
use crate::billing::{checkout, lines, sums};
use crate::errors::Answer;
use crate::json::Json;
use crate::world::{Origin, Shared, World};

type Typed = HashMap<String, String>;

/// Shows the page, or says why it is over.
pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.read(|world| open_page(world, &id, &Typed::new(), &Mistakes::default())).await
}

fn open_page(world: &World, id: &str, typed: &Typed, mistakes: &Mistakes) -> Response {
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
            let summary = summary(world, session, typed, mistakes);
            let form = checkout_form::render(world, session, typed, mistakes);
            page_with(status, "Checkout", "two", &format!("{summary}{form}"))
        }
        "complete" => {
            let done = success_url(session);
            let onwards = done.as_deref().map(|url| (url, "Return to the shop")).or(back);
            let text = match session.text("payment_status") {
                "unpaid" => "The order is complete. The bank has yet to confirm the payment.",
                _ => "This payment is complete. You were charged only once.",
            };
            message(StatusCode::OK, "You're all done here", text, onwards)
        }
        _ => {
            let text = "This Checkout session has expired. Start again from the shop.";
            message(StatusCode::GONE, "Session expired", text, back)
        }
    }
}

/// What is bought, for how much, and the way back.
fn summary(world: &World, session: &Value, typed: &Typed, mistakes: &Mistakes) -> String {
    let back = session.opt_text("cancel_url").map(|url| link_to(url, "← Back"));
    let back = back.unwrap_or_default();
    let shop = esc(world.base_url.trim_start_matches("http://"));
    let end = format!(
        "<p class=\"muted small\">A local payment page at {shop}. Nothing leaves this machine.</p>"
    );
    if session.text("mode") == "setup" {
        return format!(
            "<section><p class=\"small\">{back}</p><h1>Save a payment method</h1>\
             <p>It is kept for later; nothing is charged now.</p>{end}</section>"
        );
    }
    let currency = session.text("currency");
    let total = lines::money(session.int("amount_total"), currency);
    let rows: String =
        session.list("_sim.line_items").iter().enumerate().map(|(i, item)| row(i, item)).collect();
    let verb = verb(session);
    format!(
        "<section><p class=\"small\">{back}</p><h1 class=\"muted\">{verb}</h1>\
         {}<form method=\"post\" class=\"card\" \
         action=\"/c/pay/{}\">{rows}{}{}\
         <div class=\"row\"><strong>Total due today</strong>\
         <strong class=\"num\">{total}</strong></div></form>{end}</section>",
        headline(world, session, &total),
        esc(session.text("id")),
        adjust(session),
        codes(session, typed, mistakes),
    )
}

fn row(index: usize, item: &Value) -> String {
    let name = esc(item.text("description"));
    let rate = esc(&lines::rate(item.at("price")));
    let amount = lines::money(item.int("amount_subtotal"), item.text("currency"));
    let quantity = item.int("quantity");
    let how_many = match item.flag("adjustable_quantity.enabled") {
        true => format!(
            "<label for=\"quantity_{index}\">Quantity</label><input type=\"number\" min=\"1\" \
             class=\"short\" id=\"quantity_{index}\" name=\"quantity_{index}\" \
             value=\"{quantity}\"> <span class=\"muted small\">{rate}</span>"
        ),
        false => format!("<span class=\"muted small\">Qty {quantity}, {rate}</span>"),
    };
    format!(
        "<div class=\"row\"><div><strong>{name}</strong><br>{how_many}</div>\
         <div class=\"num\">{amount}</div></div>"
    )
}

fn adjust(session: &Value) -> &'static str {
    let items = session.list("_sim.line_items");
    match items.iter().any(|item| item.flag("adjustable_quantity.enabled")) {
        true => {
            "<p><button class=\"quiet\" name=\"action\" value=\"quantities\" id=\"update\">\
             Update quantities</button></p>"
        }
        false => "",
    }
}

/// The promotion code: asked for, or taken with what it saves.
fn codes(session: &Value, typed: &Typed, mistakes: &Mistakes) -> String {
    let saved = session.int("total_details.amount_discount");
    let used = session.list("_sim.discounts").first();
    let mut out = String::new();
    if used.is_some() {
        let saved = lines::money(-saved, session.text("currency"));
        let remove = match session.flag("allow_promotion_codes") {
            true => {
                " <button class=\"quiet\" name=\"action\" value=\"uncode\" id=\"uncode\" \
                 formnovalidate>Remove code</button>"
            }
            false => "",
        };
        out.push_str(&format!(
            "<div class=\"row\"><div>Discount{remove}</div><div class=\"num\">{saved}</div></div>"
        ));
    } else if session.flag("allow_promotion_codes") {
        let button = "<button name=\"action\" value=\"code\" id=\"apply\">Apply</button>";
        out.push_str(&input_with("code", "Promotion code", button, typed, mistakes));
        out.push_str("<p></p>");
    }
    out
}

/// What it costs, in large letters; for a trial how long it is free, and what comes after it.
fn headline(world: &World, session: &Value, total: &str) -> String {
    if !sums::has_trial(session) {
        return format!("<p class=\"total\">{total}</p>");
    }
    let days = session.int("_sim.subscription_data.trial_period_days");
    let (free, end) = match days {
        0 => {
            let end = session.int("_sim.subscription_data.trial_end");
            (format!("Free until {}", lines::day(end)), end)
        }
        1 => ("1 day free".to_owned(), world.now() + 86_400),
        days => (format!("{days} days free"), world.now() + days * 86_400),
    };
    let rates: Vec<String> = session
        .list("_sim.line_items")
        .iter()
        .map(|item| {
            let rate = lines::rate(item.at("price"));
            let rate = esc(rate.trim_start_matches("at "));
            match item.int("quantity") {
                1 => rate,
                many => format!("{many} × {rate}"),
            }
        })
        .collect();
    format!(
        "<p class=\"total\">{free}</p><p class=\"muted\">Then {}, from {}.</p>",
        rates.join(" and "),
        lines::day(end)
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
    Form(typed): Form<Typed>,
) -> Response {
    let known = shared.read(|world| world.get("checkout.session", &id).cloned()).await;
    let session = match known {
        Some(session) if session.text("status") == "open" => session,
        _ => return show(State(shared), Path(id)).await,
    };
    if let Some(action) = typed.get("action") {
        return change(&shared, &id, action, &typed).await;
    }
    let payer = match shared.read(|world| checkout_form::read(world, &session, &typed)).await {
        Ok(payer) => payer,
        Err(mistakes) => {
            return shared.read(|world| open_page(world, &id, &typed, &mistakes)).await;
        }
    };
    if shared.read(|world| checkout::asks(world, &payer)).await {
        return checkout_form::authentication(&id, &typed);
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

/// Changes the order: a promotion code, or how many of something.
async fn change(shared: &Shared, id: &str, action: &str, typed: &Typed) -> Response {
    let changed = shared.transact(Origin::default(), |world| -> Answer<()> {
        match action {
            "code" => {
                let code = typed.get("code").map(String::as_str).unwrap_or("");
                sums::redeem_code(world, id, code)
            }
            "uncode" => sums::drop_code(world, id),
            _ => sums::set_quantities(world, id, &quantities(typed)),
        }
    });
    match changed.await {
        Ok(()) => Redirect::to(&format!("/c/pay/{id}")).into_response(),
        Err(error) => {
            let mut mistakes = Mistakes::default();
            mistakes.add(if action == "code" { "code" } else { "form" }, error.message());
            shared.read(|world| open_page(world, id, typed, &mistakes)).await
        }
    }
}

/// The quantities typed, by the place of their line.
fn quantities(typed: &Typed) -> Vec<(usize, i64)> {
    let numbers = typed.iter().filter_map(|(name, value)| {
        let index = name.strip_prefix("quantity_")?.parse().ok()?;
        Some((index, value.trim().parse().unwrap_or(0)))
    });
    numbers.collect()
}
