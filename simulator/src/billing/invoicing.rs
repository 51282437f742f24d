//! Invoices: drafted, finalized, voided. Charging them is in `paying`.

use serde_json::{Value, json};

use super::calendar::DAY;
use super::discounting::{self, Part};
use super::{charge, lines, paying, subscribing};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::world::World;

/// How long a renewal's draft can still take invoice items.
pub const DRAFT_SECONDS: i64 = 3600;

/// What a new draft is made of.
pub struct Draft<'a> {
    /// The customer's id.
    pub customer: &'a str,
    /// The subscription it bills, or null.
    pub subscription: &'a Value,
    /// Why it exists.
    pub reason: &'a str,
    /// Its lines.
    pub lines: Vec<Value>,
    /// The period in which its items were collected.
    pub period: (i64, i64),
    /// When it finalizes by itself.
    pub finalizes_at: Option<i64>,
    /// Its currency when no line says one.
    pub currency: &'a str,
}

/// Makes a draft with an id of its own choosing, without telling anyone yet.
pub fn draft(world: &mut World, draft: Draft, id: Option<String>) -> Value {
    let invoice = compose(world, draft, id);
    world.create("invoice", invoice)
}

/// The invoice object of a draft, stored nowhere (previews are this and nothing more).
pub fn compose(world: &World, draft: Draft, id: Option<String>) -> Value {
    let id = id.unwrap_or_else(|| ids::new("invoice"));
    let customer = world.get("customer", draft.customer).cloned().unwrap_or_default();
    let currency = draft.lines.first().and_then(|line| line.opt_text("currency"));
    let currency = currency.unwrap_or(draft.currency).to_owned();
    let mut all = draft.lines;
    for line in &mut all {
        line["invoice"] = id.as_str().into();
    }
    let sub = draft.subscription;
    let parent = sub.opt_text("id").map(|subscription| {
        let details = json!({"metadata": sub["metadata"], "subscription": subscription});
        json!({"type": "subscription_details", "quote_details": null,
               "subscription_details": details})
    });
    let mut invoice = json!({
        "id": id,
        "account_country": "US",
        "account_name": "Simulator",
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": false,
        "auto_advance": true,
        "automatic_tax": {"enabled": false, "provider": null, "status": null},
        "automatically_finalizes_at": draft.finalizes_at,
        "billing_reason": draft.reason,
        "collection_method": "charge_automatically",
        "currency": currency,
        "customer": draft.customer,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "issuer": {"type": "self"},
        "metadata": {},
        "parent": parent,
        "payment_settings": {},
        "period_start": draft.period.0,
        "period_end": draft.period.1,
        "starting_balance": customer.int("balance"),
        "status": "draft",
        "created": world.now_for(draft.customer),
        "test_clock": customer["test_clock"],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    });
    if sub.text("collection_method") == "send_invoice" {
        let days = sub.opt_int("days_until_due").unwrap_or(30);
        invoice["collection_method"] = "send_invoice".into();
        invoice["due_date"] = (world.now_for(draft.customer) + days * DAY).into();
    }
    let discounts = discounting::in_force(world, sub, draft.period.1);
    set_discounts(&mut invoice, &discounts);
    set_lines(&mut invoice, all);
    invoice
}

/// Gives an invoice further discounts; `set_lines` applies them.
pub fn set_discounts(invoice: &mut Value, discounts: &[Value]) {
    let mut all = invoice.list("_sim.discounts").to_vec();
    all.extend(
        discounts
            .iter()
            .map(|discount| json!({"id": discount["id"], "coupon": discount["_sim"]["coupon"]})),
    );
    invoice["discounts"] = all.iter().map(|discount| discount["id"].clone()).collect();
    invoice.put("_sim.discounts", all);
}

