//! A change of plan in the portal: what a form or a flow asks for, judged by the configuration.
//!
//! The page that asks for confirmation and the action that follows it both read a change here, so
//! what is shown is what is done.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::portal::Visit;
use crate::billing::calendar::interval;
use crate::billing::proration::price_amount;
use crate::billing::{discounting, preview, releasing, scheduling, updating};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// A change that may be made.
pub struct Switch {
    /// The price afterwards.
    pub price: Value,
    /// How many of it.
    pub quantity: i64,
    /// Whether it waits for the end of the period.
    pub at_end: bool,
    /// What was typed as a promotion code.
    pub code: String,
    params: Value,
    items: Vec<Value>,
}

impl Switch {
    /// Reads a change from a form's fields; what they do not say is as the session's flow has it.
    pub fn read(
        world: &World,
        visit: &Visit,
        sub: &Value,
        fields: &HashMap<String, String>,
    ) -> Answer<Switch> {
        visit.allow("subscription_update")?;
        let flow = visit.session.at("flow.subscription_update_confirm");
        let asked = flow.at("items.0");
        let item = plan_item(visit, sub, asked.text("id"));
        let typed = |name: &str| fields.get(name).map(|text| text.trim()).filter(|t| !t.is_empty());
        let known = item.text("price.id");
        let id = typed("price").or(asked.opt_text("price")).unwrap_or(known);
        let listed = visit.choices(world).into_iter().find(|choice| choice.text("id") == id);
        let price = match listed {
            Some(price) => price,
            None if id == known => world.find("price", id)?.clone(),
            None => return Err(ApiError::missing("price", id, None)),
        };
        let quantity = match typed("quantity") {
            Some(text) => counted(visit, &price, text)?,
            None => asked.opt_int("quantity").or(item.opt_int("quantity")).unwrap_or(1),
        };
        let code = typed("code").unwrap_or("").to_owned();
        let discounts = discounts(world, visit, &code, flow)?;
        let same = id == known && item.opt_int("quantity") == Some(quantity);
        if same && discounts.is_empty() {
            return Err(ApiError::invalid("This is the plan you have already."));
        }
        let at_end = waits(visit, sub, &item, &price, quantity)?;
        let params = params(visit, sub, &item, &price, quantity, &discounts);
        let items = sub.list("items.data").iter().map(|other| match other["id"] == item["id"] {
            true => json!({"price": price["id"], "quantity": quantity}),
            false => json!({"price": other["price"]["id"], "quantity": other["quantity"]}),
        });
        let items = items.collect();
        Ok(Switch { price, quantity, at_end, code, params, items })
    }

    /// Makes the change, or plans it.
    pub fn apply(&self, world: &mut World, sub: &Value) -> Answer<()> {
        let id = sub.text("id");
        if self.at_end {
            return scheduling::plan_change(world, id, &self.items).map(|_| ());
        }
        if let Some(schedule) = sub.opt_text("schedule") {
            // Who changes now no longer wants what was planned.
            releasing::release(world, schedule, false)?;
        }
        updating::update(world, id, &self.params).map(|_| ())
    }

    /// The invoice it leads to: today's, or that of the next renewal.
    pub fn preview(&self, world: &mut World, sub: &Value) -> Answer {
        let id = sub.text("id");
        if self.at_end {
            return world.rehearse(|world| {
                self.apply(world, sub)?;
                preview::of_renewal(world, id, &json!({}))
            });
        }
        world.rehearse(|world| {
            if let Some(schedule) = sub.opt_text("schedule") {
                releasing::release(world, schedule, false)?;
            }
            let mut details = self.params.clone();
            if let Some(map) = details.as_object_mut() {
                map.shift_remove("payment_behavior");
            }
            let discounts = details["discounts"].clone();
            let params = json!({"subscription_details": details, "discounts": discounts});
            preview::of_subscription(world, id, &params)
        })
    }
}

