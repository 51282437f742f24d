//! The whole chain over plain HTTP: catalog, Checkout, card page, portal, clock.

use serde_json::{Value, json};

use super::support::{Bench, CARD, Listener, card_with, id};

#[tokio::test]
async fn a_subscription_is_bought_on_the_card_page_and_told_in_order() {
    let bench = Bench::new().await;
    let listener = Listener::start(&bench).await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let form = format!(
        "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1\
         &success_url=http://127.0.0.1:9/done%3Fs={{CHECKOUT_SESSION_ID}}\
         &cancel_url=http://127.0.0.1:9/back&client_reference_id=org_1\
         &subscription_data[metadata][org_id]=org_1&customer_email=ada@example.com"
    );
    let session = id(&bench.post("/v1/checkout/sessions", &form).await);
    let page = bench.http.get(format!("{}/c/pay/{session}", bench.url)).send().await;
    let page = page.expect("a page").text().await.expect("text");
    assert!(page.contains("$29.00") && page.contains("no real money"), "{page}");

    let (status, _, body) = bench.pay(&session, &card_with("4000000000000002")).await;
    assert_eq!(status, 422);
    assert!(body.contains("Your card was declined."));
    assert!(body.contains("Ada Example"), "what was typed is kept");
    let (status, _, body) = bench.pay(&session, &card_with("4242424242424241")).await;
    assert!(status == 422 && body.contains("Your card number is invalid."));
    assert_eq!(bench.get("/v1/subscriptions?status=all").await["data"], json!([]));

    let (status, location, _) = bench.pay(&session, &CARD).await;
    assert_eq!((status, location), (303, format!("http://127.0.0.1:9/done?s={session}")));
    bench.idle().await;
    let types = listener.types();
    let from = types.iter().position(|t| t == "customer.created").expect("a customer");
    let expected = [
        "customer.created",
        "payment_method.attached",
        "customer.updated",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "checkout.session.completed",
    ];
    assert_eq!(types[from..], expected);

    let path = format!(
        "/v1/checkout/sessions/{session}?expand[]=subscription&expand[]=line_items\
         &expand[]=customer&expand[]=invoice.payments"
    );
    let session = bench.get(&path).await;
    assert_eq!(
        (&session["status"], &session["payment_status"]),
        (&json!("complete"), &json!("paid"))
    );
    let sub = &session["subscription"];
    assert_eq!(sub["status"], "active");
    assert_eq!(sub["metadata"]["org_id"], "org_1");
    assert_eq!(sub["billing_mode"]["type"], "flexible");
    assert_eq!(sub["items"]["data"][0]["plan"]["amount"], 2900);
    assert_eq!(session["line_items"]["data"][0]["price"]["id"], price);
    assert_eq!(session["invoice"]["payments"]["data"][0]["status"], "paid");
    assert_eq!(session["customer"]["email"], "ada@example.com");
    bench.end().await;
}

#[tokio::test]
async fn a_pack_is_bought_and_refunded() {
    let bench = Bench::new().await;
    let price = bench.price("Pack", 1500, None).await;
    let customer = id(&bench.post("/v1/customers", "email=b@example.com").await);
    let form = format!(
        "mode=payment&line_items[0][price]={price}&line_items[0][quantity]=2&customer={customer}\
         &payment_intent_data[setup_future_usage]=off_session\
         &payment_intent_data[metadata][pack]=small&success_url=http://127.0.0.1:9/ok"
    );
    let session = id(&bench.post("/v1/checkout/sessions", &form).await);
    let (status, _, _) = bench.pay(&session, &[("test_card", "4000000000009995")]).await;
    assert_eq!(status, 422);
    let (status, location, _) = bench.pay(&session, &[("test_card", "4242424242424242")]).await;
    assert_eq!((status, location.as_str()), (303, "http://127.0.0.1:9/ok"));
    let session =
        bench.get(&format!("/v1/checkout/sessions/{session}?expand[]=payment_intent")).await;
    let intent = &session["payment_intent"];
    assert_eq!(intent["amount_received"], 3000);
    assert_eq!(intent["metadata"]["pack"], "small");
    let methods = bench.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    let method = methods["data"][0]["id"].as_str().expect("a saved card").to_owned();

    let form = format!(
        "amount=500&currency=usd&customer={customer}&payment_method={method}&off_session=true\
         &confirm=true"
    );
    assert_eq!(bench.post("/v1/payment_intents", &form).await["status"], "succeeded");
    let intent = intent["id"].as_str().expect("an id");
    let form = format!("payment_intent={intent}&amount=1000");
    assert_eq!(bench.post("/v1/refunds", &form).await["status"], "succeeded");
    let (status, error) =
        bench.call("POST", "/v1/refunds", &format!("payment_intent={intent}&amount=2001")).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("amount")));
    bench.post("/v1/refunds", &format!("payment_intent={intent}")).await;
    let (_, error) = bench.call("POST", "/v1/refunds", &format!("payment_intent={intent}")).await;
    assert_eq!(error["error"]["code"], "charge_already_refunded");
    let types = bench.event_types().await;
    assert_eq!(types.iter().filter(|t| *t == "charge.refunded").count(), 2);
    bench.end().await;
}

