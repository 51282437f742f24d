//! Subscription schedules: phases that a subscription goes through by itself.
//!
//! It owns the kind `subscription_schedule`. A phase that begins when a period turns is entered by
//! the renewal; one that begins in between is an update like any other.

use serde_json::{Value, json};

use super::calendar::interval;
use super::{phases, releasing, standing, subscribing, updating};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// The kind of object.
pub const KIND: &str = "subscription_schedule";
const UPDATED: &str = "subscription_schedule.updated";

/// The schedule in force on a subscription.
pub fn of(world: &World, sub: &Value) -> Option<Value> {
    let schedule = world.get(KIND, sub.opt_text("schedule")?)?;
    (schedule.text("status") == "active").then(|| schedule.clone())
}

/// Makes a schedule of a running subscription: one phase, the period it is in.
pub fn from_subscription(world: &mut World, id: &str, metadata: Value) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    if standing::is_over(&sub) || sub.text("status") == "incomplete" {
        let message = "You can not migrate a subscription in this status to a schedule.";
        return Err(ApiError::invalid(message).with("param", "from_subscription"));
    }
    if let Some(known) = sub.opt_text("schedule") {
        let message = format!(
            "You cannot migrate a subscription that is already attached to a schedule: {known}"
        );
        return Err(ApiError::invalid(message).with("param", "from_subscription"));
    }
    let phase = phases::running(&sub);
    let schedule = bare(world, sub.text("customer"), vec![phase], metadata);
    Ok(attach(world, schedule, id))
}

/// A schedule object that is stored nowhere yet.
pub fn bare(world: &World, customer: &str, phases: Vec<Value>, metadata: Value) -> Value {
    let now = world.now_for(customer);
    let owner = world.get("customer", customer).cloned().unwrap_or_default();
    json!({
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "created": now,
        "current_phase": null,
        "customer": customer,
        "default_settings": {
            "automatic_tax": {"enabled": false}, "billing_cycle_anchor": "automatic",
            "collection_method": "charge_automatically",
            "invoice_settings": {"issuer": {"type": "self"}},
        },
        "end_behavior": "release",
        "metadata": metadata,
        "phases": phases,
        "status": "not_started",
        "test_clock": owner["test_clock"],
    })
}

/// Puts a schedule in force on a subscription.
fn attach(world: &mut World, mut schedule: Value, sub: &str) -> Value {
    schedule["status"] = "active".into();
    schedule["subscription"] = sub.into();
    schedule["current_phase"] = window(&schedule["phases"][0]);
    let schedule = world.create_and_tell(KIND, "subscription_schedule.created", schedule);
    mark(world, &schedule);
    schedule
}

fn window(phase: &Value) -> Value {
    json!({"start_date": phase["start_date"], "end_date": phase["end_date"]})
}

/// The subscription shows its schedule, and when it ends with it.
fn mark(world: &mut World, schedule: &Value) {
    let last = schedule.list("phases").last().map(|phase| phase["end_date"].clone());
    let ends = schedule.text("end_behavior") == "cancel";
    let id = schedule.text("subscription");
    let event = "customer.subscription.updated";
    world.edit_and_tell("subscription", id, event, |sub| {
        sub["schedule"] = schedule["id"].clone();
        let shown = sub.at("_sim.ends_with_schedule") == true;
        if ends {
            sub["cancel_at"] = last.unwrap_or_default();
        } else if shown {
            sub["cancel_at"] = Value::Null;
        }
        sub.put("_sim.ends_with_schedule", ends);
    });
}

/// Makes a schedule with phases of its own. It starts now, or waits for its moment.
pub fn create(world: &mut World, customer: &str, params: &Value, start: i64) -> Answer {
    let now = world.now_for(customer);
    let phases = phases::resolve(world, params.list("phases"), start, None)?;
    let mut schedule = bare(world, customer, phases, params["metadata"].clone());
    if let Some(behavior) = params.opt_text("end_behavior") {
        schedule["end_behavior"] = behavior.into();
    }
    let schedule = world.create_and_tell(KIND, "subscription_schedule.created", schedule);
    if start <= now {
        self::start(world, schedule.text("id"))?;
    }
    Ok(world.find(KIND, schedule.text("id"))?.clone())
}

