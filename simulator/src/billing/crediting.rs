//! Credit notes: an invoice lowered before it is paid, or given back after.
//!
//! It owns the kinds `credit_note` and `customer_balance_transaction`. Refunds are `refunding`'s.

use serde_json::{Value, json};

use super::{paying, refunding};
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::spec::{complete, spec};
use crate::world::World;

/// Works out a credit note from the parameters of the API; nothing is stored.
pub fn compose(world: &World, params: &Value, metadata: Value) -> Answer {
    let invoice = world.find_param("invoice", params.text("invoice"), "invoice")?;
    let status = invoice.text("status");
    if !matches!(status, "open" | "paid" | "uncollectible") {
        let message = "You can only create credit notes for finalized invoices that are not void.";
        return Err(ApiError::invalid(message).with("param", "invoice"));
    }
    let id = ids::new("credit_note");
    let lines = lines(invoice, params)?;
    let total = lines.iter().map(|line| line.int("amount")).fold(0, i64::saturating_add);
    let before = if status == "paid" { 0 } else { total.min(invoice.int("amount_remaining")) };
    let after = total - before;
    check(world, invoice, params, total, after)?;
    let number = 1 + count(world, invoice.text("id"));
    let kind = match (before, after) {
        (_, 0) => "pre_payment",
        (0, _) => "post_payment",
        _ => "mixed",
    };
    let note = json!({
        "id": id,
        "amount": total,
        "amount_shipping": 0,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": params.opt_int("effective_at"),
        "invoice": invoice["id"],
        "lines": {
            "object": "list", "data": lines, "has_more": false,
            "url": format!("/v1/credit_notes/{id}/lines"),
        },
        "memo": params.opt_text("memo"),
        "metadata": metadata,
        "number": format!("{}-CN-{number:02}", invoice.text("number")),
        "out_of_band_amount": params.opt_int("out_of_band_amount").filter(|amount| *amount > 0),
        "pdf": format!("{}/credit_notes/{id}", world.base_url),
        "post_payment_amount": after,
        "pre_payment_amount": before,
        "pretax_credit_amounts": [],
        "reason": params.opt_text("reason"),
        "refunds": [],
        "status": "issued",
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
        "total_taxes": [],
        "type": kind,
    });
    Ok(complete(spec(), "credit_note", note))
}

fn count(world: &World, invoice: &str) -> usize {
    world.store.newest_by("credit_note", "invoice", invoice).count()
}

/// What of an invoice credit notes have not taken yet.
fn creditable(invoice: &Value) -> i64 {
    let taken = invoice.int("post_payment_credit_notes_amount");
    match invoice.text("status") {
        "paid" => invoice.int("amount_paid") + balance_used(invoice) - taken,
        _ => invoice.int("amount_remaining"),
    }
}

/// How much of an invoice its customer's balance paid.
fn balance_used(invoice: &Value) -> i64 {
    (invoice.int("ending_balance") - invoice.int("starting_balance")).max(0)
}

