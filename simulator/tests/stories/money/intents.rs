//! Payment intents: off-session declines, consent, capture, cancellation, cards that expire.

use serde_json::{Value, json};

use super::{end, events, only};
use crate::support::{Bench, id};

async fn customer_with(bench: &Bench, card: &str) -> (String, String) {
    let customer = id(&bench.post("/v1/customers", "email=c@example.com").await);
    let form = format!("customer={customer}");
    let method = bench.post(&format!("/v1/payment_methods/{card}/attach"), &form).await;
    (customer, id(&method))
}

fn off_session(customer: &str, method: &str) -> String {
    format!(
        "amount=1500&currency=usd&customer={customer}&payment_method={method}&off_session=true\
         &confirm=true"
    )
}

async fn press(bench: &Bench, intent: &str, outcome: &str) -> (u16, String) {
    let request = bench.http.post(format!("{}/3ds/{intent}", bench.url));
    let answer = request.form(&[("outcome", outcome)]).send().await.expect("an answer");
    let location = answer.headers().get("location").and_then(|l| l.to_str().ok()).unwrap_or("");
    (answer.status().as_u16(), location.to_owned())
}

// C3: a decline without the holder is a 402 that shows the intent, which can be seen afterwards.
#[tokio::test]
async fn declines_name_their_reason_and_leave_the_intent() {
    let bench = Bench::new().await;
    let table = [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline", "try_again_later"),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            "card_declined",
            "insufficient_funds",
            "try_again_later",
        ),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card", "do_not_try_again"),
        ("pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card", "do_not_try_again"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card", "confirm_card_data"),
        (
            "pm_card_chargeDeclinedIncorrectCvc",
            "incorrect_cvc",
            "incorrect_cvc",
            "confirm_card_data",
        ),
        (
            "pm_card_chargeDeclinedProcessingError",
            "processing_error",
            "processing_error",
            "try_again_later",
        ),
        ("pm_card_radarBlock", "card_declined", "fraudulent", "do_not_try_again"),
    ];
    for (card, code, decline, advice) in table {
        let form = format!("amount=1500&currency=usd&confirm=true&payment_method={card}");
        let (status, body) = bench.call("POST", "/v1/payment_intents", &form).await;
        let error = &body["error"];
        assert_eq!((status, &error["type"]), (402, &json!("card_error")), "{card}");
        assert_eq!((&error["code"], &error["decline_code"]), (&json!(code), &json!(decline)));
        assert_eq!(error["advice_code"], advice);
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        assert_eq!(error["payment_method"]["type"], "card");
        let intent =
            bench.get(&format!("/v1/payment_intents/{}", id(&error["payment_intent"]))).await;
        assert_eq!(intent["last_payment_error"]["decline_code"], decline);
        assert!(intent["payment_method"].is_null());
        let charge = error["charge"].as_str().expect("a charge");
        let charge = bench.get(&format!("/v1/charges/{charge}")).await;
        assert_eq!((&charge["status"], &charge["paid"]), (&json!("failed"), &json!(false)));
        let (status, error) =
            bench.call("POST", "/v1/refunds", &format!("charge={}", id(&charge))).await;
        assert_eq!(status, 400, "{error}");
    }
    let failed = events(&bench, &["payment_intent.payment_failed", "charge.failed"]).await;
    assert_eq!(failed.len(), 2 * table.len());
    end(bench).await;
}

// C4: the card that asks every time is refused off-session, the other one until it was set up.
#[tokio::test]
async fn a_charge_without_its_holder_needs_a_card_that_was_set_up() {
    let bench = Bench::new().await;
    for card in ["pm_card_authenticationRequired", "pm_card_authenticationRequiredOnSetup"] {
        let (customer, method) = customer_with(&bench, card).await;
        let form = off_session(&customer, &method);
        let (status, body) = bench.call("POST", "/v1/payment_intents", &form).await;
        assert_eq!((status, &body["error"]["code"]), (402, &json!("authentication_required")));
        let intent = &body["error"]["payment_intent"];
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(intent["last_payment_error"]["payment_method"]["id"], method);
        let form = format!("customer={customer}&payment_method={method}&confirm=true");
        let setup = bench.post("/v1/setup_intents", &form).await;
        assert_eq!(setup["status"], "requires_action");
        press(&bench, &id(&setup), "complete").await;
        let form = off_session(&customer, &method);
        let (status, body) = bench.call("POST", "/v1/payment_intents", &form).await;
        match card {
            "pm_card_authenticationRequired" => assert_eq!(status, 402, "{body}"),
            _ => assert_eq!((status, &body["status"]), (200, &json!("succeeded"))),
        }
    }
    let (customer, method) =
        customer_with(&bench, "pm_card_authenticationRequiredSetupForOffSession").await;
    let done = bench.post("/v1/payment_intents", &off_session(&customer, &method)).await;
    assert_eq!(done["status"], "succeeded");
    end(bench).await;
}

