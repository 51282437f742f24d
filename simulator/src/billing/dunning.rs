//! Dunning: when a refused charge is tried again, and what the last refusal means.
//!
//! It decides and sets states; charging itself is in `paying`.

use serde_json::Value;

use super::calendar::DAY;
use super::{paying, subscribing};
use crate::json::Json;
use crate::world::{AfterRetries, World};

/// How many days after each refusal the charge is tried again.
const RETRY_DAYS: [i64; 3] = [3, 5, 7];

/// When the invoice is charged again after an attempt that was refused just now. An attempt made
/// by hand leaves the plan as it is.
pub fn next_attempt(world: &mut World, invoice: &Value) -> Option<i64> {
    let now = world.now_for(invoice.text("customer"));
    if let Some(planned) = invoice.opt_int("next_payment_attempt").filter(|at| *at > now) {
        return Some(planned);
    }
    if !is_retried(invoice) || subscribing::awaits(world, invoice) {
        return None;
    }
    let made = invoice.int("_sim.retries");
    let wait = usize::try_from(made).ok().and_then(|n| RETRY_DAYS.get(n))?;
    world.edit("invoice", invoice.text("id"), |invoice| invoice.put("_sim.retries", made + 1));
    Some(now + wait * DAY)
}

/// A first invoice is never tried again by itself, and one by hand only when it advances.
fn is_retried(invoice: &Value) -> bool {
    invoice.flag("auto_advance")
        && invoice.text("billing_reason") != "subscription_create"
        && invoice.text("collection_method") != "send_invoice"
}

/// What a refusal means for the customer and the subscription behind the invoice.
pub fn after_failure(world: &mut World, invoice: &Value) {
    let sub = paying::subscription_of(world, invoice);
    let first = invoice.text("billing_reason") == "subscription_create";
    if first || subscribing::awaits(world, invoice) {
        return;
    }
    subscribing::set_delinquent(world, invoice.text("customer"), true);
    let Some(id) = sub.opt_text("id").map(str::to_owned) else {
        return;
    };
    let over = is_retried(invoice) && invoice["next_payment_attempt"].is_null();
    match world.settings.after_retries {
        AfterRetries::Cancel if over => {
            subscribing::end(world, &id, "payment_failed", true);
        }
        AfterRetries::Unpaid if over => subscribing::set_status(world, &id, "unpaid"),
        _ if sub.text("status") == "unpaid" => {}
        _ => subscribing::set_status(world, &id, "past_due"),
    }
}
