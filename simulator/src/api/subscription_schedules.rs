//! Subscription schedules: what a subscription will become, phase by phase.

use serde_json::Value;

use super::{Route, get, post};
use crate::billing::releasing;
use crate::billing::scheduling::{self, KIND};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/subscription_schedules", list),
    post("/v1/subscription_schedules", create),
    get("/v1/subscription_schedules/{schedule}", read),
    post("/v1/subscription_schedules/{schedule}", update),
    post("/v1/subscription_schedules/{schedule}/cancel", cancel),
    post("/v1/subscription_schedules/{schedule}/release", release),
];

fn list(call: &mut Call) -> Answer {
    let customer = call.opt("customer");
    let scheduled = call.params["scheduled"].as_bool().unwrap_or(false);
    page(call, KIND, "/v1/subscription_schedules", |schedule| {
        customer.as_deref().is_none_or(|id| schedule.text("customer") == id)
            && (!scheduled || schedule.text("status") == "not_started")
    })
}

fn create(call: &mut Call) -> Answer {
    let metadata = call.metadata(&Value::Null)?;
    if let Some(sub) = call.opt("from_subscription") {
        call.world.find_param("subscription", &sub, "from_subscription")?;
        if call.given("phases") || call.given("customer") {
            let message = "You can not pass phases or a customer with from_subscription; update \
                           the schedule afterwards.";
            return Err(ApiError::invalid(message).with("param", "from_subscription"));
        }
        let made = scheduling::from_subscription(call.world, &sub, metadata)?;
        return Ok(call.world.render(&made));
    }
    let customer = call.need("customer")?;
    call.world.find_param("customer", &customer, "customer")?;
    let now = call.world.now_for(&customer);
    let start = call.params.opt_int("start_date").unwrap_or(now);
    if start < now {
        let message = "A schedule can not begin in the past.";
        return Err(ApiError::invalid(message).with("param", "start_date"));
    }
    let mut params = call.params.clone();
    params["metadata"] = metadata;
    now_as_moment(&mut params, now);
    let made = scheduling::create(call.world, &customer, &params, start)?;
    Ok(call.world.render(&made))
}

/// `now` in the phases' dates becomes the moment it is.
fn now_as_moment(params: &mut Value, now: i64) {
    for phase in params["phases"].as_array_mut().into_iter().flatten() {
        for name in ["start_date", "end_date", "trial_end"] {
            if phase[name] == "now" {
                phase[name] = now.into();
            }
        }
    }
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find(KIND, call.id())?))
}

fn update(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let before = call.world.find(KIND, &id)?.clone();
    let metadata = call.metadata(&before["metadata"])?;
    let mut params = call.params.clone();
    now_as_moment(&mut params, call.world.now_for(before.text("customer")));
    let found = scheduling::update(call.world, &id, &params, metadata)?;
    Ok(call.world.render(&found))
}

fn cancel(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let (prorate, bill) = (call.params.flag("prorate"), call.params.flag("invoice_now"));
    let found = releasing::cancel(call.world, &id, prorate, bill)?;
    Ok(call.world.render(&found))
}

fn release(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let keep_end = call.params.flag("preserve_cancel_date");
    let found = releasing::release(call.world, &id, keep_end)?;
    Ok(call.world.render(&found))
}
