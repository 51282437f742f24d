//! Checkout in all its ways: trial, promotion codes, quantities, 3DS, bank debits, setup, nothing.

use serde_json::{Value, json};

use super::support::{Bench, CARD, card_with, id};

const DONE: &str = "&success_url=http://127.0.0.1:9/ok";

impl Bench {
    /// Opens a session of one line; answers its id.
    async fn session(&self, mode: &str, price: &str, more: &str) -> String {
        let form = format!(
            "mode={mode}&line_items[0][price]={price}&line_items[0][quantity]=1{DONE}{more}"
        );
        id(&self.post("/v1/checkout/sessions", &form).await)
    }

    async fn read_session(&self, session: &str) -> Value {
        self.get(&format!("/v1/checkout/sessions/{session}")).await
    }

    async fn page(&self, session: &str) -> String {
        let answer = self.http.get(format!("{}/c/pay/{session}", self.url)).send().await;
        answer.expect("a page").text().await.expect("text")
    }
}

#[tokio::test]
async fn a_trial_without_a_card_begins_where_none_is_needed() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let more = "&subscription_data[trial_period_days]=14&payment_method_collection=if_required\
                &subscription_data[trial_settings][end_behavior][missing_payment_method]=pause";
    let session = bench.session("subscription", &price, more).await;
    let page = bench.page(&session).await;
    assert!(page.contains("14 days free") && page.contains("without a payment method"), "{page}");
    assert!(!page.contains("Card number"));
    let (status, _, body) = bench.pay(&session, &[("email", "t@example.com")]).await;
    assert_eq!(status, 303, "{body}");
    let session = bench.read_session(&session).await;
    assert_eq!(session["payment_status"], "no_payment_required");
    let sub = session["subscription"].as_str().expect("a subscription");
    let sub = bench.get(&format!("/v1/subscriptions/{sub}")).await;
    assert_eq!(sub["status"], "trialing");
    assert!(sub["default_payment_method"].is_null());
    let with_card =
        bench.session("subscription", &price, "&subscription_data[trial_period_days]=14");
    let with_card = with_card.await;
    assert!(bench.page(&with_card).await.contains("Card number"));
    assert_eq!(bench.pay(&with_card, &[("email", "t@example.com")]).await.0, 422);
    assert_eq!(bench.pay(&with_card, &CARD).await.0, 303);
    bench.end().await;
}

#[tokio::test]
async fn a_promotion_code_lowers_what_is_paid() {
    let bench = Bench::new().await;
    let price = bench.price("Pack", 1000, None).await;
    bench.post("/v1/coupons", "id=half&percent_off=50&duration=once").await;
    let form = "promotion[type]=coupon&promotion[coupon]=half&code=HALF";
    bench.post("/v1/promotion_codes", form).await;
    let session = bench.session("payment", &price, "&allow_promotion_codes=true").await;
    let code = |typed: &'static str| [("action", "code"), ("code", typed)];
    let (status, _, body) = bench.pay(&session, &code("WRONG")).await;
    assert!(status == 422 && body.contains("This code is invalid."), "{body}");
    assert_eq!(bench.pay(&session, &code("half")).await.0, 303);
    assert!(bench.page(&session).await.contains("$5.00"));
    assert_eq!(bench.pay(&session, &[("action", "uncode")]).await.0, 303);
    assert_eq!(bench.read_session(&session).await["amount_total"], 1000);
    bench.pay(&session, &code("HALF")).await;
    assert_eq!(bench.pay(&session, &CARD).await.0, 303);
    let done = bench.read_session(&session).await;
    assert_eq!((&done["amount_total"], &done["amount_subtotal"]), (&json!(500), &json!(1000)));
    assert_eq!(done["total_details"]["amount_discount"], 500);
    let intent = done["payment_intent"].as_str().expect("an intent");
    let intent = bench.get(&format!("/v1/payment_intents/{intent}")).await;
    assert_eq!(intent["amount_received"], 500);
    assert_eq!(bench.get("/v1/coupons/half").await["times_redeemed"], 1);

    let monthly = bench.price("Pro", 2000, Some("month")).await;
    let session = bench.session("subscription", &monthly, "&discounts[0][coupon]=half").await;
    assert_eq!(bench.pay(&session, &CARD).await.0, 303);
    let done = bench.read_session(&session).await;
    let invoice = done["invoice"].as_str().expect("an invoice");
    let invoice = bench.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!((&invoice["total"], &invoice["amount_paid"]), (&json!(1000), &json!(1000)));
    bench.end().await;
}

#[tokio::test]
async fn quantities_change_where_the_merchant_allows_it() {
    let bench = Bench::new().await;
    let price = bench.price("Seat", 700, Some("month")).await;
    let more = "&line_items[0][adjustable_quantity][enabled]=true\
                &line_items[0][adjustable_quantity][maximum]=5";
    let session = bench.session("subscription", &price, more).await;
    let set = |many: &'static str| [("action", "quantities"), ("quantity_0", many)];
    let (status, _, body) = bench.pay(&session, &set("9")).await;
    assert!(status == 422 && body.contains("between 1 and 5"), "{body}");
    assert_eq!(bench.pay(&session, &set("3")).await.0, 303);
    assert_eq!(bench.pay(&session, &CARD).await.0, 303);
    let done = bench.read_session(&session).await;
    assert_eq!(done["amount_total"], 2100);
    let sub = done["subscription"].as_str().expect("a subscription");
    let sub = bench.get(&format!("/v1/subscriptions/{sub}")).await;
    assert_eq!(sub["items"]["data"][0]["quantity"], 3);
    bench.end().await;
}