#[tokio::test]
async fn the_clock_lives_through_renewals_and_dunning() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let customer = id(&bench.post("/v1/customers", "email=c@example.com").await);
    let form =
        format!("customer={customer}&items[0][price]={price}&default_payment_method=pm_card_visa");
    let sub = bench.post("/v1/subscriptions", &form).await;
    assert_eq!(sub["status"], "active");
    let sub = id(&sub);
    let form = format!(
        "customer={customer}&subscription={sub}&amount=123&currency=usd&description=Overage"
    );
    bench.post("/v1/invoiceitems", &form).await;
    bench.control("/_sim/clock", json!({"advance_seconds": 32 * 86_400})).await;
    let invoices = bench.get(&format!("/v1/invoices?subscription={sub}")).await;
    let newest = &invoices["data"][0];
    assert_eq!(newest["billing_reason"], "subscription_cycle");
    assert_eq!((&newest["status"], &newest["total"]), (&json!("paid"), &json!(3023)));

    let form = "payment_method=pm_card_chargeCustomerFail&email=c@example.com";
    let (status, _) = bench.call("POST", &format!("/v1/customers/{customer}"), form).await;
    assert_eq!(status, 400, "payment_method is no parameter of an update");
    let form = "default_payment_method=pm_card_chargeCustomerFail";
    bench.post(&format!("/v1/subscriptions/{sub}"), form).await;
    bench.control("/_sim/clock", json!({"advance_seconds": 31 * 86_400})).await;
    let late = bench.get(&format!("/v1/subscriptions/{sub}?expand[]=latest_invoice")).await;
    assert_eq!(late["status"], "past_due");
    assert_eq!(late["latest_invoice"]["status"], "open");
    bench.control("/_sim/clock", json!({"advance_seconds": 20 * 86_400})).await;
    let over = bench.get(&format!("/v1/subscriptions/{sub}")).await;
    assert_eq!(over["status"], "canceled");
    assert_eq!(over["cancellation_details"]["reason"], "payment_failed");
    let types = bench.event_types().await;
    assert_eq!(types.iter().filter(|t| *t == "invoice.payment_failed").count(), 4);
    bench.end().await;
}

