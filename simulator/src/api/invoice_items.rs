//! Invoice items: what the next invoice of a customer or subscription takes along.

use serde_json::{Value, json};

use super::invoices::gone;
use super::{Route, delete, get, post};
use crate::billing::{invoice_items, invoicing, lines};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/invoiceitems", list),
    post("/v1/invoiceitems", create),
    get("/v1/invoiceitems/{invoiceitem}", read),
    post("/v1/invoiceitems/{invoiceitem}", update),
    delete("/v1/invoiceitems/{invoiceitem}", remove),
];

fn list(call: &mut Call) -> Answer {
    let (customer, invoice) = (call.opt("customer"), call.opt("invoice"));
    let pending = call.params["pending"].as_bool();
    page(call, "invoiceitem", "/v1/invoiceitems", |item| {
        customer.as_deref().is_none_or(|id| item.text("customer") == id)
            && invoice.as_deref().is_none_or(|id| item.text("invoice") == id)
            && pending.is_none_or(|pending| item["invoice"].is_null() == pending)
    })
}

fn create(call: &mut Call) -> Answer {
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let subscription = call.opt("subscription");
    if let Some(id) = &subscription {
        let sub = call.world.find_param("subscription", id, "subscription")?;
        if sub.text("status") == "canceled" || sub.text("customer") != customer {
            let message = "The subscription can not take invoice items of this customer.";
            return Err(ApiError::invalid(message).with("param", "subscription"));
        }
    }
    let mut given = call.params.clone();
    given["metadata"] = call.metadata(&Value::Null)?;
    let item = invoice_items::make(call.world, &customer, subscription.as_deref(), &given)?;
    let invoice = call.opt("invoice");
    if let Some(id) = &invoice {
        let found = call.world.find_param("invoice", id, "invoice")?;
        let empty = found.list("lines.data").is_empty();
        if found.text("status") != "draft" || found.text("customer") != customer {
            let message = "This invoice is no longer editable.";
            return Err(ApiError::param("invoice_not_editable", "invoice", message));
        }
        if found["currency"] != item["currency"] && !empty {
            let message = "The currency of the invoice item must be that of the invoice.";
            return Err(ApiError::invalid(message).with("param", "currency"));
        }
    }
    let item = call.world.create_and_tell("invoiceitem", "invoiceitem.created", item);
    if let Some(invoice) = invoice {
        let lines = lines::take(call.world, std::slice::from_ref(&item), &invoice);
        invoicing::add_lines(call.world, &invoice, lines);
    }
    let id = item.text("id").to_owned();
    Ok(call.world.render(call.world.find("invoiceitem", &id)?))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("invoiceitem", call.id())?))
}

/// The item, if it is still pending.
fn pending(call: &Call) -> Answer {
    let item = call.world.find("invoiceitem", call.id())?.clone();
    let invoice = call.world.get("invoice", item.text("invoice"));
    if invoice.is_some_and(|invoice| invoice.text("status") != "draft") {
        let message = "This invoice item is attached to an invoice that is no longer editable.";
        return Err(ApiError::invalid(message).with("code", "invoice_not_editable"));
    }
    Ok(item)
}

fn update(call: &mut Call) -> Answer {
    let before = pending(call)?;
    let id = call.id().to_owned();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["description", "amount", "discountable", "period", "quantity"]);
    let priced = ["pricing", "price_data", "unit_amount_decimal"];
    if priced.iter().any(|name| call.given(name)) {
        let mut given = call.params.clone();
        given["currency"] = before["currency"].clone();
        let priced = invoice_items::priced(call.world, &given)?;
        for name in ["amount", "quantity", "pricing"] {
            fields[name] = priced[name].clone();
        }
    }
    let item = call.world.edit("invoiceitem", &id, |item| {
        if let (Some(into), Some(from)) = (item.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
        item["net_amount"] = item["amount"].clone();
        item["quantity_decimal"] = item.int("quantity").to_string().into();
    });
    refresh(call, &item, false);
    Ok(call.world.render(&item))
}

fn remove(call: &mut Call) -> Answer {
    let item = pending(call)?;
    let id = call.id().to_owned();
    refresh(call, &item, true);
    call.world.store.remove("invoiceitem", &id);
    call.world.emit("invoiceitem.deleted", &item, None);
    Ok(gone("invoiceitem", &id))
}

/// A draft that already took the item follows its change.
fn refresh(call: &mut Call, item: &Value, gone: bool) {
    let Some(invoice) = item.opt_text("invoice") else {
        return;
    };
    let id = item.text("id");
    call.world.edit_and_tell("invoice", invoice, "invoice.updated", |invoice| {
        let mut all = invoice.list("lines.data").to_vec();
        let place = all.iter().position(|line| {
            line.text("parent.invoice_item_details.invoice_item") == id
                || line.text("parent.subscription_item_details.invoice_item") == id
        });
        if let Some(place) = place {
            all.remove(place);
            if !gone {
                let mut line = lines::of_invoice_item(item);
                line["invoice"] = invoice["id"].clone();
                all.insert(place, line);
            }
        }
        invoicing::set_lines(invoice, all);
    });
}
