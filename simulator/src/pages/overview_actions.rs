//! The overview's buttons: each does one thing and goes back to the overview.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::html::refused;
use crate::billing::{bank, disputing, refunding};
use crate::control;
use crate::errors::{Answer, ApiError};
use crate::world::{Origin, Shared, TWISTS, World};

type Fields = HashMap<String, String>;
type Account = State<Arc<Shared>>;

/// The routes of the buttons.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/actions/advance", post(advance))
        .route("/_sim/actions/reset", post(reset))
        .route("/_sim/actions/hold", post(hold))
        .route("/_sim/actions/api_fault", post(api_fault))
        .route("/_sim/actions/webhook_faults", post(webhook_faults))
        .route("/_sim/actions/resend/{id}", post(resend))
        .route("/_sim/actions/settle/{id}", post(settle))
        .route("/_sim/actions/dispute/{id}", post(dispute))
        .route("/_sim/actions/decide/{id}", post(decide))
        .route("/_sim/actions/refund/{id}", post(refund))
}

async fn act(shared: &Shared, work: impl FnOnce(&mut World) -> Answer<()>) -> Response {
    match shared.transact(Origin::default(), work).await {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => refused(&error, "/"),
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map(|value| value.trim()).unwrap_or("")
}

/// Moves the clock.
async fn advance(State(shared): Account, Form(fields): Form<Fields>) -> Response {
    let seconds = text(&fields, "seconds").parse().unwrap_or(0);
    act(&shared, |world| control::advance(world, seconds).map(|_| ())).await
}

/// Forgets everything, when the box says so.
async fn reset(State(shared): Account, Form(fields): Form<Fields>) -> Response {
    if text(&fields, "sure") != "yes" {
        return refused(&ApiError::invalid("Tick the box to forget everything."), "/");
    }
    match shared.reset().await {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => refused(&ApiError::server(error.to_string()), "/"),
    }
}

async fn hold(State(shared): Account, Form(fields): Form<Fields>) -> Response {
    let hold = text(&fields, "hold") == "yes";
    act(&shared, |world| {
        world.set(|settings| settings.hold = hold);
        Ok(())
    })
    .await
}

async fn api_fault(State(shared): Account, Form(fields): Form<Fields>) -> Response {
    let count: i64 = text(&fields, "count").parse().unwrap_or(1);
    let slow = text(&fields, "kind") == "slow";
    let wanted = match fields.contains_key("clear") {
        true => Value::Null,
        false => json!({
            "kind": text(&fields, "kind"), "count": count, "path": text(&fields, "path"),
            "delay_ms": if slow { 5_000 } else { 60_000 },
        }),
    };
    act(&shared, |world| control::set_faults(world, &json!({"api": wanted})).map(|_| ())).await
}

async fn webhook_faults(State(shared): Account, Form(fields): Form<Fields>) -> Response {
    let percent: f64 = text(&fields, "share").parse().unwrap_or(100.0);
    let seed: u64 = text(&fields, "seed").parse().unwrap_or(1);
    let mut wanted = json!({"seed": seed});
    for name in ["shuffle", "before_answer"] {
        wanted[name] = (text(&fields, name) == "on").into();
    }
    let shares = ["duplicate", "new_id", "drop", "unknown_type"].into_iter().chain(TWISTS);
    for name in shares.filter(|name| text(&fields, name) == "on") {
        wanted[name] = (percent / 100.0).into();
    }
    act(&shared, |world| control::set_faults(world, &json!({"webhooks": wanted})).map(|_| ())).await
}

async fn resend(State(shared): Account, Path(id): Path<String>) -> Response {
    act(&shared, |world| control::send_again(world, &id, 1).map(|_| ())).await
}

async fn settle(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    let arrives = text(&fields, "outcome") == "succeeded";
    act(&shared, |world| bank::settle(world, &id, arrives).map(|_| ())).await
}

async fn dispute(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    let inquiry = text(&fields, "kind") == "inquiry";
    let opening = disputing::Opening { reason: "fraudulent", inquiry, amount: None };
    act(&shared, |world| disputing::open(world, &id, &opening).map(|_| ())).await
}

async fn decide(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    let outcome = match text(&fields, "outcome") {
        "won" => disputing::Outcome::Won,
        "escalated" => disputing::Outcome::Escalated,
        _ => disputing::Outcome::Lost,
    };
    act(&shared, |world| disputing::decide(world, &id, outcome).map(|_| ())).await
}

/// Gives back what is left of a charge.
async fn refund(State(shared): Account, Path(id): Path<String>) -> Response {
    act(&shared, |world| {
        let left = refunding::left(world.find("charge", &id)?);
        let wanted = refunding::Wanted { amount: Some(left), reason: None, metadata: json!({}) };
        refunding::refund(world, &id, wanted).map(|_| ())
    })
    .await
}
