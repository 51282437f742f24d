//! Refunds: whole, in parts, too much, pending, failing later.

use serde_json::{Value, json};

use super::{end, events, only, paid, refused};
use crate::support::{Bench, id};

// E9: several partial refunds add up, and not one cent more is given back.
#[tokio::test]
async fn refunds_in_parts_add_up_and_too_much_is_refused() {
    let bench = Bench::new().await;
    let (intent, charge) = paid(&bench, "pm_card_visa", 3000).await;
    let form = format!("payment_intent={intent}&amount=1000&metadata[ticket]=7&reason=duplicate");
    let refund = bench.post("/v1/refunds", &form).await;
    assert_eq!((&refund["status"], &refund["amount"]), (&json!("succeeded"), &json!(1000)));
    let (object, before) = only(&bench, "charge.refunded").await;
    assert_eq!((&object["amount_refunded"], &object["refunded"]), (&json!(1000), &json!(false)));
    assert_eq!(before, json!({"amount_refunded": 0}));

    let too_much = format!("charge={charge}&amount=2001");
    let (status, error) = bench.call("POST", "/v1/refunds", &too_much).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("amount")));
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("$20.01") && message.contains("$20.00"), "{message}");
    let (status, error) =
        bench.call("POST", "/v1/refunds", &format!("charge={charge}&amount=0")).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("parameter_invalid_integer")));

    bench.post("/v1/refunds", &format!("charge={charge}")).await;
    let all = events(&bench, &["charge.refunded"]).await;
    let last = &all[1]["data"];
    assert_eq!(last["previous_attributes"], json!({"amount_refunded": 1000, "refunded": false}));
    assert_eq!(last["object"]["refunded"], true);
    let (status, error) = bench.call("POST", "/v1/refunds", &format!("charge={charge}")).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("charge_already_refunded")));

    let list = bench.get(&format!("/v1/refunds?charge={charge}")).await;
    let amounts: Vec<&Value> =
        list["data"].as_array().expect("a list").iter().map(|refund| &refund["amount"]).collect();
    assert_eq!(amounts, [&json!(2000), &json!(1000)]);
    let shown = bench.get(&format!("/v1/charges/{charge}?expand[]=refunds")).await;
    assert_eq!(shown["refunds"]["url"], format!("/v1/charges/{charge}/refunds"));
    let of_charge = bench.get(&format!("/v1/charges/{charge}/refunds?limit=1")).await;
    assert_eq!(of_charge["has_more"], true);
    let path = format!("/v1/refunds/{}?expand[]=balance_transaction&expand[]=charge", id(&refund));
    let refund = bench.get(&path).await;
    assert_eq!(refund["balance_transaction"]["net"], -1000);
    assert_eq!(refund["charge"]["amount"], 3000);
    end(bench).await;
}

#[tokio::test]
async fn a_refund_takes_metadata_and_no_cancellation() {
    let bench = Bench::new().await;
    let (_, charge) = paid(&bench, "pm_card_visa", 3000).await;
    let refund = id(&bench.post("/v1/refunds", &format!("charge={charge}")).await);
    let path = format!("/v1/refunds/{refund}");
    assert_eq!(bench.post(&path, "metadata[order]=6735").await["metadata"]["order"], "6735");
    let (_, before) = only(&bench, "refund.updated").await;
    assert_eq!(before, json!({"metadata": {"order": null}}));
    only(&bench, "charge.refund.updated").await;
    bench.post(&path, "metadata[order]=6735").await;
    only(&bench, "refund.updated").await;
    let (status, _) = bench.call("POST", &format!("{path}/cancel"), "").await;
    assert_eq!(status, 400);
    end(bench).await;
}

// E10: a refund that looked good fails later, and no longer counts.
#[tokio::test]
async fn a_refund_fails_later_and_the_charge_is_whole_again() {
    let bench = Bench::new().await;
    let (_, charge) = paid(&bench, "pm_card_refundFail", 2000).await;
    let refund = bench.post("/v1/refunds", &format!("charge={charge}&amount=1500")).await;
    assert_eq!(refund["status"], "succeeded");
    assert_eq!(bench.get(&format!("/v1/charges/{charge}")).await["amount_refunded"], 1500);
    bench.control("/_sim/clock", json!({"advance_seconds": 3600})).await;
    let (object, before) = only(&bench, "refund.failed").await;
    assert_eq!(object["status"], "failed");
    assert_eq!(object["failure_reason"], "expired_or_canceled_card");
    let expected = json!({"status": "succeeded", "failure_reason": null,
                          "failure_balance_transaction": null});
    assert_eq!(before, expected);
    let whole = bench.get(&format!("/v1/charges/{charge}")).await;
    assert_eq!((&whole["amount_refunded"], &whole["refunded"]), (&json!(0), &json!(false)));
    let path = format!("/v1/refunds/{}", id(&refund));
    let failed = bench.get(&format!("{path}?expand[]=failure_balance_transaction")).await;
    assert_eq!(failed["failure_balance_transaction"]["amount"], 1500);
    bench.control("/_sim/clock", json!({"advance_seconds": 3600})).await;
    only(&bench, "refund.failed").await;
    end(bench).await;
}

#[tokio::test]
async fn any_refund_can_be_made_to_fail_once() {
    let bench = Bench::new().await;
    let (_, charge) = paid(&bench, "pm_card_visa", 2000).await;
    let refund = id(&bench.post("/v1/refunds", &format!("charge={charge}")).await);
    let path = format!("/_sim/refunds/{refund}/fail");
    let failed = bench.control(&path, json!({"reason": "lost_or_stolen_card"})).await;
    assert_eq!(failed["failure_reason"], "lost_or_stolen_card");
    assert_eq!(refused(&bench, &path, json!({})).await, 400);
    let again = bench.post("/v1/refunds", &format!("charge={charge}")).await;
    assert_eq!((&again["amount"], &again["status"]), (&json!(2000), &json!("succeeded")));
    end(bench).await;
}

#[tokio::test]
async fn a_pending_refund_arrives_later() {
    let bench = Bench::new().await;
    let (_, charge) = paid(&bench, "pm_card_pendingRefund", 2000).await;
    let refund = bench.post("/v1/refunds", &format!("charge={charge}")).await;
    assert_eq!(
        (&refund["status"], &refund["pending_reason"]),
        (&json!("pending"), &json!("processing"))
    );
    bench.control("/_sim/clock", json!({"advance_seconds": 3600})).await;
    let (object, before) = only(&bench, "refund.updated").await;
    assert_eq!(object["status"], "succeeded");
    assert_eq!(before, json!({"status": "pending", "pending_reason": "processing"}));
    assert_eq!(bench.get(&format!("/v1/charges/{charge}")).await["refunded"], true);
    end(bench).await;
}
