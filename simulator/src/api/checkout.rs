//! Checkout sessions. Paying one happens on its page, not here.

use serde_json::{Value, json};

use super::{Route, get, post, prices};
use crate::billing::{checkout, proration::price_amount, sums};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page, page_of};
use crate::ids;
use crate::json::Json;
use crate::spec::{complete, spec};

pub const ROUTES: &[Route] = &[
    get("/v1/checkout/sessions", list),
    post("/v1/checkout/sessions", create),
    get("/v1/checkout/sessions/{session}", read),
    get("/v1/checkout/sessions/{session}/line_items", line_items),
    post("/v1/checkout/sessions/{session}/expire", expire),
];

/// The kinds of payment there are.
const METHODS: [&str; 2] = ["card", "sepa_debit"];
const SHORTEST: i64 = 30 * 60;
const LONGEST: i64 = 24 * 3600;

fn list(call: &mut Call) -> Answer {
    let params = call.params.clone();
    let is = |session: &Value, name: &str| {
        params.opt_text(name).is_none_or(|wanted| session.text(name) == wanted)
    };
    let email = params.opt_text("customer_details.email");
    page(call, "checkout.session", "/v1/checkout/sessions", |session| {
        ["customer", "subscription", "payment_intent", "status"].iter().all(|n| is(session, n))
            && email.is_none_or(|email| session.text("customer_details.email") == email)
    })
}

fn create(call: &mut Call) -> Answer {
    let mode = call.need("mode")?;
    let expires_at = expiry(call)?;
    let items = if mode == "setup" { none(call)? } else { items(call, &mode)? };
    let mut session = blank(call, &mode)?;
    session["expires_at"] = expires_at.into();
    session["currency"] = match items.first() {
        Some(item) => item["currency"].clone(),
        None => call.opt("currency").map(Value::from).unwrap_or_default(),
    };
    session["payment_method_types"] = methods_of(call)?;
    who(call, &mut session)?;
    let discounts = call.params.list("discounts").to_vec();
    if !discounts.is_empty() && session.flag("allow_promotion_codes") {
        let message = "You may only specify one of these parameters: allow_promotion_codes, \
                       discounts.";
        return Err(ApiError::invalid(message).with("param", "discounts"));
    }
    session["_sim"] = json!({
        "line_items": items,
        "customer_update": call.params.at("customer_update"),
        "discounts": discounts,
        "subscription_data": call.params.at("subscription_data"),
        "payment_intent_data": call.params.at("payment_intent_data"),
        "setup_intent_data": call.params.at("setup_intent_data"),
    });
    if mode != "setup" {
        sums::tally(call.world, &mut session)?;
    }
    let session = call.world.create("checkout.session", session);
    Ok(call.world.render(&session))
}

/// Setup mode sells nothing.
fn none(call: &Call) -> Answer<Vec<Value>> {
    if call.params.list("line_items").is_empty() {
        return Ok(Vec::new());
    }
    let message = "You can not pass `line_items` in `setup` mode.";
    Err(ApiError::invalid(message).with("param", "line_items"))
}

