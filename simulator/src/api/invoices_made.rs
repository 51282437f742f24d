//! Invoices made by hand: previewed, created, edited while a draft, deleted.

use serde_json::{Value, json};

use super::invoices::gone;
use super::{Route, delete, post, subscriptions};
use crate::billing::calendar::DAY;
use crate::billing::discounting::{self, Owner};
use crate::billing::invoicing::{self, Draft};
use crate::billing::{lines, methods, preview};
use crate::errors::{Answer, ApiError};
use crate::http::Call;
use crate::ids;
use crate::json::Json;
use crate::world::World;

pub const ROUTES: &[Route] = &[
    post("/v1/invoices", create),
    post("/v1/invoices/create_preview", preview),
    post("/v1/invoices/{invoice}", update),
    delete("/v1/invoices/{invoice}", remove),
    post("/v1/invoices/{invoice}/send", send),
];

fn create(call: &mut Call) -> Answer {
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let sub = match call.opt("subscription") {
        Some(id) => {
            let sub = call.world.find_param("subscription", &id, "subscription")?.clone();
            if sub.text("customer") != customer {
                let message = "The subscription belongs to another customer.";
                return Err(ApiError::invalid(message).with("param", "subscription"));
            }
            sub
        }
        None => Value::Null,
    };
    let metadata = call.metadata(&Value::Null)?;
    let id = ids::new("invoice");
    let all = pending(call, &customer, &sub, &id);
    let now = call.world.now_for(&customer);
    let advance = call.params.flag("auto_advance");
    let at = call.params.opt_int("automatically_finalizes_at");
    let currency = call.opt("currency").unwrap_or("usd".to_owned());
    let draft = Draft {
        customer: &customer,
        subscription: &sub,
        reason: "manual",
        lines: all,
        period: (now, now),
        finalizes_at: advance.then_some(at.unwrap_or(now + invoicing::DRAFT_SECONDS)),
        currency: &currency,
    };
    invoicing::draft(call.world, draft, Some(id.clone()));
    let discounts = redeemed(call, &customer, &id)?;
    let mut fields = json!({"metadata": metadata, "auto_advance": advance});
    method(call, &customer, &mut fields)?;
    let invoice = call.world.edit("invoice", &id, |invoice| {
        write(invoice, &fields);
        invoicing::set_discounts(invoice, &discounts);
        let lines = invoice.list("lines.data").to_vec();
        invoicing::set_lines(invoice, lines);
    });
    call.world.emit("invoice.created", &invoice, None);
    Ok(call.world.render(&invoice))
}

/// The pending items a new invoice takes along.
fn pending(call: &mut Call, customer: &str, sub: &Value, invoice: &str) -> Vec<Value> {
    let takes = call.opt("pending_invoice_items_behavior");
    let takes = takes.map_or(!sub.is_null(), |word| word == "include");
    if !takes {
        return Vec::new();
    }
    let currency = call.opt("currency").or(sub.opt_text("currency").map(str::to_owned));
    let mut waiting = lines::pending_of(call.world, customer, sub.opt_text("id"));
    waiting.retain(|item| currency.as_deref().is_none_or(|c| item.text("currency") == c));
    lines::take(call.world, &waiting, invoice)
}

/// The discounts of an invoice's own.
fn redeemed(call: &mut Call, customer: &str, invoice: &str) -> Answer<Vec<Value>> {
    let chosen = discounting::choose(call.world, call.params.list("discounts"), Some(customer))?;
    let owner = Owner { customer, invoice: Some(invoice), ..Owner::default() };
    let made = discounting::redeem(call.world, &chosen, owner);
    let made = made.iter().filter_map(|id| call.world.get("discount", id.as_str()?));
    Ok(made.cloned().collect())
}

