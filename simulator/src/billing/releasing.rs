//! How subscription schedules end: run out, released, canceled, or ended with their subscription.

use serde_json::Value;

use super::ending;
use super::scheduling::{KIND, of};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// The last phase is over.
pub fn finish(world: &mut World, schedule: &Value) -> Answer<()> {
    run_out(world, schedule)?;
    let event = "customer.subscription.updated";
    world.edit_and_tell("subscription", schedule.text("subscription"), event, |sub| {
        sub["schedule"] = Value::Null;
    });
    Ok(())
}

/// A schedule that ran out lets go of its subscription, which does not learn of it here. Stripe's
/// guide calls that completed and its customers report it as released, so both are told.
pub fn run_out(world: &mut World, schedule: &Value) -> Answer<()> {
    let now = world.now_for(schedule.text("customer"));
    let completed = world.edit(KIND, schedule.text("id"), |schedule| {
        schedule["completed_at"] = now.into();
    });
    let completed = let_go(world, &completed);
    world.emit("subscription_schedule.completed", &completed, None);
    Ok(())
}

/// The schedule lets go of its subscription, which does not learn of it here.
fn let_go(world: &mut World, schedule: &Value) -> Value {
    let now = world.now_for(schedule.text("customer"));
    let released = world.edit(KIND, schedule.text("id"), |schedule| {
        schedule["status"] = "released".into();
        schedule["released_at"] = now.into();
        schedule["released_subscription"] = schedule["subscription"].clone();
        schedule["subscription"] = Value::Null;
        schedule["current_phase"] = Value::Null;
    });
    world.emit("subscription_schedule.released", &released, None);
    released
}

/// Lets a subscription go on without its schedule.
pub fn release(world: &mut World, id: &str, keep_end: bool) -> Answer {
    let schedule = world.find(KIND, id)?.clone();
    if !matches!(schedule.text("status"), "active" | "not_started") {
        let message = format!(
            "You cannot release a subscription schedule that is currently in the `{}` status.",
            schedule.text("status")
        );
        return Err(ApiError::invalid(message));
    }
    let_go(world, &schedule);
    let event = "customer.subscription.updated";
    world.edit_and_tell("subscription", schedule.text("subscription"), event, |sub| {
        sub["schedule"] = Value::Null;
        if sub.at("_sim.ends_with_schedule") == true && !keep_end {
            sub["cancel_at"] = Value::Null;
        }
        sub.put("_sim.ends_with_schedule", false);
    });
    Ok(world.find(KIND, id)?.clone())
}

/// Ends a schedule and, when it has begun, its subscription.
pub fn cancel(world: &mut World, id: &str, prorate: bool, bill: bool) -> Answer {
    let schedule = world.find(KIND, id)?.clone();
    if !matches!(schedule.text("status"), "active" | "not_started") {
        let message = format!(
            "You cannot cancel a subscription schedule that is currently in the `{}` status.",
            schedule.text("status")
        );
        return Err(ApiError::invalid(message));
    }
    match schedule.opt_text("subscription") {
        Some(sub) => {
            ending::now(world, sub, &Value::Null, prorate, bill)?;
        }
        None => stop(world, &schedule, "canceled", "canceled"),
    }
    Ok(world.find(KIND, id)?.clone())
}

fn stop(world: &mut World, schedule: &Value, status: &str, event: &str) {
    let now = world.now_for(schedule.text("customer"));
    let moment = if status == "canceled" { "canceled_at" } else { "completed_at" };
    let stopped = world.edit(KIND, schedule.text("id"), |schedule| {
        schedule["status"] = status.into();
        schedule[moment] = now.into();
        schedule["current_phase"] = Value::Null;
    });
    world.emit(&format!("subscription_schedule.{event}"), &stopped, None);
}

/// A subscription ended: its schedule is completed when that was planned, else canceled, which is
/// called aborted where nobody paid any more.
pub fn of_ended(world: &mut World, sub: &Value, now: i64) {
    let Some(schedule) = of(world, sub) else {
        return;
    };
    let last = schedule.list("phases").last().map(|phase| phase.int("end_date"));
    let planned = schedule.text("end_behavior") == "cancel" && last.is_some_and(|end| end <= now);
    let unpaid = sub.at("cancellation_details.reason") == "payment_failed";
    match (planned, unpaid) {
        (true, _) => stop(world, &schedule, "completed", "completed"),
        (false, true) => stop(world, &schedule, "canceled", "aborted"),
        (false, false) => stop(world, &schedule, "canceled", "canceled"),
    }
}
