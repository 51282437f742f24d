//! Test clocks: a time of their own for a few customers.

use serde_json::{Value, json};

use super::{Route, delete, get, post};
use crate::billing::calendar::{self, DAY};
use crate::billing::due::{Scope, run_until};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[
    get("/v1/test_helpers/test_clocks", list),
    post("/v1/test_helpers/test_clocks", create),
    get("/v1/test_helpers/test_clocks/{test_clock}", read),
    delete("/v1/test_helpers/test_clocks/{test_clock}", remove),
    post("/v1/test_helpers/test_clocks/{test_clock}/advance", advance),
];

const KIND: &str = "test_helpers.test_clock";

fn list(call: &mut Call) -> Answer {
    page(call, KIND, "/v1/test_helpers/test_clocks", |_| true)
}

fn create(call: &mut Call) -> Answer {
    let clock = json!({
        "deletes_after": call.world.now() + 30 * DAY,
        "frozen_time": call.params.int("frozen_time"),
        "name": call.opt("name"),
        "status": "ready",
        "status_details": {},
    });
    let clock = call.world.create_and_tell(KIND, "test_helpers.test_clock.created", clock);
    Ok(call.world.render(&clock))
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find(KIND, call.id())?))
}

/// The customers of a clock.
fn customers(call: &Call, clock: &str) -> Vec<String> {
    let mine = call.world.store.oldest("customer").filter(|c| c.text("test_clock") == clock);
    mine.map(|customer| customer.text("id").to_owned()).collect()
}

/// How far a clock may go at once: two intervals of its shortest subscription.
fn furthest(call: &Call, clock: &str, from: i64) -> i64 {
    let mine = customers(call, clock);
    let subs = call.world.store.newest("subscription").filter(|sub| {
        sub.text("status") != "canceled" && mine.iter().any(|id| sub.text("customer") == id)
    });
    let ends = subs.flat_map(|sub| sub.list("items.data")).map(|item| {
        let (every, count) = calendar::interval(&item["price"]);
        calendar::add(from, every, 2 * count)
    });
    ends.min().unwrap_or(from + 2 * 366 * DAY)
}

fn advance(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let from = call.world.find(KIND, &id)?.int("frozen_time");
    let target = call.params.int("frozen_time");
    if target <= from {
        let message = "The frozen time must be after the clock's current frozen time.";
        return Err(ApiError::invalid(message).with("param", "frozen_time"));
    }
    if target > furthest(call, &id, from) {
        let message = "Cannot advance the clock by more than two intervals of the shortest \
                       subscription at once.";
        return Err(ApiError::invalid(message).with("param", "frozen_time"));
    }
    let advancing = call.world.edit(KIND, &id, |clock| {
        clock["status"] = "advancing".into();
        clock["status_details"] = json!({"advancing": {"target_frozen_time": target}});
    });
    call.world.emit("test_helpers.test_clock.advancing", &advancing, None);
    let answer = call.world.render(&advancing);
    run_until(call.world, Scope::Clock(&id), target)?;
    let ready = call.world.edit(KIND, &id, |clock| {
        clock["status"] = "ready".into();
        clock["status_details"] = json!({});
    });
    call.world.emit("test_helpers.test_clock.ready", &ready, None);
    Ok(answer)
}

fn remove(call: &mut Call) -> Answer {
    let id = call.id().to_owned();
    let clock = call.world.find(KIND, &id)?.clone();
    let mine = customers(call, &id);
    for kind in ["subscription", "invoice", "invoiceitem", "payment_method"] {
        let theirs = |object: &&Value| mine.iter().any(|id| object.text("customer") == id);
        let gone: Vec<String> = {
            let all = call.world.store.oldest(kind).filter(theirs);
            all.map(|object| object.text("id").to_owned()).collect()
        };
        gone.iter().for_each(|id| call.world.store.remove(kind, id));
    }
    for customer in mine {
        call.world.store.remove("customer", &customer);
    }
    call.world.store.remove(KIND, &id);
    call.world.emit("test_helpers.test_clock.deleted", &clock, None);
    Ok(json!({"id": id, "object": KIND, "deleted": true}))
}
