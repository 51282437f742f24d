//! Invoice items: what the next invoice of a customer or subscription takes along.

use serde_json::{Value, json};

use super::invoices::gone;
use super::{Route, delete, get, post};
use crate::billing::{invoicing, lines, proration::price_amount};
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

/// The amount, pricing and currency an item was given.
fn priced(call: &mut Call) -> Answer {
    let quantity = call.params.opt_int("quantity").unwrap_or(1);
    if let Some(id) = call.opt("pricing.price") {
        let price = call.world.find_param("price", &id, "pricing[price]")?.clone();
        let amount = price_amount(&price, quantity)?;
        return Ok(json!({
            "amount": amount, "currency": price["currency"], "quantity": quantity,
            "pricing": lines::pricing(&price),
            "description": lines::product_name(call.world, &price),
        }));
    }
    let currency = call.opt("currency").map(|currency| currency.to_lowercase());
    if call.params["price_data"].is_object() {
        let data = call.params["price_data"].clone();
        let amount = price_amount(&data, quantity)?;
        return Ok(json!({
            "amount": amount, "currency": data["currency"], "quantity": quantity,
            "pricing": null, "description": null,
        }));
    }
    let unit = call.opt("unit_amount_decimal");
    let amount = match (call.params.opt_int("amount"), unit) {
        (Some(amount), _) => amount,
        (None, Some(unit)) => price_amount(&json!({"unit_amount_decimal": unit}), quantity)?,
        (None, None) => {
            let message = "You must specify either amount and currency or a price.";
            return Err(ApiError::param("parameter_missing", "amount", message));
        }
    };
    let currency = currency.ok_or_else(|| {
        let message = "Missing required param: currency.";
        ApiError::param("parameter_missing", "currency", message)
    })?;
    Ok(json!({"amount": amount, "currency": currency, "quantity": quantity, "pricing": null,
              "description": null}))
}

fn create(call: &mut Call) -> Answer {
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let priced = priced(call)?;
    let subscription = call.opt("subscription");
    if let Some(id) = &subscription {
        let sub = call.world.find_param("subscription", id, "subscription")?;
        if sub.text("status") == "canceled" || sub.text("customer") != customer {
            let message = "The subscription can not take invoice items of this customer.";
            return Err(ApiError::invalid(message).with("param", "subscription"));
        }
    }
    let invoice = call.opt("invoice");
    if let Some(id) = &invoice
        && call.world.find_param("invoice", id, "invoice")?.text("status") != "draft"
    {
        let message = "This invoice is no longer editable.";
        let error = ApiError::param("invoice_not_editable", "invoice", message);
        return Err(error);
    }
    let now = call.world.now_for(&customer);
    let metadata = call.metadata(&Value::Null)?;
    let parent = subscription.as_ref().map(|id| {
        let details = json!({"subscription": id, "subscription_item": null});
        json!({"type": "subscription_details", "subscription_details": details})
    });
    let mut item = priced;
    if let Some(description) = call.opt("description") {
        item["description"] = description.into();
    }
    item["customer"] = customer.as_str().into();
    item["date"] = now.into();
    item["discountable"] = (call.params["discountable"] != false).into();
    item["discounts"] = json!([]);
    item["metadata"] = metadata;
    item["net_amount"] = item["amount"].clone();
    item["parent"] = parent.unwrap_or_default();
    item["period"] = match call.params["period"].is_object() {
        true => call.params["period"].clone(),
        false => json!({"start": now, "end": now}),
    };
    item["proration"] = false.into();
    item["quantity_decimal"] = item.int("quantity").to_string().into();
    item["tax_rates"] = json!([]);
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
    let item = call.world.edit("invoiceitem", &id, |item| {
        if let (Some(into), Some(from)) = (item.as_object_mut(), fields.as_object()) {
            into.extend(from.clone());
        }
        item["net_amount"] = item["amount"].clone();
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
