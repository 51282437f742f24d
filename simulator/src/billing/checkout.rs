//! Checkout: what happens when the card page's button is pressed, and when nobody presses it.

use serde_json::{Value, json};

use super::subscribing::{self, Begin};
use super::{charge, methods};
use crate::cards::{self, Authentication, TestCard};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// Who pays with which card.
pub struct Payer {
    /// The card.
    pub card: &'static TestCard,
    /// Month and year of its expiry.
    pub expiry: (i64, i64),
    /// The address the receipt goes to.
    pub email: String,
    /// The name on the card.
    pub name: String,
    /// The country of the billing address.
    pub country: String,
    /// Whether the holder authenticated, if the card asked for it.
    pub authenticated: Option<bool>,
}

/// Nobody finished the session in time, or the merchant ended it.
pub fn expire(world: &mut World, id: &str) {
    let expired = world.edit("checkout.session", id, |session| {
        session["status"] = "expired".into();
        session["url"] = Value::Null;
    });
    world.emit("checkout.session.expired", &expired, None);
}

/// Whether the card must ask its holder before it can pay here.
pub fn asks(payer: &Payer) -> bool {
    payer.card.authentication != Authentication::Never && payer.authenticated.is_none()
}

/// Pays the session. A refusal leaves it open, to be tried again.
pub fn complete(world: &mut World, id: &str, payer: &Payer) -> Answer {
    let session = world.find("checkout.session", id)?.clone();
    if session.text("status") != "open" {
        return Err(ApiError::invalid("This Checkout Session is no longer open."));
    }
    if payer.authenticated == Some(false) {
        let message = "We are unable to authenticate your payment method. Please choose a \
                       different payment method and try again.";
        let error = ApiError::invalid(message);
        return Err(error.with("code", "payment_intent_authentication_failure"));
    }
    let done = match session.text("mode") {
        "subscription" => subscribe(world, &session, payer)?,
        _ => pay_once(world, &session, payer)?,
    };
    world.emit("checkout.session.completed", &done, None);
    Ok(done)
}

fn details(payer: &Payer) -> Value {
    json!({
        "address": {"city": null, "country": payer.country, "line1": null, "line2": null,
                    "postal_code": null, "state": null},
        "email": payer.email, "name": payer.name, "phone": null, "tax_id": null,
    })
}

/// The session's customer, made now if it had none.
fn customer(world: &mut World, session: &Value, payer: &Payer) -> String {
    if let Some(known) = session.opt_text("customer") {
        return known.to_owned();
    }
    let made = crate::api::customers::blank(world, |customer| {
        customer["email"] = payer.email.as_str().into();
        customer["name"] = payer.name.as_str().into();
        customer.put("address.country", payer.country.as_str());
    });
    made.text("id").to_owned()
}

