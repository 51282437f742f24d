//! Invoices: reading, previewing, finalizing, paying, voiding. Making one is in `invoices_made`.

use serde_json::{Value, json};

use super::{Route, get, post, subscriptions};
use crate::billing::{invoicing, methods, paying, updating};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page, page_of};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/invoices", list),
    post("/v1/invoices/create_preview", preview),
    get("/v1/invoices/{invoice}", read),
    get("/v1/invoices/{invoice}/lines", lines),
    post("/v1/invoices/{invoice}/finalize", finalize),
    post("/v1/invoices/{invoice}/pay", pay),
    post("/v1/invoices/{invoice}/void", void),
    post("/v1/invoices/{invoice}/mark_uncollectible", write_off),
    get("/v1/invoice_payments", list_payments),
    get("/v1/invoice_payments/{invoice_payment}", read_payment),
];

fn list(call: &mut Call) -> Answer {
    let params = call.params.clone();
    let is = |value: &str, name: &str| params.opt_text(name).is_none_or(|wanted| value == wanted);
    page(call, "invoice", "/v1/invoices", |invoice| {
        let subscription = invoice.text("parent.subscription_details.subscription");
        is(invoice.text("customer"), "customer")
            && is(subscription, "subscription")
            && is(invoice.text("status"), "status")
            && is(invoice.text("collection_method"), "collection_method")
    })
}

fn preview(call: &mut Call) -> Answer {
    let named = call.opt("subscription");
    let customer = call.opt("customer");
    let found = match &named {
        Some(id) => call.world.find_param("subscription", id, "subscription")?.clone(),
        None => {
            let customer = customer.unwrap_or_default();
            let mut running =
                call.world.store.newest("subscription").filter(|sub| {
                    sub.text("customer") == customer && sub.text("status") != "canceled"
                });
            running.next().cloned().unwrap_or_default()
        }
    };
    if found.is_null() {
        let message = "No upcoming invoices for customer";
        return Err(ApiError::invalid(message).with("code", "invoice_upcoming_none"));
    }
    let mut params = call.params.clone();
    let items = params.list("subscription_details.items").to_vec();
    if !items.is_empty() {
        let items = subscriptions::resolve_items(call.world, &items, false)?;
        params.put("subscription_details.items", items);
    }
    let invoice = updating::preview(call.world, &found, &params)?;
    Ok(call.world.render(&invoice))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("invoice", call.id())?))
}

fn lines(call: &mut Call) -> Answer {
    let invoice = call.world.find("invoice", call.id())?.clone();
    let url = format!("/v1/invoices/{}/lines", call.id());
    page_of(call, invoice.list("lines.data"), &url)
}

fn finalize(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let advance = call.params["auto_advance"].as_bool();
    call.world.find("invoice", &id)?;
    if let Some(advance) = advance {
        call.world.edit("invoice", &id, |invoice| invoice["auto_advance"] = advance.into());
    }
    invoicing::finalize(call.world, &id)?;
    read(call)
}

fn pay(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    if call.world.find("invoice", &id)?.text("status") == "draft" {
        invoicing::finalize(call.world, &id)?;
    }
    let open = call.world.find("invoice", &id)?.text("status") == "open";
    if call.params.flag("paid_out_of_band") {
        if open {
            paying::mark_paid(call.world, &id, false);
        }
        return read(call);
    }
    let method = match call.opt("payment_method") {
        Some(method) => {
            let method = methods::named(call.world, &method, "payment_method")?;
            let customer = call.world.find("invoice", &id)?.text("customer").to_owned();
            methods::attach(call.world, &method, &customer)?;
            Some(method)
        }
        None => None,
    };
    if open || call.world.find("invoice", &id)?.int("amount_due") > 0 {
        paying::pay(call.world, &id, method, call.params["off_session"] != false)?;
    }
    read(call)
}

fn void(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    invoicing::void(call.world, &id, "invoice.voided", "void")?;
    read(call)
}

fn write_off(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    invoicing::void(call.world, &id, "invoice.marked_uncollectible", "uncollectible")?;
    read(call)
}

fn list_payments(call: &mut Call) -> Answer {
    let params = call.params.clone();
    let is = |value: &str, name: &str| params.opt_text(name).is_none_or(|wanted| value == wanted);
    page(call, "invoice_payment", "/v1/invoice_payments", |payment| {
        is(payment.text("invoice"), "invoice")
            && is(payment.text("status"), "status")
            && is(payment.text("payment.payment_intent"), "payment.payment_intent")
    })
}

fn read_payment(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("invoice_payment", call.id())?))
}

/// The answer for a deleted draft.
pub fn gone(kind: &str, id: &str) -> Value {
    json!({"id": id, "object": kind, "deleted": true})
}