/// The first phase of a schedule begins: so does its subscription.
pub fn start(world: &mut World, id: &str) -> Answer<()> {
    let schedule = world.find(KIND, id)?.clone();
    let phase = schedule.at("phases.0");
    let mut items = Vec::new();
    for item in phase.list("items") {
        let price = world.find("price", item.text("price"))?.clone();
        items.push(json!({
            "price": price, "quantity": item["quantity"], "metadata": item["metadata"],
        }));
    }
    let metadata = phase["metadata"].as_object().cloned().unwrap_or_default();
    let begin = subscribing::Begin {
        customer: schedule.text("customer").to_owned(),
        items,
        trial_end: phase.opt_int("trial_end"),
        payment_behavior: subscribing::LATER.to_owned(),
        fields: json!({"metadata": metadata, "schedule": id}),
    };
    let sub = subscribing::begin(world, begin)?;
    let started = world.edit_and_tell(KIND, id, UPDATED, |schedule| {
        schedule["status"] = "active".into();
        schedule["subscription"] = sub["id"].clone();
        schedule["current_phase"] = window(&schedule["phases"][0]);
    });
    mark(world, &started);
    Ok(())
}

/// Changes phases, the behaviour at the end or metadata.
pub fn update(world: &mut World, id: &str, params: &Value, metadata: Value) -> Answer {
    let schedule = world.find(KIND, id)?.clone();
    if !matches!(schedule.text("status"), "active" | "not_started") {
        let message = format!(
            "You cannot update a subscription schedule that is currently in the `{}` status.",
            schedule.text("status")
        );
        return Err(ApiError::invalid(message));
    }
    let begun = schedule.at("current_phase.start_date").as_i64();
    let first = schedule.int("phases.0.start_date");
    let new = match params.list("phases").is_empty() {
        true => schedule.list("phases").to_vec(),
        false => phases::resolve(world, params.list("phases"), begun.unwrap_or(first), begun)?,
    };
    let changed = world.edit_and_tell(KIND, id, UPDATED, |schedule| {
        schedule["metadata"] = metadata;
        if let Some(behavior) = params.opt_text("end_behavior") {
            schedule["end_behavior"] = behavior.into();
        }
        let place = new.iter().position(|phase| phase["start_date"].as_i64() == begun);
        if let Some(place) = place {
            schedule["current_phase"] = window(&new[place]);
        }
        schedule["phases"] = new.into();
    });
    if changed.text("status") == "active" {
        mark(world, &changed);
        let behavior = params.opt_text("proration_behavior").unwrap_or("create_prorations");
        apply_current(world, &changed, behavior)?;
    }
    Ok(world.find(KIND, id)?.clone())
}

/// The subscription gets the items of the phase it is in, if they differ.
fn apply_current(world: &mut World, schedule: &Value, behavior: &str) -> Answer<()> {
    let Some(phase) = current(schedule) else {
        return Ok(());
    };
    let id = schedule.text("subscription").to_owned();
    let sub = world.find("subscription", &id)?.clone();
    if phases::same(&phase, &sub) {
        return Ok(());
    }
    let items = phases::steps(world, &phase, &sub)?;
    let params = json!({"items": items, "proration_behavior": behavior});
    updating::update(world, &id, &params).map(|_| ())
}

/// The phase a schedule is in.
fn current(schedule: &Value) -> Option<Value> {
    let start = schedule.at("current_phase.start_date");
    schedule.list("phases").iter().find(|phase| phase["start_date"] == *start).cloned()
}

/// The phase that comes after the one a schedule is in.
pub fn next(schedule: &Value) -> Option<Value> {
    let end = schedule.at("current_phase.end_date");
    schedule.list("phases").iter().find(|phase| phase["start_date"] == *end).cloned()
}

/// When a schedule has something to do, and that is its subscription's start or a phase's end.
pub fn due(schedule: &Value) -> Option<i64> {
    match schedule.text("status") {
        "not_started" => schedule.opt_int("phases.0.start_date"),
        "active" => schedule.opt_int("current_phase.end_date"),
        _ => None,
    }
}

