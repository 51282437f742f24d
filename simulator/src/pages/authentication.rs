//! The bank's page of an intent that waits for its holder: agree or refuse, then back to the shop.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::html::{esc, message, page};
use crate::billing::{consent, lines, paying};
use crate::json::Json;
use crate::world::{Origin, Shared, World};

/// Shows the question, or that it was answered.
pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.read(|world| question(world, &id)).await
}

fn question(world: &World, id: &str) -> Response {
    let Some(intent) = consent::find(world, id) else {
        let text = "There is no such payment.";
        return message(StatusCode::NOT_FOUND, "Not found", text, None);
    };
    if !consent::waits(intent) {
        let text = "There is nothing to confirm here any more.";
        return message(StatusCode::OK, "Answered", text, None);
    }
    let what = match intent.opt_int("amount") {
        Some(amount) => format!("a payment of {}", lines::money(amount, intent.text("currency"))),
        None => "keeping your card for later payments".to_owned(),
    };
    let body = format!(
        "<div class=\"card\"><h1>Your bank wants to know that it is you</h1>\
         <p>This is the 3D Secure page of a pretended bank. It is about {}.</p>\
         <form method=\"post\" action=\"/3ds/{}\"><div class=\"actions\">\
         <button class=\"primary\" name=\"outcome\" value=\"complete\" \
         id=\"authenticate\">Complete</button>\
         <button name=\"outcome\" value=\"fail\" id=\"refuse\">Fail</button>\
         </div></form></div>",
        esc(&what),
        esc(id)
    );
    page("Authentication", "slim", &body)
}

/// Takes the answer and leads back: to the shop, or to the invoice.
pub async fn submit(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(typed): Form<HashMap<String, String>>,
) -> Response {
    let agrees = typed.get("outcome").is_some_and(|outcome| outcome == "complete");
    let behind = shared.read(|world| paying::invoice_behind(world, &id)).await;
    let done = shared.transact(Origin::default(), |world| consent::answer(world, &id, agrees));
    let refused = done.await.err();
    let intent = shared.read(|world| consent::find(world, &id).cloned()).await.unwrap_or_default();
    if let Some(url) = way_back(&intent, refused.is_none()) {
        return Redirect::to(&url).into_response();
    }
    if let Some(invoice) = behind {
        return Redirect::to(&format!("/i/{invoice}")).into_response();
    }
    match refused {
        None => message(StatusCode::OK, "Thank you", "Your bank knows that it was you.", None),
        Some(error) => message(StatusCode::OK, "Refused", error.message(), None),
    }
}

/// The shop's address with what the hosted client code expects to find there.
fn way_back(intent: &Value, good: bool) -> Option<String> {
    let given = intent.opt_text("_sim.return_url")?;
    let mut url = url::Url::parse(given).ok()?;
    let name = intent.text("object");
    url.query_pairs_mut()
        .append_pair(name, intent.text("id"))
        .append_pair(&format!("{name}_client_secret"), intent.text("client_secret"))
        .append_pair("redirect_status", if good { "succeeded" } else { "failed" });
    Some(url.into())
}
