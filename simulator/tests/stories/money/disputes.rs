//! Disputes: opened by a card or by hand, answered, accepted, won, lost, withdrawn, escalated.

use serde_json::{Value, json};

use super::{end, events, only, paid, refused};
use crate::support::{Bench, id};

const TYPES: [&str; 5] = [
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_reinstated",
];

async fn of_intent(bench: &Bench, intent: &str) -> Value {
    let list = bench.get(&format!("/v1/disputes?payment_intent={intent}")).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    list["data"][0].clone()
}

async fn told(bench: &Bench) -> Vec<String> {
    let all = events(bench, &TYPES).await;
    all.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

// E11, E12: the money goes at once and comes back when the evidence wins.
#[tokio::test]
async fn a_disputed_charge_is_won_with_evidence() {
    let bench = Bench::new().await;
    let (intent, charge) = paid(&bench, "pm_card_createDispute", 5000).await;
    let dispute = of_intent(&bench, &intent).await;
    assert_eq!(
        (&dispute["status"], &dispute["reason"]),
        (&json!("needs_response"), &json!("fraudulent"))
    );
    assert_eq!(dispute["amount"], 5000);
    assert_eq!(dispute["balance_transactions"][0]["net"], -6500);
    assert_eq!(dispute["is_charge_refundable"], false);
    assert_eq!(dispute["payment_method_details"]["card"]["network"], "visa");
    assert_eq!(bench.get(&format!("/v1/charges/{charge}")).await["disputed"], true);
    let (_, before) = only(&bench, "charge.dispute.funds_withdrawn").await;
    assert_eq!(before, json!({"balance_transactions": []}));
    let (status, error) = bench.call("POST", "/v1/refunds", &format!("charge={charge}")).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("charge_disputed")));

    let path = format!("/v1/disputes/{}", id(&dispute));
    let staged = bench.post(&path, "evidence[product_description]=Credits&submit=false").await;
    assert_eq!(staged["status"], "needs_response");
    assert_eq!(staged["evidence_details"]["has_evidence"], true);
    let form = "evidence[uncategorized_text]=winning_evidence";
    let answered = bench.post(&path, form).await;
    assert_eq!(answered["status"], "under_review");
    assert_eq!(answered["evidence_details"]["submission_count"], 1);
    let expected = [TYPES[0], TYPES[1], TYPES[2], TYPES[2], TYPES[3], TYPES[4]];
    assert_eq!(told(&bench).await, expected);
    let (_, before) = only(&bench, "charge.dispute.closed").await;
    assert_eq!(before, json!({"status": "under_review", "is_charge_refundable": false}));
    let won = bench.get(&path).await;
    assert_eq!(won["status"], "won");
    assert_eq!(won["balance_transactions"][1]["net"], 6500);
    assert_eq!(won["evidence"]["product_description"], "Credits");
    let (status, _) = bench.call("POST", &format!("{path}/close"), "").await;
    assert_eq!(status, 400, "it is over");
    let refund = bench.post("/v1/refunds", &format!("charge={charge}&amount=5000")).await;
    assert_eq!(refund["status"], "succeeded", "money that came back can be given back");
    end(bench).await;
}

// E13: lost evidence, an accepted dispute and silence all lose the money.
#[tokio::test]
async fn disputes_are_lost_by_evidence_by_accepting_and_by_silence() {
    let bench = Bench::new().await;
    let (first, _) = paid(&bench, "pm_card_createDispute", 1000).await;
    let path = format!("/v1/disputes/{}", id(&of_intent(&bench, &first).await));
    bench.post(&path, "evidence[uncategorized_text]=losing_evidence").await;
    assert_eq!(bench.get(&path).await["status"], "lost");
    let (status, _) = bench.call("POST", &path, "evidence[receipt]=x").await;
    assert_eq!(status, 400, "no evidence after the end");

    let (second, charge) = paid(&bench, "pm_card_createDisputeProductNotReceived", 1000).await;
    assert_eq!(of_intent(&bench, &second).await["reason"], "product_not_received");
    let closed = bench.post(&format!("/v1/charges/{charge}/dispute/close"), "").await;
    assert_eq!(closed["status"], "lost");

    let (third, charge) = paid(&bench, "pm_card_visa", 1000).await;
    let body = json!({"payment_intent": third, "reason": "subscription_canceled", "amount": 400});
    let dispute = bench.control("/_sim/disputes", body).await;
    assert_eq!((&dispute["amount"], &dispute["charge"]), (&json!(400), &json!(charge)));
    bench.control("/_sim/clock", json!({"advance_seconds": 12 * 86_400})).await;
    let late = bench.get(&format!("/v1/disputes/{}", id(&dispute))).await;
    assert_eq!(late["status"], "lost");
    assert_eq!(late["evidence_details"]["past_due"], true);
    assert_eq!(told(&bench).await.iter().filter(|t| *t == TYPES[3]).count(), 3);
    assert_eq!(told(&bench).await.iter().filter(|t| *t == TYPES[4]).count(), 0);
    let body = json!({"charge": charge});
    assert_eq!(refused(&bench, "/_sim/disputes", body).await, 400, "lost once is enough");
    end(bench).await;
}

