//! Invoices: reading, finalizing, paying, voiding, writing off. Previewing and making one is in
//! `invoices_made`.

use serde_json::{Value, json};

use super::{Route, get, post};
use crate::billing::{invoicing, methods, paying, subscribing};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page, page_of};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/invoices", list),
    get("/v1/invoices/{invoice}", read),
    get("/v1/invoices/{invoice}/lines", lines),
    post("/v1/invoices/{invoice}/finalize", finalize),
    post("/v1/invoices/{invoice}/pay", pay),
    post("/v1/invoices/{invoice}/void", void),
    post("/v1/invoices/{invoice}/mark_uncollectible", write_off),
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
    let drafted = call.world.find("invoice", &id)?.text("status") == "draft";
    if drafted {
        invoicing::finalize(call.world, &id)?;
    }
    let invoice = call.world.find("invoice", &id)?.clone();
    if drafted && invoice.text("status") == "paid" {
        return read(call);
    }
    if call.params.flag("paid_out_of_band") {
        if !matches!(invoice.text("status"), "open" | "uncollectible") {
            return Err(not_editable("Only an open invoice can be marked as paid out of band."));
        }
        paying::mark_paid_elsewhere(call.world, &id)?;
        return read(call);
    }
    let method = match call.opt("payment_method") {
        Some(method) => {
            let method = methods::named(call.world, &method, "payment_method")?;
            methods::attach(call.world, &method, invoice.text("customer"))?;
            Some(method)
        }
        None => None,
    };
    paying::pay(call.world, &id, method, call.params["off_session"] != false)?;
    read(call)
}

fn not_editable(message: &str) -> ApiError {
    ApiError::invalid(message).with("code", "invoice_not_editable")
}

fn void(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let voided = invoicing::void(call.world, &id, "invoice.voided", "void")?;
    // Without its first invoice a subscription never begins.
    let sub = paying::subscription_of(call.world, &voided);
    if sub.text("status") == "incomplete" && sub.text("latest_invoice") == id {
        subscribing::set_status(call.world, sub.text("id"), "incomplete_expired");
    }
    read(call)
}

fn write_off(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    if call.world.find("invoice", &id)?.text("status") != "open" {
        return Err(not_editable("You can only mark an open invoice as uncollectible."));
    }
    invoicing::void(call.world, &id, "invoice.marked_uncollectible", "uncollectible")?;
    read(call)
}

/// The answer for a deleted draft.
pub fn gone(kind: &str, id: &str) -> Value {
    json!({"id": id, "object": kind, "deleted": true})
}
