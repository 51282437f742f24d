//! Checkout: what happens when the payment page's button is pressed, and when nobody presses it.

use serde_json::{Value, json};

use super::discounting::{self, Owner};
use super::subscribing::{self, Begin};
use super::{bank, charge, methods, paying, saving, sums};
use crate::cards::{self, Authentication, TestCard};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// What somebody pays with.
pub enum Means {
    /// A card, with month and year of its expiry.
    Card(&'static TestCard, (i64, i64)),
    /// A bank account.
    Account(&'static str),
    /// A payment method that exists already.
    Method(String),
    /// Nothing, where nothing is due.
    Nothing,
}

/// Who pays with what.
pub struct Payer {
    /// What is paid with.
    pub means: Means,
    /// The address the receipt goes to.
    pub email: String,
    /// The name on the card or account.
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

/// When something happens to a session by itself: it expires, or its bank answers.
pub fn due_at(session: &Value) -> Option<i64> {
    match session.text("status") {
        "open" => session.opt_int("expires_at"),
        "complete" => bank::answers_at(session),
        _ => None,
    }
}

/// Lets happen what is due.
pub fn come_due(world: &mut World, id: &str) -> Answer<()> {
    let open = world.get("checkout.session", id).is_some_and(|s| s.text("status") == "open");
    if !open {
        return bank::answer(world, id);
    }
    expire(world, id);
    Ok(())
}

/// Whether a session can be finished without naming a means of payment.
pub fn takes_nothing(session: &Value) -> bool {
    let free = session.int("amount_total") == 0;
    match session.text("mode") {
        "subscription" => free && session.text("payment_method_collection") == "if_required",
        "payment" => free,
        _ => false,
    }
}

/// Whether the card must ask its holder before it can pay here.
pub fn asks(world: &World, payer: &Payer) -> bool {
    let authentication = match &payer.means {
        Means::Card(card, _) => card.authentication,
        Means::Method(id) => match world.get("payment_method", id) {
            Some(method) if !bank::is_debit(method) => cards::of_method(method).authentication,
            _ => Authentication::Never,
        },
        _ => Authentication::Never,
    };
    authentication != Authentication::Never && payer.authenticated.is_none()
}

/// Finishes the session. A refusal leaves it open, to be tried again.
pub fn complete(world: &mut World, id: &str, payer: &Payer) -> Answer {
    let session = world.find("checkout.session", id)?.clone();
    if session.text("status") != "open" {
        return Err(ApiError::invalid("This Checkout Session is no longer open."));
    }
    if matches!(payer.means, Means::Nothing) && !takes_nothing(&session) {
        return Err(ApiError::invalid("A payment method is needed."));
    }
    if payer.authenticated == Some(false) {
        let message = "We are unable to authenticate your payment method. Please choose a \
                       different payment method and try again.";
        let error = ApiError::invalid(message);
        return Err(error.with("code", "payment_intent_authentication_failure"));
    }
    let done = match session.text("mode") {
        "subscription" => subscribe(world, &session, payer)?,
        "setup" => set_up(world, &session, payer)?,
        _ => pay_once(world, &session, payer)?,
    };
    saving::update_customer(world, &done);
    world.emit("checkout.session.completed", &done, None);
    // What a card does after its charge comes after the news of the purchase.
    if let Some(intent) = done.opt_text("payment_intent") {
        charge::aftermath(world, intent);
    }
    Ok(done)
}

fn details(payer: &Payer) -> Value {
    json!({
        "address": {"city": null, "country": payer.country, "line1": null, "line2": null,
                    "postal_code": null, "state": null},
        "email": payer.email, "name": payer.name, "phone": null, "tax_id": null,
    })
}

/// The payment method of what is paid with, made now unless it exists.
fn method(world: &mut World, payer: &Payer) -> Option<String> {
    match &payer.means {
        Means::Card(card, expiry) => Some(methods::from_card(world, card, *expiry, details(payer))),
        Means::Account(iban) => Some(bank::method(world, iban, details(payer))),
        Means::Method(id) => Some(id.clone()),
        Means::Nothing => None,
    }
}

/// How long a bank takes: days, or next to nothing for programs that finish a session without a
/// browser, because nobody moves the clock for them.
fn bank_takes(payer: &Payer) -> i64 {
    match payer.means {
        Means::Method(_) => 0,
        _ => bank::BANK_TAKES,
    }
}

fn is_debit(world: &World, method: &str) -> bool {
    world.get("payment_method", method).is_some_and(bank::is_debit)
}

/// Why the card would be refused here, if it would.
fn refusal(world: &World, payer: &Payer, charged: bool) -> Option<&'static str> {
    let card = match &payer.means {
        Means::Card(card, _) => *card,
        Means::Method(id) => {
            let found = world.get("payment_method", id).filter(|m| !bank::is_debit(m))?;
            cards::of_method(found)
        }
        _ => return None,
    };
    card.at_attach.or(card.at_charge.filter(|_| charged))
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

/// While this runs, the holder is there and has agreed.
fn with_consent<T>(
    world: &mut World,
    method: &str,
    work: impl FnOnce(&mut World) -> Answer<T>,
) -> Answer<T> {
    world.edit("payment_method", method, |method| method.put("_sim.authenticated", true));
    let done = work(world);
    world.edit("payment_method", method, |method| method.put("_sim.authenticated", false));
    done
}

/// Payment mode: the intent exists from the first attempt on and is used again after a decline.
fn pay_once(world: &mut World, session: &Value, payer: &Payer) -> Answer {
    let id = session.text("id");
    let data = session.at("_sim.payment_intent_data").clone();
    let keeps = data.opt_text("setup_future_usage").is_some();
    let wants = session.text("customer_creation") == "always" || keeps;
    let named = session.opt_text("customer").is_some();
    let free = session.int("amount_total") == 0;
    if let Some(reason) = refusal(world, payer, true).filter(|_| !named && !free) {
        // A new customer is only made by a payment that succeeds.
        return Err(ApiError { keep: false, ..cards::decline(reason) });
    }
    let buyer = (wants || named).then(|| customer(world, session, payer));
    if free {
        redeem(world, session, buyer.as_deref())?;
        let fields = json!({"payment_status": "no_payment_required", "customer": buyer});
        return Ok(finish(world, id, payer, fields));
    }
    let intent = intent(world, session, &data, buyer.as_deref());
    world.edit("checkout.session", id, |session| session["payment_intent"] = intent.clone().into());
    let Some(method) = method(world, payer) else {
        return Err(ApiError::invalid("A payment method is needed."));
    };
    let debit = is_debit(world, &method);
    if debit {
        charge::begin_processing(world, &intent, &method);
        bank::await_bank(world, id, &method, bank_takes(payer));
    } else {
        with_consent(world, &method, |world| charge::confirm(world, &intent, &method, false))?;
    }
    if let Some(buyer) = buyer.as_deref().filter(|_| keeps) {
        methods::attach(world, &method, buyer)?;
    } else if let Some(buyer) = buyer.as_deref() {
        world.edit("payment_method", &method, |method| method.put("_sim.payer", buyer));
    }
    redeem(world, session, buyer.as_deref())?;
    let status = if debit { "unpaid" } else { "paid" };
    let fields = json!({"payment_status": status, "customer": buyer, "payment_intent": intent});
    Ok(finish(world, id, payer, fields))
}

/// Counts the session's coupons as used.
fn redeem(world: &mut World, session: &Value, buyer: Option<&str>) -> Answer<()> {
    let chosen = sums::chosen(world, session)?;
    let owner = Owner {
        customer: buyer.unwrap_or(""),
        session: session.opt_text("id"),
        ..Owner::default()
    };
    discounting::redeem(world, &chosen, owner);
    Ok(())
}

fn intent(world: &mut World, session: &Value, data: &Value, buyer: Option<&str>) -> String {
    if let Some(known) = session.opt_text("payment_intent") {
        let amount = session["amount_total"].clone();
        world.edit("payment_intent", known, |intent| intent["amount"] = amount);
        return known.to_owned();
    }
    let metadata = data["metadata"].as_object().cloned().unwrap_or_default();
    let given = json!({
        "amount": session["amount_total"], "currency": session["currency"], "customer": buyer,
        "description": data["description"], "metadata": metadata,
        "payment_method_types": session["payment_method_types"],
        "setup_future_usage": data["setup_future_usage"],
        "shipping": data["shipping"],
        "receipt_email": data["receipt_email"],
    });
    charge::new_intent(world, given).text("id").to_owned()
}

/// Subscription mode: subscription and invoice exist only after the card was good.
fn subscribe(world: &mut World, session: &Value, payer: &Payer) -> Answer {
    let id = session.text("id");
    if let Some(reason) = refusal(world, payer, session.int("amount_total") > 0) {
        return Err(ApiError { keep: false, ..cards::decline(reason) });
    }
    let buyer = customer(world, session, payer);
    let method = method(world, payer);
    if let Some(method) = &method {
        methods::attach(world, method, &buyer)?;
        methods::set_up(world, method);
    }
    let debit = method.as_deref().is_some_and(|method| is_debit(world, method));
    let waits = debit && session.int("amount_total") > 0;
    let mut begin = beginning(world, session, &buyer, method.as_deref());
    if waits {
        begin.payment_behavior = "default_incomplete".to_owned();
    }
    one_time_items(world, session, &buyer);
    let sub = match &method {
        // Whoever authenticated here need not do it again for the first invoice.
        Some(method) => {
            let method = method.clone();
            with_consent(world, &method, |world| subscribing::begin(world, begin))?
        }
        None => subscribing::begin(world, begin)?,
    };
    if let Some(method) = method.as_deref().filter(|_| waits) {
        process_first_invoice(world, &sub, method);
        bank::await_bank(world, id, method, bank_takes(payer));
    }
    let status = match (waits, session.int("amount_total") > 0) {
        (true, _) => "unpaid",
        (false, true) => "paid",
        (false, false) => "no_payment_required",
    };
    let fields = json!({
        "payment_status": status, "customer": buyer, "subscription": sub["id"],
        "invoice": sub["latest_invoice"],
    });
    Ok(finish(world, id, payer, fields))
}

/// A debit is on its way for the first invoice; the subscription runs in the meantime.
fn process_first_invoice(world: &mut World, sub: &Value, method: &str) {
    let payment = paying::open_payment(world, sub.text("latest_invoice")).unwrap_or_default();
    charge::begin_processing(world, payment.text("payment.payment_intent"), method);
    subscribing::set_status(world, sub.text("id"), "active");
}

/// The subscription a session asks for.
fn beginning(world: &World, session: &Value, buyer: &str, method: Option<&str>) -> Begin {
    let data = session.at("_sim.subscription_data").clone();
    let now = world.now_for(buyer);
    let days = data.opt_int("trial_period_days").filter(|days| *days > 0);
    let trial_end = data.opt_int("trial_end").or(days.map(|d| now + d * super::calendar::DAY));
    let metadata = data["metadata"].as_object().cloned().unwrap_or_default();
    let mut fields = json!({
        "default_payment_method": method, "metadata": metadata,
        "discounts": session.at("_sim.discounts"),
    });
    for name in ["description", "trial_settings", "billing_cycle_anchor", "proration_behavior"] {
        if !data[name].is_null() {
            fields[name] = data[name].clone();
        }
    }
    let items = session.list("_sim.line_items").iter();
    let recurring = items.filter(|item| item.at("price.recurring").is_object());
    Begin {
        customer: buyer.to_owned(),
        items: recurring.map(|i| json!({"price": i["price"], "quantity": i["quantity"]})).collect(),
        trial_end,
        payment_behavior: "allow_incomplete".to_owned(),
        fields,
    }
}

/// Setup mode: a payment method is kept for later, and nothing is charged.
fn set_up(world: &mut World, session: &Value, payer: &Payer) -> Answer {
    if let Some(reason) = refusal(world, payer, false) {
        return Err(ApiError { keep: false, ..cards::decline(reason) });
    }
    let Some(method) = method(world, payer) else {
        return Err(ApiError::invalid("A payment method is needed."));
    };
    let always = session.text("customer_creation") == "always";
    let named = session.opt_text("customer").is_some();
    let buyer = (always || named).then(|| customer(world, session, payer));
    let intent = saving::keep(world, session, buyer.as_deref(), &method)?;
    let fields = json!({
        "payment_status": "no_payment_required", "customer": buyer, "setup_intent": intent,
    });
    Ok(finish(world, session.text("id"), payer, fields))
}

/// One-time lines of a subscription session go onto the first invoice.
fn one_time_items(world: &mut World, session: &Value, buyer: &str) {
    let items: Vec<Value> = session.list("_sim.line_items").to_vec();
    for item in items.iter().filter(|item| !item.at("price.recurring").is_object()) {
        let now = world.now_for(buyer);
        let amount = item["amount_subtotal"].clone();
        let pending = json!({
            "id": ids::new("invoiceitem"),
            "amount": amount, "net_amount": amount,
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