#[tokio::test]
async fn the_portal_cancels_resumes_switches_and_takes_a_card() {
    let bench = Bench::new().await;
    let small = bench.price("Pro", 1000, Some("month")).await;
    let large = bench.price("Team", 3000, Some("month")).await;
    let product = |price: &Value| price["product"].as_str().unwrap_or("").to_owned();
    let (one, two) = (
        product(&bench.get(&format!("/v1/prices/{small}")).await),
        product(&bench.get(&format!("/v1/prices/{large}")).await),
    );
    let form = format!(
        "features[subscription_cancel][enabled]=true\
         &features[subscription_cancel][mode]=at_period_end\
         &features[payment_method_update][enabled]=true&features[invoice_history][enabled]=true\
         &features[subscription_update][enabled]=true\
         &features[subscription_update][default_allowed_updates][]=price\
         &features[subscription_update][proration_behavior]=always_invoice\
         &features[subscription_update][products][0][product]={one}\
         &features[subscription_update][products][0][prices][]={small}\
         &features[subscription_update][products][1][product]={two}\
         &features[subscription_update][products][1][prices][]={large}"
    );
    let configuration = id(&bench.post("/v1/billing_portal/configurations", &form).await);
    let customer = id(&bench.post("/v1/customers", "email=d@example.com").await);
    let form =
        format!("customer={customer}&items[0][price]={small}&default_payment_method=pm_card_visa");
    let sub = id(&bench.post("/v1/subscriptions", &form).await);
    let form = format!(
        "customer={customer}&configuration={configuration}&return_url=http://127.0.0.1:9/account"
    );
    let session = bench.post("/v1/billing_portal/sessions", &form).await;
    let url = session["url"].as_str().expect("a url").to_owned();
    let page = async |view: &str| {
        let answer = bench.http.get(format!("{url}{view}")).send().await.expect("a page");
        assert_eq!(answer.status(), 200, "{view}");
        answer.text().await.expect("text")
    };
    let act = async |action: &str, fields: &[(&str, &str)]| {
        let request = bench.http.post(format!("{url}/{action}")).form(fields);
        request.send().await.expect("an answer").status().as_u16()
    };
    let home = page("").await;
    assert!(home.contains("Cancel plan") && home.contains("http://127.0.0.1:9/account"));
    assert!(page("?view=cancel").await.contains("stays available until"));
    assert_eq!(act("cancel", &[("subscription", &sub)]).await, 303);
    let canceling = bench.get(&format!("/v1/subscriptions/{sub}")).await;
    assert_eq!(canceling["cancel_at_period_end"], false);
    assert_eq!(canceling["cancel_at"], canceling["items"]["data"][0]["current_period_end"]);
    assert!(page("").await.contains("Don't cancel") || page("").await.contains("Don&#39;t cancel"));
    assert_eq!(act("resume", &[("subscription", &sub)]).await, 303);
    assert!(bench.get(&format!("/v1/subscriptions/{sub}")).await["cancel_at"].is_null());
    let confirm = page(&format!("?view=confirm&subscription={sub}&price={large}")).await;
    assert!(confirm.contains("Unused time on") && confirm.contains("Amount due today"));
    assert_eq!(act("switch", &[("subscription", &sub), ("price", &large)]).await, 303);
    let switched = bench.get(&format!("/v1/subscriptions/{sub}?expand[]=latest_invoice")).await;
    assert_eq!(switched["items"]["data"][0]["price"]["id"], json!(large));
    let due = switched["latest_invoice"]["total"].as_i64().expect("a total");
    assert!((1998..=2000).contains(&due), "{due}");
    assert_eq!(switched["latest_invoice"]["status"], "paid");
    assert_eq!(act("card", &[("test_card", "4000000000000341")]).await, 303);
    let home = page("?view=overview&done=card").await;
    assert!(home.contains("ending in 0341") && home.contains("Your card has been updated."));
    let invoice = switched["latest_invoice"]["hosted_invoice_url"].as_str().expect("a url");
    let invoice = bench.http.get(invoice).send().await.expect("a page").text().await;
    assert!(invoice.expect("text").contains("Remaining time on"));
    bench.control("/_sim/clock", json!({"advance_seconds": 3700})).await;
    let late = bench.http.get(&url).send().await.expect("a page");
    assert_eq!(late.status(), 410);
    bench.end().await;
}

#[tokio::test]
async fn a_card_that_asks_is_confirmed_on_its_page() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let form = format!(
        "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1\
         &success_url=http://127.0.0.1:9/ok"
    );
    let session = id(&bench.post("/v1/checkout/sessions", &form).await);
    let card = [("test_card", "4000002500003155")];
    let (status, _, body) = bench.pay(&session, &card).await;
    assert!(status == 200 && body.contains("Your bank wants to know"), "{body}");
    let (status, _, body) = bench.pay(&session, &[card[0], ("authentication", "fail")]).await;
    assert!(status == 422 && body.contains("unable to authenticate"), "{body}");
    let (status, _, _) = bench.pay(&session, &[card[0], ("authentication", "complete")]).await;
    assert_eq!(status, 303);
    bench.control("/_sim/clock", json!({"advance_seconds": 32 * 86_400})).await;
    let subs = bench.get("/v1/subscriptions").await;
    assert_eq!(subs["data"][0]["status"], "active", "set up, it renews by itself");
    bench.end().await;
}