/// Takes an invoice's discounts off its lines, one after the other; answers what each took off.
fn discount_lines(invoice: &Value, all: &mut [Value]) -> Vec<Value> {
    let currency = invoice.text("currency");
    let mut parts: Vec<Part> = all
        .iter()
        .map(|line| Part {
            amount: line.int("amount"),
            product: line.text("pricing.price_details.product").to_owned(),
            discountable: line.flag("discountable"),
        })
        .collect();
    for line in all.iter_mut() {
        line["discount_amounts"] = json!([]);
    }
    let mut totals = Vec::new();
    for discount in invoice.list("_sim.discounts") {
        let taken = discounting::reductions(&discount["coupon"], &parts, currency);
        for ((line, part), taken) in all.iter_mut().zip(&mut parts).zip(&taken) {
            part.amount -= taken;
            if let Some(amounts) = line["discount_amounts"].as_array_mut().filter(|_| *taken > 0) {
                amounts.push(json!({"amount": taken, "discount": discount["id"]}));
            }
        }
        let total = taken.into_iter().fold(0, i64::saturating_add);
        totals.push(json!({"amount": total, "discount": discount["id"]}));
    }
    totals
}

/// Gives an invoice its lines and the sums that follow from them.
pub fn set_lines(invoice: &mut Value, mut all: Vec<Value>) {
    let discounts = discount_lines(invoice, &mut all);
    let subtotal = lines::total(&all);
    let taken = discounts.iter().map(|taken| taken.int("amount")).fold(0, i64::saturating_add);
    let total = subtotal.saturating_sub(taken);
    invoice["total_discount_amounts"] = discounts.into();
    let url = format!("/v1/invoices/{}/lines", invoice.text("id"));
    let list = json!({"object": "list", "data": all, "has_more": false,
                      "total_count": all.len(), "url": url});
    invoice["lines"] = list;
    for sum in ["subtotal", "subtotal_excluding_tax"] {
        invoice[sum] = subtotal.into();
    }
    for sum in ["total", "total_excluding_tax"] {
        invoice[sum] = total.into();
    }
    let due = total.saturating_add(invoice.int("starting_balance")).max(0);
    for field in ["amount_due", "amount_remaining"] {
        invoice[field] = due.into();
    }
    for field in ["amount_paid", "amount_overpaid", "amount_paid_off_stripe"] {
        invoice[field] = 0.into();
    }
}

/// Adds lines to a draft.
pub fn add_lines(world: &mut World, invoice: &str, mut added: Vec<Value>) {
    for line in &mut added {
        line["invoice"] = invoice.into();
    }
    world.edit_and_tell("invoice", invoice, "invoice.updated", |invoice| {
        let mut all = invoice.list("lines.data").to_vec();
        if let Some(first) = added.first().filter(|_| all.is_empty()) {
            invoice["currency"] = first["currency"].clone();
        }
        all.extend(added);
        set_lines(invoice, all);
    });
}

/// Finalizes a draft: number, balance, payment intent. An invoice of nothing is paid at once.
pub fn finalize(world: &mut World, id: &str) -> Answer {
    let invoice = world.find("invoice", id)?.clone();
    if invoice.text("status") != "draft" {
        let message = "This invoice is already finalized, you can't re-finalize a non-draft \
                       invoice.";
        return Err(ApiError::invalid(message).with("code", "invoice_not_editable"));
    }
    let customer = invoice.text("customer").to_owned();
    let now = world.now_for(&customer);
    let owner = world.get("customer", &customer).cloned().unwrap_or_default();
    let due = invoice.int("total") + owner.int("balance");
    let number = next_number(world, &customer);
    let base = world.base_url.clone();
    let open = world.edit("invoice", id, |invoice| {
        invoice["status"] = "open".into();
        invoice["number"] = number.into();
        invoice["starting_balance"] = owner.int("balance").into();
        invoice["ending_balance"] = due.min(0).into();
        invoice["amount_due"] = due.max(0).into();
        invoice["amount_remaining"] = due.max(0).into();
        invoice["automatically_finalizes_at"] = Value::Null;
        invoice["effective_at"] = now.into();
        invoice["hosted_invoice_url"] = format!("{base}/i/{id}").into();
        invoice["invoice_pdf"] = format!("{base}/i/{id}/receipt").into();
        invoice.put("status_transitions.finalized_at", now);
    });
    if owner.int("balance") != due.min(0) {
        world.edit_and_tell("customer", &customer, "customer.updated", |customer| {
            customer["balance"] = due.min(0).into();
        });
    }
    world.emit("invoice.finalized", &open, None);
    if due <= 0 {
        paying::mark_paid(world, id, false);
    } else {
        request_payment(world, &open);
    }
    Ok(world.get("invoice", id).cloned().unwrap_or_default())
}

