//! What the gate's stories ask of `/v1`, in few words.

use serde_json::{Value, json};
use server::api_keys::Scope;
use tests::{Answer, Program, World, WorldOptions};

use crate::purchase;

/// A world whose plan Pro includes this many credits and bills what goes beyond them.
pub async fn world_with_overage(included: i64) -> World {
    let options = WorldOptions::nothing_free()
        .catalog("included_credits = 2000", &format!("included_credits = {included}"))
        .catalog(
            "models = [\"small-*\", \"large-*\"]\noverage = \"deny\"",
            "models = [\"small-*\", \"large-*\"]\noverage = \"allow\"\noverage_price = \"2\"",
        );
    World::with(options).await
}

/// A program of an org that pays for the plan Pro.
pub async fn subscriber(world: &World, name: &str) -> Program {
    let person = world.sign_up(name).await;
    purchase::subscribe(world, &person).await;
    let org = world.org_of(&person).await;
    let secret = world.key(&org, &[Scope::Read, Scope::Use]).await;
    Program::new(&world.url, &secret, &org)
}

/// Status and code of an answer that is not a success.
pub fn said(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.code())
}

/// The id of what was made.
pub fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body["id"].as_str().expect("an id").to_owned()
}

/// Sets credits aside.
pub async fn hold(program: &Program, key: &str, meter: &str, quantity: i64) -> Answer {
    hold_with(program, key, &json!({ "meter": meter, "quantity": quantity })).await
}

/// Sets credits aside, asked in full.
pub async fn hold_with(program: &Program, key: &str, body: &Value) -> Answer {
    program.post("holds", Some(key), body).await
}

/// An open hold's id.
pub async fn held(program: &Program, key: &str, meter: &str, quantity: i64) -> String {
    id(&hold(program, key, meter, quantity).await)
}

/// An open hold that lives so many seconds.
pub async fn held_for(program: &Program, key: &str, quantity: i64, seconds: i64) -> String {
    let body = json!({ "meter": "text", "quantity": quantity, "ttl_seconds": seconds });
    id(&hold_with(program, key, &body).await)
}

/// How a hold stands.
pub async fn look(program: &Program, hold: &str) -> Value {
    let answer = program.get(&format!("holds/{hold}")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body
}

/// Charges a hold.
pub async fn capture(program: &Program, hold: &str, key: &str, body: &Value) -> Answer {
    program.post(&format!("holds/{hold}/capture"), Some(key), body).await
}

/// Charges a hold with so much of its meter.
pub async fn capture_of(program: &Program, hold: &str, key: &str, quantity: i64) -> Answer {
    capture(program, hold, key, &json!({ "quantity": quantity })).await
}

/// Gives a hold back.
pub async fn release(program: &Program, hold: &str, key: &str) -> Answer {
    program.post(&format!("holds/{hold}/release"), Some(key), &json!({})).await
}

/// Gives a hold more time.
pub async fn extend(program: &Program, hold: &str, key: &str, seconds: i64) -> Answer {
    let body = json!({ "ttl_seconds": seconds });
    program.post(&format!("holds/{hold}/extend"), Some(key), &body).await
}

/// Takes a use back.
pub async fn reverse(program: &Program, usage: &str, key: &str) -> Answer {
    let body = json!({ "reason": "it never arrived" });
    program.post(&format!("usage/{usage}/reverse"), Some(key), &body).await
}

/// Tells use afterwards; the answers, item by item.
pub async fn batch(program: &Program, items: Value) -> Vec<Value> {
    let answer = program.post("usage/batch", None, &json!({ "items": items })).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body["data"].as_array().expect("a list").clone()
}

/// Status and code of each item's answer.
pub fn item_codes(answers: &[Value]) -> Vec<(u16, &str)> {
    let told = answers.iter().map(|answer| {
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        (u16::try_from(answer["status"].as_u64().unwrap_or_default()).unwrap_or(0), code)
    });
    told.collect()
}

/// Uses so much of a meter, and it must be allowed.
pub async fn uses(program: &Program, key: &str, meter: &str, quantity: i64) -> Value {
    let answer = program.consume(key, meter, quantity).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body
}

/// What can be spent, and what is held.
pub async fn standing(program: &Program) -> (String, String) {
    let body = program.get("balance").await.body;
    let text = |name: &str| body[name].as_str().expect("credits").to_owned();
    (text("available"), text("held"))
}

/// The kinds of the newest movements, newest first.
pub async fn kinds(program: &Program, count: usize) -> Vec<String> {
    let ledger = program.get(&format!("ledger?limit={count}")).await.body;
    let data = ledger["data"].as_array().expect("a list").iter();
    data.filter_map(|movement| movement["kind"].as_str().map(str::to_owned)).collect()
}