#[tokio::test]
async fn cards_that_always_ask_pay_on_their_page_and_are_kept_for_later() {
    let bench = Bench::new().await;
    let price = bench.price("Pack", 1000, None).await;
    let customer = id(&bench.post("/v1/customers", "email=k@example.com").await);
    let keep = format!(
        "&customer={customer}&payment_intent_data[setup_future_usage]=off_session\
         &customer_update[name]=auto&customer_update[address]=auto\
         &payment_intent_data[metadata][org_id]=org_1"
    );
    let ends = [("4000002500003155", 200), ("4000002760003184", 402), ("4242424242424242", 200)];
    for (number, later) in ends {
        let session = bench.session("payment", &price, &keep).await;
        let card = [("test_card", number)];
        let (status, _, body) = bench.pay(&session, &card).await;
        if number != "4242424242424242" {
            assert!(status == 200 && body.contains("Your bank wants to know"), "{body}");
            let (status, _, body) =
                bench.pay(&session, &[card[0], ("authentication", "fail")]).await;
            assert!(status == 422 && body.contains("unable to authenticate"), "{body}");
            let agreed = [card[0], ("authentication", "complete")];
            assert_eq!(bench.pay(&session, &agreed).await.0, 303);
        }
        let done = bench.read_session(&session).await;
        assert_eq!(
            (&done["status"], &done["payment_status"]),
            (&json!("complete"), &json!("paid"))
        );
        let intent = done["payment_intent"].as_str().expect("an intent");
        let intent = bench.get(&format!("/v1/payment_intents/{intent}")).await;
        assert_eq!(intent["metadata"]["org_id"], "org_1");
        let method = intent["payment_method"].as_str().expect("a method");
        let kept = bench.get(&format!("/v1/payment_methods/{method}")).await;
        assert_eq!(kept["customer"], json!(customer));
        let form = format!(
            "amount=500&currency=usd&customer={customer}&payment_method={method}&confirm=true\
             &off_session=true"
        );
        let (status, body) = bench.call("POST", "/v1/payment_intents", &form).await;
        assert_eq!(status, later, "{number}: {body}");
    }
    let known = bench.get(&format!("/v1/customers/{customer}")).await;
    assert_eq!(
        (&known["name"], &known["address"]["country"]),
        (&json!("Test Buyer"), &json!("US"))
    );
    bench.end().await;
}

#[tokio::test]
async fn a_bank_debit_is_unpaid_until_its_bank_answers() {
    let bench = Bench::new().await;
    let price = bench.price("Pack", 1000, None).await;
    for (account, outcome) in
        [("AT611904300234573201", "succeeded"), ("AT861904300235473202", "failed")]
    {
        let session = bench.session("payment", &price, "&customer_creation=always").await;
        let wrong = [("iban", "AT00"), ("email", "b@example.com")];
        let (status, _, body) = bench.pay(&session, &wrong).await;
        assert!(status == 422 && body.contains("test accounts only"), "{body}");
        let fields = [("iban", account), ("email", "b@example.com"), ("name", "Bea")];
        assert_eq!(bench.pay(&session, &fields).await.0, 303);
        let waiting = bench.read_session(&session).await;
        let state = (&waiting["status"], &waiting["payment_status"]);
        assert_eq!(state, (&json!("complete"), &json!("unpaid")));
        let intent = waiting["payment_intent"].as_str().expect("an intent").to_owned();
        let read = || async { bench.get(&format!("/v1/payment_intents/{intent}")).await };
        assert_eq!(read().await["status"], "processing");
        bench.control("/_sim/clock", json!({"advance_seconds": 4 * 86_400})).await;
        let last = bench.get("/v1/events?limit=1").await["data"][0]["type"].clone();
        assert_eq!(last, json!(format!("checkout.session.async_payment_{outcome}")));
        let expected = match outcome {
            "succeeded" => ("paid", "succeeded"),
            _ => ("unpaid", "requires_payment_method"),
        };
        let settled = bench.read_session(&session).await;
        let intent = read().await;
        assert_eq!(
            (&settled["payment_status"], &intent["status"]),
            (&json!(expected.0), &json!(expected.1))
        );
    }
    bench.end().await;
}