fn check(world: &World, invoice: &Value, params: &Value, total: i64, after: i64) -> Answer<()> {
    let most = creditable(invoice);
    if total < 1 || total > most {
        let message = format!(
            "The credit note amount must be between 1 and what is left of the invoice ({}).",
            super::lines::money(most, invoice.text("currency"))
        );
        return Err(ApiError::invalid(message).with("param", "amount"));
    }
    let named = ["refund_amount", "credit_amount", "out_of_band_amount"];
    let mut given: i64 = named.iter().map(|name| params.int(name)).sum();
    for (index, entry) in params.list("refunds").iter().enumerate() {
        given += linked(world, invoice, entry, index)?.1;
    }
    if given != after {
        let message = format!(
            "The sum of refund_amount, credit_amount, out_of_band_amount and refunds ({given}) \
             must equal the post payment amount of the credit note ({after})."
        );
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

/// A refund that exists already and the part of it that belongs to the note.
fn linked(world: &World, invoice: &Value, entry: &Value, index: usize) -> Answer<(String, i64)> {
    let param = format!("refunds[{index}][refund]");
    let refund = world.find_param("refund", entry.text("refund"), &param)?;
    let paid = payment(world, invoice.text("id"));
    if paid.as_deref() != refund.opt_text("payment_intent") {
        let message = "The refund does not belong to a payment of this invoice.";
        return Err(ApiError::invalid(message).with("param", param));
    }
    let amount = entry.opt_int("amount_refunded").unwrap_or(refund.int("amount"));
    Ok((refund.text("id").to_owned(), amount))
}

/// The intent that paid an invoice.
fn payment(world: &World, invoice: &str) -> Option<String> {
    let mut mine = world
        .store
        .newest_by("invoice_payment", "invoice", invoice)
        .filter(|payment| payment.text("status") == "paid");
    mine.next().and_then(|payment| payment.opt_text("payment.payment_intent").map(str::to_owned))
}

/// The lines of a note: those given, or one for the whole amount.
fn lines(invoice: &Value, params: &Value) -> Answer<Vec<Value>> {
    let given = params.list("lines");
    let whole = params.opt_int("amount");
    if given.is_empty() {
        let Some(amount) = whole else {
            let message = "You must provide either amount or lines.";
            return Err(ApiError::param("parameter_missing", "amount", message));
        };
        let text = format!("Credit for {}", invoice.text("number"));
        return Ok(vec![custom(&text, 1, amount, amount)]);
    }
    let mut out = Vec::new();
    for (index, line) in given.iter().enumerate() {
        let quantity = line.opt_int("quantity");
        let description = line.text("description");
        match line.text("type") {
            "custom_line_item" => {
                let count = quantity.unwrap_or(1);
                let unit = line.int("unit_amount");
                let amount = unit.checked_mul(count).filter(|amount| *amount > 0);
                let amount = amount.ok_or_else(|| wrong(index, "unit_amount"))?;
                out.push(custom(description, count, unit, amount));
            }
            _ => out.push(of_line(invoice, line, index)?),
        }
    }
    let sum = out.iter().map(|line| line.int("amount")).fold(0, i64::saturating_add);
    if whole.is_some_and(|whole| whole != sum) {
        let message = "The amount must equal the sum of the lines.";
        return Err(ApiError::invalid(message).with("param", "amount"));
    }
    Ok(out)
}

fn wrong(index: usize, name: &str) -> ApiError {
    let param = format!("lines[{index}][{name}]");
    ApiError::invalid(format!("Invalid value for {param}.")).with("param", param)
}

fn custom(description: &str, quantity: i64, unit: i64, amount: i64) -> Value {
    line(json!({
        "amount": amount, "description": description,
        "quantity": quantity, "type": "custom_line_item", "unit_amount": unit,
        "unit_amount_decimal": unit.to_string(),
    }))
}

/// A line that takes back a line of the invoice: a part of its amount or of its quantity.
fn of_line(invoice: &Value, given: &Value, index: usize) -> Answer {
    let id = given.text("invoice_line_item");
    let found = invoice.list("lines.data").iter().find(|line| line.text("id") == id);
    let found = found.ok_or_else(|| {
        let param = format!("lines[{index}][invoice_line_item]");
        ApiError::missing("line_item", id, Some(&param))
    })?;
    let (whole, count) = (found.int("amount"), found.opt_int("quantity").unwrap_or(1).max(1));
    let quantity = given.opt_int("quantity");
    let amount = match (given.opt_int("amount"), quantity) {
        (Some(amount), _) => amount,
        (None, Some(part)) => super::proration::share(whole, part, count)?,
        (None, None) => whole,
    };
    if amount < 1 || amount > whole || quantity.is_some_and(|part| part > count) {
        return Err(wrong(index, "amount"));
    }
    Ok(line(json!({
        "amount": amount, "description": found["description"], "invoice_line_item": id,
        "quantity": quantity.or(given.opt_int("amount").is_none().then_some(count)),
        "type": "invoice_line_item", "unit_amount": null, "unit_amount_decimal": null,
    })))
}

fn line(mut line: Value) -> Value {
    line["id"] = ids::new("credit_note_line_item").into();
    line["object"] = "credit_note_line_item".into();
    line["discount_amount"] = 0.into();
    line["livemode"] = false.into();
    line["metadata"] = json!({});
    for empty in ["discount_amounts", "pretax_credit_amounts", "tax_rates", "taxes"] {
        line[empty] = json!([]);
    }
    complete(spec(), "credit_note_line_item", line)
}

/// Issues a credit note: money goes back, the balance is credited, the invoice is lowered.
pub fn issue(world: &mut World, params: &Value, metadata: Value) -> Answer {
    let mut note = compose(world, params, metadata)?;
    let invoice = world.find("invoice", note.text("invoice"))?.clone();
    let customer = invoice.text("customer").to_owned();
    let now = world.now_for(&customer);
    note["created"] = now.into();
    if note["effective_at"].is_null() {
        note["effective_at"] = now.into();
    }
    note["refunds"] = refunds(world, &invoice, params)?.into();
    let credited = params.int("credit_amount");
    if credited > 0 {
        note["customer_balance_transaction"] = credit(world, &note, -credited);
    }
    let note = world.create_and_tell("credit_note", "credit_note.created", note);
    if credited > 0 {
        world.edit_and_tell("customer", &customer, "customer.updated", |customer| {
            customer["balance"] = (customer.int("balance") - credited).into();
        });
    }
    lower(world, &note, 1)?;
    Ok(note)
}

/// The refunds of a note: those that exist already, and the one it makes.
fn refunds(world: &mut World, invoice: &Value, params: &Value) -> Answer<Vec<Value>> {
    let entry = |refund: &Value, amount: i64| {
        json!({"amount_refunded": amount, "payment_record_refund": null, "refund": refund,
               "type": "refund"})
    };
    let mut out = Vec::new();
    for (index, given) in params.list("refunds").iter().enumerate() {
        let (id, amount) = linked(world, invoice, given, index)?;
        out.push(entry(&id.into(), amount));
    }
    let amount = params.int("refund_amount");
    if amount > 0 {
        let intent = payment(world, invoice.text("id"));
        let intent = intent.and_then(|id| world.get("payment_intent", &id));
        let charge = intent.and_then(|intent| intent.opt_text("latest_charge"));
        let charge = charge.map(str::to_owned).ok_or_else(|| {
            let message = "This invoice has no payment that could be refunded.";
            ApiError::invalid(message).with("param", "refund_amount")
        })?;
        let reason = params.opt_text("reason").filter(|r| matches!(*r, "duplicate" | "fraudulent"));
        let wanted = refunding::Wanted {
            amount: Some(amount),
            reason: reason.map(str::to_owned),
            metadata: json!({}),
        };
        let refund = refunding::refund(world, &charge, wanted)?;
        out.push(entry(&refund["id"], amount));
    }
    Ok(out)
}

/// Writes a change of the customer's balance down; answers the id of the transaction.
fn credit(world: &mut World, note: &Value, amount: i64) -> Value {
    let customer = note.text("customer");
    let balance = world.get("customer", customer).map(|c| c.int("balance")).unwrap_or(0);
    let transaction = json!({
        "amount": amount, "checkout_session": null, "credit_note": note["id"],
        "currency": note["currency"], "customer": customer, "customer_account": null,
        "description": null, "ending_balance": balance + amount, "invoice": note["invoice"],
        "metadata": {}, "type": "credit_note",
    });
    world.create("customer_balance_transaction", transaction)["id"].clone()
}

/// Lowers the note's invoice, or raises it again (`sign` −1). One with nothing left is paid.
fn lower(world: &mut World, note: &Value, sign: i64) -> Answer<()> {
    let id = note.text("invoice").to_owned();
    let before = sign * note.int("pre_payment_amount");
    let after = sign * note.int("post_payment_amount");
    let lowered = world.edit_and_tell("invoice", &id, "invoice.updated", |invoice| {
        let mut add = |name: &str, amount: i64| {
            invoice[name] = (invoice.int(name) + amount).into();
        };
        add("pre_payment_credit_notes_amount", before);
        add("post_payment_credit_notes_amount", after);
        add("amount_due", -before);
        add("amount_remaining", -before);
    });
    if before == 0 {
        return Ok(());
    }
    if lowered.int("amount_remaining") == 0 {
        paying::drop_payment(world, &id, None)?;
        paying::mark_paid(world, &id, false);
        return Ok(());
    }
    if let Some(payment) = paying::open_payment(world, &id) {
        let due = lowered["amount_remaining"].clone();
        world.edit("invoice_payment", payment.text("id"), |payment| {
            payment["amount_requested"] = due.clone();
        });
        let intent = payment.text("payment.payment_intent");
        world.edit("payment_intent", intent, |intent| intent["amount"] = due);
    }
    Ok(())
}

/// Voids a note that lowered an invoice which is still open.
pub fn void(world: &mut World, id: &str) -> Answer {
    let note = world.find("credit_note", id)?.clone();
    let invoice = world.find("invoice", note.text("invoice"))?;
    let waits = matches!(invoice.text("status"), "open" | "uncollectible");
    if note.text("status") != "issued" || note.text("type") != "pre_payment" || !waits {
        let message = "You can only void an issued credit note of an invoice that is still open.";
        return Err(ApiError::invalid(message));
    }
    let now = world.now_for(note.text("customer"));
    let voided = world.edit_and_tell("credit_note", id, "credit_note.voided", |note| {
        note["status"] = "void".into();
        note["voided_at"] = now.into();
    });
    lower(world, &voided, -1)?;
    Ok(voided)
}
