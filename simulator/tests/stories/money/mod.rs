//! Money out and back: charges, consent, refunds, disputes, invoices written off, credit notes.
//!
//! Every story ends by asking the judge, which saw every answer and every event.

mod client;
mod credit_notes;
mod debits;
mod disputes;
mod intents;
mod invoices;
mod refunds;
mod setups;

use serde_json::{Value, json};

use super::support::{Bench, id};

/// Pays at once with a test card; answers the intent and its charge.
async fn paid(bench: &Bench, card: &str, amount: i64) -> (String, String) {
    let form = format!("amount={amount}&currency=usd&payment_method={card}&confirm=true");
    let intent = bench.post("/v1/payment_intents", &form).await;
    assert_eq!(intent["status"], "succeeded", "{intent}");
    (id(&intent), intent["latest_charge"].as_str().expect("a charge").to_owned())
}

/// All events of these types, oldest first.
async fn events(bench: &Bench, types: &[&str]) -> Vec<Value> {
    let filter: Vec<String> = types.iter().map(|kind| format!("types[]={kind}")).collect();
    let all = bench.get(&format!("/v1/events?limit=100&{}", filter.join("&"))).await;
    let mut all = all["data"].as_array().expect("a list").clone();
    all.reverse();
    all
}

/// The one event of this type: its object and what the object was before.
async fn only(bench: &Bench, kind: &str) -> (Value, Value) {
    let all = events(bench, &[kind]).await;
    assert_eq!(all.len(), 1, "{kind}: {all:?}");
    let data = &all[0]["data"];
    (data["object"].clone(), data["previous_attributes"].clone())
}

/// Does something on the control surface that must be refused.
async fn refused(bench: &Bench, path: &str, body: Value) -> u16 {
    let request = bench.http.post(format!("{}{path}", bench.url)).json(&body);
    request.send().await.expect("an answer").status().as_u16()
}

/// Ends a story: everything that was answered and told fits its schema.
async fn end(bench: Bench) {
    let answer = bench.http.get(format!("{}/_sim/judge", bench.url)).send().await;
    let verdict: Value = answer.expect("an answer").json().await.expect("JSON");
    assert!(verdict["checked"].as_i64().is_some_and(|count| count > 0), "the judge is on");
    assert_eq!(verdict["wrong"], json!([]));
    bench.running.stop().await;
}