#[tokio::test]
async fn a_debited_subscription_runs_while_its_bank_thinks() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    for (outcome, status, paid) in [("succeeded", "active", "paid"), ("failed", "past_due", "open")]
    {
        let session = bench.session("subscription", &price, "").await;
        let fields = [("test_account", "AT611904300234573201")];
        assert_eq!(bench.pay(&session, &fields).await.0, 303);
        let waiting = bench.read_session(&session).await;
        assert_eq!(waiting["payment_status"], "unpaid");
        let sub = waiting["subscription"].as_str().expect("a subscription").to_owned();
        let read = || async {
            bench.get(&format!("/v1/subscriptions/{sub}?expand[]=latest_invoice")).await
        };
        let before = read().await;
        assert_eq!(
            (&before["status"], &before["latest_invoice"]["status"]),
            (&json!("active"), &json!("open"))
        );
        let path = format!("/_sim/checkouts/{session}/settle");
        bench.control(&path, json!({"outcome": outcome})).await;
        let after = read().await;
        assert_eq!(
            (&after["status"], &after["latest_invoice"]["status"]),
            (&json!(status), &json!(paid))
        );
        let again =
            bench.http.post(format!("{}{path}", bench.url)).json(&json!({"outcome": outcome}));
        assert_eq!(again.send().await.expect("an answer").status(), 400);
    }
    bench.end().await;
}

#[tokio::test]
async fn setup_mode_keeps_a_card_and_charges_nothing() {
    let bench = Bench::new().await;
    let customer = id(&bench.post("/v1/customers", "email=s@example.com").await);
    let form = format!("mode=setup&currency=usd&customer={customer}{DONE}");
    let session = id(&bench.post("/v1/checkout/sessions", &form).await);
    assert!(bench.page(&session).await.contains("Save a payment method"));
    let refused = card_with("4000000000000002");
    assert_eq!(bench.pay(&session, &refused).await.0, 422);
    assert_eq!(bench.pay(&session, &CARD).await.0, 303);
    let done = bench.read_session(&session).await;
    assert_eq!(done["payment_status"], "no_payment_required");
    let intent = done["setup_intent"].as_str().expect("a setup intent");
    let intent = bench.get(&format!("/v1/setup_intents/{intent}")).await;
    assert_eq!(intent["status"], "succeeded");
    let methods = bench.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(methods["data"][0]["id"], intent["payment_method"]);
    assert_eq!(bench.get("/v1/charges").await["data"], json!([]));
    let (status, body) = bench
        .call("POST", "/v1/checkout/sessions", &format!("{form}&line_items[0][price]=x"))
        .await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("line_items")));
    bench.end().await;
}

#[tokio::test]
async fn nobody_pays_an_expired_session() {
    let bench = Bench::new().await;
    let price = bench.price("Pack", 1000, None).await;
    let now: Value = bench
        .http
        .get(format!("{}/_sim/clock", bench.url))
        .send()
        .await
        .expect("a clock")
        .json()
        .await
        .expect("JSON");
    let soon = now["now"].as_i64().expect("a time") + 1800;
    let session = bench.session("payment", &price, &format!("&expires_at={soon}")).await;
    let other = bench.session("payment", &price, "").await;
    bench.post(&format!("/v1/checkout/sessions/{other}/expire"), "").await;
    bench.control("/_sim/clock", json!({"advance_seconds": 1900})).await;
    for session in [session, other] {
        assert_eq!(bench.read_session(&session).await["status"], "expired");
        assert_eq!(bench.pay(&session, &CARD).await.0, 410);
    }
    let far =
        format!("mode=payment&line_items[0][price]={price}&expires_at={}{DONE}", soon + 90_000);
    assert_eq!(bench.call("POST", "/v1/checkout/sessions", &far).await.0, 400);
    bench.end().await;
}

#[tokio::test]
async fn payment_pages_finish_a_session_without_a_browser() {
    let bench = Bench::new().await;
    let price = bench.price("Pack", 1500, None).await;
    let session = bench.session("payment", &price, "").await;
    let page = bench.get(&format!("/v1/payment_pages/{session}")).await;
    assert_eq!((&page["object"], &page["total"]), (&json!("payment_page"), &json!(1500)));
    let form = "type=card&card[token]=tok_visa&billing_details[email]=p@example.com";
    let method = id(&bench.post("/v1/payment_methods", form).await);
    let path = format!("/v1/payment_pages/{session}/confirm");
    let wrong = format!("payment_method={method}&expected_amount=1");
    assert_eq!(bench.call("POST", &path, &wrong).await.0, 400);
    bench.post(&path, &format!("payment_method={method}&expected_amount=1500")).await;
    let done = bench.read_session(&session).await;
    assert_eq!((&done["status"], &done["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!(done["customer_details"]["email"], "p@example.com");
    let debit = "type=sepa_debit&sepa_debit[iban]=AT611904300234573201&billing_details[name]=B\
                 &billing_details[email]=b@example.com";
    let debit = id(&bench.post("/v1/payment_methods", debit).await);
    let session = bench.session("payment", &price, "").await;
    let path = format!("/v1/payment_pages/{session}/confirm");
    let waiting = bench.post(&path, &format!("payment_method={debit}")).await;
    assert_eq!(waiting["payment_status"], "unpaid");
    bench.control("/_sim/clock", json!({"advance_seconds": 1})).await;
    assert_eq!(bench.read_session(&session).await["payment_status"], "paid");
    bench.end().await;
}
