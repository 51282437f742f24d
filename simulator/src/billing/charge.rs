//! Payment intents: confirmed, authenticated, captured, canceled, on their way.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::charged::{self, Ending};
use super::{disputing, methods, paying};
use crate::cards::{self, Aftermath, Authentication};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// What confirming an intent led to, when it was not refused.
#[derive(Debug, PartialEq)]
pub enum Confirmed {
    /// The money came in.
    Paid,
    /// The money is held, to be captured.
    Held,
    /// The holder must authenticate first.
    NeedsAction,
}

/// The reason of a charge that lacks its holder's consent.
pub const REQUIRED: &str = "authentication_required";

/// Why a payment method would refuse to be charged now, if it would.
pub fn refusal(world: &World, method: &str, off_session: bool) -> Option<&'static str> {
    let Some(found) = world.get("payment_method", method) else {
        return Some("generic_decline");
    };
    match authentication(found) {
        Authentication::Always if off_session => return Some(REQUIRED),
        Authentication::UnlessSetUp if off_session && !found.flag("_sim.set_up") => {
            return Some(REQUIRED);
        }
        _ => {}
    }
    if has_expired(found, world.now_for(found.text("customer"))) {
        return Some("expired_card");
    }
    cards::of_method(found).at_charge
}

/// Whether the month on the card is over.
fn has_expired(method: &Value, now: i64) -> bool {
    let (year, month) = (method.int("card.exp_year"), method.int("card.exp_month"));
    let Ok(today) = OffsetDateTime::from_unix_timestamp(now) else {
        return false;
    };
    year > 0 && (year, month) < (i64::from(today.year()), i64::from(u8::from(today.month())))
}

/// When the method asks its holder; not again while one is at it.
pub fn authentication(method: &Value) -> Authentication {
    match method.flag("_sim.authenticated") || method.text("type") != "card" {
        true => Authentication::Never,
        false => cards::of_method(method).authentication,
    }
}

