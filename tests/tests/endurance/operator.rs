//! What an operator sees of everything that cannot be acted on, by the program's own commands, and
//! what makes it go away.

use std::time::Duration;

use serde_json::{Value, json};
use tests::lives::Scene;
use tests::{Stripe, hook};

use crate::ground::Ground;
use crate::server::Server;

const PACK: &str = "turnpike_pack_500";
/// Looks before something that is bound to happen is missed.
const LOOKS: usize = 200;

/// Runs a command that may well say that something is wrong; answers whether all is well.
async fn ask(ground: &Ground, arguments: &[&str]) -> (bool, Value) {
    let output = ground.program(0).arg("--json").args(arguments).output().await;
    let output = output.expect("the command runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), serde_json::from_str(&printed).expect("JSON"))
}

/// What this list of the program shows of each row.
async fn listed(ground: &Ground, arguments: &[&str], field: &str) -> Vec<String> {
    let (_, said) = ask(ground, arguments).await;
    let rows = said["data"].as_array().expect("a list").iter();
    rows.filter_map(|row| row[field].as_str().map(str::to_owned)).collect()
}

async fn events(ground: &Ground, status: &str) -> Vec<String> {
    listed(ground, &["events", "list", "--status", status], "id").await
}

async fn findings(ground: &Ground) -> Vec<String> {
    let mut kinds = listed(ground, &["findings", "list"], "kind").await;
    kinds.sort();
    kinds
}

async fn deliver(server: &Server, event: &Value) {
    let (at, body) = (hook::now(), event.to_string());
    let secret = server::config::SIMULATOR_WEBHOOK_SECRET;
    let v1 = hook::signature(secret, at, body.as_bytes());
    let header = format!("t={at},v1={v1}");
    assert_eq!(hook::deliver_as(&server.url, &header, body.as_bytes()).await, 200);
}

/// What the doctor says about one thing, and whether that is well.
async fn doctor(ground: &Ground, about: &str) -> (bool, String) {
    let (_, said) = ask(ground, &["doctor"]).await;
    let all = said["findings"].as_array().expect("a list").clone();
    let one = all.iter().find(|one| one["what"] == about);
    let one = one.unwrap_or_else(|| panic!("the doctor says nothing of {about}: {said:#}"));
    (one["ok"] == true, one["says"].to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stuck_is_shown_by_the_doctor_and_by_lists_and_goes_when_it_is_put_right() {
    // A7, A10, A12
    let ground = Ground::make().await;
    let server = ground.serve().await;
    let wallet = ground.wallet("Ada", 1).await;
    assert!(doctor(&ground, "inbox").await.0 && doctor(&ground, "findings").await.0);
    let object = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1" });
    let mut live = hook::event("evt_live", "customer.subscription.created", object);
    live["livemode"] = json!(true);
    deliver(&server, &live).await;
    deliver(&server, &hook::event("evt_empty", "invoice.paid", json!({}))).await;
    let stripe = Stripe::at(&format!("http://127.0.0.1:{}", ground.simulator));
    let mut nobody = Scene::new(&stripe, "turnpike", "org_of_nobody");
    nobody.buy(PACK, "4242424242424242").await;
    for look in 0.. {
        let counts =
            [events(&ground, "dead").await.len(), events(&ground, "unmatched").await.len()];
        if counts[0] == 1 && counts[1] > 0 {
            break;
        }
        assert!(look < LOOKS, "nothing is ever given up: {counts:?}");
        ground.advance(3_700).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(events(&ground, "mode_mismatch").await, ["evt_live"]);
    assert_eq!(events(&ground, "dead").await, ["evt_empty"]);
    let kinds = findings(&ground).await;
    for kind in ["event_dead", "event_unmatched", "mode_mismatch"] {
        assert!(kinds.iter().any(|found| found == kind), "{kinds:?}");
    }
    let (well, said) = doctor(&ground, "inbox").await;
    assert!(!well);
    for words in ["1 failed too often", "match nobody", "1 are of the other Stripe mode"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!doctor(&ground, "findings").await.0);
    assert!(!ask(&ground, &["doctor"]).await.0, "who watches the exit code is told, too");
    let shown = ground.command(&["events", "show", "evt_empty"]).await;
    assert!(shown["last_error"].as_str().is_some_and(|why| why.contains("no object")), "{shown}");
    // The buyer turns out to be somebody.
    let customer = nobody.customer().await;
    let label = [("metadata[org_id]", wallet.org.as_str())];
    stripe.post(&format!("customers/{customer}"), &label).await;
    ground.command(&["events", "replay", "--failed"]).await;
    for look in 0.. {
        if events(&ground, "unmatched").await.is_empty()
            && !findings(&ground).await.contains(&"event_unmatched".to_owned())
        {
            break;
        }
        assert!(look < LOOKS, "the buyer is never found");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, open) = ask(&ground, &["findings", "list"]).await;
    for found in open["data"].as_array().expect("a list") {
        let id = found["id"].as_str().expect("an id");
        ground.command(&["findings", "dismiss", id, "--reason", "seen"]).await;
    }
    assert!(doctor(&ground, "findings").await.0);
    ground.end(vec![server]).await;
}
