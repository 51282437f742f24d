//! Changes of a running subscription: items, schedule of its end, trial, metadata.
//!
//! The API, the hosted portal and `subscription_items` all come through here.

use serde_json::{Value, json};

use super::change::{self, Change, Wanted};
use super::invoicing::{self, Draft};
use super::{lines, paying, subscribing};
use crate::errors::{Answer, ApiError};
use crate::http::merged_metadata;
use crate::ids;
use crate::json::{Json, difference};
use crate::world::World;

/// Applies an update as `POST /v1/subscriptions/{id}` takes it, prices resolved to objects.
pub fn update(world: &mut World, id: &str, params: &Value) -> Answer {
    let sub = world.find("subscription", id)?.clone();
    let ended = matches!(sub.text("status"), "canceled" | "incomplete_expired");
    let harmless = ["metadata", "cancellation_details", "expand"];
    let names = params.as_object().into_iter().flat_map(|map| map.keys());
    if ended && names.clone().any(|name| !harmless.contains(&name.as_str())) {
        let message = "A canceled subscription can only update its cancellation_details and \
                       metadata.";
        return Err(ApiError::invalid(message));
    }
    let now = world.now_for(sub.text("customer"));
    let restart = params.text("trial_end") == "now" || params.text("billing_cycle_anchor") == "now";
    let behavior = params.opt_text("proration_behavior").unwrap_or("create_prorations");
    let wanted = Wanted {
        items: params.list("items"),
        at: params.opt_int("proration_date").unwrap_or(now),
        prorate: behavior != "none",
        restart,
    };
    let change = change::plan(world, &sub, &wanted)?;
    let mut next = sub.clone();
    fields(world, &mut next, params)?;
    trial(&mut next, params, now)?;
    schedule(&mut next, params, now)?;
    if change.restarts {
        next["billing_cycle_anchor"] = now.into();
    }
    next["items"] = subscribing::list(id, change.items.clone());
    let at_once =
        change.restarts || (behavior == "always_invoice" && !change.prorations.is_empty());
    apply(world, &sub, next, change, at_once, params)
}

/// Stores the change, tells of it and bills what is due at once.
fn apply(
    world: &mut World,
    sub: &Value,
    mut next: Value,
    change: Change,
    at_once: bool,
    params: &Value,
) -> Answer {
    let id = sub.text("id").to_owned();
    let before = world.render(sub);
    for proration in &change.prorations {
        world.create_and_tell("invoiceitem", "invoiceitem.created", proration.clone());
    }
    let mut invoice = None;
    if at_once {
        let made = bill(world, &next, change.restarts)?;
        next["latest_invoice"] = made["id"].clone();
        invoice = Some(made);
    }
    world.store.put("subscription", &id, next.clone());
    let after = world.render(&next);
    if before != after {
        let previous = difference(&before, &after);
        world.emit("customer.subscription.updated", &next, Some(previous));
    }
    if let Some(invoice) = invoice {
        world.emit("invoice.created", &invoice, None);
        let invoice = invoicing::finalize(world, invoice.text("id"))?;
        if invoice.text("status") == "open" {
            let paid = paying::pay(world, invoice.text("id"), None, true);
            if let Err(error) = paid
                && params.text("payment_behavior") == "error_if_incomplete"
            {
                return Err(ApiError { status: 402, keep: false, ..error });
            }
        }
    }
    Ok(world.find("subscription", &id)?.clone())
}

/// The invoice for a change that is billed at once.
fn bill(world: &mut World, sub: &Value, restarts: bool) -> Answer {
    let customer = sub.text("customer").to_owned();
    let id = ids::new("invoice");
    let pending = lines::pending(world, &customer, sub.opt_text("id"));
    let mut all = lines::take(world, &pending, &id);
    if restarts {
        for item in sub.list("items.data") {
            let period = (item.int("current_period_start"), item.int("current_period_end"));
            all.push(lines::of_item(world, sub, item, period)?);
        }
    }
    let now = world.now_for(&customer);
    let draft = Draft {
        customer: &customer,
        subscription: sub,
        reason: "subscription_update",
        lines: all,
        period: (now, now),
        finalizes_at: None,
        currency: sub.text("currency"),
    };
    Ok(invoicing::draft(world, draft, Some(id)))
}

fn fields(world: &mut World, next: &mut Value, params: &Value) -> Answer<()> {
    next["metadata"] = merged_metadata(&next["metadata"], params.at("metadata"))?;
    for name in ["description", "pause_collection"] {
        let given = params.at(name);
        if !given.is_null() {
            next[name] = if given == "" { Value::Null } else { given.clone() };
        }
    }
    if let Some(method) = params.opt_text("default_payment_method") {
        let method = super::methods::named(world, method, "default_payment_method")?;
        super::methods::attach(world, &method, next.text("customer"))?;
        next["default_payment_method"] = method.into();
    }
    if let Some(details) = params["cancellation_details"].as_object() {
        for (name, value) in details {
            next["cancellation_details"][name] = value.clone();
        }
    }
    Ok(())
}

