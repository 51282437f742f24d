//! The real client, async-stripe, against the simulator: it parses strictly, and nothing special
//! is set in it but the address.

use std::collections::HashMap;

use super::support::{Bench, CARD};
use serde_json::json;
use stripe::Client;
use stripe_billing::billing_portal_session::CreateBillingPortalSession;
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_billing::invoice_payment::ListInvoicePayment;
use stripe_billing::subscription::{
    ListSubscription, ListSubscriptionStatus, RetrieveSubscription, UpdateSubscription,
};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    RetrieveCheckoutSession,
};
use stripe_core::charge::ListCharge;
use stripe_core::customer::{CreateCustomer, ListCustomer, RetrieveCustomer};
use stripe_core::event::ListEvent;
use stripe_core::payment_intent::{CreatePaymentIntent, CreatePaymentIntentOffSession};
use stripe_core::refund::CreateRefund;
use stripe_product::price::{
    CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval, ListPrice,
};
use stripe_product::product::{CreateProduct, ListProduct};

fn fields(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn client(bench: &Bench) -> Client {
    stripe::ClientBuilder::new(super::support::KEY)
        .url(bench.url.as_str())
        .build()
        .expect("a client")
}

fn of_org() -> HashMap<String, String> {
    HashMap::from([("org_id".to_owned(), "org_1".to_owned())])
}

/// A customer, and a price that is found again under its lookup key; answers both ids.
async fn customer_and_price(client: &Client) -> (String, String) {
    let customer = CreateCustomer::new()
        .email("ada@example.com")
        .metadata(of_org())
        .send(client)
        .await
        .expect("a customer");
    let product = CreateProduct::new("Pro")
        .id("prod_pro")
        .metadata(HashMap::from([("kind".to_owned(), "plan".to_owned())]))
        .send(client)
        .await
        .expect("a product");
    let price = CreatePrice::new(stripe_types::Currency::USD)
        .product(product.id.as_str())
        .unit_amount(2900)
        .lookup_key("pro_monthly")
        .recurring(CreatePriceRecurring::new(CreatePriceRecurringInterval::Month))
        .send(client)
        .await
        .expect("a price");
    let prices = ListPrice::new()
        .active(true)
        .lookup_keys(fields(&["pro_monthly"]))
        .expand(fields(&["data.product"]))
        .send(client)
        .await
        .expect("prices");
    let expanded = prices.data[0].product.as_object().expect("the product inside");
    assert_eq!(expanded.metadata["kind"], "plan");
    assert_eq!(ListProduct::new().active(true).send(client).await.expect("list").data.len(), 1);
    (customer.id.to_string(), price.id.to_string())
}

/// Buys the price on the card page and reads the session back with everything in it.
async fn buy(bench: &Bench, client: &Client, customer: &str, price: &str) {
    let mut line = CreateCheckoutSessionLineItems::new();
    line.price = Some(price.to_owned());
    line.quantity = Some(1);
    let mut data = CreateCheckoutSessionSubscriptionData::new();
    data.metadata = Some(of_org());
    let session = CreateCheckoutSession::new()
        .mode(stripe_shared::CheckoutSessionMode::Subscription)
        .customer(customer)
        .client_reference_id("org_1")
        .line_items(vec![line])
        .subscription_data(data)
        .success_url("http://127.0.0.1:9/ok?session_id={CHECKOUT_SESSION_ID}")
        .cancel_url("http://127.0.0.1:9/no")
        .send(client)
        .await
        .expect("a session");
    assert!(session.url.as_deref().expect("a url").starts_with(&bench.url));
    let (status, _, body) = bench.pay(session.id.as_str(), &CARD).await;
    assert_eq!(status, 303, "{body}");

    let session = RetrieveCheckoutSession::new(session.id.clone())
        .expand(fields(&["line_items", "subscription", "customer", "invoice"]))
        .send(client)
        .await
        .expect("the session with everything in it");
    let sub = session.subscription.as_ref().and_then(|s| s.as_object()).expect("a subscription");
    assert_eq!(sub.metadata["org_id"], "org_1");
    assert_eq!(sub.status, stripe_shared::SubscriptionStatus::Active);
}

/// Reads what the purchase left behind and refunds it; answers the subscription's id.
async fn read_and_refund(client: &Client, customer: &str) -> String {
    let subs = ListSubscription::new()
        .customer(customer)
        .status(ListSubscriptionStatus::All)
        .send(client)
        .await
        .expect("subscriptions");
    assert_eq!(subs.data.len(), 1);
    let sub = RetrieveSubscription::new(subs.data[0].id.clone())
        .expand(fields(&["latest_invoice", "default_payment_method", "customer"]))
        .send(client)
        .await
        .expect("the subscription");
    let invoice = sub.latest_invoice.as_ref().expect("an invoice").id().clone().expect("an id");
    let invoice = RetrieveInvoice::new(invoice)
        .expand(fields(&["payments", "parent.subscription_details.subscription"]))
        .send(client)
        .await
        .expect("the invoice");
    assert_eq!(invoice.amount_paid, 2900);
    assert_eq!(invoice.lines.data.len(), 1);
    let id = invoice.id.clone().expect("an id");
    let payments = ListInvoicePayment::new()
        .invoice(id.as_str())
        .expand(fields(&["data.payment.payment_intent"]))
        .send(client)
        .await
        .expect("payments");
    assert_eq!(payments.data.len(), 1);
    let mine = ListInvoice::new().customer(customer).send(client).await;
    assert_eq!(mine.expect("invoices").data.len(), 1);
    let charges = ListCharge::new().customer(customer).send(client).await;
    let charge = charges.expect("charges").data[0].id.clone();
    CreateRefund::new().charge(charge.as_str()).send(client).await.expect("a refund");
    sub.id.to_string()
}

#[tokio::test]
async fn the_real_client_reads_every_object_of_the_chain() {
    let bench = Bench::new().await;
    let client = client(&bench);
    let (customer, price) = customer_and_price(&client).await;
    buy(&bench, &client, &customer, &price).await;
    let sub = read_and_refund(&client, &customer).await;
    let updated = UpdateSubscription::new(sub)
        .cancel_at_period_end(true)
        .send(&client)
        .await
        .expect("an update");
    assert!(updated.cancel_at.is_some());
    let portal = CreateBillingPortalSession::new()
        .customer(customer.as_str())
        .return_url("http://127.0.0.1:9/account")
        .send(&client)
        .await
        .expect("a portal session");
    assert!(portal.url.contains("/p/session/"));
    RetrieveCustomer::new(customer)
        .expand(fields(&["subscriptions", "invoice_settings.default_payment_method"]))
        .send(&client)
        .await
        .expect("the customer");
    let found = ListCustomer::new().email("ada@example.com").send(&client).await;
    assert_eq!(found.expect("customers").data.len(), 1);
    let events = ListEvent::new().limit(100).send(&client).await.expect("events");
    assert!(events.data.len() > 15);
    bench.end().await;
}

#[tokio::test]
async fn a_refused_charge_carries_its_intent() {
    let bench = Bench::new().await;
    let client = client(&bench);
    let customer = CreateCustomer::new().send(&client).await.expect("a customer");
    let table = [
        ("pm_card_chargeCustomerFail", "card_declined"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ];
    for (card, code) in table {
        let attached = bench
            .post(
                &format!("/v1/payment_methods/{card}/attach"),
                &format!("customer={}", customer.id.as_str()),
            )
            .await;
        let refused = CreatePaymentIntent::new(500, stripe_types::Currency::USD)
            .customer(customer.id.as_str())
            .payment_method(attached["id"].as_str().expect("an id"))
            .off_session(CreatePaymentIntentOffSession::Bool(true))
            .confirm(true)
            .send(&client)
            .await
            .expect_err("a refusal");
        let stripe::StripeError::Stripe(error, status) = refused else {
            panic!("not an API error: {refused}");
        };
        assert_eq!(status, 402);
        let got = error.code.map(|code| code.to_string());
        assert_eq!(got.as_deref(), Some(code));
        let intent = error.payment_intent.expect("the intent inside");
        let state = intent.status.to_string();
        assert_eq!(json!(state), "requires_payment_method");
    }
    bench.end().await;
}
