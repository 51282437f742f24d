//! The watchers are watched: whoever breaks a row is found out by the invariants that every other
//! story ends with.

use serde_json::json;
use server::credits::Source;
use server::db::sql;
use tests::{World, invariants};

use crate::calls::{capture_of, held, said, uses};

/// What is broken, how it is mended, and by which invariant it is found.
const BROKEN: [(&str, &str, &str); 16] = [
    (
        "update ledger_entries set to_account = 'available' where to_account = 'consumed'
             and from_account = 'available'",
        "update ledger_entries set to_account = 'consumed' where to_account = from_account",
        "I1",
    ),
    (
        "update wallets set available = available + 1",
        "update wallets set available = available - 1",
        "I2",
    ),
    (
        "update operations set held_after = held_after + 1 where kind = 'grant'",
        "update operations set held_after = held_after - 1 where kind = 'grant'",
        "I2",
    ),
    (
        "update grants set remaining = remaining + 1, consumed = consumed - 1 where consumed > 0",
        "update grants set remaining = remaining - 1, consumed = consumed + 1 where consumed > 0",
        "I3",
    ),
    ("update wallets set held = held + 1", "update wallets set held = held - 1", "I4"),
    (
        "update grants set held = held + 1, remaining = remaining - 1 where held > 0",
        "update grants set held = held - 1, remaining = remaining + 1 where held > 0",
        "I4",
    ),
    (
        "update holds set ended_at = 1 where status = 'open'",
        "update holds set ended_at = null where status = 'open'",
        "I5",
    ),
    (
        "update holds set status = 'released' where status = 'captured'",
        "update holds set status = 'captured' where status = 'released'",
        "I5",
    ),
    (
        "update usages set key = 'nobody' where key = 'a'",
        "update usages set key = 'a' where key = 'nobody'",
        "I7",
    ),
    (
        "update usages set key = 'a' where key = 'c'",
        "update usages set key = 'c' where key = 'a' and hold_id is not null",
        "I7",
    ),
    (
        "update grants set expires_at = 1 where source_kind = 'promo'",
        "update grants set expires_at = null where source_kind = 'promo'",
        "I8",
    ),
    (
        "update grants set effective_at = effective_at + 86400000 where source_kind = 'promo'",
        "update grants set effective_at = effective_at - 86400000 where source_kind = 'promo'",
        "I8",
    ),
    (
        "update grants set priority = 1 where source_kind = 'manual'",
        "update grants set priority = 50 where source_kind = 'manual'",
        "I9",
    ),
    (
        "update grants set claw_debt = 1 where source_kind = 'promo'",
        "update grants set claw_debt = 0 where source_kind = 'promo'",
        "I10",
    ),
    (
        "update decisions set code = 'cap_reached' where status = 402",
        "update decisions set code = 'insufficient_credits' where status = 402",
        "I13",
    ),
    (
        "update stripe_events set livemode = not livemode",
        "update stripe_events set livemode = not livemode",
        "I15",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_broken_is_found_by_its_invariant() {
    let world = World::with_free(0).await;
    let program = world.program("Broken", 100).await;
    world.give_as(&program.org_id, Source::Promo, 50, "promo", None).await.expect("granted");
    let usage = uses(&program, "a", "text", 10).await;
    assert_eq!(usage["from"].as_array().map(Vec::len), Some(1), "{usage}");
    let hold = held(&program, "h", "text", 10).await;
    assert_eq!(capture_of(&program, &hold, "c", 10).await.body["credits"], json!("10"));
    held(&program, "open", "text", 10).await;
    assert_eq!(said(&program.consume("d", "text", 200).await), (402, "insufficient_credits"));
    for (breaks, mends, number) in BROKEN {
        assert_eq!(invariants(&world.engine.db).await, Vec::<String>::new());
        assert!(world.tamper(sql(breaks)).await > 0, "{breaks}");
        let found = invariants(&world.engine.db).await;
        let named = found.iter().any(|one| one.split([' ', ':']).next() == Some(number));
        assert!(named, "{breaks}: {found:?}");
        assert!(world.tamper(sql(mends)).await > 0, "{mends}");
    }
    world.end().await;
}
