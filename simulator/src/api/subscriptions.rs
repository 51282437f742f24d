//! Subscriptions.

use serde_json::{Value, json};

use super::{Route, delete, get, post, prices};
use crate::billing::calendar::DAY;
use crate::billing::subscribing::{self, Begin};
use crate::billing::{change, invoicing, lines, methods, paying, updating};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    get("/v1/subscriptions", list),
    post("/v1/subscriptions", create),
    get("/v1/subscriptions/{subscription_exposed_id}", read),
    post("/v1/subscriptions/{subscription_exposed_id}", update),
    delete("/v1/subscriptions/{subscription_exposed_id}", cancel),
    post("/v1/subscriptions/{subscription}/resume", resume),
    post("/v1/subscriptions/{subscription}/pause", pause),
];

fn list(call: &mut Call) -> Answer {
    let (customer, price) = (call.opt("customer"), call.opt("price"));
    let (status, clock) = (call.opt("status"), call.opt("test_clock"));
    page(call, "subscription", "/v1/subscriptions", |sub| {
        let state = sub.text("status");
        let fits = match status.as_deref() {
            Some("all") => true,
            Some("ended") => matches!(state, "canceled" | "incomplete_expired"),
            Some(wanted) => state == wanted,
            None => !matches!(state, "canceled" | "incomplete_expired"),
        };
        let priced = |id: &str| sub.list("items.data").iter().any(|i| i.text("price.id") == id);
        fits && customer.as_deref().is_none_or(|id| sub.text("customer") == id)
            && price.as_deref().is_none_or(priced)
            && clock.as_deref().is_none_or(|id| sub.text("test_clock") == id)
    })
}

/// Replaces the price ids (or price data) of item parameters by price objects.
pub fn resolve_items(world: &mut World, items: &[Value], required: bool) -> Answer<Vec<Value>> {
    let mut out = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut item = item.clone();
        let named = !item["price"].is_null() || item["price_data"].is_object();
        if named || required {
            let param = format!("items[{index}]");
            let price = prices::chosen(world, &item, &param)?;
            if !price["recurring"].is_object() {
                let message = format!(
                    "The price specified is set to `type=one_time` but this field only accepts \
                     prices with `type=recurring` ({}).",
                    price.text("id")
                );
                return Err(ApiError::invalid(message).with("param", format!("{param}[price]")));
            }
            item["price"] = price;
        }
        out.push(item);
    }
    Ok(out)
}

fn create(call: &mut Call) -> Answer {
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let given = call.params.list("items").to_vec();
    if given.is_empty() {
        let message = "Missing required param: items.";
        return Err(ApiError::param("parameter_missing", "items", message));
    }
    let items = resolve_items(call.world, &given, true)?;
    let now = call.world.now_for(&customer);
    let days = call.params.opt_int("trial_period_days").filter(|days| *days > 0);
    let trial_end = call.params.opt_int("trial_end").or(days.map(|days| now + days * DAY));
    let metadata = call.metadata(&Value::Null)?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["description"]);
    for name in ["trial_settings", "payment_settings"] {
        if call.given(name) {
            fields[name] = call.params[name].clone();
        }
    }
    if let Some(method) = call.opt("default_payment_method") {
        let method = methods::named(call.world, &method, "default_payment_method")?;
        methods::attach(call.world, &method, &customer)?;
        fields["default_payment_method"] = method.into();
    }
    let begin = Begin {
        customer,
        items,
        trial_end: trial_end.filter(|end| *end > now),
        payment_behavior: call.opt("payment_behavior").unwrap_or("allow_incomplete".to_owned()),
        fields,
    };
    let sub = subscribing::begin(call.world, begin)?;
    let schedule: Value = ["cancel_at", "cancel_at_period_end"]
        .into_iter()
        .filter(|name| call.given(name))
        .map(|name| (name.to_owned(), call.params[name].clone()))
        .collect();
    let wanted = schedule["cancel_at_period_end"] == true || !schedule["cancel_at"].is_null();
    let sub = match wanted {
        true => updating::update(call.world, sub.text("id"), &schedule)?,
        false => sub,
    };
    Ok(call.world.render(&sub))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("subscription", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    call.world.find("subscription", &id)?;
    let mut params = call.params.clone();
    if call.given("items") {
        let items = params.list("items").to_vec();
        params["items"] = resolve_items(call.world, &items, false)?.into();
    }
    let sub = updating::update(call.world, &id, &params)?;
    Ok(call.world.render(&sub))
}

