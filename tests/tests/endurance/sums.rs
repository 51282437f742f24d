//! Small words that several stories share: a hold, a balance, whole credits.

use serde_json::{Value, json};
use tests::Program;

/// Sets aside so many texts, of a credit each, and tells the hold's id.
pub async fn hold(program: &Program, key: &str, quantity: i64, ttl_seconds: i64) -> String {
    let body = json!({ "meter": "text", "quantity": quantity, "ttl_seconds": ttl_seconds });
    let answer = program.post("holds", Some(key), &body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body["id"].as_str().expect("an id").to_owned()
}

/// The wallet has exactly so many whole credits available and held.
pub async fn expect(program: &Program, available: i64, held: i64) {
    let balance = program.get("balance").await.body;
    let found = (whole(&balance["available"]), whole(&balance["held"]));
    assert_eq!(found, (available, held), "{balance}");
}

/// Whole credits, from the decimal that the API speaks.
pub fn whole(credits: &Value) -> i64 {
    let text = credits.as_str().unwrap_or_else(|| panic!("{credits} is no decimal"));
    text.parse().unwrap_or_else(|_| panic!("{text} is not whole"))
}
