//! Products.

use serde_json::{Value, json};

use super::{Route, delete, get, post, prices};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/products", list),
    post("/v1/products", create),
    get("/v1/products/{id}", read),
    post("/v1/products/{id}", update),
    delete("/v1/products/{id}", remove),
];

const PLAIN: &[&str] = &[
    "active",
    "description",
    "images",
    "marketing_features",
    "name",
    "package_dimensions",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
];

fn list(call: &mut Call) -> Answer {
    let active = call.params["active"].as_bool();
    let ids: Vec<String> =
        call.params.list("ids").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let (url, shippable) = (call.opt("url"), call.params["shippable"].as_bool());
    page(call, "product", "/v1/products", |product| {
        active.is_none_or(|active| product.flag("active") == active)
            && (ids.is_empty() || ids.iter().any(|id| product.text("id") == id))
            && url.as_deref().is_none_or(|url| product.text("url") == url)
            && shippable.is_none_or(|shippable| product.flag("shippable") == shippable)
    })
}

fn create(call: &mut Call) -> Answer {
    let metadata = call.metadata(&Value::Null)?;
    let mut product = json!({"active": true, "images": [], "marketing_features": []});
    call.copy(&mut product, PLAIN);
    product["metadata"] = metadata;
    product["type"] = "service".into();
    product["updated"] = call.world.now().into();
    if let Some(id) = call.opt("id") {
        if call.world.get("product", &id).is_some() {
            let message = "Product already exists.";
            return Err(ApiError::param("resource_already_exists", "id", message));
        }
        product["id"] = id.into();
    }
    let product = call.world.create_and_tell("product", "product.created", product);
    let id = product.text("id").to_owned();
    let data = call.params.at("default_price_data").clone();
    if data.is_object() {
        let price = prices::make(call.world, &id, &data)?;
        call.world.edit("product", &id, |product| product["default_price"] = price["id"].clone());
    }
    Ok(call.world.render(call.world.find("product", &id)?))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("product", call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find("product", &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({});
    call.copy(&mut fields, PLAIN);
    if let Some(price) = call.opt("default_price") {
        let found = call.world.find_param("price", &price, "default_price")?;
        if found.text("product") != id {
            let message = "The price does not belong to this product.";
            return Err(ApiError::invalid(message).with("param", "default_price"));
        }
        fields["default_price"] = price.into();
    }
    for name in ["images", "marketing_features"] {
        if fields.get(name).is_some_and(Value::is_null) {
            fields[name] = json!([]);
        }
    }
    let now = call.world.now();
    let product = call.world.edit_and_tell("product", &id, "product.updated", |product| {
        if let (Some(into), Some(from)) = (product.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
        product["metadata"] = metadata;
        let unchanged = *product == before;
        product["updated"] = if unchanged { before["updated"].clone() } else { now.into() };
    });
    Ok(call.world.render(&product))
}

fn remove(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let product = call.world.find("product", &id)?.clone();
    if call.world.store.newest_by("price", "product", &id).next().is_some() {
        let message = "This product cannot be deleted because it has one or more user-created \
                       prices.";
        return Err(ApiError::invalid(message));
    }
    call.world.store.remove("product", &id);
    call.world.emit("product.deleted", &product, None);
    Ok(json!({"id": id, "object": "product", "deleted": true}))
}