/// A phase ends at this moment: the next one begins, or the schedule lets go.
pub fn step(world: &mut World, id: &str, at: i64) -> Answer<()> {
    let schedule = world.find(KIND, id)?.clone();
    if schedule.text("status") == "not_started" {
        return start(world, id);
    }
    let sub = world.find("subscription", schedule.text("subscription"))?.clone();
    if next(&schedule).is_none() && schedule.text("end_behavior") == "cancel" {
        return super::ending::planned(world, sub.text("id"));
    }
    let turns = sub.list("items.data").iter().any(|item| item.int("current_period_end") <= at);
    let runs = matches!(sub.text("status"), "active" | "trialing" | "past_due" | "unpaid");
    if turns && runs {
        return super::renewal::turn(world, sub.text("id"), at);
    }
    let Some(phase) = next(&schedule) else {
        return releasing::finish(world, &schedule);
    };
    advance(world, &schedule, &phase);
    if phases::same(&phase, &sub) {
        return Ok(());
    }
    let items = phases::steps(world, &phase, &sub)?;
    let behavior = phase.text("proration_behavior");
    let params = json!({
        "items": items, "proration_behavior": behavior, "metadata": phase["metadata"],
    });
    updating::update(world, sub.text("id"), &params).map(|_| ())
}

fn advance(world: &mut World, schedule: &Value, phase: &Value) {
    world.edit_and_tell(KIND, schedule.text("id"), UPDATED, |schedule| {
        schedule["current_phase"] = window(phase);
    });
}

/// At a renewal: if a phase begins now, `sub` gets its items; if the last one ended, it is let go.
pub fn enter(world: &mut World, sub: &mut Value, at: i64) -> Answer<()> {
    let Some(schedule) = of(world, sub) else {
        return Ok(());
    };
    if schedule.int("current_phase.end_date") > at {
        return Ok(());
    }
    let Some(phase) = next(&schedule) else {
        sub["schedule"] = Value::Null;
        return releasing::run_out(world, &schedule);
    };
    advance(world, &schedule, &phase);
    if phases::same(&phase, sub) {
        return Ok(());
    }
    let mut items = Vec::new();
    for wanted in phase.list("items") {
        let price = world.find("price", wanted.text("price"))?.clone();
        let (every, count) = interval(&price);
        let kept = sub.list("items.data").iter().find(|i| i["price"]["id"] == price["id"]);
        let mut item = match kept {
            Some(item) => item.clone(),
            None => {
                let given = json!({"price": price, "metadata": wanted["metadata"]});
                let start = super::calendar::add(at, every, -count);
                subscribing::item(sub.text("id"), &given, (start, at), at)
            }
        };
        item["quantity"] = wanted["quantity"].clone();
        items.push(item);
    }
    sub["items"] = subscribing::list(sub.text("id"), items);
    for (key, value) in phase["metadata"].as_object().into_iter().flatten() {
        sub["metadata"][key] = value.clone();
    }
    Ok(())
}

/// After an update made past the schedule: its current phase follows.
pub fn follow(world: &mut World, id: &str) {
    let Some(sub) = world.get("subscription", id).cloned() else {
        return;
    };
    let Some(schedule) = of(world, &sub) else {
        return;
    };
    let items = phases::items_of(&sub);
    world.edit_and_tell(KIND, schedule.text("id"), UPDATED, |schedule| {
        let start = schedule.at("current_phase.start_date").clone();
        for phase in schedule["phases"].as_array_mut().into_iter().flatten() {
            if phase["start_date"] == start {
                phase["items"] = items.clone().into();
            }
        }
    });
}

/// Plans new items for the end of the running period, as the portal does it.
pub fn plan_change(world: &mut World, id: &str, items: &[Value]) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    let known = sub.opt_text("schedule").map(str::to_owned);
    let schedule = match known {
        Some(id) => world.find(KIND, &id)?.clone(),
        None => from_subscription(world, id, json!({}))?,
    };
    let phases = phases::two(&sub, &schedule, items);
    let metadata = schedule["metadata"].clone();
    update(world, schedule.text("id"), &json!({"phases": phases}), metadata)
}