#[tokio::test]
async fn the_holder_agrees_or_refuses_on_the_banks_page() {
    let bench = Bench::new().await;
    let customer = id(&bench.post("/v1/customers", "email=c@example.com").await);
    let form = format!(
        "amount=1500&currency=usd&customer={customer}&confirm=true&setup_future_usage=off_session\
         &payment_method=pm_card_authenticationRequiredOnSetup&return_url=http://127.0.0.1:9/back"
    );
    let intent = bench.post("/v1/payment_intents", &form).await;
    assert_eq!(intent["status"], "requires_action");
    let (object, before) = only(&bench, "payment_intent.requires_action").await;
    assert_eq!((&object["id"], before.is_null()), (&intent["id"], true));
    let intent_id = id(&intent);
    let page = intent["next_action"]["redirect_to_url"]["url"].as_str().expect("a page");
    let text = bench.http.get(page).send().await.expect("a page").text().await.expect("text");
    assert!(text.contains("$15.00") && text.contains("Complete"), "{text}");

    let (status, location) = press(&bench, &intent_id, "fail").await;
    assert_eq!(status, 303);
    assert!(location.starts_with("http://127.0.0.1:9/back?payment_intent=pi_"), "{location}");
    assert!(location.ends_with("redirect_status=failed"), "{location}");
    let refused = bench.get(&format!("/v1/payment_intents/{intent_id}")).await;
    assert_eq!(refused["status"], "requires_payment_method");
    let code = &refused["last_payment_error"]["code"];
    assert_eq!(code, "payment_intent_authentication_failure");

    let form = "payment_method=pm_card_authenticationRequiredOnSetup";
    bench.post(&format!("/v1/payment_intents/{intent_id}/confirm"), form).await;
    let (_, location) = press(&bench, &intent_id, "complete").await;
    assert!(location.ends_with("redirect_status=succeeded"), "{location}");
    let paid = bench.get(&format!("/v1/payment_intents/{intent_id}?expand[]=latest_charge")).await;
    assert_eq!((&paid["status"], &paid["amount_received"]), (&json!("succeeded"), &json!(1500)));
    let secure = &paid["latest_charge"]["payment_method_details"]["card"]["three_d_secure"];
    assert_eq!(secure["result"], "authenticated");
    let method = paid["payment_method"].as_str().expect("a method");
    let again = bench.post("/v1/payment_intents", &off_session(&customer, method)).await;
    assert_eq!(again["status"], "succeeded", "kept for later, it needs no second consent");
    end(bench).await;
}

#[tokio::test]
async fn consent_may_be_followed_by_a_decline_and_may_be_refused_beforehand() {
    let bench = Bench::new().await;
    let card = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds";
    let form = format!("amount=1500&currency=usd&confirm=true&payment_method={card}");
    let intent = id(&bench.post("/v1/payment_intents", &form).await);
    let shown = bench
        .control(&format!("/_sim/authentications/{intent}"), json!({"outcome": "complete"}))
        .await;
    assert_eq!(shown["last_payment_error"]["decline_code"], "insufficient_funds");
    let form = "amount=1500&currency=usd&confirm=true&error_on_requires_action=true\
                &payment_method=pm_card_threeDSecure2Required";
    let (status, body) = bench.call("POST", "/v1/payment_intents", form).await;
    assert_eq!((status, &body["error"]["code"]), (402, &json!("authentication_required")));
    end(bench).await;
}

