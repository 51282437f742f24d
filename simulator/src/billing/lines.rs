//! Invoice lines and pending invoice items.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::proration::{price_amount, share};
use crate::errors::Answer;
use crate::ids;
use crate::json::Json;
use crate::spec::{complete, spec};
use crate::world::World;

/// The pricing member of a line: which price, at which unit amount.
pub fn pricing(price: &Value) -> Value {
    json!({
        "type": "price_details",
        "price_details": {"price": price["id"], "product": price["product"]},
        "unit_amount_decimal": price["unit_amount_decimal"],
    })
}

/// A line for one subscription item and period.
pub fn of_item(world: &World, sub: &Value, item: &Value, period: (i64, i64)) -> Answer {
    let price = world.get("price", item.text("price.id")).cloned().unwrap_or_default();
    let quantity = item.opt_int("quantity").unwrap_or(1);
    let trial = sub.opt_int("trial_end").is_some_and(|end| period.0 < end);
    let amount = if trial { 0 } else { price_amount(&price, quantity)? };
    let name = product_name(world, &price);
    let description = match trial {
        true => format!("Trial period for {name}"),
        false => format!("{quantity} × {name} ({})", rate(&price)),
    };
    Ok(line(json!({
        "amount": amount,
        "subtotal": amount,
        "currency": price["currency"],
        "description": description,
        "metadata": sub["metadata"],
        "parent": {
            "type": "subscription_item_details",
            "subscription_item_details": {
                "invoice_item": null, "proration": false, "subscription": sub["id"],
                "subscription_item": item["id"],
                "proration_details": {"credited_items": null},
            },
        },
        "period": {"start": period.0, "end": period.1},
        "pricing": pricing(&price),
        "quantity": quantity,
        "quantity_decimal": quantity.to_string(),
        "subscription": sub["id"],
    })))
}

/// The line for a first period that is shorter than the others, because the billing cycle turns
/// at a moment of the caller's choosing.
pub fn of_stub(world: &World, sub: &Value, item: &Value, since: i64, free: bool) -> Answer {
    let period = (item.int("current_period_start"), item.int("current_period_end"));
    let mut line = of_item(world, sub, item, period)?;
    let whole = period.1 - since;
    let amount = if free { 0 } else { share(line.int("amount"), period.1 - period.0, whole)? };
    line["amount"] = amount.into();
    line["subtotal"] = amount.into();
    Ok(line)
}

/// The line that a pending invoice item becomes.
pub fn of_invoice_item(item: &Value) -> Value {
    let subscription = item.opt_text("parent.subscription_details.subscription");
    let si = item.opt_text("parent.subscription_details.subscription_item");
    let prorated = item.flag("proration");
    let details = json!({
        "invoice_item": item["id"], "proration": prorated,
        "proration_details": {"credited_items": null}, "subscription": subscription,
    });
    let mut parent = json!({"type": "invoice_item_details", "invoice_item_details": details});
    if let Some(si) = si {
        let mut details = details.clone();
        details["subscription_item"] = si.into();
        parent = json!({
            "type": "subscription_item_details", "subscription_item_details": details,
        });
    }
    line(json!({
        "amount": item["amount"],
        "subtotal": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discountable": item["discountable"],
        "metadata": item["metadata"],
        "parent": parent,
        "period": item["period"],
        "pricing": item["pricing"],
        "quantity": item["quantity"],
        "quantity_decimal": item["quantity_decimal"],
        "subscription": subscription,
    }))
}

/// A complete line.
fn line(mut line: Value) -> Value {
    line["id"] = ids::new("line_item").into();
    line["object"] = "line_item".into();
    if line["discountable"].is_null() {
        line["discountable"] = true.into();
    }
    for empty in ["discount_amounts", "discounts", "pretax_credit_amounts", "taxes"] {
        line[empty] = json!([]);
    }
    complete(spec(), "line_item", line)
}

/// Adds up lines.
pub fn total(lines: &[Value]) -> i64 {
    lines.iter().map(|line| line.int("amount")).fold(0, i64::saturating_add)
}

/// The pending items that the next invoice of a subscription takes, oldest first: its own and
/// those of its customer that name none, in its currency.
pub fn pending(world: &World, sub: &Value) -> Vec<Value> {
    let (id, currency) = (sub.opt_text("id"), sub.text("currency"));
    pending_of(world, sub.text("customer"), id)
        .into_iter()
        .filter(|item| item.text("currency") == currency)
        .collect()
}

/// The pending items of a customer, and of a subscription where one is named, oldest first.
pub fn pending_of(world: &World, customer: &str, subscription: Option<&str>) -> Vec<Value> {
    let waiting = world.store.oldest_by("invoiceitem", "customer", customer).filter(|item| {
        let of = item.opt_text("parent.subscription_details.subscription");
        item.opt_text("invoice").is_none()
            && !item.flag("deleted")
            && (of.is_none() || of == subscription)
    });
    waiting.cloned().collect()
}

/// Marks items as taken by an invoice and yields their lines.
pub fn take(world: &mut World, items: &[Value], invoice: &str) -> Vec<Value> {
    for item in items {
        world.edit("invoiceitem", item.text("id"), |item| item["invoice"] = invoice.into());
    }
    items.iter().map(of_invoice_item).collect()
}

/// What a product is called.
pub fn product_name(world: &World, price: &Value) -> String {
    let product = world.get("product", price.text("product"));
    product.map(|product| product.text("name").to_owned()).unwrap_or_default()
}

/// An amount the way an invoice prints it.
pub fn money(amount: i64, currency: &str) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let zero_decimal = ["jpy", "krw", "vnd", "clp", "pyg", "ugx", "xaf", "xof"];
    let amount = amount.unsigned_abs();
    let figure = match zero_decimal.contains(&currency) {
        true => amount.to_string(),
        false => format!("{}.{:02}", amount / 100, amount % 100),
    };
    match currency {
        "usd" => format!("{sign}${figure}"),
        "eur" => format!("{sign}€{figure}"),
        "gbp" => format!("{sign}£{figure}"),
        other => format!("{sign}{figure} {}", other.to_uppercase()),
    }
}

/// "at $29.00 / month".
pub fn rate(price: &Value) -> String {
    let amount = match price.opt_int("unit_amount") {
        Some(unit) => money(unit, price.text("currency")),
        None => format!("{} minor units", price.text("unit_amount_decimal")),
    };
    let interval = price.text("recurring.interval");
    match price.int("recurring.interval_count") {
        0 => format!("at {amount}"),
        1 => format!("at {amount} / {interval}"),
        count => format!("at {amount} every {count} {interval}s"),
    }
}

/// "22 Nov 2026".
pub fn day(moment: i64) -> String {
    let Ok(date) = OffsetDateTime::from_unix_timestamp(moment) else {
        return moment.to_string();
    };
    let month = date.month().to_string();
    format!("{} {} {}", date.day(), &month[..3], date.year())
}
