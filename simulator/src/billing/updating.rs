//! Changes of a running subscription: items, discounts, trial, the end, how charges are met.
//!
//! The API, the hosted portal, schedules and `subscription_items` all come through here. A change
//! is prepared, billed and then collected, so that a preview can stop after the bill.

use serde_json::{Value, json};

use super::change::{self, Change, Wanted};
use super::discounting::{self, Owner};
use super::invoicing::{self, Draft};
use super::{ending, invoice_items, lines, paying, renewal, scheduling, standing, subscribing};
use crate::errors::{Answer, ApiError};
use crate::http::merged_metadata;
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// How long a change may wait for its payment.
pub const PATIENCE: i64 = 23 * 3600;
/// What a change that waits for its payment may consist of.
const PENDABLE: [&str; 8] = [
    "items",
    "proration_behavior",
    "proration_date",
    "payment_behavior",
    "billing_cycle_anchor",
    "trial_end",
    "off_session",
    "expand",
];

/// A change worked out, of which nothing but redeemed discounts is stored yet.
pub struct Prepared {
    sub: Value,
    next: Value,
    change: Change,
    at_once: bool,
}

/// Applies an update as `POST /v1/subscriptions/{id}` takes it, prices resolved to objects.
pub fn update(world: &mut World, id: &str, params: &Value) -> Answer {
    let behavior = params.opt_text("payment_behavior").unwrap_or("allow_incomplete").to_owned();
    if params.text("trial_end") == "now" && renewal::stops_after_trial(world, id) {
        return end_trial(world, id, params);
    }
    let mut prepared = prepare(world, id, params)?;
    if behavior == "pending_if_incomplete" {
        pendable(params)?;
        if prepared.at_once {
            return once_paid(world, prepared);
        }
    }
    let invoice = bill(world, &mut prepared)?;
    if let Some(invoice) = invoice {
        collect(world, id, &invoice, &behavior)?;
    }
    scheduling::follow(world, id);
    Ok(world.find("subscription", id)?.clone())
}

/// A trial that is cut short and leads to no bill, because nothing could pay it.
fn end_trial(world: &mut World, id: &str, params: &Value) -> Answer {
    let mut rest = params.clone();
    if let Some(map) = rest.as_object_mut() {
        map.shift_remove("trial_end");
    }
    let sub = update(world, id, &rest)?;
    let now = world.now_for(sub.text("customer"));
    let ended = world.edit("subscription", id, |sub| sub["trial_end"] = now.into());
    renewal::stop_after_trial(world, &ended)?;
    Ok(world.find("subscription", id)?.clone())
}

fn pendable(params: &Value) -> Answer<()> {
    let names = params.as_object().into_iter().flat_map(|map| map.keys());
    let unfit = names.into_iter().find(|name| !PENDABLE.contains(&name.as_str()));
    match unfit {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "When `payment_behavior` is `pending_if_incomplete`, you can not pass `{name}`."
            );
            Err(ApiError::invalid(message).with("param", name.as_str()))
        }
    }
}

/// Works out what an update leads to.
pub fn prepare(world: &mut World, id: &str, params: &Value) -> Answer<Prepared> {
    allowed(world.find("subscription", id)?, params)?;
    let touches = ["items", "billing_cycle_anchor", "trial_end"];
    let waits = world.find("subscription", id)?.text("_sim.awaiting.kind") == "update";
    if waits && touches.iter().any(|name| !params[*name].is_null()) {
        standing::give_up(world, id)?;
    }
    let sub = world.find("subscription", id)?.clone();
    let now = world.now_for(sub.text("customer"));
    let was_trial = sub.text("status") == "trialing";
    let behavior = params.opt_text("proration_behavior").unwrap_or("create_prorations");
    let mut next = sub.clone();
    fields(world, &mut next, params)?;
    discounts(world, &mut next, params)?;
    add_items(world, &sub, params.list("add_invoice_items"))?;
    trial(&mut next, params, now)?;
    let wanted = Wanted {
        items: params.list("items"),
        at: params.opt_int("proration_date").unwrap_or(now),
        prorate: behavior != "none" && !was_trial,
        restart: params.text("billing_cycle_anchor") == "now"
            || (params.text("trial_end") == "now" && was_trial),
    };
    let mut change = change::plan(world, &next, &wanted)?;
    if !was_trial && next.text("status") == "trialing" && wanted.prorate {
        change.prorations = change::credits(world, &sub, wanted.at)?;
    }
    if change.restarts {
        next["billing_cycle_anchor"] = now.into();
    }
    next["items"] = subscribing::list(id, change.items.clone());
    next.put("_sim.billed", change.billed.clone());
    ending::plan(&mut next, params, now)?;
    let invoices = behavior == "always_invoice" && !change.prorations.is_empty();
    let at_once = change.restarts || invoices;
    Ok(Prepared { sub, next, change, at_once })
}