#[tokio::test]
async fn held_money_is_captured_in_part_or_let_go() {
    let bench = Bench::new().await;
    let form = "amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa\
                &capture_method=manual";
    let held = bench.post("/v1/payment_intents", form).await;
    assert_eq!(
        (&held["status"], &held["amount_capturable"]),
        (&json!("requires_capture"), &json!(2000))
    );
    let path = format!("/v1/payment_intents/{}", id(&held));
    let (status, _) =
        bench.call("POST", &format!("{path}/capture"), "amount_to_capture=2001").await;
    assert_eq!(status, 400);
    let done = bench.post(&format!("{path}/capture"), "amount_to_capture=1200").await;
    assert_eq!((&done["status"], &done["amount_received"]), (&json!("succeeded"), &json!(1200)));
    let (charge, _) = only(&bench, "charge.captured").await;
    assert_eq!(
        (&charge["amount_captured"], &charge["amount_refunded"]),
        (&json!(1200), &json!(800))
    );
    let rest = format!("charge={}", id(&charge));
    assert_eq!(bench.post("/v1/refunds", &rest).await["amount"], 1200);

    let held = bench.post("/v1/payment_intents", form).await;
    let path = format!("/v1/payment_intents/{}/cancel", id(&held));
    let canceled = bench.post(&path, "cancellation_reason=abandoned").await;
    assert_eq!(
        (&canceled["status"], &canceled["cancellation_reason"]),
        (&json!("canceled"), &json!("abandoned"))
    );
    let (status, body) = bench.call("POST", &path, "").await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(body["error"]["payment_intent"]["status"], "canceled");
    only(&bench, "payment_intent.canceled").await;
    end(bench).await;
}

#[tokio::test]
async fn a_card_past_its_month_is_declined_until_the_network_renews_it() {
    let bench = Bench::new().await;
    let (customer, method) = customer_with(&bench, "pm_card_visa").await;
    let form = format!("invoice_settings[default_payment_method]={method}");
    let path = "invoice_settings.default_payment_method";
    let shown = bench.post(&format!("/v1/customers/{customer}?expand[]={path}"), &form).await;
    assert_eq!(shown["invoice_settings"]["default_payment_method"]["card"]["exp_year"], 2034);
    let pm = format!("/v1/payment_methods/{method}");
    bench.post(&pm, "card[exp_month]=1&card[exp_year]=2024").await;
    let (_, before) = only(&bench, "payment_method.updated").await;
    assert_eq!(before, json!({"card": {"exp_month": 12, "exp_year": 2034}}));
    let (status, body) =
        bench.call("POST", "/v1/payment_intents", &off_session(&customer, &method)).await;
    assert_eq!((status, &body["error"]["code"]), (402, &json!("expired_card")));
    let renewal = json!({"exp_month": 6, "exp_year": 2040});
    bench.control(&format!("/_sim/payment_methods/{method}"), renewal).await;
    only(&bench, "payment_method.automatically_updated").await;
    let done = bench.post("/v1/payment_intents", &off_session(&customer, &method)).await;
    assert_eq!(done["status"], "succeeded");
    bench.post(&format!("{pm}/detach"), "").await;
    let (object, before) = only(&bench, "payment_method.detached").await;
    assert_eq!((&object["customer"], &before), (&Value::Null, &json!({"customer": customer})));
    let (status, _) =
        bench.call("POST", "/v1/payment_intents", &off_session(&customer, &method)).await;
    assert_eq!(status, 400, "a detached method is used up");
    end(bench).await;
}

#[tokio::test]
async fn amounts_and_states_are_checked() {
    let bench = Bench::new().await;
    let table = [
        ("amount=49&currency=usd", "amount_too_small"),
        ("amount=0&currency=usd", "parameter_invalid_integer"),
        ("amount=100000000&currency=usd", "amount_too_large"),
    ];
    for (form, code) in table {
        let (status, body) = bench.call("POST", "/v1/payment_intents", form).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!(code)), "{form}");
    }
    for form in [
        "amount=500&currency=dollars",
        "amount=500&currency=usd&off_session=true",
        "amount=500&currency=usd&confirm=true",
        "amount=500&currency=usd&customer=cus_none",
    ] {
        assert_eq!(bench.call("POST", "/v1/payment_intents", form).await.0, 400, "{form}");
    }
    let form = "amount=500&currency=usd&payment_method_data[type]=sepa_debit\
                &payment_method_data[sepa_debit][iban]=AT611904300234573201&confirm=true";
    let debit = bench.post("/v1/payment_intents", form).await;
    assert_eq!(debit["status"], "processing", "a bank takes days");
    let form = "amount=500&currency=usd&payment_method=pm_card_visa";
    let intent = bench.post("/v1/payment_intents", form).await;
    assert_eq!(intent["status"], "requires_confirmation");
    let path = format!("/v1/payment_intents/{}", id(&intent));
    assert_eq!(bench.post(&path, "amount=700").await["amount"], 700);
    assert_eq!(bench.post(&format!("{path}/confirm"), "").await["amount_received"], 700);
    let (status, body) = bench.call("POST", &path, "amount=800").await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(bench.post(&path, "metadata[a]=b").await["metadata"]["a"], "b");
    end(bench).await;
}
