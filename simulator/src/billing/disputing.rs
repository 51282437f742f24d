//! Disputes: opened by the holder's bank, answered with evidence, won, lost or withdrawn.
//!
//! It owns the kind `dispute`. An inquiry moves no money; a chargeback takes it at once and gives
//! it back only when it is won.

use serde_json::{Map, Value, json};

use super::balance::{self, DISPUTE_FEE, Movement};
use super::calendar::DAY;
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// How many days there are to send evidence.
const EVIDENCE_DAYS: i64 = 9;
/// After how many days an inquiry nobody followed up is closed.
const INQUIRY_DAYS: i64 = 120;

/// How a dispute is opened.
pub struct Opening {
    /// Why the holder disputes the charge.
    pub reason: &'static str,
    /// Whether the bank only asks.
    pub inquiry: bool,
    /// In minor units; what is left of the charge when it is not said.
    pub amount: Option<i64>,
}

/// How a dispute ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// The money comes back. A withdrawn dispute ends like this too.
    Won,
    /// The money is gone.
    Lost,
    /// An inquiry becomes a chargeback.
    Escalated,
}

/// The reasons a dispute can have, with the codes the networks use for them.
const REASONS: [(&str, &str); 10] = [
    ("fraudulent", "10.4"),
    ("credit_not_processed", "13.7"),
    ("duplicate", "12.6.1"),
    ("general", "10.5"),
    ("incorrect_account_details", "12.4"),
    ("product_not_received", "13.1"),
    ("product_unacceptable", "13.3"),
    ("subscription_canceled", "13.2"),
    ("unrecognized", "11.3"),
    ("noncompliant", "12.7"),
];

/// The reason of this name.
pub fn reason(name: &str) -> Option<&'static str> {
    REASONS.iter().map(|(known, _)| *known).find(|known| *known == name)
}

fn network_code(reason: &str) -> Option<&'static str> {
    REASONS.iter().find(|(known, _)| *known == reason).map(|(_, code)| *code)
}

/// Whether a dispute still waits for its end.
fn is_open(dispute: &Value) -> bool {
    !matches!(dispute.text("status"), "won" | "lost" | "warning_closed" | "prevented")
}

fn is_inquiry(dispute: &Value) -> bool {
    dispute.text("status").starts_with("warning_")
}

/// Whether money of this charge is with the holder's bank, so that no refund is possible.
pub fn keeps_money(world: &World, charge: &str) -> bool {
    let mut mine = world.store.newest_by("dispute", "charge", charge);
    mine.any(|found| !found.flag("is_charge_refundable"))
}

/// Whether a charge is disputed or was lost to its holder.
fn is_taken(world: &World, charge: &str) -> bool {
    let mut mine = world.store.newest_by("dispute", "charge", charge);
    mine.any(|found| is_open(found) || found.text("status") == "lost")
}

/// Opens a dispute about a paid charge.
pub fn open(world: &mut World, charge: &str, opening: &Opening) -> Answer {
    let found = world.find_param("charge", charge, "charge")?.clone();
    if !found.flag("paid") || !found.flag("captured") {
        return Err(
            ApiError::invalid("Only a paid charge can be disputed.").with("param", "charge")
        );
    }
    if is_taken(world, charge) {
        return Err(ApiError::invalid("This charge is disputed already.").with("param", "charge"));
    }
    let whole = found.int("amount_captured");
    let left = whole - found.int("amount_refunded");
    let amount = opening.amount.unwrap_or(if left > 0 { left } else { whole });
    if !(1..=whole).contains(&amount) {
        let message = "The amount must be between 1 and what was captured.";
        return Err(ApiError::invalid(message).with("param", "amount"));
    }
    let dispute = blank(world, &found, opening, amount);
    let dispute = world.create("dispute", dispute);
    world.edit("charge", charge, |charge| charge["disputed"] = true.into());
    world.emit("charge.dispute.created", &dispute, None);
    match opening.inquiry {
        true => Ok(dispute),
        false => Ok(withdraw(world, &dispute)),
    }
}

