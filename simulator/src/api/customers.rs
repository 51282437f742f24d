//! Customers.

use serde_json::{Value, json};

use super::{Route, delete, get, post};
use crate::billing::{methods, subscribing};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page, page_by};
use crate::ids;
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    get("/v1/customers", list),
    post("/v1/customers", create),
    get("/v1/customers/{customer}", read),
    post("/v1/customers/{customer}", update),
    delete("/v1/customers/{customer}", remove),
    get("/v1/customers/{customer}/discount", read_discount),
    get("/v1/customers/{customer}/payment_methods", list_methods),
    get("/v1/customers/{customer}/payment_methods/{payment_method}", read_method),
];

const PLAIN: &[&str] = &[
    "address",
    "balance",
    "business_name",
    "description",
    "email",
    "individual_name",
    "name",
    "phone",
    "preferred_locales",
    "shipping",
    "tax_exempt",
    "invoice_prefix",
    "next_invoice_sequence",
];

/// Makes a customer and tells of it.
pub fn blank(world: &mut World, fill: impl FnOnce(&mut Value)) -> Value {
    let mut customer = json!({
        "balance": 0,
        "delinquent": false,
        "invoice_prefix": ids::random(8).to_uppercase(),
        "invoice_settings": {},
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    });
    fill(&mut customer);
    world.create_and_tell("customer", "customer.created", customer)
}

fn list(call: &mut Call) -> Answer {
    let (email, clock) = (call.opt("email"), call.opt("test_clock"));
    page(call, "customer", "/v1/customers", |customer| {
        email.as_deref().is_none_or(|email| customer.text("email") == email)
            && match clock.as_deref() {
                Some(clock) => customer.text("test_clock") == clock,
                None => email.is_some() || customer["test_clock"].is_null(),
            }
    })
}

fn create(call: &mut Call) -> Answer {
    check_email(call)?;
    let metadata = call.metadata(&Value::Null)?;
    let mut fields = json!({});
    call.copy(&mut fields, PLAIN);
    let clock = call.opt("test_clock");
    if let Some(clock) = &clock {
        call.world.find_param("test_helpers.test_clock", clock, "test_clock")?;
        super::admit_customer(call.world, clock)?;
    }
    let settings = call.params.at("invoice_settings").clone();
    let customer = blank(call.world, |customer| {
        if let (Some(into), Some(from)) = (customer.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
        customer["metadata"] = metadata;
        customer["test_clock"] = clock.map(Value::from).unwrap_or_default();
        merge_settings(customer, &settings);
    });
    let id = customer.text("id").to_owned();
    if let Some(method) = call.opt("payment_method") {
        let method = methods::named(call.world, &method, "payment_method")?;
        methods::attach(call.world, &method, &id)?;
    }
    adopt_source(call, &id)?;
    choose_default(call, &id)?;
    Ok(call.world.render(call.world.find("customer", &id)?))
}

/// A card given the old way, as `source`: it is attached, and used for what is billed.
fn adopt_source(call: &mut Call, customer: &str) -> Answer<()> {
    let Some(source) = call.opt("source") else {
        return Ok(());
    };
    let method = methods::named(call.world, &source, "source")?;
    methods::attach(call.world, &method, customer)?;
    methods::make_default(call.world, customer, &method);
    Ok(())
}

fn check_email(call: &Call) -> Answer<()> {
    match call.opt("email") {
        Some(email) if !email.contains('@') => {
            let message = format!("Invalid email address: {email}");
            Err(ApiError::param("email_invalid", "email", message))
        }
        _ => Ok(()),
    }
}

fn merge_settings(customer: &mut Value, settings: &Value) {
    for name in ["custom_fields", "footer", "rendering_options"] {
        let given = settings.at(name);
        if !given.is_null() {
            let value = if given == "" { Value::Null } else { given.clone() };
            customer["invoice_settings"][name] = value;
        }
    }
}

/// `invoice_settings[default_payment_method]`; a test token is attached on the way.
fn choose_default(call: &mut Call, customer: &str) -> Answer<()> {
    let path = "invoice_settings.default_payment_method";
    let param = "invoice_settings[default_payment_method]";
    match call.params.at(path).as_str().map(str::to_owned) {
        Some(method) if !method.is_empty() => {
            let method = methods::named(call.world, &method, param)?;
            methods::attach(call.world, &method, customer)?;
            methods::make_default(call.world, customer, &method);
        }
        Some(_) => {
            call.world.edit_and_tell("customer", customer, "customer.updated", |customer| {
                customer.put(path, Value::Null);
            });
        }
        None => {}
    }
    Ok(())
}

fn read(call: &mut Call) -> Answer {
    let found = call.world.get("customer", call.id());
    let found = found.ok_or_else(|| ApiError::missing("customer", call.id(), None))?;
    Ok(call.world.render(found))
}

fn update(call: &mut Call) -> Answer {
    check_email(call)?;
    let id = call.id().to_owned();
    let before = call.world.find("customer", &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({});
    call.copy(&mut fields, PLAIN);
    let settings = call.params.at("invoice_settings").clone();
    call.world.edit_and_tell("customer", &id, "customer.updated", |customer| {
        if let (Some(into), Some(from)) = (customer.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
        customer["metadata"] = metadata;
        merge_settings(customer, &settings);
    });
    choose_default(call, &id)?;
    Ok(call.world.render(call.world.find("customer", &id)?))
}

fn remove(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let customer = call.world.find("customer", &id)?.clone();
    let running: Vec<String> = call
        .world
        .store
        .newest_by("subscription", "customer", &id)
        .filter(|sub| sub.text("status") != "canceled")
        .map(|sub| sub.text("id").to_owned())
        .collect();
    for sub in running {
        subscribing::end(call.world, &sub, "cancellation_requested", false);
    }
    call.world.emit("customer.deleted", &customer, None);
    let gone = json!({"id": id, "object": "customer", "deleted": true});
    call.world.store.put("customer", &id, gone.clone());
    Ok(gone)
}

/// Discounts belong to subscriptions and invoices here; a customer has none of their own.
fn read_discount(call: &mut Call) -> Answer {
    call.world.find("customer", call.id())?;
    let message = format!("No active discount for customer: {}", call.id());
    let error = ApiError { status: 404, ..ApiError::invalid(message) };
    Err(error.with("code", "resource_missing"))
}

fn list_methods(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    call.world.find("customer", &id)?;
    let url = format!("/v1/customers/{id}/payment_methods");
    let kind = call.opt("type");
    page_by(call, "payment_method", &url, ("customer", &id), |method| {
        kind.as_deref().is_none_or(|k| method.text("type") == k)
    })
}

fn read_method(call: &mut Call) -> Answer {
    let method = call.ids.get(1).cloned().unwrap_or_default();
    let found = call.world.find("payment_method", &method)?;
    if found.text("customer") != call.id() {
        return Err(ApiError::missing("payment_method", &method, None));
    }
    Ok(call.world.render(found))
}
