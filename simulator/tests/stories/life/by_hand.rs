//! Invoices made by the API, with items of their own.

use serde_json::json;

use super::super::support::id;
use super::{DAY, HOUR, Person, amounts, sums};

#[tokio::test]
async fn an_invoice_that_advances_is_finalized_and_charged_after_an_hour() {
    let mut person = Person::with_card().await;
    let customer = person.customer.clone();
    let form = format!("customer={customer}&auto_advance=true&metadata[contract]=c1");
    let draft = person.bench.post("/v1/invoices", &form).await;
    assert_eq!(draft["automatically_finalizes_at"], person.now + HOUR);
    let price = person.bench.price("Hours", 500, None).await;
    for form in [
        format!("customer={customer}&invoice={}&pricing[price]={price}&quantity=3", id(&draft)),
        format!("customer={customer}&invoice={}&amount=-200&currency=usd", id(&draft)),
    ] {
        person.bench.post("/v1/invoiceitems", &form).await;
    }
    let updates = person.events("invoice.updated").await;
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[0]["data"]["previous_attributes"]["total"], 0);
    person.pass(HOUR).await;
    let paid = person.invoice(&draft["id"]).await;
    assert_eq!(amounts(&paid), [1500, -200]);
    assert_eq!(sums(&paid), json!([1300, 1300, "paid"]));
    assert_eq!(
        (&paid["billing_reason"], &paid["metadata"]["contract"]),
        (&json!("manual"), &json!("c1"))
    );
    let late = format!("customer={customer}&invoice={}&amount=1&currency=usd", id(&draft));
    let (status, error) = person.bench.call("POST", "/v1/invoiceitems", &late).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("invoice_not_editable")));
    person.bench.end().await;
}

#[tokio::test]
async fn pending_items_are_taken_when_asked_and_late_ones_wait_for_the_next_invoice() {
    // E6
    let mut person = Person::with_card().await;
    let customer = person.customer.clone();
    let price = person.bench.price("Pro", 1000, Some("month")).await;
    let sub = person.monthly(&price).await;
    let overage = format!("customer={customer}&subscription={sub}&amount=70&currency=usd");
    person.bench.post("/v1/invoiceitems", &overage).await;
    let form = format!("customer={customer}");
    let empty = person.bench.post("/v1/invoices", &form).await;
    assert_eq!(amounts(&empty), [] as [i64; 0]);
    let (status, _) =
        person.bench.call("DELETE", &format!("/v1/invoices/{}", id(&empty)), "").await;
    assert_eq!(status, 200);
    person.pass(31 * DAY + 60).await;
    let draft = person.newest().await;
    assert_eq!((amounts(&draft), &draft["status"]), (vec![70, 1000], &json!("draft")));
    let item = person.bench.post("/v1/invoiceitems", &overage).await;
    assert!(item["invoice"].is_null(), "it waits for the next one");
    let onto = format!("customer={customer}&invoice={}&amount=5&currency=usd", id(&draft));
    person.bench.post("/v1/invoiceitems", &onto).await;
    person.pass(HOUR).await;
    assert_eq!(sums(&person.invoice(&draft["id"]).await), json!([1075, 1075, "paid"]));
    let form = format!(
        "customer={customer}&subscription={sub}&pending_invoice_items_behavior=include\
         &auto_advance=true"
    );
    let extra = person.bench.post("/v1/invoices", &form).await;
    assert_eq!(amounts(&extra), [70]);
    assert_eq!(extra["parent"]["subscription_details"]["subscription"], json!(sub));
    person.bench.post(&format!("/v1/invoices/{}/finalize", id(&extra)), "").await;
    person.bench.post(&format!("/v1/invoices/{}/pay", id(&extra)), "").await;
    assert_eq!(person.sub(&sub).await["status"], "active");
    person.bench.end().await;
}

#[tokio::test]
async fn a_discount_of_its_own_and_a_voided_invoice_that_gives_back_the_balance() {
    let person = Person::with_card().await;
    let customer = person.customer.clone();
    person.bench.post("/v1/coupons", "id=TEN&percent_off=10").await;
    person.bench.post(&format!("/v1/customers/{customer}"), "balance=-100").await;
    let item = format!("customer={customer}&amount=1000&currency=usd");
    person.bench.post("/v1/invoiceitems", &item).await;
    let form = format!(
        "customer={customer}&discounts[0][coupon]=TEN&pending_invoice_items_behavior=include"
    );
    let draft = person.bench.post("/v1/invoices", &form).await;
    assert_eq!(sums(&draft), json!([900, 800, "draft"]));
    let path = format!("/v1/invoices/{}", id(&draft));
    person.bench.post(&format!("{path}/finalize"), "").await;
    assert_eq!(person.balance().await, 0);
    person.bench.post(&format!("{path}/void"), "").await;
    assert_eq!(person.balance().await, -100);
    assert_eq!(person.before("customer.updated").await, json!({"balance": 0}));
    person.bench.end().await;
}