fn blank(world: &World, charge: &Value, opening: &Opening, amount: i64) -> Value {
    let now = world.now_for(charge.text("customer"));
    let card = charge.at("payment_method_details.card");
    let brand = card["brand"].clone();
    let due_by = (now.div_euclid(DAY) + EVIDENCE_DAYS + 1) * DAY - 1;
    let closes_at = if opening.inquiry { now + INQUIRY_DAYS * DAY } else { due_by };
    let case = if opening.inquiry { "inquiry" } else { "chargeback" };
    let mut dispute = json!({
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due_by, "enhanced_eligibility": {}, "has_evidence": false,
            "past_due": false, "submission_count": 0,
        },
        "is_charge_refundable": opening.inquiry,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": opening.reason,
        "status": if opening.inquiry { "warning_needs_response" } else { "needs_response" },
        "_sim": {"closes_at": closes_at, "customer": charge["customer"]},
    });
    if card.is_object() {
        dispute["payment_method_details"] = json!({"type": "card", "card": {
            "brand": brand, "case_type": case, "network": brand,
            "network_reason_code": network_code(opening.reason),
        }});
    }
    dispute
}

/// The bank takes the money and a fee.
fn withdraw(world: &mut World, dispute: &Value) -> Value {
    let amount = dispute.int("amount");
    let text = format!("Chargeback withdrawal for {}", dispute.text("charge"));
    let moved = book(world, dispute, "dispute", (-amount, DISPUTE_FEE), &text);
    tell(world, dispute, "charge.dispute.funds_withdrawn", |dispute| {
        push(dispute, moved);
        dispute["is_charge_refundable"] = false.into();
    })
}

fn book(
    world: &mut World,
    dispute: &Value,
    category: &str,
    (amount, fee): (i64, i64),
    text: &str,
) -> Value {
    let movement = Movement {
        kind: "adjustment",
        category,
        source: dispute.text("id"),
        amount,
        fee,
        currency: dispute.text("currency"),
        description: text,
    };
    balance::record(world, &movement)
}

fn push(dispute: &mut Value, transaction: Value) {
    if let Some(all) = dispute["balance_transactions"].as_array_mut() {
        all.push(transaction);
    }
}

fn tell(world: &mut World, dispute: &Value, event: &str, change: impl FnOnce(&mut Value)) -> Value {
    world.edit_and_tell("dispute", dispute.text("id"), event, change)
}

/// The open dispute of this id, or the error that it is over.
fn pending(world: &World, id: &str) -> Answer {
    let dispute = world.find("dispute", id)?.clone();
    match is_open(&dispute) {
        true => Ok(dispute),
        false => Err(ApiError::invalid("This dispute is already closed.")),
    }
}

/// What an update of a dispute brings.
pub struct Answered {
    /// The metadata afterwards.
    pub metadata: Value,
    /// The pieces of evidence given.
    pub evidence: Map<String, Value>,
    /// Whether they go to the bank; when it is not said, evidence does.
    pub submit: Option<bool>,
}

/// Takes evidence; certain texts decide the dispute once they were told of.
pub fn answer(world: &mut World, id: &str, given: Answered) -> Answer {
    let dispute = world.find("dispute", id)?.clone();
    let submits = given.submit.unwrap_or(!given.evidence.is_empty());
    let waits = matches!(dispute.text("status"), "needs_response" | "warning_needs_response");
    if (submits || !given.evidence.is_empty()) && !waits {
        let message = "Evidence can only be given while the dispute waits for a response.";
        return Err(ApiError::invalid(message));
    }
    let inquiry = is_inquiry(&dispute);
    let answered = tell(world, &dispute, "charge.dispute.updated", |dispute| {
        dispute["metadata"] = given.metadata;
        for (name, value) in given.evidence {
            dispute["evidence"][&name] = if value == "" { Value::Null } else { value };
            dispute.put("evidence_details.has_evidence", true);
        }
        if submits {
            let status = if inquiry { "warning_under_review" } else { "under_review" };
            let count = dispute.int("evidence_details.submission_count");
            dispute["status"] = status.into();
            dispute.put("evidence_details.submission_count", count + 1);
            dispute.put("_sim.closes_at", Value::Null);
        }
    });
    let outcome = match answered.text("evidence.uncategorized_text") {
        "winning_evidence" => Some(Outcome::Won),
        "losing_evidence" => Some(Outcome::Lost),
        "escalate_inquiry_evidence" if inquiry => Some(Outcome::Escalated),
        _ => None,
    };
    if let Some(outcome) = outcome.filter(|_| submits) {
        decide(world, id, outcome)?;
    }
    Ok(answered)
}