/// Marks the session as done.
fn finish(world: &mut World, id: &str, payer: &Payer, fields: Value) -> Value {
    let mut who = details(payer);
    if let Some(map) = who.as_object_mut() {
        map.shift_remove("tax_id");
        map.insert("tax_exempt".to_owned(), json!("none"));
        map.insert("tax_ids".to_owned(), json!([]));
    }
    world.edit("checkout.session", id, |session| {
        session["status"] = "complete".into();
        session["url"] = Value::Null;
        session["customer_details"] = who;
        if let (Some(into), Some(from)) = (session.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    })
}

/// Payment mode: the intent exists from the first attempt on and is used again after a decline.
fn pay_once(world: &mut World, session: &Value, payer: &Payer) -> Answer {
    let id = session.text("id");
    let total = session.int("amount_total");
    if total == 0 {
        let fields = json!({"payment_status": "no_payment_required"});
        return Ok(finish(world, id, payer, fields));
    }
    let data = session.at("_sim.payment_intent_data").clone();
    let keeps = data.opt_text("setup_future_usage").is_some();
    let wants = session.text("customer_creation") == "always" || keeps;
    let named = session.opt_text("customer").is_some();
    if let Some(reason) = payer.card.at_charge.filter(|_| !named) {
        // A new customer is only made by a payment that succeeds.
        return Err(ApiError { keep: false, ..cards::decline(reason) });
    }
    let buyer = (wants || named).then(|| customer(world, session, payer));
    let intent = intent(world, session, &data, buyer.as_deref());
    world.edit("checkout.session", id, |session| session["payment_intent"] = intent.clone().into());
    let method = methods::from_card(world, payer.card, payer.expiry, details(payer));
    if payer.card.at_charge.is_some() {
        charge::confirm(world, &intent, &method, false)?;
    }
    if let Some(buyer) = buyer.as_deref().filter(|_| keeps) {
        methods::attach(world, &method, buyer)?;
    } else if let Some(buyer) = buyer.as_deref() {
        world.edit("payment_method", &method, |method| method.put("_sim.payer", buyer));
    }
    charge::succeed(world, &intent, &method);
    let fields = json!({"payment_status": "paid", "customer": buyer, "payment_intent": intent});
    Ok(finish(world, id, payer, fields))
}

fn intent(world: &mut World, session: &Value, data: &Value, buyer: Option<&str>) -> String {
    if let Some(known) = session.opt_text("payment_intent") {
        return known.to_owned();
    }
    let metadata = data["metadata"].as_object().cloned().unwrap_or_default();
    let given = json!({
        "amount": session["amount_total"], "currency": session["currency"], "customer": buyer,
        "description": data["description"], "metadata": metadata,
        "setup_future_usage": data["setup_future_usage"],
        "receipt_email": data["receipt_email"],
    });
    charge::new_intent(world, given).text("id").to_owned()
}

/// Subscription mode: subscription and invoice exist only after the card was good.
fn subscribe(world: &mut World, session: &Value, payer: &Payer) -> Answer {
    let id = session.text("id");
    let card = payer.card;
    let refused = card.at_attach.or(card.at_charge.filter(|_| session.int("amount_total") > 0));
    if let Some(reason) = refused {
        return Err(ApiError { keep: false, ..cards::decline(reason) });
    }
    let buyer = customer(world, session, payer);
    let method = methods::from_card(world, card, payer.expiry, details(payer));
    methods::attach(world, &method, &buyer)?;
    // Whoever authenticated here need not do it again for the first invoice.
    world.edit("payment_method", &method, |method| method.put("_sim.authenticated", true));
    let data = session.at("_sim.subscription_data").clone();
    let now = world.now_for(&buyer);
    let days = data.opt_int("trial_period_days").filter(|days| *days > 0);
    let trial_end = data.opt_int("trial_end").or(days.map(|d| now + d * super::calendar::DAY));
    let metadata = data["metadata"].as_object().cloned().unwrap_or_default();
    let mut fields = json!({"default_payment_method": method, "metadata": metadata});
    for name in ["description", "trial_settings"] {
        if !data[name].is_null() {
            fields[name] = data[name].clone();
        }
    }
    let items = session.list("_sim.line_items").iter();
    let recurring = items.filter(|item| item.at("price.recurring").is_object());
    let begin = Begin {
        customer: buyer.clone(),
        items: recurring.map(|i| json!({"price": i["price"], "quantity": i["quantity"]})).collect(),
        trial_end,
        payment_behavior: "allow_incomplete".to_owned(),
        fields,
    };
    one_time_items(world, session, &buyer);
    let sub = subscribing::begin(world, begin)?;
    world.edit("payment_method", &method, |method| method.put("_sim.authenticated", false));
    let paid = session.int("amount_total") > 0;
    let status = if paid { "paid" } else { "no_payment_required" };
    let fields = json!({
        "payment_status": status, "customer": buyer, "subscription": sub["id"],
        "invoice": sub["latest_invoice"],
    });
    Ok(finish(world, id, payer, fields))
}

/// One-time lines of a subscription session go onto the first invoice.
fn one_time_items(world: &mut World, session: &Value, buyer: &str) {
    let items: Vec<Value> = session.list("_sim.line_items").to_vec();
    for item in items.iter().filter(|item| !item.at("price.recurring").is_object()) {
        let now = world.now_for(buyer);
        let pending = json!({
            "id": ids::new("invoiceitem"),
            "amount": item["amount_total"], "net_amount": item["amount_total"],
            "currency": item["currency"], "customer": buyer, "date": now,
            "description": item["description"], "discountable": true, "discounts": [],
            "metadata": {}, "period": {"start": now, "end": now},
            "pricing": super::lines::pricing(&item["price"]), "proration": false,
            "quantity": item["quantity"],
            "quantity_decimal": item.int("quantity").to_string(), "tax_rates": [],
        });
        world.create_and_tell("invoiceitem", "invoiceitem.created", pending);
    }
}
