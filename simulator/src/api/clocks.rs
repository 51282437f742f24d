//! Test clocks: a time of their own for a few customers.

use serde_json::json;

use super::{Route, delete, get, post};
use crate::billing::calendar::{self, DAY};
use crate::billing::due::{Scope, run_until};
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;
use crate::world::World;

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
fn customers(world: &World, clock: &str) -> Vec<String> {
    let mine = world.store.oldest_by("customer", "test_clock", clock);
    mine.map(|customer| customer.text("id").to_owned()).collect()
}

/// How many customers a clock may have, and each of them subscriptions.
const MOST: usize = 3;

/// Whether a clock can take another customer.
pub fn admit_customer(world: &World, clock: &str) -> Answer<()> {
    let mine = world.store.oldest_by("customer", "test_clock", clock);
    if mine.count() < MOST {
        return Ok(());
    }
    let message = "You cannot have more than 3 customers on a test clock.";
    Err(ApiError::param("customers_limit_exceeded", "test_clock", message))
}

/// Whether a customer can take another subscription; the limit is that of test clocks.
pub fn admit_subscription(world: &World, customer: &str) -> Answer<()> {
    let owner = world.get("customer", customer).cloned().unwrap_or_default();
    let mut mine = world
        .store
        .oldest_by("subscription", "customer", customer)
        .filter(|sub| sub.text("status") != "canceled");
    if owner.opt_text("test_clock").is_none() || mine.nth(MOST - 1).is_none() {
        return Ok(());
    }
    let message = "A customer on a test clock cannot have more than 3 subscriptions.";
    Err(ApiError::invalid(message).with("param", "customer"))
}

/// How far a clock may go at once: two intervals of its shortest subscription.
fn furthest(call: &Call, clock: &str, from: i64) -> i64 {
    let mine = customers(call.world, clock);
    let theirs = |id: &String| call.world.store.newest_by("subscription", "customer", id);
    let subs = mine.iter().flat_map(theirs).filter(|sub| sub.text("status") != "canceled");
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
    call.world.find(KIND, &id)?;
    forget(call.world, &id);
    Ok(json!({"id": id, "object": KIND, "deleted": true}))
}

/// Deletes the clocks whose thirty days are over.
pub fn forget_old(world: &mut World) {
    let now = world.now();
    let old = world.store.oldest(KIND).filter(|clock| clock.int("deletes_after") <= now);
    let old: Vec<String> = old.map(|clock| clock.text("id").to_owned()).collect();
    old.iter().for_each(|id| forget(world, id));
}

/// Deletes a clock with all of its customers and what is theirs.
fn forget(world: &mut World, id: &str) {
    let clock = world.get(KIND, id).cloned().unwrap_or_default();
    let mine = customers(world, id);
    for kind in ["subscription", "invoice", "invoiceitem", "payment_method"] {
        let theirs = mine.iter().flat_map(|id| world.store.oldest_by(kind, "customer", id));
        let gone: Vec<String> = theirs.map(|object| object.text("id").to_owned()).collect();
        gone.iter().for_each(|id| world.store.remove(kind, id));
    }
    for customer in mine {
        world.store.remove("customer", &customer);
    }
    world.store.remove(KIND, id);
    world.emit("test_helpers.test_clock.deleted", &clock, None);
}
