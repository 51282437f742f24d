//! Kill -9 between the webhook and its effect: nothing is lost, nothing comes twice.

use serde_json::json;
use tests::Person;

use crate::program::Program;

const CARD: [(&str, &str); 4] =
    [("number", "4242424242424242"), ("expiry", "12 / 34"), ("cvc", "123"), ("name", "Ada")];

#[tokio::test(flavor = "multi_thread")]
async fn credits_arrive_once_after_a_kill_between_webhook_and_effect() {
    // A5, A6, A17
    let mut program = Program::start().await;
    let mut ada = Person::stranger(&program.url);
    ada.sign_up("Ada").await;
    let page = ada.visit("/pricing").await;
    let form = page.forms().into_iter().find(|form| form.action.contains("subscribe"));
    let card = ada.submit(&page, &form.expect("a plan to buy")).await;
    // From here on Stripe answers no question: events are stored, but nothing can be done yet.
    let faults = format!("{}/_sim/faults", program.stripe);
    let body = json!({ "api": { "status": 500, "count": 100_000 } });
    let set = ada.client().post(&faults).json(&body).send().await.expect("an answer");
    assert!(set.status().is_success());
    ada.fill(&card, "/c/pay/", &CARD).await;
    let mut waiting = String::new();
    for _ in 0..100 {
        waiting = program.command(&["events", "list", "--json"]);
        if waiting.contains("checkout.session.completed") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(waiting.contains("checkout.session.completed"), "{waiting}");
    program.kill();
    program.start_again().await;
    let calm = json!({ "api": { "status": 500, "count": 0 } });
    ada.client().post(&faults).json(&calm).send().await.expect("an answer");
    let mut text = String::new();
    for _ in 0..900 {
        text = ada.visit("/dashboard").await.text();
        if text.contains("2,000") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(text.contains("2,000"), "the credits arrived: {text}");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let verified = program.command(&["ledger", "verify", "--json"]);
    assert!(verified.contains("\"ok\":true") || verified.contains("\"ok\": true"), "{verified}");
    let statement = ada.visit("/credits").await.text();
    assert_eq!(statement.matches("+2,000").count(), 1, "once: {statement}");
    program.end().await;
}