/// Makes a payment intent and tells of it.
pub fn new_intent(world: &mut World, given: Value) -> Value {
    let id = ids::new("payment_intent");
    let mut intent = json!({
        "id": id,
        "amount_capturable": 0,
        "amount_received": 0,
        "amount_details": {"tip": {}},
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
        "capture_method": "automatic_async",
        "client_secret": format!("{id}_secret_{}", ids::random(25)),
        "confirmation_method": "automatic",
        "metadata": {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    });
    if let (Some(into), Some(from)) = (intent.as_object_mut(), given.as_object()) {
        into.extend(from.clone());
    }
    world.create_and_tell("payment_intent", "payment_intent.created", intent)
}

/// Charges an intent to a payment method. A refusal leaves its trace and is the error. What the
/// card does afterwards is left to the caller, see `aftermath`.
pub fn confirm(
    world: &mut World,
    intent: &str,
    method: &str,
    off_session: bool,
) -> Answer<Confirmed> {
    let stored = world.find("payment_method", method)?.clone();
    if !off_session && authentication(&stored) != Authentication::Never {
        return Ok(ask(world, intent, method));
    }
    match refusal(world, method, off_session) {
        None => Ok(take(world, intent, method)),
        Some(reason) => Err(refuse(world, intent, &stored, reason)),
    }
}

/// The holder must authenticate: the intent waits with the page where that is done.
pub fn ask(world: &mut World, intent: &str, method: &str) -> Confirmed {
    let url = format!("{}/3ds/{intent}", world.base_url);
    let waiting = world.edit("payment_intent", intent, |pi| {
        let back = pi.at("_sim.return_url").clone();
        pi["status"] = "requires_action".into();
        pi["payment_method"] = method.into();
        pi["last_payment_error"] = Value::Null;
        let redirect = json!({"url": url, "return_url": back});
        pi["next_action"] = json!({"type": "redirect_to_url", "redirect_to_url": redirect});
    });
    world.emit("payment_intent.requires_action", &waiting, None);
    Confirmed::NeedsAction
}

/// The holder answers on the bank's page. Whoever refuses leaves the intent without a method,
/// which is the error.
pub fn authenticate(world: &mut World, intent: &str, agrees: bool) -> Answer<Confirmed> {
    let pi = world.find("payment_intent", intent)?.clone();
    if pi.text("status") != "requires_action" {
        return Err(unexpected(world, &pi, "does not wait for an authentication"));
    }
    let method = pi.text("payment_method").to_owned();
    if !agrees {
        return Err(fail_authentication(world, intent, &method));
    }
    let stored = world.edit("payment_method", &method, |method| {
        method.put("_sim.authenticated", true);
    });
    let answer = match refusal(world, &method, false) {
        None => Ok(take(world, intent, &method)),
        Some(reason) => Err(refuse(world, intent, &stored, reason)),
    };
    world.edit("payment_method", &method, |method| method.put("_sim.authenticated", false));
    answer
}

fn fail_authentication(world: &mut World, intent: &str, method: &str) -> ApiError {
    let message = "The provided PaymentMethod has failed authentication. You can provide a new \
                   PaymentMethod to attempt to fulfill this PaymentIntent again.";
    let stored = world.get("payment_method", method).cloned().unwrap_or_default();
    let shown = world.render(&stored);
    let error = ApiError::invalid(message).with("code", "payment_intent_authentication_failure");
    let error = ApiError { keep: true, ..error.with("payment_method", shown) };
    give_up(world, intent, error, None)
}

/// Takes or holds the money.
fn take(world: &mut World, intent: &str, method: &str) -> Confirmed {
    let pi = world.get("payment_intent", intent).cloned().unwrap_or_default();
    keep_method(world, &pi, method);
    let held = pi.text("capture_method") == "manual";
    let ending = if held { Ending::Held } else { Ending::Taken };
    let charge = charged::make(world, &pi, method, ending);
    world.emit("charge.succeeded", &charge, None);
    if held {
        let waiting = world.edit("payment_intent", intent, |pi| {
            settle_fields(pi, "requires_capture", method, &charge);
            pi["amount_capturable"] = pi["amount"].clone();
        });
        world.emit("payment_intent.amount_capturable_updated", &waiting, None);
        return Confirmed::Held;
    }
    arrive(world, intent, method, &charge);
    Confirmed::Paid
}

fn settle_fields(pi: &mut Value, status: &str, method: &str, charge: &Value) {
    pi["status"] = status.into();
    pi["latest_charge"] = charge["id"].clone();
    pi["payment_method"] = method.into();
    pi["next_action"] = Value::Null;
    pi["last_payment_error"] = Value::Null;
}

fn arrive(world: &mut World, intent: &str, method: &str, charge: &Value) {
    let paid = world.edit("payment_intent", intent, |pi| {
        settle_fields(pi, "succeeded", method, charge);
        pi["amount_received"] = charge["amount_captured"].clone();
        pi["amount_capturable"] = 0.into();
    });
    world.emit("payment_intent.succeeded", &paid, None);
}

/// A method that is to be used again is attached, and ready for charges without its holder.
fn keep_method(world: &mut World, pi: &Value, method: &str) {
    let future = pi.text("setup_future_usage");
    if future == "off_session" || paying::is_recurring(world, pi.text("id")) {
        methods::set_up(world, method);
    }
    if let (false, Some(customer)) = (future.is_empty(), pi.opt_text("customer"))
        && let Err(error) = methods::attach(world, method, customer)
    {
        tracing::debug!(method, reason = error.message(), "a paying method could not be kept");
    }
}

/// What the card does once it was charged: its holder may dispute it.
pub fn aftermath(world: &mut World, intent: &str) {
    let pi = world.get("payment_intent", intent).cloned().unwrap_or_default();
    let method = world.get("payment_method", pi.text("payment_method"));
    let (Some(method), "succeeded") = (method, pi.text("status")) else {
        return;
    };
    let opened = match cards::of_method(method).aftermath {
        Aftermath::Dispute(reason) => disputing::Opening { reason, inquiry: false, amount: None },
        Aftermath::Inquiry => {
            disputing::Opening { reason: "fraudulent", inquiry: true, amount: None }
        }
        _ => return,
    };
    if let Err(error) = disputing::open(world, pi.text("latest_charge"), &opened) {
        tracing::debug!(intent, reason = error.message(), "no dispute was opened");
    }
}

/// The card refused: the intent wants another payment method.
fn refuse(world: &mut World, intent: &str, method: &Value, reason: &'static str) -> ApiError {
    let pi = world.get("payment_intent", intent).cloned().unwrap_or_default();
    let charge = charged::make(world, &pi, method.text("id"), Ending::Refused(reason));
    world.emit("charge.failed", &charge, None);
    let shown = world.render(method);
    let error = cards::decline(reason).with("network_decline_code", cards::network_code(reason));
    let error = error.with("charge", charge["id"].clone()).with("payment_method", shown);
    give_up(world, intent, error, Some(&charge))
}

/// The attempt is over: the intent remembers why, and the error shows the intent.
fn give_up(world: &mut World, intent: &str, error: ApiError, charge: Option<&Value>) -> ApiError {
    let failed = world.edit("payment_intent", intent, |pi| {
        pi["status"] = "requires_payment_method".into();
        if let Some(charge) = charge {
            pi["latest_charge"] = charge["id"].clone();
        }
        pi["payment_method"] = Value::Null;
        pi["next_action"] = Value::Null;
        pi["last_payment_error"] = error.body.clone();
    });
    world.emit("payment_intent.payment_failed", &failed, None);
    let shown = world.render(&failed);
    error.with("payment_intent", shown)
}

/// A payment by a method that takes days: the intent is processing, its charge pending.
pub fn begin_processing(world: &mut World, intent: &str, method: &str) {
    let pi = world.get("payment_intent", intent).cloned().unwrap_or_default();
    keep_method(world, &pi, method);
    let charge = charged::make(world, &pi, method, Ending::Pending);
    world.emit("charge.pending", &charge, None);
    let processing = world.edit("payment_intent", intent, |pi| {
        settle_fields(pi, "processing", method, &charge);
    });
    world.emit("payment_intent.processing", &processing, None);
}

/// A payment that was processing arrives, or does not for the reason given, which is the error.
pub fn end_processing(
    world: &mut World,
    intent: &str,
    refused: Option<&'static str>,
) -> Answer<()> {
    let pi = world.find("payment_intent", intent)?.clone();
    if pi.text("status") != "processing" {
        return Err(unexpected(world, &pi, "is not processing"));
    }
    let charge = pi.text("latest_charge").to_owned();
    let method = pi.text("payment_method").to_owned();
    let Some(reason) = refused else {
        let charge = charged::resolve(world, &charge, Ending::Taken);
        world.emit("charge.succeeded", &charge, None);
        arrive(world, intent, &method, &charge);
        return Ok(());
    };
    let charge = charged::resolve(world, &charge, Ending::Refused(reason));
    world.emit("charge.failed", &charge, None);
    let stored = world.get("payment_method", &method).cloned().unwrap_or_default();
    let shown = world.render(&stored);
    let error = cards::decline(reason).with("charge", charge["id"].clone());
    Err(give_up(world, intent, error.with("payment_method", shown), Some(&charge)))
}

/// Captures held money, or a part of it; what is not captured is let go.
pub fn capture(world: &mut World, intent: &str, amount: Option<i64>) -> Answer<()> {
    let pi = world.find("payment_intent", intent)?.clone();
    if pi.text("status") != "requires_capture" {
        return Err(unexpected(world, &pi, "could not be captured"));
    }
    let most = pi.int("amount_capturable");
    let amount = amount.unwrap_or(most);
    if amount < 1 || amount > most {
        let message = "The requested capture amount must be between 1 and what was authorized.";
        return Err(ApiError::param("amount_too_large", "amount_to_capture", message));
    }
    let id = pi.text("latest_charge").to_owned();
    world.edit("charge", &id, |charge| charge["amount_captured"] = amount.into());
    charged::book(world, &id);
    let charge = world.edit("charge", &id, |charge| {
        charge["captured"] = true.into();
        charge["amount_refunded"] = (most - amount).into();
    });
    world.emit("charge.captured", &charge, None);
    arrive(world, intent, pi.text("payment_method"), &charge);
    aftermath(world, intent);
    Ok(())
}

/// Cancels an intent that is not settled; held money is let go.
pub fn cancel(world: &mut World, intent: &str, reason: Option<String>) -> Answer {
    let pi = world.find("payment_intent", intent)?.clone();
    let now = world.now();
    if pi.text("status") == "requires_capture" {
        let charge = pi.text("latest_charge").to_owned();
        world.edit_and_tell("charge", &charge, "charge.refunded", |charge| {
            charge["amount_refunded"] = charge["amount"].clone();
            charge["refunded"] = true.into();
        });
    }
    let canceled = world.edit("payment_intent", intent, |intent| {
        intent["status"] = "canceled".into();
        intent["canceled_at"] = now.into();
        intent["cancellation_reason"] = reason.map(Value::from).unwrap_or_default();
        intent["amount_capturable"] = 0.into();
        intent["next_action"] = Value::Null;
    });
    world.emit("payment_intent.canceled", &canceled, None);
    Ok(canceled)
}

/// The error of an intent in a status that does not allow what is asked.
pub fn unexpected(world: &World, intent: &Value, what: &str) -> ApiError {
    let message =
        format!("This PaymentIntent {what}: it has a status of {}.", intent.text("status"));
    let error = ApiError::invalid(message).with("code", "payment_intent_unexpected_state");
    error.with("payment_intent", world.render(intent))
}
