//! The real client reads what a subscription's life leaves behind: it parses strictly.

use serde_json::json;
use stripe::Client;
use stripe_billing::invoice::{
    CreatePreviewInvoice, CreatePreviewInvoiceSubscriptionDetails,
    CreatePreviewInvoiceSubscriptionDetailsItems, ListInvoice,
};
use stripe_billing::subscription::{PauseSubscription, RetrieveSubscription};
use stripe_billing::subscription_schedule::{
    CreateSubscriptionSchedule, ListSubscriptionSchedule, ReleaseSubscriptionSchedule,
    RetrieveSubscriptionSchedule,
};
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::super::support::{KEY, id};
use super::{HALF, Person, item};

fn client(person: &Person) -> Client {
    stripe::ClientBuilder::new(KEY).url(person.bench.url.as_str()).build().expect("a client")
}

fn fields(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

#[tokio::test]
async fn schedules_coupons_and_previews_are_read() {
    let mut person = Person::with_card().await;
    let client = client(&person);
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    person.bench.post("/v1/coupons", "id=TEN&percent_off=10.5&duration=forever").await;
    let code = "promotion[type]=coupon&promotion[coupon]=TEN&code=TEN";
    let code = id(&person.bench.post("/v1/promotion_codes", code).await);
    let form = format!("items[0][price]={small}&discounts[0][promotion_code]={code}");
    let sub = person.subscribe(&form).await;
    person.pass(HALF).await;

    let coupon: stripe_shared::Coupon = RequestBuilder::new(StripeMethod::Get, "/coupons/TEN")
        .customize()
        .send(&client)
        .await
        .expect("a coupon");
    assert_eq!(coupon.percent_off, Some(10.5));
    let path = format!("/promotion_codes/{code}");
    let code: stripe_shared::PromotionCode = RequestBuilder::new(StripeMethod::Get, path)
        .customize()
        .send(&client)
        .await
        .expect("a promotion code");
    assert_eq!((code.code.as_str(), code.times_redeemed), ("TEN", 1));

    let schedule = CreateSubscriptionSchedule::new()
        .from_subscription(id(&sub))
        .send(&client)
        .await
        .expect("a schedule");
    let schedule = RetrieveSubscriptionSchedule::new(schedule.id)
        .expand(fields(&["subscription", "customer"]))
        .send(&client)
        .await
        .expect("the schedule");
    assert_eq!(schedule.phases.len(), 1);
    let mine = ListSubscriptionSchedule::new().customer(person.customer.as_str());
    assert_eq!(mine.send(&client).await.expect("schedules").data.len(), 1);
    let read = RetrieveSubscription::new(id(&sub))
        .expand(fields(&["schedule", "discounts", "latest_invoice.discounts"]))
        .send(&client)
        .await
        .expect("the subscription with everything in it");
    assert!(read.schedule.is_some_and(|schedule| schedule.is_object()));
    assert!(read.discounts[0].is_object());
    let released =
        ReleaseSubscriptionSchedule::new(schedule.id).send(&client).await.expect("released");
    assert!(released.released_subscription.is_some());

    let mut change = CreatePreviewInvoiceSubscriptionDetailsItems::new();
    change.id = Some(item(&sub, 0));
    change.price = Some(large);
    let mut details = CreatePreviewInvoiceSubscriptionDetails::new();
    details.items = Some(vec![change]);
    let preview = CreatePreviewInvoice::new()
        .subscription(id(&sub))
        .subscription_details(details)
        .send(&client)
        .await
        .expect("a preview");
    assert_eq!(preview.lines.data.len(), 3);
    let invoices = ListInvoice::new().expand(fields(&["data.discounts"])).send(&client).await;
    assert_eq!(invoices.expect("invoices").data[0].total, 895);
    person.bench.end().await;
}

#[tokio::test]
async fn paused_and_pending_subscriptions_are_read() {
    let mut person = Person::with_card().await;
    let client = client(&person);
    let price = person.bench.price("Pro", 1000, Some("month")).await;
    let sub = person.monthly(&price).await;
    person.pass(HALF).await;
    person.card("pm_card_chargeCustomerFail").await;
    let si = item(&person.sub(&sub).await, 0);
    let form = format!(
        "items[0][id]={si}&items[0][quantity]=3&proration_behavior=always_invoice\
         &payment_behavior=pending_if_incomplete"
    );
    person.change(&sub, &form).await;
    let waiting = RetrieveSubscription::new(sub.as_str()).send(&client).await.expect("it");
    let update = waiting.pending_update.expect("a pending update");
    assert_eq!(update.subscription_items.expect("items")[0].quantity, Some(3));
    let paused = PauseSubscription::new(sub.as_str()).send(&client).await.expect("a pause");
    assert_eq!(paused.status, stripe_shared::SubscriptionStatus::Paused);
    let why = paused.status_details.expect("details").paused.subscription.type_.to_string();
    assert_eq!(json!(why), "pause_requested");
    person.bench.end().await;
}