fn cancel(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let sub = call.world.find("subscription", &id)?.clone();
    if matches!(sub.text("status"), "canceled" | "incomplete_expired") {
        return Err(ApiError::missing("subscription", &id, None));
    }
    if call.params.flag("prorate") {
        let now = call.world.now_for(sub.text("customer"));
        let gone: Vec<Value> = sub
            .list("items.data")
            .iter()
            .skip(1)
            .map(|item| json!({"id": item["id"], "deleted": true}))
            .collect();
        credit_rest(call.world, &sub, &gone, now)?;
    }
    let details = call.params.at("cancellation_details").clone();
    call.world.edit("subscription", &id, |sub| {
        for (name, value) in details.as_object().into_iter().flatten() {
            sub["cancellation_details"][name] = value.clone();
        }
    });
    let ended = subscribing::end(call.world, &id, "cancellation_requested", false);
    if call.params.flag("invoice_now") {
        final_invoice(call.world, &ended)?;
    }
    read(call)
}

/// Credits what is left of every item's period as pending invoice items.
fn credit_rest(world: &mut World, sub: &Value, gone: &[Value], now: i64) -> Answer<()> {
    let wanted = change::Wanted { items: gone, at: now, prorate: true, restart: true };
    let change = change::plan(world, sub, &wanted)?;
    for proration in change.prorations {
        world.create_and_tell("invoiceitem", "invoiceitem.created", proration);
    }
    Ok(())
}

fn final_invoice(world: &mut World, sub: &Value) -> Answer<()> {
    let customer = sub.text("customer").to_owned();
    let pending = lines::pending(world, &customer, sub.opt_text("id"));
    if pending.is_empty() {
        return Ok(());
    }
    let id = crate::ids::new("invoice");
    let all = lines::take(world, &pending, &id);
    let now = world.now_for(&customer);
    let draft = invoicing::Draft {
        customer: &customer,
        subscription: sub,
        reason: "subscription_update",
        lines: all,
        period: (now, now),
        finalizes_at: None,
        currency: sub.text("currency"),
    };
    let invoice = invoicing::draft(world, draft, Some(id.clone()));
    world.emit("invoice.created", &invoice, None);
    if invoicing::finalize(world, &id)?.text("status") == "open" {
        // A refused last charge leaves the invoice open; the subscription is over either way.
        let _ = paying::pay(world, &id, None, true);
    }
    Ok(())
}

fn resume(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let sub = call.world.find("subscription", &id)?.clone();
    if sub.text("status") != "paused" {
        let message = "Subscription is not paused, so it can not be resumed.";
        return Err(ApiError::invalid(message));
    }
    call.world.edit("subscription", &id, |sub| sub["status"] = "active".into());
    let now = json!({"billing_cycle_anchor": "now", "proration_behavior": "none"});
    let resumed = updating::update(call.world, &id, &now)?;
    call.world.emit("customer.subscription.resumed", &resumed, None);
    Ok(call.world.render(&resumed))
}

fn pause(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let sub = call.world.find("subscription", &id)?;
    if !matches!(sub.text("status"), "active" | "trialing" | "past_due") {
        let message = "Only a running subscription can be paused.";
        return Err(ApiError::invalid(message));
    }
    let paused = call.world.edit("subscription", &id, |sub| sub["status"] = "paused".into());
    call.world.emit("customer.subscription.paused", &paused, None);
    Ok(call.world.render(&paused))
}