// E12: what the holder withdraws ends as won; the merchant need not do anything.
#[tokio::test]
async fn a_withdrawn_dispute_ends_as_won() {
    let bench = Bench::new().await;
    let (_, charge) = paid(&bench, "pm_card_visa", 1000).await;
    bench.post("/v1/refunds", &format!("charge={charge}&amount=300")).await;
    let dispute = bench.control("/_sim/disputes", json!({"charge": charge})).await;
    assert_eq!(dispute["amount"], 700, "what was given back is not disputed");
    let path = format!("/_sim/disputes/{}/decide", id(&dispute));
    let won = bench.control(&path, json!({"outcome": "withdrawn"})).await;
    assert_eq!(won["status"], "won");
    assert_eq!(told(&bench).await, [TYPES[0], TYPES[1], TYPES[3], TYPES[4]]);
    assert_eq!(refused(&bench, &path, json!({"outcome": "lost"})).await, 400);
    end(bench).await;
}

// E11: an inquiry moves no money; it is closed, dropped after a refund, or becomes a chargeback.
#[tokio::test]
async fn an_inquiry_moves_no_money_until_it_escalates() {
    let bench = Bench::new().await;
    let (first, charge) = paid(&bench, "pm_card_createDisputeInquiry", 1000).await;
    let dispute = of_intent(&bench, &first).await;
    assert_eq!(dispute["status"], "warning_needs_response");
    assert_eq!(dispute["payment_method_details"]["card"]["case_type"], "inquiry");
    assert_eq!(dispute["balance_transactions"], json!([]));
    bench.post("/v1/refunds", &format!("charge={charge}")).await;
    let path = format!("/v1/disputes/{}", id(&dispute));
    assert_eq!(bench.get(&path).await["status"], "warning_closed", "nothing left to ask about");
    assert_eq!(told(&bench).await, [TYPES[0], TYPES[3]]);

    let (second, _) = paid(&bench, "pm_card_createDisputeInquiry", 1000).await;
    let path = format!("/v1/disputes/{}", id(&of_intent(&bench, &second).await));
    bench.post(&path, "metadata[seen]=yes").await;
    bench.post(&path, "evidence[uncategorized_text]=escalate_inquiry_evidence").await;
    let raised = bench.get(&path).await;
    assert_eq!(raised["status"], "needs_response");
    assert_eq!(raised["payment_method_details"]["card"]["case_type"], "chargeback");
    assert_eq!(raised["balance_transactions"][0]["amount"], -1000);
    let all = events(&bench, &["charge.dispute.updated"]).await;
    let before = &all[2]["data"]["previous_attributes"];
    assert_eq!(before["status"], "warning_under_review");
    let card = json!({"card": {"case_type": "inquiry"}});
    assert_eq!(before["payment_method_details"], card);

    let (third, _) = paid(&bench, "pm_card_createDisputeInquiry", 1000).await;
    let path = format!("/v1/disputes/{}", id(&of_intent(&bench, &third).await));
    bench.control("/_sim/clock", json!({"advance_seconds": 121 * 86_400})).await;
    assert_eq!(bench.get(&path).await["status"], "warning_closed");
    end(bench).await;
}

#[tokio::test]
async fn only_a_paid_charge_is_disputed_and_only_for_what_it_was() {
    let bench = Bench::new().await;
    let form = "amount=900&currency=usd&confirm=true&payment_method=pm_card_chargeCustomerFail";
    let (_, body) = bench.call("POST", "/v1/payment_intents", form).await;
    let failed = body["error"]["charge"].clone();
    assert_eq!(refused(&bench, "/_sim/disputes", json!({"charge": failed})).await, 400);
    let (_, charge) = paid(&bench, "pm_card_visa", 900).await;
    for body in [
        json!({"charge": charge, "amount": 901}),
        json!({"charge": charge, "amount": 0}),
        json!({"charge": charge, "reason": "boredom"}),
        json!({"charge": "ch_none"}),
        json!({}),
    ] {
        assert_eq!(refused(&bench, "/_sim/disputes", body.clone()).await, 400, "{body}");
    }
    assert_eq!(told(&bench).await, Vec::<String>::new());
    end(bench).await;
}

#[tokio::test]
async fn the_time_for_evidence_passes_on_the_customers_own_clock() {
    let bench = Bench::new().await;
    let now = 1_800_000_000;
    let clock = bench.post("/v1/test_helpers/test_clocks", &format!("frozen_time={now}")).await;
    let form = format!("email=t@example.com&test_clock={}", id(&clock));
    let customer = id(&bench.post("/v1/customers", &form).await);
    let form = format!(
        "amount=800&currency=usd&customer={customer}&confirm=true\
         &payment_method=pm_card_createDispute"
    );
    let intent = id(&bench.post("/v1/payment_intents", &form).await);
    let path = format!("/v1/disputes/{}", id(&of_intent(&bench, &intent).await));
    bench.control("/_sim/clock", json!({"advance_seconds": 30 * 86_400})).await;
    assert_eq!(bench.get(&path).await["status"], "needs_response", "another clock");
    let form = format!("frozen_time={}", now + 11 * 86_400);
    bench.post(&format!("/v1/test_helpers/test_clocks/{}/advance", id(&clock)), &form).await;
    assert_eq!(bench.get(&path).await["status"], "lost");
    end(bench).await;
}
