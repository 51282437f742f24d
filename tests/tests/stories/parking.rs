//! Wallets whose books disagree: parked for debits, readable, rebuilt from their entries.

use serde_json::json;
use server::db::sql;
use tests::World;

use crate::calls::{
    batch, capture_of, extend, hold, hold_with, id, item_codes, release, reverse, said, standing,
    uses,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_wallet_is_read_and_not_debited() {
    // F1
    let world = World::with_free(0).await;
    let (program, other) = (world.program("Parked", 100).await, world.program("Fine", 100).await);
    let usage = uses(&program, "before", "text", 10).await;
    let body = json!({ "meter": "text", "quantity": 20, "run": "r1" });
    let open = id(&hold_with(&program, "open", &body).await);
    let text = "update wallets set parked_at = $2, parked_reason = 'a test' where org_id = $1";
    let now = world.engine.clock.now();
    world.tamper(sql(text).bind(program.org_id.as_str()).bind(now)).await;
    let parked = (403, "wallet_parked");
    let used = usage["id"].as_str().expect("an id");
    let run = program.post("runs/r1/release", Some("i"), &json!({})).await;
    for answer in [
        program.consume("a", "text", 1).await,
        hold(&program, "b", "text", 1).await,
        capture_of(&program, &open, "c", 1).await,
        release(&program, &open, "d").await,
        extend(&program, &open, "e", 60).await,
        reverse(&program, used, "f").await,
        // Before everything else that may be wrong.
        program.consume("h", "video", 1).await,
        run,
    ] {
        assert_eq!(said(&answer), parked, "{:?}", answer.body);
    }
    let items = json!([{ "key": "g", "meter": "text", "quantity": 1 }]);
    assert_eq!(item_codes(&batch(&program, items).await), [parked]);
    // After the key.
    assert!(program.consume("before", "text", 10).await.replayed());
    let asked = program.post("authorize", None, &json!({ "meter": "text" })).await;
    assert_eq!(asked.body["code"], "wallet_parked");
    // Reading goes on, and so does everybody else.
    for path in ["balance", "ledger", "usage", "entitlements", "runs/r1"] {
        assert_eq!(program.get(path).await.status, 200, "{path}");
    }
    uses(&other, "a", "text", 1).await;
    let text = "update wallets set parked_at = null, parked_reason = null";
    world.tamper(sql(text)).await;
    assert!(program.consume("a", "text", 1).await.replayed(), "a denial stays one");
    uses(&program, "a2", "text", 1).await;
    assert_eq!(capture_of(&program, &open, "c2", 20).await.status, 200);
    assert_eq!(standing(&program).await, ("69".to_owned(), "0".to_owned()));
    world.end().await;
}
