//! Wallets whose books disagree: parked for debits, readable, rebuilt from their entries.

use serde_json::json;
use server::audit::Actor;
use server::credits;
use server::db::sql;
use tests::World;

use crate::calls::{
    batch, capture_of, extend, held, hold, item_codes, release, reverse, said, standing, uses,
};

fn auditor() -> Actor {
    Actor::Operator("auditor".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_whose_books_disagree_is_parked_until_it_is_rebuilt() {
    // F1
    let world = World::with_free(0).await;
    let (program, other) = (world.program("Parked", 100).await, world.program("Fine", 100).await);
    let usage = uses(&program, "before", "text", 10).await;
    let open = held(&program, "open", "text", 20).await;
    let text = "update wallets set available = available + 1000000 where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str())).await;
    let found = credits::audit_books(&world.engine, None, auditor()).await.expect("audited");
    assert!(!found.is_empty());
    assert!(found.iter().all(|one| one.org_id == program.org_id), "{found:?}");
    let parked = (403, "wallet_parked");
    let denied = program.consume("a", "text", 1).await;
    assert_eq!(said(&denied), parked);
    assert_eq!(said(&hold(&program, "b", "text", 1).await), parked);
    assert_eq!(said(&capture_of(&program, &open, "c", 1).await), parked);
    assert_eq!(said(&release(&program, &open, "d").await), parked);
    assert_eq!(said(&extend(&program, &open, "e", 60).await), parked);
    let id = usage["id"].as_str().expect("an id");
    assert_eq!(said(&reverse(&program, id, "f").await), parked);
    let items = json!([{ "key": "g", "meter": "text", "quantity": 1 }]);
    assert_eq!(item_codes(&batch(&program, items).await), [parked]);
    // Before everything else that may be wrong, and after the key.
    assert_eq!(said(&program.consume("h", "video", 1).await), parked);
    assert!(program.consume("before", "text", 10).await.replayed());
    let asked = program.post("authorize", None, &json!({ "meter": "text" })).await;
    assert_eq!(asked.body["code"], "wallet_parked");
    // Reading goes on, and so does everybody else.
    for path in ["balance", "ledger", "usage", "entitlements"] {
        assert_eq!(program.get(path).await.status, 200, "{path}");
    }
    uses(&other, "a", "text", 1).await;
    credits::repair(&world.engine, &program.org_id, auditor(), "rebuilt from the entries")
        .await
        .expect("repaired");
    assert_eq!(standing(&program).await, ("70".to_owned(), "20".to_owned()));
    assert!(program.consume("a", "text", 1).await.replayed(), "the denial stays one");
    uses(&program, "a2", "text", 1).await;
    assert_eq!(capture_of(&program, &open, "c2", 20).await.status, 200);
    let text = "select count(*) from audits where org_id = $1 and actor_id = 'auditor'";
    let (audits,) = world.rows::<(i64,)>(sql(text).bind(program.org_id.as_str())).await[0];
    assert!(audits >= 2, "parking and repair are both on record: {audits}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_is_run_twice_changes_nothing_more() {
    // F1, F5
    let world = World::with_free(0).await;
    let program = world.program("Twice", 100).await;
    let text = "update grants set remaining = remaining - 5000000, consumed = consumed + 5000000
         where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str())).await;
    let org = Some(program.org_id.as_str());
    let found = credits::audit_books(&world.engine, org, auditor()).await.expect("audited");
    assert!(!found.is_empty());
    for _ in 0..2 {
        credits::repair(&world.engine, &program.org_id, auditor(), "rebuilt").await.expect("done");
        let left = credits::audit_books(&world.engine, org, auditor()).await.expect("audited");
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(program.available().await, "100");
    }
    uses(&program, "a", "text", 100).await;
    world.end().await;
}
