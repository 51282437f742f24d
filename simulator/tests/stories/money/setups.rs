//! Setup intents: made ready, refused, asked about, canceled.

use serde_json::json;

use super::{end, events, only};
use crate::support::{Bench, id};

#[tokio::test]
async fn a_setup_succeeds_asks_fails_or_is_canceled() {
    let bench = Bench::new().await;
    let customer = id(&bench.post("/v1/customers", "email=s@example.com").await);
    let form = format!("customer={customer}&confirm=true&payment_method=pm_card_visa");
    let good = bench.post("/v1/setup_intents", &form).await;
    assert_eq!((&good["status"], &good["usage"]), (&json!("succeeded"), &json!("off_session")));
    let methods = bench.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(methods["data"][0]["id"], good["payment_method"]);

    let form = "confirm=true&payment_method=pm_card_chargeDeclined";
    let (status, body) = bench.call("POST", "/v1/setup_intents", form).await;
    assert_eq!((status, &body["error"]["code"]), (402, &json!("card_declined")));
    assert_eq!(body["error"]["setup_intent"]["status"], "requires_payment_method");
    let (object, _) = only(&bench, "setup_intent.setup_failed").await;
    assert_eq!(object["last_setup_error"]["decline_code"], "generic_decline");

    let form = format!(
        "customer={customer}&confirm=true&payment_method=pm_card_authenticationRequired\
         &return_url=http://127.0.0.1:9/card"
    );
    let asks = bench.post("/v1/setup_intents", &form).await;
    assert_eq!(asks["status"], "requires_action");
    assert_eq!(asks["next_action"]["redirect_to_url"]["return_url"], "http://127.0.0.1:9/card");
    let path = format!("/_sim/authentications/{}", id(&asks));
    let refused = bench.control(&path, json!({"outcome": "fail"})).await;
    assert_eq!(refused["last_setup_error"]["code"], "setup_intent_authentication_failure");
    let intent = format!("/v1/setup_intents/{}", id(&asks));
    let form = "payment_method=pm_card_authenticationRequired";
    assert_eq!(bench.post(&format!("{intent}/confirm"), form).await["status"], "requires_action");
    let done = bench.control(&path, json!({"outcome": "complete"})).await;
    assert_eq!((&done["status"], &done["last_setup_error"]), (&json!("succeeded"), &json!(null)));
    let (status, body) = bench.call("POST", &format!("{intent}/cancel"), "").await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("setup_intent_unexpected_state")));

    let empty = bench.post("/v1/setup_intents", "").await;
    let intent = format!("/v1/setup_intents/{}", id(&empty));
    assert_eq!(bench.post(&intent, "description=x").await["description"], "x");
    let (status, _) = bench.call("POST", &format!("{intent}/confirm"), "").await;
    assert_eq!(status, 400);
    let canceled = bench.post(&format!("{intent}/cancel"), "cancellation_reason=abandoned").await;
    assert_eq!(canceled["status"], "canceled");
    let types = ["setup_intent.requires_action", "setup_intent.canceled"];
    assert_eq!(events(&bench, &types).await.len(), 3);
    end(bench).await;
}

#[tokio::test]
async fn methods_are_made_of_numbers_and_tokens_and_refuse_what_is_wrong() {
    let bench = Bench::new().await;
    let form = "type=card&card[number]=4000000000009995&card[exp_month]=7&card[exp_year]=34\
                &billing_details[email]=m@example.com";
    let method = bench.post("/v1/payment_methods", form).await;
    assert_eq!(
        (&method["card"]["last4"], &method["card"]["exp_year"]),
        (&json!("9995"), &json!(2034))
    );
    let customer = id(&bench.post("/v1/customers", "email=m@example.com").await);
    let attach = format!("/v1/payment_methods/{}/attach", id(&method));
    let (status, body) = bench.call("POST", &attach, &format!("customer={customer}")).await;
    assert_eq!((status, &body["error"]["decline_code"]), (402, &json!("insufficient_funds")));
    for (form, code) in [
        (
            "type=card&card[number]=4242424242424242&card[exp_month]=13&card[exp_year]=34",
            "invalid_expiry_month",
        ),
        (
            "type=card&card[number]=4111111111111112&card[exp_month]=1&card[exp_year]=34",
            "incorrect_number",
        ),
        ("type=card", "parameter_missing"),
        ("type=sepa_debit&sepa_debit[iban]=AT000000000000000000", "invalid_bank_account_iban"),
    ] {
        let (_, body) = bench.call("POST", "/v1/payment_methods", form).await;
        assert_eq!(body["error"]["code"], code, "{form}");
    }
    let form = "type=sepa_debit&sepa_debit[iban]=AT611904300234573201";
    assert_eq!(bench.post("/v1/payment_methods", form).await["sepa_debit"]["last4"], "3201");
    end(bench).await;
}
