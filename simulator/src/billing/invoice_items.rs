//! Invoice items: amounts that wait for an invoice, made from what a caller says about them.

use serde_json::{Value, json};

use super::{lines, proration::price_amount};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// An item for a subscription's next invoice, stored nowhere yet.
pub fn of(world: &World, sub: &Value, given: &Value) -> Answer {
    make(world, sub.text("customer"), sub.opt_text("id"), given)
}

/// An item of a customer, and of a subscription where one is named, stored nowhere yet.
pub fn make(world: &World, customer: &str, subscription: Option<&str>, given: &Value) -> Answer {
    let mut item = priced(world, given)?;
    let now = world.now_for(customer);
    if let Some(description) = given.opt_text("description") {
        item["description"] = description.into();
    }
    let amount = item.int("amount");
    item["customer"] = customer.into();
    item["date"] = now.into();
    // A credit is no price that a coupon could lower, unless somebody says so.
    item["discountable"] = given["discountable"].as_bool().unwrap_or(amount >= 0).into();
    item["discounts"] = json!([]);
    item["metadata"] = given["metadata"].as_object().cloned().unwrap_or_default().into();
    item["net_amount"] = amount.into();
    item["parent"] = match subscription {
        Some(id) => {
            json!({"type": "subscription_details", "subscription_details": {"subscription": id}})
        }
        None => Value::Null,
    };
    let own = given.at("period.start").is_i64() && given.at("period.end").is_i64();
    item["period"] = match own {
        true => given["period"].clone(),
        false => json!({"start": now, "end": now}),
    };
    item["proration"] = false.into();
    item["quantity_decimal"] = item.int("quantity").to_string().into();
    item["tax_rates"] = json!([]);
    item["test_clock"] =
        world.get("customer", customer).map(|c| c["test_clock"].clone()).unwrap_or_default();
    Ok(item)
}

/// The amount, pricing and currency that were given.
pub fn priced(world: &World, given: &Value) -> Answer {
    let quantity = given.opt_int("quantity").unwrap_or(1);
    if quantity < 0 {
        let message = "This value must be greater than or equal to 0.";
        return Err(ApiError::invalid(message).with("param", "quantity"));
    }
    let named = given.opt_text("pricing.price").or(given.opt_text("price"));
    if let Some(id) = named {
        let price = world.find_param("price", id, "pricing[price]")?.clone();
        if price["recurring"].is_object() {
            let message = "The price specified is set to `type=recurring` but this field only \
                           accepts prices with `type=one_time`.";
            return Err(ApiError::invalid(message).with("param", "pricing[price]"));
        }
        return Ok(json!({
            "amount": price_amount(&price, quantity)?, "currency": price["currency"],
            "quantity": quantity, "pricing": lines::pricing(&price),
            "description": lines::product_name(world, &price),
        }));
    }
    let currency = given.opt_text("currency").map(str::to_lowercase);
    if given["price_data"].is_object() {
        let data = given.at("price_data");
        return Ok(json!({
            "amount": price_amount(data, quantity)?,
            "currency": data.text("currency").to_lowercase(), "quantity": quantity,
            "pricing": null, "description": lines::product_name(world, data),
        }));
    }
    let unit = given.opt_text("unit_amount_decimal");
    let amount = match (given.opt_int("amount").or(given.opt_int("unit_amount")), unit) {
        (Some(amount), _) => amount,
        (None, Some(unit)) => price_amount(&json!({"unit_amount_decimal": unit}), quantity)?,
        (None, None) => {
            let message = "You must specify either amount and currency or a price.";
            return Err(ApiError::param("parameter_missing", "amount", message));
        }
    };
    let currency = currency.ok_or_else(|| {
        let message = "Missing required param: currency.";
        ApiError::param("parameter_missing", "currency", message)
    })?;
    Ok(json!({"amount": amount, "currency": currency, "quantity": quantity, "pricing": null,
              "description": null}))
}