/// The kinds of payment a session offers. Bank debits are offered in every currency, so that
/// payments that take days can be tried everywhere.
fn methods_of(call: &Call) -> Answer {
    let named = |name: &str| -> Vec<String> {
        let given = call.params.list(name).iter();
        given.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut wanted = named("payment_method_types");
    wanted.extend(named("allowed_payment_method_types"));
    let refused = named("excluded_payment_method_types");
    let offered: Vec<&str> = METHODS
        .into_iter()
        .filter(|kind| wanted.is_empty() || wanted.iter().any(|name| name == kind))
        .filter(|kind| !refused.iter().any(|name| name == kind))
        .collect();
    if offered.is_empty() {
        let message = "No payment method type is left that the simulator offers: card, sepa_debit.";
        return Err(ApiError::invalid(message).with("param", "payment_method_types"));
    }
    Ok(json!(offered))
}

fn expiry(call: &Call) -> Answer<i64> {
    let now = call.world.now();
    let chosen = call.params.opt_int("expires_at").unwrap_or(now + LONGEST);
    // A minute of leave, since the caller's clock and ours are never quite the same.
    if chosen < now + SHORTEST - 60 || chosen > now + LONGEST + 60 {
        let message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from \
                       Checkout Session creation.";
        return Err(ApiError::invalid(message).with("param", "expires_at"));
    }
    Ok(chosen)
}

/// The session's line items with their amounts, prices inside.
fn items(call: &mut Call, mode: &str) -> Answer<Vec<Value>> {
    let given = call.params.list("line_items").to_vec();
    if given.is_empty() {
        let message = "Missing required param: line_items.";
        return Err(ApiError::param("parameter_missing", "line_items", message));
    }
    let mut items = Vec::new();
    for (index, line) in given.iter().enumerate() {
        let param = format!("line_items[{index}]");
        let price = prices::chosen(call.world, line, &param)?;
        let quantity = line.opt_int("quantity").unwrap_or(1);
        if quantity < 1 {
            let message = "Quantity must be at least 1.";
            return Err(ApiError::invalid(message).with("param", format!("{param}[quantity]")));
        }
        let amount = price_amount(&price, quantity)?;
        let name = crate::billing::lines::product_name(call.world, &price);
        let item = json!({
            "id": ids::new("item"), "object": "item", "amount_discount": 0,
            "amount_subtotal": amount, "amount_tax": 0, "amount_total": amount,
            "currency": price["currency"], "description": name, "metadata": {},
            "adjustable_quantity": line["adjustable_quantity"], "price": price,
            "quantity": quantity,
        });
        items.push(complete(spec(), "item", item));
    }
    let recurring = items.iter().filter(|item| item.at("price.recurring").is_object()).count();
    if mode == "subscription" && recurring == 0 {
        let message = "You must provide at least one recurring price in `subscription` mode when \
                       using prices.";
        return Err(ApiError::invalid(message).with("param", "line_items"));
    }
    if mode == "payment" && recurring > 0 {
        let message = "You specified `payment` mode but passed a recurring price. Either switch \
                       to `subscription` mode or use only one-time prices.";
        return Err(ApiError::invalid(message).with("param", "line_items"));
    }
    let first = items[0]["currency"].clone();
    if items.iter().any(|item| item["currency"] != first) {
        let message = "All prices of a Checkout Session must have the same currency.";
        return Err(ApiError::invalid(message).with("param", "line_items"));
    }
    Ok(items)
}

/// Everything of a session that does not depend on its lines.
fn blank(call: &mut Call, mode: &str) -> Answer {
    let data_of = [
        ("subscription", "subscription_data"),
        ("payment", "payment_intent_data"),
        ("setup", "setup_intent_data"),
        ("subscription", "payment_method_collection"),
    ];
    for (right, data) in data_of {
        if mode != right && call.given(data) {
            let message = format!("You can not pass `{data}` in `{mode}` mode.");
            return Err(ApiError::invalid(message).with("param", data));
        }
    }
    let ui_mode = call.opt("ui_mode").unwrap_or("hosted_page".to_owned());
    if ui_mode == "hosted_page" && call.opt("success_url").is_none() {
        let message = "Missing required param: success_url.";
        return Err(ApiError::param("parameter_missing", "success_url", message));
    }
    let id = ids::new("checkout.session");
    let metadata = call.metadata(&Value::Null)?;
    let tax = call.params.flag("automatic_tax.enabled");
    let mut session = json!({
        "id": id,
        "automatic_tax": {"enabled": tax, "status": tax.then_some("requires_location_inputs")},
        "branding_settings": {},
        "custom_fields": [],
        "custom_text": {},
        "metadata": metadata,
        "mode": mode,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_status": if mode == "setup" { "no_payment_required" } else { "unpaid" },
        "permissions": null,
        "phone_number_collection": {
            "enabled": call.params.flag("phone_number_collection.enabled"),
        },
        "shipping_options": [],
        "status": "open",
        "tax_id_collection": {
            "enabled": call.params.flag("tax_id_collection.enabled"), "required": "never",
        },
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": ui_mode,
        "url": format!("{}/c/pay/{id}", call.world.base_url),
    });
    let plain = [
        "allow_promotion_codes",
        "billing_address_collection",
        "cancel_url",
        "client_reference_id",
        "locale",
        "submit_type",
        "success_url",
        "payment_method_collection",
        "origin_context",
        "integration_identifier",
    ];
    call.copy(&mut session, &plain);
    if mode == "subscription" && session["payment_method_collection"].is_null() {
        session["payment_method_collection"] = "always".into();
    }
    if mode == "payment" {
        let enabled = call.params.flag("invoice_creation.enabled");
        session["invoice_creation"] = json!({"enabled": enabled, "invoice_data": {}});
    }
    Ok(session)
}

/// The customer of a session, or how one is to be made.
fn who(call: &mut Call, session: &mut Value) -> Answer<()> {
    let (customer, email) = (call.opt("customer"), call.opt("customer_email"));
    if customer.is_some() && email.is_some() {
        let message = "You may only specify one of these parameters: customer, customer_email.";
        return Err(ApiError::invalid(message).with("param", "customer"));
    }
    if let Some(id) = customer {
        let found = call.world.find_param("customer", &id, "customer")?;
        session["customer_details"] =
            json!({"email": found["email"], "name": null, "tax_exempt": "none", "tax_ids": null});
        session["customer"] = id.into();
    } else {
        if session.text("mode") != "subscription" {
            let creation = call.opt("customer_creation").unwrap_or("if_required".to_owned());
            session["customer_creation"] = creation.into();
        } else {
            session["customer_creation"] = "always".into();
        }
        if let Some(email) = email {
            session["customer_details"] = json!({"email": email, "tax_exempt": "none"});
            session["customer_email"] = email.into();
        }
    }
    Ok(())
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("checkout.session", call.id())?))
}

fn line_items(call: &mut Call) -> Answer {
    let session = call.world.find("checkout.session", call.id())?.clone();
    let url = format!("/v1/checkout/sessions/{}/line_items", call.id());
    page_of(call, session.list("_sim.line_items"), &url)
}

fn expire(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let session = call.world.find("checkout.session", &id)?;
    if session.text("status") != "open" {
        let message = format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout \
             Session has a status of {}.",
            session.text("status")
        );
        return Err(ApiError::invalid(message));
    }
    checkout::expire(call.world, &id);
    read(call)
}