/// The merchant accepts the dispute.
pub fn accept(world: &mut World, id: &str) -> Answer {
    pending(world, id)?;
    decide(world, id, Outcome::Lost)
}

/// The bank decides.
pub fn decide(world: &mut World, id: &str, outcome: Outcome) -> Answer {
    let dispute = pending(world, id)?;
    let inquiry = is_inquiry(&dispute);
    if outcome == Outcome::Escalated {
        return escalate(world, &dispute);
    }
    let won = outcome == Outcome::Won;
    let status = match (inquiry, won) {
        (true, _) => "warning_closed",
        (false, true) => "won",
        (false, false) => "lost",
    };
    let now = world.now_for(dispute.text("_sim.customer"));
    let closed = tell(world, &dispute, "charge.dispute.closed", |dispute| {
        if dispute.text("status") == "needs_response" {
            let late = dispute.int("evidence_details.due_by") <= now;
            dispute.put("evidence_details.past_due", late);
        }
        dispute["status"] = status.into();
        dispute["is_charge_refundable"] = (inquiry || won).into();
        dispute.put("_sim.closes_at", Value::Null);
    });
    if inquiry || !won {
        return Ok(closed);
    }
    let text = format!("Chargeback reversal for {}", dispute.text("charge"));
    let amounts = (dispute.int("amount"), -DISPUTE_FEE);
    let moved = book(world, &dispute, "dispute_reversal", amounts, &text);
    let event = "charge.dispute.funds_reinstated";
    Ok(tell(world, &closed, event, |dispute| push(dispute, moved)))
}

/// An inquiry becomes a chargeback: now the money goes.
fn escalate(world: &mut World, dispute: &Value) -> Answer {
    if !is_inquiry(dispute) {
        return Err(ApiError::invalid("Only an inquiry can become a chargeback."));
    }
    let now = world.now_for(dispute.text("_sim.customer"));
    let due_by = (now.div_euclid(DAY) + EVIDENCE_DAYS + 1) * DAY - 1;
    let raised = tell(world, dispute, "charge.dispute.updated", |dispute| {
        dispute["status"] = "needs_response".into();
        if dispute["payment_method_details"].is_object() {
            dispute.put("payment_method_details.card.case_type", "chargeback");
        }
        dispute.put("evidence_details.due_by", due_by);
        dispute.put("_sim.closes_at", due_by);
    });
    Ok(withdraw(world, &raised))
}

/// A charge that was given back whole leaves nothing to ask about.
pub fn drop_inquiry(world: &mut World, charge: &str) -> Answer<()> {
    let asked = |dispute: &&Value| is_open(dispute) && is_inquiry(dispute);
    let mine = world.store.newest_by("dispute", "charge", charge).find(asked);
    if let Some(id) = mine.map(|dispute| dispute.text("id").to_owned()) {
        decide(world, &id, Outcome::Won)?;
    }
    Ok(())
}

/// When a dispute ends because nobody answered.
pub fn due(dispute: &Value) -> Option<i64> {
    dispute.opt_int("_sim.closes_at").filter(|_| is_open(dispute))
}

/// The time for evidence is over: a chargeback is lost, an inquiry closed.
pub fn lapse(world: &mut World, id: &str) -> Answer<()> {
    decide(world, id, Outcome::Lost).map(|_| ())
}