/// The first of these parameters that was given.
fn given<'a>(params: &Value, names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|name| !params[*name].is_null())
}

/// What a subscription does not allow in its state.
fn allowed(sub: &Value, params: &Value) -> Answer<()> {
    let all = params.as_object().into_iter().flat_map(|map| map.keys());
    let harmless = ["metadata", "cancellation_details", "expand"];
    if standing::is_over(sub) && all.into_iter().any(|name| !harmless.contains(&name.as_str())) {
        let message = "A canceled subscription can only update its cancellation_details and \
                       metadata.";
        return Err(ApiError::invalid(message));
    }
    let changes = ["items", "billing_cycle_anchor", "trial_end", "discounts"];
    if sub.text("status") == "incomplete"
        && let Some(name) = given(params, &changes)
    {
        let message = "You cannot update a subscription in `incomplete` status in this way: its \
                       first invoice must be paid.";
        return Err(ApiError::invalid(message).with("param", name));
    }
    if let (Some(schedule), Some(name)) =
        (sub.opt_text("schedule"), given(params, &["cancel_at", "cancel_at_period_end"]))
    {
        let message = format!(
            "The subscription is managed by the subscription schedule `{schedule}`, and updating \
             any cancelation behavior directly is not allowed. Please update the schedule instead."
        );
        return Err(ApiError::invalid(message).with("param", name));
    }
    Ok(())
}

/// Stores the change, tells of it and drafts what is billed at once.
pub fn bill(world: &mut World, prepared: &mut Prepared) -> Answer<Option<Value>> {
    let Prepared { sub, next, change, at_once } = prepared;
    for proration in &change.prorations {
        world.create_and_tell("invoiceitem", "invoiceitem.created", proration.clone());
    }
    let id = sub.text("id").to_owned();
    let mut invoice = None;
    if *at_once {
        let made = draft(world, next, change.restarts)?;
        next["latest_invoice"] = made["id"].clone();
        let billed = change::remember(&next["_sim"]["billed"], &made);
        next.put("_sim.billed", billed);
        invoice = Some(made);
    }
    world.store.put("subscription", &id, next.clone());
    standing::tell(world, sub, next);
    if let Some(invoice) = &invoice {
        world.emit("invoice.created", invoice, None);
        discounting::spend(world, &id, invoice);
    }
    Ok(invoice)
}

/// Finalizes the invoice of a change and charges it as the caller wants it.
fn collect(world: &mut World, id: &str, invoice: &Value, behavior: &str) -> Answer<()> {
    let invoice = invoicing::finalize(world, invoice.text("id"))?;
    if invoice.text("status") != "open" || invoice.text("collection_method") == "send_invoice" {
        return Ok(());
    }
    if behavior == "default_incomplete" {
        standing::set_status(world, id, "past_due");
        return Ok(());
    }
    match paying::pay(world, invoice.text("id"), None, true) {
        Err(error) if behavior == "error_if_incomplete" => {
            Err(ApiError { status: 402, keep: false, ..error })
        }
        // A refusal is recorded with the invoice, and dunning begins.
        _ => Ok(()),
    }
}

