//! What banks and their customers do: disputes, refunds that fail, consent, cards renewed.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;

use super::{State_, parse, reply};
use crate::billing::disputing::{self, Opening, Outcome};
use crate::billing::{consent, debiting, refunding};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{Origin, Shared, World};

/// The routes of this part.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/disputes", post(open))
        .route("/_sim/disputes/{id}/decide", post(decide))
        .route("/_sim/refunds/{id}/fail", post(fail))
        .route("/_sim/authentications/{id}", post(authenticate))
        .route("/_sim/payment_methods/{id}", post(renew))
        .route("/_sim/payment_intents/{id}/settle", post(settle))
}

/// Runs one action on the world and shows what it led to.
async fn act(
    shared: &Shared,
    body: &Bytes,
    work: impl FnOnce(&mut World, &Value) -> Answer,
) -> Response {
    let done = shared.transact(Origin::default(), |world| {
        let object = work(world, &parse(body)?)?;
        Ok(world.render(&object))
    });
    reply(done.await)
}

/// The charge meant: named itself, or the latest of a payment intent.
fn charge(world: &World, body: &Value) -> Answer<String> {
    if let Some(id) = body.opt_text("charge") {
        return Ok(id.to_owned());
    }
    let intent = world.find_param("payment_intent", body.text("payment_intent"), "charge")?;
    Ok(intent.text("latest_charge").to_owned())
}

async fn open(State(shared): State_, body: Bytes) -> Response {
    let work = |world: &mut World, body: &Value| {
        let charge = charge(world, body)?;
        let named = body.opt_text("reason").unwrap_or("fraudulent");
        let reason = disputing::reason(named).ok_or_else(|| {
            let message = format!("There is no dispute for the reason {named}.");
            ApiError::invalid(message).with("param", "reason")
        })?;
        let opening =
            Opening { reason, inquiry: body.flag("inquiry"), amount: body.opt_int("amount") };
        disputing::open(world, &charge, &opening)
    };
    act(&shared, &body, work).await
}

async fn decide(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let work = |world: &mut World, body: &Value| {
        let outcome = match body.text("outcome") {
            "won" | "withdrawn" => Outcome::Won,
            "lost" => Outcome::Lost,
            "escalated" => Outcome::Escalated,
            _ => {
                let message = "outcome is one of won, lost, withdrawn, escalated.";
                return Err(ApiError::invalid(message).with("param", "outcome"));
            }
        };
        disputing::decide(world, &id, outcome)
    };
    act(&shared, &body, work).await
}

async fn fail(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let work = |world: &mut World, body: &Value| {
        let reason = body.opt_text("reason").unwrap_or("expired_or_canceled_card");
        refunding::fail(world, &id, reason)
    };
    act(&shared, &body, work).await
}

/// A refusal is an outcome here as well: the intent is shown as it is then.
async fn authenticate(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let work = |world: &mut World, body: &Value| {
        let agrees = match body.text("outcome") {
            "complete" => true,
            "fail" => false,
            _ => {
                let message = "outcome is one of complete, fail.";
                return Err(ApiError::invalid(message).with("param", "outcome"));
            }
        };
        if let Err(error) = consent::answer(world, &id, agrees)
            && !error.keep
        {
            return Err(error);
        }
        let found = consent::find(world, &id).cloned();
        found.ok_or_else(|| ApiError::missing("payment_intent", &id, None))
    };
    act(&shared, &body, work).await
}

/// The bank behind a debit answers now.
async fn settle(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let work = |world: &mut World, body: &Value| {
        let arrives = match body.text("outcome") {
            "succeeded" => true,
            "failed" => false,
            _ => {
                let message = "outcome is one of succeeded, failed.";
                return Err(ApiError::invalid(message).with("param", "outcome"));
            }
        };
        debiting::settle(world, &id, arrives)?;
        Ok(world.find("payment_intent", &id)?.clone())
    };
    act(&shared, &body, work).await
}

/// The network tells that a card was renewed: the same card, another expiry.
async fn renew(State(shared): State_, Path(id): Path<String>, body: Bytes) -> Response {
    let work = |world: &mut World, body: &Value| {
        world.find("payment_method", &id)?;
        let (month, year) = (body.int("exp_month"), body.int("exp_year"));
        if !(1..=12).contains(&month) || !(2000..=2100).contains(&year) {
            let message = "exp_month and exp_year name a month between 2000 and 2100.";
            return Err(ApiError::invalid(message).with("param", "exp_month"));
        }
        let event = "payment_method.automatically_updated";
        Ok(world.edit_and_tell("payment_method", &id, event, |method| {
            method.put("card.exp_month", month);
            method.put("card.exp_year", year);
        }))
    };
    act(&shared, &body, work).await
}
