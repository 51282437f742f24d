//! Credit notes: an open invoice lowered, a paid one given back by refund, balance or elsewhere.

use serde_json::json;

use super::invoices::{owing, with_card};
use super::{end, events, only};
use crate::support::{Bench, id};

// F14: on an open invoice it lowers what is due, and voiding it raises that again.
#[tokio::test]
async fn an_open_invoice_is_lowered_raised_again_and_settled() {
    let bench = Bench::new().await;
    let (_, invoice) = owing(&bench, 3000).await;
    let form = format!(
        "invoice={invoice}&lines[0][type]=custom_line_item&lines[0][unit_amount]=500\
         &lines[0][quantity]=2&lines[0][description]=Goodwill&reason=order_change&memo=Sorry"
    );
    let note = bench.post("/v1/credit_notes", &form).await;
    assert_eq!((&note["type"], &note["pre_payment_amount"]), (&json!("pre_payment"), &json!(1000)));
    assert_eq!(note["lines"]["data"][0]["description"], "Goodwill");
    let number = note["number"].as_str().expect("a number");
    assert!(number.ends_with("-CN-01"), "{number}");
    let path = format!("/v1/invoices/{invoice}");
    assert_eq!(bench.get(&path).await["amount_due"], 2000);
    let all = events(&bench, &["invoice.updated"]).await;
    let before = &all.last().expect("told")["data"]["previous_attributes"];
    let expected = json!({"pre_payment_credit_notes_amount": 0, "amount_due": 3000,
                          "amount_remaining": 3000});
    assert_eq!(before, &expected);
    let payments =
        format!("/v1/invoice_payments?invoice={invoice}&expand[]=data.payment.payment_intent");
    let payment = bench.get(&payments).await["data"][0].clone();
    assert_eq!(payment["payment"]["payment_intent"]["amount"], 2000);

    let note_path = format!("/v1/credit_notes/{}", id(&note));
    assert_eq!(bench.post(&note_path, "metadata[k]=v").await["metadata"]["k"], "v");
    let (_, before) = only(&bench, "credit_note.updated").await;
    assert_eq!(before, json!({"metadata": {"k": null}}));
    let voided = bench.post(&format!("{note_path}/void"), "").await;
    assert_eq!(voided["status"], "void");
    let (_, before) = only(&bench, "credit_note.voided").await;
    assert_eq!(before, json!({"status": "issued", "voided_at": null}));
    assert_eq!(bench.get(&path).await["amount_due"], 3000);
    assert_eq!(bench.call("POST", &format!("{note_path}/void"), "").await.0, 400);

    let (status, _) =
        bench.call("POST", "/v1/credit_notes", &format!("invoice={invoice}&amount=3001")).await;
    assert_eq!(status, 400);
    bench.post("/v1/credit_notes", &format!("invoice={invoice}&amount=3000")).await;
    let settled = bench.get(&path).await;
    assert_eq!((&settled["status"], &settled["amount_paid"]), (&json!("paid"), &json!(0)));
    assert_eq!(bench.get("/v1/charges").await["data"], json!([]), "nobody was charged");
    end(bench).await;
}

// F14: after the payment the money goes back as a refund, as balance, or outside.
#[tokio::test]
async fn a_paid_invoice_is_given_back_in_three_ways() {
    let bench = Bench::new().await;
    let (customer, invoice) = owing(&bench, 3000).await;
    with_card(&bench, &customer, "pm_card_visa").await;
    let paid = bench.post(&format!("/v1/invoices/{invoice}/pay"), "").await;
    let line = paid["lines"]["data"][0]["id"].as_str().expect("a line").to_owned();
    let (status, body) =
        bench.call("POST", "/v1/credit_notes", &format!("invoice={invoice}&amount=1000")).await;
    assert_eq!(status, 400, "nobody said where the money goes: {body}");
    let form = format!(
        "invoice={invoice}&lines[0][type]=invoice_line_item&lines[0][invoice_line_item]={line}\
         &lines[0][amount]=1500&refund_amount=800&credit_amount=500&out_of_band_amount=200"
    );
    let preview = bench.get(&format!("/v1/credit_notes/preview?{form}")).await;
    assert_eq!((&preview["total"], &preview["refunds"]), (&json!(1500), &json!([])));
    assert_eq!(bench.get("/v1/credit_notes").await["data"], json!([]), "a preview stores nothing");
    let note = bench.post("/v1/credit_notes", &form).await;
    assert_eq!(
        (&note["type"], &note["post_payment_amount"]),
        (&json!("post_payment"), &json!(1500))
    );
    assert_eq!(note["refunds"][0]["amount_refunded"], 800);
    assert_eq!(note["out_of_band_amount"], 200);
    assert!(note["customer_balance_transaction"].as_str().is_some());
    let (charge, before) = only(&bench, "charge.refunded").await;
    assert_eq!(
        (&charge["amount_refunded"], &before),
        (&json!(800), &json!({"amount_refunded": 0}))
    );
    let owner = bench.get(&format!("/v1/customers/{customer}")).await;
    assert_eq!(owner["balance"], -500);
    let path = format!("/v1/invoices/{invoice}");
    let after = bench.get(&path).await;
    assert_eq!(after["post_payment_credit_notes_amount"], 1500);
    assert_eq!((&after["status"], &after["amount_paid"]), (&json!("paid"), &json!(3000)));
    let (status, _) = bench.call("POST", &format!("/v1/credit_notes/{}/void", id(&note)), "").await;
    assert_eq!(status, 400, "what was given back is not taken again");

    let intent = charge["payment_intent"].as_str().expect("an intent");
    let refund =
        id(&bench.post("/v1/refunds", &format!("payment_intent={intent}&amount=700")).await);
    let form = format!("invoice={invoice}&amount=700&refunds[0][refund]={refund}");
    let linked = bench.post("/v1/credit_notes", &form).await;
    assert_eq!(linked["refunds"][0]["refund"], json!(refund));
    let form = format!("invoice={invoice}&amount=801&out_of_band_amount=801");
    assert_eq!(bench.call("POST", "/v1/credit_notes", &form).await.0, 400, "more than is left");
    let list = bench.get(&format!("/v1/credit_notes?invoice={invoice}")).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    let lines = bench.get(&format!("/v1/credit_notes/{}/lines", id(&note))).await;
    assert_eq!(lines["data"][0]["invoice_line_item"], json!(line));
    let page = bench.http.get(note["pdf"].as_str().expect("a url")).send().await.expect("a page");
    assert!(page.text().await.expect("text").contains("$15.00"));
    end(bench).await;
}
