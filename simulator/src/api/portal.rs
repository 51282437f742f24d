//! The billing portal's sessions and configurations.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::billing::discounting;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::ids;
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    post("/v1/billing_portal/sessions", create_session),
    get("/v1/billing_portal/configurations", list),
    post("/v1/billing_portal/configurations", create),
    get("/v1/billing_portal/configurations/{configuration}", read),
    post("/v1/billing_portal/configurations/{configuration}", update),
];

const CONFIGURATION: &str = "billing_portal.configuration";
const SESSION: &str = "billing_portal.session";

/// The features of a configuration before anything is chosen.
fn features() -> Value {
    json!({
        "customer_update": {"allowed_updates": [], "enabled": false},
        "invoice_history": {"enabled": false},
        "payment_method_update": {"enabled": false, "payment_method_configuration": null},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": false, "options": ["too_expensive", "other"]},
            "enabled": false, "mode": "at_period_end", "proration_behavior": "none",
        },
        "subscription_update": {
            "billing_cycle_anchor": null, "default_allowed_updates": [], "enabled": false,
            "products": [], "proration_behavior": "none",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    })
}

fn merge(into: &mut Value, given: &Value) {
    match (into.as_object_mut(), given.as_object()) {
        (Some(map), Some(more)) => {
            for (key, value) in more {
                merge(map.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        _ => *into = if given == "" { Value::Null } else { given.clone() },
    }
}

fn make(world: &mut World, is_default: bool, fields: &Value) -> Value {
    let mut configuration = json!({
        "active": true, "business_profile": {}, "default_return_url": null,
        "features": features(), "is_default": is_default, "login_page": {"enabled": false},
        "metadata": {}, "updated": world.now(),
    });
    merge(&mut configuration, fields);
    complete_products(&mut configuration);
    world.create(CONFIGURATION, configuration)
}

/// Each product of a configuration says whether its quantity can be changed.
fn complete_products(configuration: &mut Value) {
    let update = &mut configuration["features"]["subscription_update"];
    if update["products"].is_null() {
        update["products"] = json!([]);
    }
    for product in update["products"].as_array_mut().into_iter().flatten() {
        if !product["adjustable_quantity"].is_object() {
            product["adjustable_quantity"] = json!({"enabled": false, "minimum": 1});
        }
    }
}

/// The id of the account's default configuration, made when it is first needed.
fn default_configuration(world: &mut World) -> String {
    let known = world.store.newest(CONFIGURATION).find(|found| found.flag("is_default"));
    if let Some(found) = known {
        return found.text("id").to_owned();
    }
    let reasons = json!({"enabled": false, "options": ["too_expensive", "other"]});
    let fields = json!({"features": {
        "customer_update": {"allowed_updates": ["email", "address"], "enabled": true},
        "invoice_history": {"enabled": true},
        "payment_method_update": {"enabled": true},
        "subscription_cancel": {"enabled": true, "cancellation_reason": reasons},
    }});
    make(world, true, &fields).text("id").to_owned()
}

fn check_products(call: &Call) -> Answer<()> {
    let products = call.params.list("features.subscription_update.products");
    for (index, product) in products.iter().enumerate() {
        let param = format!("features[subscription_update][products][{index}]");
        call.world.find_param("product", product.text("product"), &format!("{param}[product]"))?;
        for price in product.list("prices").iter().filter_map(Value::as_str) {
            let found = call.world.find_param("price", price, &format!("{param}[prices]"))?;
            if found.text("product") != product.text("product") {
                let message = format!("The price {price} does not belong to the product.");
                return Err(ApiError::invalid(message).with("param", format!("{param}[prices]")));
            }
        }
    }
    Ok(())
}

fn fields(call: &Call, metadata: Value) -> Value {
    let mut fields = json!({"metadata": metadata});
    for name in ["business_profile", "features", "login_page"] {
        if call.params[name].is_object() {
            fields[name] = call.params[name].clone();
        }
    }
    for name in ["default_return_url", "name", "active"] {
        if call.given(name) {
            fields[name] = call.params[name].clone();
        }
    }
    fields
}

fn list(call: &mut Call) -> Answer {
    default_configuration(call.world);
    let (active, default) = (call.params["active"].as_bool(), call.params["is_default"].as_bool());
    page(call, CONFIGURATION, "/v1/billing_portal/configurations", |found| {
        active.is_none_or(|active| found.flag("active") == active)
            && default.is_none_or(|default| found.flag("is_default") == default)
    })
}

fn create(call: &mut Call) -> Answer {
    check_products(call)?;
    let metadata = call.metadata(&Value::Null)?;
    let fields = fields(call, metadata);
    let made = make(call.world, false, &fields);
    call.world.emit("billing_portal.configuration.created", &made, None);
    Ok(call.world.render(&made))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find(CONFIGURATION, call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let before = call.world.find(CONFIGURATION, call.id())?.clone();
    let id = call.id().to_owned();
    check_products(call)?;
    let metadata = call.metadata(&before["metadata"])?;
    let fields = fields(call, metadata.clone());
    let now = call.world.now();
    let event = "billing_portal.configuration.updated";
    let found = call.world.edit_and_tell(CONFIGURATION, &id, event, |configuration| {
        merge(configuration, &fields);
        configuration["metadata"] = metadata;
        configuration["updated"] = now.into();
        complete_products(configuration);
    });
    Ok(call.world.render(&found))
}

/// The flow a session is for, checked: what it names must exist and belong to the customer.
fn flow(call: &mut Call, customer: &str) -> Answer {
    let Some(given) = call.params["flow_data"].as_object() else {
        return Ok(Value::Null);
    };
    let mut flow = json!({"after_completion": {"type": "portal_homepage"}});
    merge(&mut flow, &Value::Object(given.clone()));
    let kind = flow.text("type").to_owned();
    let wrong = |path: String, message: &str| {
        Err(ApiError::invalid(message).with("param", format!("flow_data{path}")))
    };
    if kind.starts_with("subscription_") {
        let param = format!("flow_data[{kind}][subscription]");
        let Some(id) = flow.opt_text(&format!("{kind}.subscription")) else {
            let message = format!("Missing required param: {param}.");
            return Err(ApiError::param("parameter_missing", &param, message));
        };
        let sub = call.world.find_param("subscription", id, &param)?;
        if sub.text("customer") != customer {
            return wrong(format!("[{kind}][subscription]"), "It belongs to another customer.");
        }
    }
    for item in flow.list("subscription_update_confirm.items") {
        if let Some(price) = item.opt_text("price") {
            let param = "flow_data[subscription_update_confirm][items][0][price]";
            call.world.find_param("price", price, param)?;
        }
    }
    let discounts = flow.list("subscription_update_confirm.discounts");
    discounting::choose(call.world, discounts, Some(customer))?;
    let offer = "subscription_cancel.retention.coupon_offer.coupon";
    if let Some(coupon) = flow.opt_text(offer) {
        let param = "flow_data[subscription_cancel][retention][coupon_offer][coupon]";
        call.world.find_param("coupon", coupon, param)?;
    }
    if flow.text("after_completion.type") == "redirect"
        && flow.opt_text("after_completion.redirect.return_url").is_none()
    {
        return wrong("[after_completion][redirect]".to_owned(), "A return_url is needed.");
    }
    Ok(flow)
}

fn create_session(call: &mut Call) -> Answer {
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let configuration = match call.opt("configuration") {
        Some(id) => {
            let found = call.world.find_param(CONFIGURATION, &id, "configuration")?;
            found.text("id").to_owned()
        }
        None => default_configuration(call.world),
    };
    let default_url = {
        let found = call.world.find(CONFIGURATION, &configuration)?;
        found.opt_text("default_return_url").map(str::to_owned)
    };
    let flow = flow(call, &customer)?;
    let id = ids::new(SESSION);
    let session = json!({
        "id": id,
        "configuration": configuration,
        "customer": customer,
        "flow": flow,
        "locale": call.opt("locale"),
        "return_url": call.opt("return_url").or(default_url),
        "url": format!("{}/p/session/{id}", call.world.base_url),
    });
    let session = call.world.create(SESSION, session);
    call.world.emit("billing_portal.session.created", &session, None);
    Ok(call.world.render(&session))
}
