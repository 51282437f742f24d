//! A subscription's period turns: a new period, a draft invoice, the end of a trial.

use serde_json::{Value, json};

use super::calendar::{DAY, interval, next_turn};
use super::invoicing::{self, DRAFT_SECONDS, Draft};
use super::{change, discounting, lines, methods, pausing, preview, scheduling, standing};
use crate::errors::Answer;
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// How long before a renewal it is announced.
pub const UPCOMING_NOTICE: i64 = 7 * DAY;

/// The period of a subscription turns at this moment.
pub fn turn(world: &mut World, id: &str, at: i64) -> Answer<()> {
    let sub = world.find("subscription", id)?.clone();
    if sub.text("status") == "trialing" && stop_after_trial(world, &sub)? {
        return Ok(());
    }
    renew(world, id, at).map(|_| ())
}

/// Renews the items whose period ends: the draft of the new period's invoice.
pub fn renew(world: &mut World, id: &str, at: i64) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    let customer = sub.text("customer").to_owned();
    let mut next = sub.clone();
    scheduling::enter(world, &mut next, at)?;
    let anchor = sub.int("billing_cycle_anchor");
    let mut turned = Vec::new();
    for item in next["items"]["data"].as_array_mut().into_iter().flatten() {
        if item.int("current_period_end") > at {
            continue;
        }
        let (every, count) = interval(&item["price"]);
        let end = next_turn(anchor, at, every, count);
        item["current_period_start"] = at.into();
        item["current_period_end"] = end.into();
        turned.push(item.clone());
    }
    if sub.text("status") == "trialing" {
        next["status"] = "active".into();
    }
    let invoice_id = ids::new("invoice");
    let pending = lines::pending(world, &sub);
    let mut all = lines::take(world, &pending, &invoice_id);
    for item in &turned {
        let period = (item.int("current_period_start"), item.int("current_period_end"));
        all.push(lines::of_item(world, &next, item, period)?);
    }
    // An unpaid subscription is not charged any more, and one may keep what it bills as drafts.
    let kept =
        sub.text("pause_collection.behavior") == "keep_as_draft" || sub.text("status") == "unpaid";
    let draft = Draft {
        customer: &customer,
        subscription: &next,
        reason: "subscription_cycle",
        lines: all,
        period: (sub.int("items.data.0.current_period_start"), at),
        finalizes_at: (!kept).then_some(at + DRAFT_SECONDS),
        currency: sub.text("currency"),
    };
    let mut invoice = invoicing::draft(world, draft, Some(invoice_id.clone()));
    if kept {
        invoice = world.edit("invoice", &invoice_id, |invoice| {
            invoice["auto_advance"] = false.into();
        });
    }
    let billed = change::remember(&next["_sim"]["billed"], &invoice);
    next.put("_sim.billed", billed);
    next["latest_invoice"] = invoice_id.into();
    world.store.put("subscription", id, next.clone());
    standing::tell(world, &sub, &next);
    world.emit("invoice.created", &invoice, None);
    discounting::spend(world, id, &invoice);
    Ok(invoice)
}

/// Whether a subscription's trial leads to no bill when it ends now.
pub fn stops_after_trial(world: &World, id: &str) -> bool {
    let Some(sub) = world.get("subscription", id) else {
        return false;
    };
    let rule = sub.text("trial_settings.end_behavior.missing_payment_method");
    sub.text("status") == "trialing"
        && matches!(rule, "cancel" | "pause")
        && methods::default_for(world, sub.text("customer"), sub).is_none()
}

/// A trial without a payment method may cancel or pause instead of billing.
pub fn stop_after_trial(world: &mut World, sub: &Value) -> Answer<bool> {
    let rule = sub.text("trial_settings.end_behavior.missing_payment_method").to_owned();
    if methods::default_for(world, sub.text("customer"), sub).is_some() {
        return Ok(false);
    }
    match rule.as_str() {
        "cancel" => {
            standing::end(world, sub.text("id"), "cancellation_requested", false);
            Ok(true)
        }
        "pause" => {
            pausing::set(world, sub.text("id"), "trial_end_without_payment_method");
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Announces the invoice of the renewal that is to come, which does not exist yet.
pub fn announce(world: &mut World, id: &str, turn: i64) {
    world.edit("subscription", id, |sub| sub.put("_sim.upcoming_told", turn));
    match preview::of_renewal(world, id, &json!({})) {
        Ok(invoice) => world.emit("invoice.upcoming", &invoice, None),
        Err(error) => tracing::debug!(id, reason = error.message(), "nothing will be invoiced"),
    }
}
