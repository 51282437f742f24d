//! Other shapes an event can have: that of an older API version, and the thin one.
//!
//! Only what moved in the version of March 2025 is moved back; that is what receivers trip over.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::json::Json;
use crate::world::World;

/// The version whose shape is made.
const OLD_VERSION: &str = "2024-06-20";
/// The first day of the version that moved periods and invoice parents.
const BASIL: &str = "2025-03-31";
/// How much a huge event carries beside its object.
const PADDING: usize = 3 * 1024 * 1024;

/// Whether a version is older than the one that moved things.
pub fn before_basil(version: &str) -> bool {
    version.get(..10).is_some_and(|day| day < BASIL)
}

/// The event as an endpoint of an older version gets it.
pub fn old(world: &World, mut event: Value) -> Value {
    event["api_version"] = OLD_VERSION.into();
    let object = &mut event["data"]["object"];
    match object.text("object") {
        "subscription" => old_subscription(object),
        "invoice" => old_invoice(world, object),
        "charge" => {
            let intent = object.text("payment_intent").to_owned();
            object["invoice"] = invoice_of(world, &intent);
        }
        "payment_intent" => {
            let intent = object.text("id").to_owned();
            object["invoice"] = invoice_of(world, &intent);
        }
        _ => {}
    }
    event
}

fn take_off(value: &mut Value, names: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        names.iter().for_each(|name| {
            map.shift_remove(*name);
        });
    }
}

/// The period stood on the subscription, not on its items.
fn old_subscription(sub: &mut Value) {
    for name in ["current_period_start", "current_period_end"] {
        sub[name] = sub.at("items.data.0").at(name).clone();
    }
    for item in sub["items"]["data"].as_array_mut().into_iter().flatten() {
        take_off(item, &["current_period_start", "current_period_end"]);
    }
    take_off(sub, &["billing_mode", "billing_schedules"]);
}

/// The invoice named its subscription and its payment itself.
fn old_invoice(world: &World, invoice: &mut Value) {
    let details = invoice.at("parent.subscription_details").clone();
    invoice["subscription"] = details["subscription"].clone();
    invoice["subscription_details"] = json!({"metadata": details["metadata"]});
    let id = invoice.text("id").to_owned();
    let payment = world.store.newest_by("invoice_payment", "invoice", &id).next();
    let intent = payment.map(|p| p.at("payment.payment_intent").clone()).unwrap_or_default();
    let charge = world.get("payment_intent", intent.as_str().unwrap_or(""));
    invoice["charge"] = charge.map(|pi| pi["latest_charge"].clone()).unwrap_or_default();
    invoice["payment_intent"] = intent;
    invoice["paid"] = (invoice.text("status") == "paid").into();
    for line in invoice["lines"]["data"].as_array_mut().into_iter().flatten() {
        old_line(world, line);
    }
    take_off(invoice, &["parent", "payments"]);
}

fn old_line(world: &World, line: &mut Value) {
    let price = world.get("price", line.text("pricing.price_details.price"));
    line["price"] = price.map(|price| world.render(price)).unwrap_or_default();
    let details = line.at("parent.subscription_item_details").clone();
    line["type"] = if details.is_object() { "subscription" } else { "invoiceitem" }.into();
    line["proration"] = details.flag("proration").into();
    line["subscription_item"] = details["subscription_item"].clone();
    take_off(line, &["parent", "pricing"]);
}

fn invoice_of(world: &World, intent: &str) -> Value {
    let field = "payment.payment_intent";
    let found = world.store.newest_by("invoice_payment", field, intent).next();
    found.map(|payment| payment["invoice"].clone()).unwrap_or_default()
}

/// The event as a thin one: which object changed, not what it is.
pub fn thin(event: &Value) -> Value {
    let object = event.at("data.object");
    let created = OffsetDateTime::from_unix_timestamp(event.int("created")).ok();
    let created = created.and_then(|time| time.format(&Rfc3339).ok());
    let (id, kind) = (object.text("id"), object.text("object"));
    json!({
        "id": event["id"],
        "object": "v2.core.event",
        "type": format!("v1.{}", event.text("type")),
        "created": created,
        "livemode": false,
        "reason": null,
        "related_object": {"id": id, "type": kind, "url": path_of(kind, id)},
        "snapshot_event": event["id"],
    })
}

/// Where an object is read.
fn path_of(kind: &str, id: &str) -> String {
    match kind.split_once('.') {
        Some((group, noun)) => format!("/v1/{group}/{noun}s/{id}"),
        None => format!("/v1/{kind}s/{id}"),
    }
}

/// The event with far more in it than anybody expects.
pub fn huge(mut event: Value) -> Value {
    event["padding"] = "x".repeat(PADDING).into();
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_subscription_has_its_period_itself() {
        let item = json!({"id": "si_1", "current_period_start": 1, "current_period_end": 2});
        let mut sub = json!({"object": "subscription", "items": {"data": [item]},
                             "billing_mode": {}});
        old_subscription(&mut sub);
        assert_eq!((sub.int("current_period_start"), sub.int("current_period_end")), (1, 2));
        assert!(sub.at("items.data.0.current_period_end").is_null());
        assert!(sub.get("billing_mode").is_none());
        assert!(before_basil("2024-06-20") && !before_basil("2025-03-31.basil"));
    }

    #[test]
    fn a_thin_event_names_its_object_only() {
        let object = json!({"id": "cs_1", "object": "checkout.session", "amount_total": 5});
        let event = json!({"id": "evt_1", "type": "checkout.session.completed", "created": 0,
                           "data": {"object": object}});
        let thin = thin(&event);
        assert_eq!(thin["type"], "v1.checkout.session.completed");
        assert_eq!(thin["related_object"]["url"], "/v1/checkout/sessions/cs_1");
        assert_eq!(thin["created"], "1970-01-01T00:00:00Z");
        assert!(thin.get("data").is_none());
    }
}
