//! A subscription's period turns: a new period, a draft invoice, the end of a trial.

use serde_json::Value;

use super::calendar::{interval, next_turn};
use super::invoicing::{self, DRAFT_SECONDS, Draft};
use super::{lines, methods, subscribing};
use crate::errors::Answer;
use crate::ids;
use crate::json::{Json, difference};
use crate::world::World;

/// The period of a subscription turns at this moment.
pub fn turn(world: &mut World, id: &str, at: i64) -> Answer<()> {
    let sub = world.find("subscription", id)?.clone();
    let customer = sub.text("customer").to_owned();
    if sub.text("status") == "trialing" && stop_after_trial(world, &sub) {
        return Ok(());
    }
    let mut next = sub.clone();
    let anchor = sub.int("billing_cycle_anchor");
    for item in next["items"]["data"].as_array_mut().into_iter().flatten() {
        let start = item.int("current_period_end");
        let (every, count) = interval(&item["price"]);
        let end = next_turn(anchor, start, every, count);
        item["current_period_start"] = start.into();
        item["current_period_end"] = end.into();
    }
    if sub.text("status") == "trialing" {
        next["status"] = "active".into();
    }
    let invoice_id = ids::new("invoice");
    let pending = lines::pending(world, &customer, Some(id));
    let mut all = lines::take(world, &pending, &invoice_id);
    for item in next.list("items.data") {
        let period = (item.int("current_period_start"), item.int("current_period_end"));
        all.push(lines::of_item(world, &next, item, period)?);
    }
    let paused = sub.text("pause_collection.behavior") == "keep_as_draft";
    let draft = Draft {
        customer: &customer,
        subscription: &next,
        reason: "subscription_cycle",
        lines: all,
        period: (sub.int("items.data.0.current_period_start"), at),
        finalizes_at: (!paused).then_some(at + DRAFT_SECONDS),
        currency: sub.text("currency"),
    };
    let invoice = invoicing::draft(world, draft, Some(invoice_id.clone()));
    if paused {
        world.edit("invoice", &invoice_id, |invoice| invoice["auto_advance"] = false.into());
    }
    next["latest_invoice"] = invoice_id.into();
    world.store.put("subscription", id, next.clone());
    let previous = difference(&world.render(&sub), &world.render(&next));
    world.emit("customer.subscription.updated", &next, Some(previous));
    world.emit("invoice.created", &invoice, None);
    Ok(())
}

/// A trial without a payment method may cancel or pause instead of billing.
fn stop_after_trial(world: &mut World, sub: &Value) -> bool {
    let rule = sub.text("trial_settings.end_behavior.missing_payment_method").to_owned();
    let payable = methods::default_for(world, sub.text("customer"), sub).is_some();
    match rule.as_str() {
        "cancel" if !payable => {
            subscribing::end(world, sub.text("id"), "cancellation_requested", false);
            true
        }
        "pause" if !payable => {
            let event = "customer.subscription.paused";
            let paused = world.edit("subscription", sub.text("id"), |sub| {
                sub["status"] = "paused".into();
            });
            world.emit(event, &paused, None);
            true
        }
        _ => false,
    }
}