/// A change that takes place only when its invoice is paid; until then it is pending.
fn once_paid(world: &mut World, prepared: Prepared) -> Answer {
    let Prepared { sub, mut next, change, .. } = prepared;
    let id = sub.text("id").to_owned();
    for proration in &change.prorations {
        world.create_and_tell("invoiceitem", "invoiceitem.created", proration.clone());
    }
    let invoice = draft(world, &next, change.restarts)?;
    let billed = change::remember(&next["_sim"]["billed"], &invoice);
    next["latest_invoice"] = invoice["id"].clone();
    let names = ["items", "billing_cycle_anchor", "trial_end", "trial_start", "latest_invoice"];
    let mut waiting: Value =
        names.iter().map(|name| ((*name).to_owned(), next[*name].clone())).collect();
    waiting["billed"] = billed;
    if next["status"] != sub["status"] {
        waiting["status"] = next["status"].clone();
    }
    let expires_at = world.now_for(sub.text("customer")) + PATIENCE;
    let awaiting = json!({
        "kind": "update", "invoice": invoice["id"], "expires_at": expires_at, "next": waiting,
    });
    // Only a note so far: a payment that succeeds at once leaves no pending update to be seen.
    world.edit("subscription", &id, |sub| sub.put("_sim.awaiting", awaiting.clone()));
    world.emit("invoice.created", &invoice, None);
    discounting::spend(world, &id, &invoice);
    let invoice = invoicing::finalize(world, invoice.text("id"))?;
    if invoice.text("status") == "open"
        && paying::pay(world, invoice.text("id"), None, true).is_err()
    {
        standing::wait(world, &id, awaiting, standing::pending_update(&next, expires_at));
    }
    Ok(world.find("subscription", &id)?.clone())
}

/// The invoice for a change that is billed at once.
fn draft(world: &mut World, sub: &Value, restarts: bool) -> Answer {
    let customer = sub.text("customer").to_owned();
    let id = ids::new("invoice");
    let pending = lines::pending(world, sub);
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
    let plain = ["description", "pause_collection", "collection_method", "days_until_due"];
    for name in plain {
        let given = params.at(name);
        if !given.is_null() {
            next[name] = if given == "" { Value::Null } else { given.clone() };
        }
    }
    for name in ["trial_settings", "payment_settings", "pause_collection"] {
        for (key, value) in params[name].as_object().into_iter().flatten() {
            next[name][key] = value.clone();
        }
    }
    if next["pause_collection"].is_object() && next["pause_collection"]["resumes_at"].is_null() {
        next["pause_collection"]["resumes_at"] = Value::Null;
    }
    if let Some(method) = params.opt_text("default_payment_method") {
        let method = super::methods::named(world, method, "default_payment_method")?;
        super::methods::attach(world, &method, next.text("customer"))?;
        next["default_payment_method"] = method.into();
    }
    if let Some(details) = params["cancellation_details"].as_object() {
        for (name, value) in details {
            let value = if value == "" { Value::Null } else { value.clone() };
            next["cancellation_details"][name] = value;
        }
    }
    Ok(())
}

/// The discounts given replace those there are; an empty text takes all away.
fn discounts(world: &mut World, next: &mut Value, params: &Value) -> Answer<()> {
    if params["discounts"].is_null() {
        return Ok(());
    }
    let customer = next.text("customer").to_owned();
    let chosen = discounting::choose(world, params.list("discounts"), Some(&customer))?;
    let id = next.text("id").to_owned();
    let owner = Owner { customer: &customer, subscription: Some(&id), ..Owner::default() };
    let kept = discounting::redeem(world, &chosen, owner);
    for gone in next.list("discounts").iter().filter(|known| !kept.contains(known)) {
        let gone = gone.as_str().and_then(|id| world.get("discount", id)).cloned();
        if let Some(gone) = gone {
            world.emit("customer.discount.deleted", &gone, None);
        }
    }
    next["discounts"] = kept.into();
    Ok(())
}

/// One-time items that go onto the subscription's next invoice.
pub fn add_items(world: &mut World, sub: &Value, given: &[Value]) -> Answer<()> {
    for item in given {
        let item = invoice_items::of(world, sub, item)?;
        world.create_and_tell("invoiceitem", "invoiceitem.created", item);
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
