//! Prices.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, merged_metadata, page};
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    get("/v1/prices", list),
    post("/v1/prices", create),
    get("/v1/prices/{price}", read),
    post("/v1/prices/{price}", update),
];

fn list(call: &mut Call) -> Answer {
    let params = call.params.clone();
    let keys: Vec<&str> = params.list("lookup_keys").iter().filter_map(Value::as_str).collect();
    let is = |price: &Value, path: &str, wanted: Option<&str>| {
        wanted.is_none_or(|wanted| price.text(path) == wanted)
    };
    page(call, "price", "/v1/prices", |price| {
        params["active"].as_bool().is_none_or(|active| price.flag("active") == active)
            && is(price, "product", params.opt_text("product"))
            && is(price, "type", params.opt_text("type"))
            && is(price, "currency", params.opt_text("currency"))
            && is(price, "recurring.interval", params.opt_text("recurring.interval"))
            && is(price, "recurring.usage_type", params.opt_text("recurring.usage_type"))
            && (keys.is_empty() || keys.contains(&price.text("lookup_key")))
    })
}

/// Makes a price of a product from the parameters every way of making one shares.
pub fn make(world: &mut World, product: &str, data: &Value) -> Answer {
    let decimal = data.opt_text("unit_amount_decimal").map(str::to_owned);
    let unit = match (data.opt_int("unit_amount"), &decimal) {
        (Some(unit), _) => Some(unit),
        (None, Some(decimal)) => decimal.parse().ok(),
        (None, None) => None,
    };
    let tiered = data.text("billing_scheme") == "tiered";
    if unit.is_none() && decimal.is_none() && !tiered && !data["custom_unit_amount"].is_object() {
        let message = "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be \
                       set.";
        return Err(ApiError::invalid(message));
    }
    if unit.is_some_and(|unit| unit < 0) {
        let message = "Invalid non-negative integer";
        return Err(ApiError::param("parameter_invalid_integer", "unit_amount", message));
    }
    let recurring = data["recurring"].is_object().then(|| {
        let mut recurring = json!({"interval_count": 1, "usage_type": "licensed"});
        if let (Some(into), Some(from)) = (recurring.as_object_mut(), data["recurring"].as_object())
        {
            into.extend(from.clone());
        }
        recurring
    });
    let shown = decimal.or_else(|| unit.map(|unit| unit.to_string()));
    let price = json!({
        "active": data["active"].as_bool().unwrap_or(true),
        "billing_scheme": data.opt_text("billing_scheme").unwrap_or("per_unit"),
        "currency": data.text("currency").to_lowercase(),
        "lookup_key": data.opt_text("lookup_key"),
        "metadata": merged_metadata(&Value::Null, data.at("metadata"))?,
        "nickname": data.opt_text("nickname"),
        "product": product,
        "type": if recurring.is_some() { "recurring" } else { "one_time" },
        "recurring": recurring,
        "tax_behavior": data.opt_text("tax_behavior").unwrap_or("unspecified"),
        "tiers": data["tiers"],
        "tiers_mode": data.opt_text("tiers_mode"),
        "transform_quantity": data["transform_quantity"],
        "unit_amount": unit,
        "unit_amount_decimal": shown,
    });
    Ok(world.create_and_tell("price", "price.created", price))
}

/// The price a line or item names, or one made of its `price_data`; active ones only.
pub fn chosen(world: &mut World, line: &Value, param: &str) -> Answer {
    if let Some(id) = line.opt_text("price").map(str::to_owned) {
        let price = world.find_param("price", &id, &format!("{param}[price]"))?.clone();
        if !price.flag("active") {
            let message = "The price specified is inactive. This field only accepts active prices.";
            return Err(ApiError::invalid(message).with("param", format!("{param}[price]")));
        }
        return Ok(price);
    }
    let data = line.at("price_data").clone();
    if !data.is_object() {
        let message = format!("Missing required param: {param}[price].");
        return Err(ApiError::param("parameter_missing", &format!("{param}[price]"), message));
    }
    let product = match data.opt_text("product") {
        Some(id) => {
            let name = format!("{param}[price_data][product]");
            world.find_param("product", id, &name)?.text("id").to_owned()
        }
        None => product_of(world, data.at("product_data"))?,
    };
    let mut data = data;
    data["active"] = false.into();
    make(world, &product, &data)
}

/// A product made on the way, from `product_data`.
fn product_of(world: &mut World, data: &Value) -> Answer<String> {
    let Some(name) = data.opt_text("name") else {
        let message = "You must provide one of `product` or `product_data`.";
        return Err(ApiError::invalid(message).with("param", "product"));
    };
    let mut product = json!({
        "active": data["active"].as_bool().unwrap_or(true), "name": name, "images": [],
        "marketing_features": [], "type": "service", "updated": world.now(),
        "metadata": merged_metadata(&Value::Null, data.at("metadata"))?,
    });
    for field in ["description", "statement_descriptor", "tax_code", "unit_label", "id"] {
        if let Some(text) = data.opt_text(field) {
            product[field] = text.into();
        }
    }
    let product = world.create_and_tell("product", "product.created", product);
    Ok(product.text("id").to_owned())
}

/// A lookup key belongs to one price; it moves only when that was asked for.
fn claim_key(call: &mut Call) -> Answer<()> {
    let Some(key) = call.opt("lookup_key") else {
        return Ok(());
    };
    let id = call.id().to_owned();
    let holder = call
        .world
        .store
        .newest_by("price", "lookup_key", &key)
        .find(|price| price.text("id") != id)
        .map(|price| price.text("id").to_owned());
    let Some(holder) = holder else {
        return Ok(());
    };
    if !call.params.flag("transfer_lookup_key") {
        let message = format!(
            "A price (`{holder}`) already uses that lookup key. Set `transfer_lookup_key` to move \
             it."
        );
        return Err(ApiError::invalid(message).with("param", "lookup_key"));
    }
    call.world.edit_and_tell("price", &holder, "price.updated", |price| {
        price["lookup_key"] = Value::Null;
    });
    Ok(())
}

fn create(call: &mut Call) -> Answer {
    let product = match call.opt("product") {
        Some(id) => call.world.find_param("product", &id, "product")?.text("id").to_owned(),
        None => {
            let data = call.params.at("product_data").clone();
            product_of(call.world, &data)?
        }
    };
    claim_key(call)?;
    let data = call.params.clone();
    let price = make(call.world, &product, &data)?;
    Ok(call.world.render(&price))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("price", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find("price", &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    claim_key(call)?;
    let mut fields = json!({});
    call.copy(&mut fields, &["active", "nickname", "lookup_key", "tax_behavior"]);
    let price = call.world.edit_and_tell("price", &id, "price.updated", |price| {
        if let (Some(into), Some(from)) = (price.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
        price["metadata"] = metadata;
    });
    Ok(call.world.render(&price))
}