/// The item that the plan of a subscription is: one of the configuration's products, else the
/// first.
pub fn plan_item(visit: &Visit, sub: &Value, named: &str) -> Value {
    let items = sub.list("items.data");
    let offered = |item: &&Value| {
        let products = visit.features.list("subscription_update.products");
        products.iter().any(|product| product["product"] == item["price"]["product"])
    };
    let named = items.iter().find(|item| item.text("id") == named);
    named.or(items.iter().find(offered)).or(items.first()).cloned().unwrap_or_default()
}

/// Between which quantities one may choose of a product, if one may.
pub fn quantities(visit: &Visit, product: &str) -> Option<(i64, Option<i64>)> {
    let allowed = visit.features.list("subscription_update.default_allowed_updates");
    let products = visit.features.list("subscription_update.products");
    let found = products.iter().find(|found| found.text("product") == product)?;
    let free = found.flag("adjustable_quantity.enabled");
    let free = free && allowed.iter().any(|word| word == "quantity");
    let least = found.opt_int("adjustable_quantity.minimum").unwrap_or(1);
    free.then(|| (least, found.opt_int("adjustable_quantity.maximum")))
}

fn counted(visit: &Visit, price: &Value, text: &str) -> Answer<i64> {
    let wrong = |message: String| Err(ApiError::invalid(message).with("param", "quantity"));
    let Some((least, most)) = quantities(visit, price.text("product")) else {
        return wrong("The quantity of this plan can not be changed here.".to_owned());
    };
    let Ok(quantity) = text.parse::<i64>() else {
        return wrong("The quantity must be a whole number.".to_owned());
    };
    let most = most.unwrap_or(999_999);
    if !(least..=most).contains(&quantity) {
        return wrong(format!("The quantity must be between {least} and {most}."));
    }
    Ok(quantity)
}

/// The discounts of a change: a code that was typed, else those of the flow.
fn discounts(world: &World, visit: &Visit, code: &str, flow: &Value) -> Answer<Vec<Value>> {
    if code.is_empty() {
        let given = flow.list("discounts").iter();
        let given = given.map(|one| match one.opt_text("promotion_code") {
            Some(id) => json!({"promotion_code": id}),
            None => json!({"coupon": one["coupon"]}),
        });
        return Ok(given.collect());
    }
    if !visit.takes_codes() {
        return Err(ApiError::invalid("Promotion codes can not be used here."));
    }
    let found = discounting::by_code(world, code)
        .ok_or_else(|| ApiError::invalid("This promotion code is invalid."))?;
    Ok(vec![json!({"promotion_code": found["id"]})])
}

/// Whether the configuration wants such a change to wait for the end of the period.
fn waits(visit: &Visit, sub: &Value, item: &Value, price: &Value, quantity: i64) -> Answer<bool> {
    let conditions = visit.features.list("subscription_update.schedule_at_period_end.conditions");
    let on = |word: &str| conditions.iter().any(|condition| condition.text("type") == word);
    if !matches!(sub.text("status"), "active" | "past_due") {
        return Ok(false);
    }
    let (before, after) = (interval(&item["price"]), interval(price));
    let shorter = days(after) < days(before);
    let had = price_amount(&item["price"], item.opt_int("quantity").unwrap_or(1))?;
    let less = before == after && price_amount(price, quantity)? < had;
    Ok((less && on("decreasing_item_amount")) || (shorter && on("shortening_interval")))
}

fn days((every, count): (&str, i64)) -> i64 {
    let one = match every {
        "day" => 1,
        "week" => 7,
        "year" => 365,
        _ => 30,
    };
    one * count
}

fn params(
    visit: &Visit,
    sub: &Value,
    item: &Value,
    price: &Value,
    quantity: i64,
    discounts: &[Value],
) -> Value {
    let features = visit.features.at("subscription_update");
    let mut params = json!({
        "items": [{"id": item["id"], "price": price, "quantity": quantity}],
        "proration_behavior": features["proration_behavior"],
        "payment_behavior": "error_if_incomplete",
    });
    if features.text("billing_cycle_anchor") == "now" {
        params["billing_cycle_anchor"] = "now".into();
    }
    if sub.text("status") == "trialing"
        && features.text("trial_update_behavior") != "continue_trial"
    {
        params["trial_end"] = "now".into();
    }
    if !discounts.is_empty() {
        params["discounts"] = discounts.into();
    }
    params
}