/// The payment intent behind an open invoice and the row that joins them.
fn request_payment(world: &mut World, invoice: &Value) {
    let description = match invoice.text("billing_reason") {
        "subscription_create" => "Subscription creation",
        "subscription_cycle" => "Subscription cycle",
        "subscription_update" => "Subscription update",
        _ => "Payment for Invoice",
    };
    let intent = charge::new_intent(
        world,
        json!({
            "amount": invoice["amount_due"], "currency": invoice["currency"],
            "customer": invoice["customer"], "description": description,
        }),
    );
    world.create(
        "invoice_payment",
        json!({
            "amount_requested": invoice["amount_due"], "currency": invoice["currency"],
            "created": world.now_for(invoice.text("customer")),
            "invoice": invoice["id"], "is_default": true,
            "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
            "status": "open", "status_transitions": {},
        }),
    );
}

fn next_number(world: &mut World, customer: &str) -> String {
    let owner = world.edit("customer", customer, |customer| {
        let next = customer.opt_int("next_invoice_sequence").unwrap_or(1);
        customer["next_invoice_sequence"] = (next + 1).into();
    });
    let used = owner.int("next_invoice_sequence").max(2) - 1;
    format!("{}-{used:04}", owner.text("invoice_prefix"))
}

/// Voids an open invoice.
pub fn void(world: &mut World, id: &str, event: &str, status: &str) -> Answer {
    let invoice = world.find("invoice", id)?.clone();
    if !matches!(invoice.text("status"), "open" | "uncollectible") {
        let message = "You can only do this to an open invoice.";
        return Err(ApiError::invalid(message).with("code", "invoice_not_editable"));
    }
    let now = world.now_for(invoice.text("customer"));
    let moment = match status {
        "void" => "status_transitions.voided_at",
        _ => "status_transitions.marked_uncollectible_at",
    };
    let done = world.edit("invoice", id, |invoice| {
        invoice["status"] = status.into();
        invoice["auto_advance"] = false.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice.put(moment, now);
    });
    if status == "void" {
        if let Some(payment) = paying::open_payment(world, id) {
            cancel_payment(world, &payment, now);
        }
        return_balance(world, &done);
    }
    world.emit(event, &done, None);
    subscribing::settle(world, done.text("parent.subscription_details.subscription"));
    Ok(done)
}

/// A voided invoice gives back what it took of the customer's balance.
fn return_balance(world: &mut World, invoice: &Value) {
    let used = invoice.int("ending_balance").saturating_sub(invoice.int("starting_balance"));
    if used != 0 {
        let customer = invoice.text("customer");
        world.edit_and_tell("customer", customer, "customer.updated", |customer| {
            customer["balance"] = customer.int("balance").saturating_sub(used).into();
        });
    }
}

fn cancel_payment(world: &mut World, payment: &Value, now: i64) {
    world.edit("invoice_payment", payment.text("id"), |payment| {
        payment["status"] = "canceled".into();
        payment.put("status_transitions.canceled_at", now);
    });
    let intent = payment.text("payment.payment_intent");
    let canceled = world.edit("payment_intent", intent, |intent| {
        intent["status"] = "canceled".into();
        intent["canceled_at"] = now.into();
        intent["cancellation_reason"] = "void_invoice".into();
    });
    world.emit("payment_intent.canceled", &canceled, None);
}