/// A trial ended now or moved.
fn trial(next: &mut Value, params: &Value, now: i64) -> Answer<()> {
    if params.text("trial_end") == "now" && next.text("status") == "trialing" {
        next["status"] = "active".into();
        next["trial_end"] = now.into();
    }
    let Some(end) = params.opt_int("trial_end") else {
        return Ok(());
    };
    if end <= now {
        let message = "The trial must end in the future.";
        return Err(ApiError::invalid(message).with("param", "trial_end"));
    }
    next["status"] = "trialing".into();
    next["trial_end"] = end.into();
    if next["trial_start"].is_null() {
        next["trial_start"] = now.into();
    }
    next["billing_cycle_anchor"] = end.into();
    let items = next["items"]["data"].as_array_mut();
    items.into_iter().flatten().for_each(|item| item["current_period_end"] = end.into());
    next.put("_sim.trial_told", end - now <= subscribing::TRIAL_NOTICE);
    Ok(())
}

/// When the subscription is to end, or that it goes on after all.
fn schedule(next: &mut Value, params: &Value, now: i64) -> Answer<()> {
    let ends: Vec<i64> =
        next.list("items.data").iter().map(|item| item.int("current_period_end")).collect();
    let last = ends.iter().max().copied().unwrap_or(now);
    let first = ends.iter().min().copied().unwrap_or(now);
    let word = params.opt_text("cancel_at");
    let moment = params.opt_int("cancel_at").or(match word {
        Some("min_period_end") => Some(first),
        Some(_) => Some(last),
        None => None,
    });
    let at_end = params["cancel_at_period_end"].as_bool();
    if let Some(moment) = moment {
        if moment <= now {
            let message = "The subscription can only be canceled in the future.";
            return Err(ApiError::invalid(message).with("param", "cancel_at"));
        }
        end_at(next, moment, false, now);
    } else if at_end == Some(true) {
        end_at(next, last, true, now);
    } else if at_end == Some(false) || params["cancel_at"] == "" {
        next["cancel_at"] = Value::Null;
        next["cancel_at_period_end"] = false.into();
        next["canceled_at"] = Value::Null;
        next.put("cancellation_details.reason", Value::Null);
    }
    Ok(())
}

fn end_at(next: &mut Value, moment: i64, at_period_end: bool, now: i64) {
    next["cancel_at"] = moment.into();
    next["cancel_at_period_end"] = at_period_end.into();
    next["canceled_at"] = now.into();
    next.put("cancellation_details.reason", "cancellation_requested");
}

/// The invoice a change would lead to, or the next renewal when nothing changes. Nothing is
/// stored.
pub fn preview(world: &World, sub: &Value, params: &Value) -> Answer {
    let customer = sub.text("customer");
    let now = world.now_for(customer);
    let details = params.at("subscription_details");
    let behavior = details.opt_text("proration_behavior").unwrap_or("create_prorations");
    let wanted = Wanted {
        items: details.list("items"),
        at: details.opt_int("proration_date").unwrap_or(now),
        prorate: behavior != "none",
        restart: details.text("billing_cycle_anchor") == "now" || details["trial_end"] == "now",
    };
    let change = change::plan(world, sub, &wanted)?;
    let mut next = sub.clone();
    next["items"] = subscribing::list(sub.text("id"), change.items);
    let mut all: Vec<Value> = lines::pending(world, customer, sub.opt_text("id"))
        .iter()
        .chain(change.prorations.iter())
        .map(|item| {
            let mut item = item.clone();
            if item["id"].is_null() {
                item["id"] = ids::new("invoiceitem").into();
            }
            lines::of_invoice_item(&item)
        })
        .collect();
    let at_once = change.restarts || behavior == "always_invoice";
    let mut at = now;
    if change.restarts || !at_once {
        for item in next.list("items.data") {
            let (start, end) = (item.int("current_period_start"), item.int("current_period_end"));
            let (every, count) = super::calendar::interval(&item["price"]);
            let anchor = sub.int("billing_cycle_anchor");
            let period = match change.restarts {
                true => (start, end),
                false => (end, super::calendar::next_turn(anchor, end, every, count)),
            };
            at = period.0;
            all.push(lines::of_item(world, &next, item, period)?);
        }
    }
    let draft = Draft {
        customer,
        subscription: sub,
        reason: if at_once { "subscription_update" } else { "upcoming" },
        lines: all,
        period: (now, at),
        finalizes_at: None,
        currency: sub.text("currency"),
    };
    let id = format!("upcoming_{}", ids::new("invoice"));
    let mut invoice = invoicing::compose(world, draft, Some(id));
    invoice["object"] = json!("invoice");
    invoice["livemode"] = json!(false);
    Ok(crate::spec::complete(crate::spec::spec(), "invoice", invoice))
}
