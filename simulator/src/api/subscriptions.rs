//! Subscriptions.

use serde_json::{Value, json};

use super::{Route, admit_subscription, delete, get, post, prices};
use crate::billing::calendar::DAY;
use crate::billing::subscribing::{self, Begin};
use crate::billing::{discounting, ending, methods, pausing, standing, updating};
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
    delete("/v1/subscriptions/{subscription_exposed_id}/discount", drop_discount),
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
    admit_subscription(call.world, &customer)?;
    let given = call.params.list("items").to_vec();
    if given.is_empty() {
        let message = "Missing required param: items.";
        return Err(ApiError::param("parameter_missing", "items", message));
    }
    let behavior = call.opt("payment_behavior").unwrap_or("allow_incomplete".to_owned());
    if behavior == "pending_if_incomplete" {
        let message = "`pending_if_incomplete` is for updates of a subscription only.";
        return Err(ApiError::invalid(message).with("param", "payment_behavior"));
    }
    let items = resolve_items(call.world, &given, true)?;
    let now = call.world.now_for(&customer);
    let days = call.params.opt_int("trial_period_days").filter(|days| *days > 0);
    let trial_end = call.params.opt_int("trial_end").or(days.map(|days| now + days * DAY));
    let fields = fields(call, &customer)?;
    let extra = call.params.list("add_invoice_items").to_vec();
    updating::add_items(call.world, &json!({"customer": customer}), &extra)?;
    let begin = Begin {
        customer,
        items,
        trial_end: trial_end.filter(|end| *end > now),
        payment_behavior: behavior,
        fields,
    };
    let sub = subscribing::begin(call.world, begin)?;
    let end: Value = ["cancel_at", "cancel_at_period_end"]
        .into_iter()
        .filter(|name| call.given(name))
        .map(|name| (name.to_owned(), call.params[name].clone()))
        .collect();
    let wanted = end["cancel_at_period_end"] == true || !end["cancel_at"].is_null();
    let sub = match wanted {
        true => updating::update(call.world, sub.text("id"), &end)?,
        false => sub,
    };
    Ok(call.world.render(&sub))
}

/// What a new subscription has from its parameters, apart from customer, items and trial.
fn fields(call: &mut Call, customer: &str) -> Answer {
    let metadata = call.metadata(&Value::Null)?;
    let mut fields = json!({
        "metadata": metadata,
        "discounts": call.params.list("discounts"),
        "billing_cycle_anchor": call.params.opt_int("billing_cycle_anchor"),
        "proration_behavior": call.params["proration_behavior"],
    });
    call.copy(&mut fields, &["description", "collection_method", "days_until_due"]);
    if call.given("trial_settings") {
        fields["trial_settings"] = call.params["trial_settings"].clone();
    }
    if call.given("payment_settings") {
        fields["payment_settings"] = json!({"save_default_payment_method": "off"});
        for (name, value) in call.params["payment_settings"].as_object().into_iter().flatten() {
            fields["payment_settings"][name] = value.clone();
        }
    }
    let sent = fields["collection_method"] == "send_invoice";
    if sent != call.given("days_until_due") {
        let message = "days_until_due is needed for, and only for, invoices that are sent.";
        return Err(ApiError::invalid(message).with("param", "days_until_due"));
    }
    if let Some(method) = call.opt("default_payment_method") {
        let method = methods::named(call.world, &method, "default_payment_method")?;
        methods::attach(call.world, &method, customer)?;
        fields["default_payment_method"] = method.into();
    }
    Ok(fields)
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
    if standing::is_over(call.world.find("subscription", &id)?) {
        return Err(ApiError::missing("subscription", &id, None));
    }
    let details = call.params.at("cancellation_details").clone();
    let (prorate, bill) = (call.params.flag("prorate"), call.params.flag("invoice_now"));
    ending::now(call.world, &id, &details, prorate, bill)?;
    read(call)
}

fn resume(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let params = call.params.clone();
    let resumed = pausing::resume(call.world, &id, &params)?;
    Ok(call.world.render(&resumed))
}

fn pause(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let params = call.params.clone();
    let paused = pausing::pause(call.world, &id, &params)?;
    Ok(call.world.render(&paused))
}

/// Takes every discount off the subscription.
fn drop_discount(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let sub = call.world.find("subscription", &id)?.clone();
    let known: Vec<String> =
        sub.list("discounts").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let Some(last) = known.last() else {
        let message = "No active discount for subscription: ".to_owned() + &id;
        let error = ApiError { status: 404, ..ApiError::invalid(message) };
        return Err(error.with("code", "resource_missing"));
    };
    for discount in &known {
        discounting::remove(call.world, &id, discount);
    }
    let mut gone = call.world.render(call.world.find("discount", last)?);
    gone["deleted"] = true.into();
    Ok(gone)
}
