//! Invoices made by hand: created, edited while a draft, deleted.

use serde_json::{Value, json};

use super::invoices::gone;
use super::{Route, delete, post};
use crate::billing::invoicing::{self, Draft};
use crate::billing::lines;
use crate::errors::{Answer, ApiError};
use crate::http::Call;
use crate::ids;
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    post("/v1/invoices", create),
    post("/v1/invoices/{invoice}", update),
    delete("/v1/invoices/{invoice}", remove),
    post("/v1/invoices/{invoice}/send", send),
];

fn create(call: &mut Call) -> Answer {
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let sub = match call.opt("subscription") {
        Some(id) => call.world.find_param("subscription", &id, "subscription")?.clone(),
        None => Value::Null,
    };
    let metadata = call.metadata(&Value::Null)?;
    let id = ids::new("invoice");
    let takes = call.opt("pending_invoice_items_behavior").as_deref() == Some("include");
    let pending = match takes || !sub.is_null() {
        true => lines::pending(call.world, &customer, sub.opt_text("id")),
        false => Vec::new(),
    };
    let all = lines::take(call.world, &pending, &id);
    let now = call.world.now_for(&customer);
    let advance = call.params.flag("auto_advance");
    let currency = call.opt("currency").unwrap_or("usd".to_owned());
    let draft = Draft {
        customer: &customer,
        subscription: &sub,
        reason: "manual",
        lines: all,
        period: (now, now),
        finalizes_at: advance.then_some(now + invoicing::DRAFT_SECONDS),
        currency: &currency,
    };
    invoicing::draft(call.world, draft, Some(id.clone()));
    let mut fields = json!({"metadata": metadata, "auto_advance": advance});
    call.copy(&mut fields, &["description", "footer", "collection_method", "due_date", "number"]);
    let invoice = call.world.edit("invoice", &id, |invoice| {
        if let (Some(into), Some(from)) = (invoice.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    });
    call.world.emit("invoice.created", &invoice, None);
    Ok(call.world.render(&invoice))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find("invoice", &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["description", "footer", "auto_advance", "due_date"]);
    if let Some(at) = call.params.opt_int("automatically_finalizes_at") {
        fields["automatically_finalizes_at"] = at.into();
    }
    let invoice = call.world.edit_and_tell("invoice", &id, "invoice.updated", |invoice| {
        if let (Some(into), Some(from)) = (invoice.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
    });
    Ok(call.world.render(&invoice))
}

fn remove(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let invoice = call.world.find("invoice", &id)?.clone();
    if invoice.text("status") != "draft" || invoice["parent"].is_object() {
        let message = "You can only delete draft invoices that no subscription made.";
        return Err(ApiError::invalid(message).with("code", "invoice_not_editable"));
    }
    call.world.store.remove("invoice", &id);
    call.world.emit("invoice.deleted", &invoice, None);
    Ok(gone("invoice", &id))
}

fn send(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    if call.world.find("invoice", &id)?.text("status") == "draft" {
        invoicing::finalize(call.world, &id)?;
    }
    let invoice = call.world.find("invoice", &id)?.clone();
    call.world.emit("invoice.sent", &invoice, None);
    Ok(call.world.render(&invoice))
}