/// How the invoice is to be paid, and what it says.
fn method(call: &mut Call, customer: &str, fields: &mut Value) -> Answer<()> {
    call.copy(fields, &["description", "footer", "collection_method", "due_date", "number"]);
    if let Some(days) = call.params.opt_int("days_until_due") {
        fields["due_date"] = (call.world.now_for(customer) + days * DAY).into();
    }
    if let Some(method) = call.opt("default_payment_method") {
        let method = methods::named(call.world, &method, "default_payment_method")?;
        methods::attach(call.world, &method, customer)?;
        fields["default_payment_method"] = method.into();
    }
    Ok(())
}

fn write(invoice: &mut Value, fields: &Value) {
    if let (Some(into), Some(from)) = (invoice.as_object_mut(), fields.as_object()) {
        into.extend(from.clone());
    }
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find("invoice", &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    let mut fields = json!({"metadata": metadata});
    call.copy(&mut fields, &["auto_advance"]);
    method(call, before.text("customer"), &mut fields)?;
    let draft = before.text("status") == "draft";
    if let Some(at) = call.params.opt_int("automatically_finalizes_at") {
        fields["automatically_finalizes_at"] = at.into();
    } else if draft && fields["auto_advance"] == true && !before.flag("auto_advance") {
        let now = call.world.now_for(before.text("customer"));
        fields["automatically_finalizes_at"] = (now + invoicing::DRAFT_SECONDS).into();
    } else if fields["auto_advance"] == false {
        fields["automatically_finalizes_at"] = Value::Null;
    }
    let mut discounts = None;
    if call.given("discounts") {
        if !draft {
            let message = "Finalized invoices can't be updated in this way";
            return Err(ApiError::invalid(message).with("code", "invoice_not_editable"));
        }
        discounts = Some(redeemed(call, before.text("customer"), &id)?);
    }
    let invoice = call.world.edit_and_tell("invoice", &id, "invoice.updated", |invoice| {
        write(invoice, &fields);
        if let Some(discounts) = discounts {
            invoice.put("_sim.discounts", json!([]));
            invoicing::set_discounts(invoice, &discounts);
            let lines = invoice.list("lines.data").to_vec();
            invoicing::set_lines(invoice, lines);
        }
    });
    Ok(call.world.render(&invoice))
}

fn preview(call: &mut Call) -> Answer {
    let params = call.params.clone();
    let invoice = call.world.rehearse(|world| -> Answer {
        let mut params = params;
        let items = params.list("subscription_details.items").to_vec();
        let scheduled = params.opt_text("schedule").map(str::to_owned);
        let named = match (params.opt_text("subscription"), scheduled) {
            (Some(id), _) => {
                Some(world.find_param("subscription", id, "subscription")?.text("id").to_owned())
            }
            (None, Some(id)) => {
                let schedule = world.find_param("subscription_schedule", &id, "schedule")?;
                schedule.opt_text("subscription").map(str::to_owned)
            }
            (None, None) => None,
        };
        let customer = params.text("customer").to_owned();
        if !items.is_empty() {
            let items = subscriptions::resolve_items(world, &items, named.is_none())?;
            params.put("subscription_details.items", items);
        }
        match named {
            Some(id) => preview::of_subscription(world, &id, &params),
            None if items.is_empty() => {
                let next = next_of(world, &customer).ok_or_else(preview::none)?;
                preview::of_subscription(world, &next, &params)
            }
            None => {
                world.find_param("customer", &customer, "customer")?;
                preview::of_new(world, &customer, &params)
            }
        }
    })?;
    Ok(call.world.render(&invoice))
}

/// The customer's subscription whose period ends first.
fn next_of(world: &World, customer: &str) -> Option<String> {
    let mine = world.store.newest_by("subscription", "customer", customer);
    let running =
        mine.filter(|sub| matches!(sub.text("status"), "active" | "trialing" | "past_due"));
    let first = running.min_by_key(|sub| sub.int("items.data.0.current_period_end"));
    first.map(|sub| sub.text("id").to_owned())
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
