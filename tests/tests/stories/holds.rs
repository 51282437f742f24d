//! Holds: credits set aside for work whose cost is known only afterwards.

use futures::future::join_all;
use serde_json::json;
use server::credits::Source;
use tests::{World, WorldOptions};

use crate::calls::{
    capture, capture_of, extend, held, hold, hold_with, id, kinds, look, release, said, standing,
    uses,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_sets_credits_aside_and_its_capture_charges_them() {
    let world = World::with_free(0).await;
    let program = world.program("Holds", 100).await;
    let made = hold(&program, "h", "text", 30).await;
    assert_eq!(made.status, 200, "{:?}", made.body);
    let expected = [
        ("object", json!("hold")),
        ("status", json!("open")),
        ("credits", json!("30")),
        ("captured", json!("0")),
        ("meter", json!("text")),
        ("quantity", json!(30)),
        ("key", json!("h")),
        ("on_expiry", json!("release")),
        ("usage", json!(null)),
        ("ended_at", json!(null)),
        ("balance", json!({ "available": "70", "held": "30" })),
    ];
    for (name, value) in expected {
        assert_eq!(made.body[name], value, "{name}: {:?}", made.body);
    }
    let hold = id(&made);
    assert_eq!(standing(&program).await, ("70".to_owned(), "30".to_owned()));
    // What is held cannot be spent by anybody else.
    assert_eq!(said(&program.consume("c", "text", 71).await), (402, "insufficient_credits"));
    let usage = capture_of(&program, &hold, "cap", 30).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    assert_eq!(usage.body["object"], "usage");
    assert_eq!((&usage.body["credits"], &usage.body["hold"]), (&json!("30"), &json!(hold)));
    assert_eq!(usage.body["late"], false);
    assert_eq!(usage.body["balance"], json!({ "available": "70", "held": "0" }));
    let after = look(&program, &hold).await;
    assert_eq!((&after["status"], &after["captured"]), (&json!("captured"), &json!("30")));
    assert_eq!(after["usage"], usage.body["id"]);
    assert!(after["ended_at"].is_string());
    assert_eq!(kinds(&program, 3).await, ["capture", "hold", "grant"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_capture_leaves_returns_to_the_grants_it_came_from() {
    // D7
    let world = World::with_free(0).await;
    let program = world.program("Less", 100).await;
    let day = Some(86_400);
    world.give_as(&program.org_id, Source::Promo, 20, "promo", day).await.expect("granted");
    // 20 of the promotion, which is spent first, and 10 of the rest.
    let first = held(&program, "h", "text", 30).await;
    let usage = capture_of(&program, &first, "c", 5).await;
    assert_eq!(usage.body["from"].as_array().expect("parts").len(), 1);
    assert_eq!(usage.body["from"][0]["credits"], "5");
    let grants = program.get("balance").await.body["grants"].clone();
    let left: Vec<(&str, &str)> = grants
        .as_array()
        .expect("grants")
        .iter()
        .filter_map(|grant| Some((grant["source"].as_str()?, grant["remaining"].as_str()?)))
        .collect();
    assert_eq!(left, [("promo", "15"), ("manual", "100")]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_returns_to_a_lapsed_grant_lapses_at_once_with_an_entry() {
    // D7
    let world = World::with_free(0).await;
    let program = world.program("Lapsed", 100).await;
    let hour = Some(3600);
    let promo = world.give_as(&program.org_id, Source::Promo, 20, "promo", hour).await;
    let body = json!({ "meter": "text", "quantity": 30, "ttl_seconds": 7200 });
    let hold = id(&hold_with(&program, "h", &body).await);
    world.pass(3700).await;
    let usage = capture_of(&program, &hold, "c", 5).await;
    assert_eq!(usage.status, 200, "{:?}", usage.body);
    assert_eq!(usage.body["late"], false, "the hold itself was open");
    assert_eq!(usage.body["from"][0]["grant"], json!(promo));
    // 5 of the promotion are used, its other 15 lapse; the 10 of the rest return.
    assert_eq!(standing(&program).await, ("100".to_owned(), "0".to_owned()));
    let text = "select consumed, expired, remaining from grants where id = $1";
    let statement = server::db::sql(text).bind(promo);
    let parts: Vec<(i64, i64, i64)> = world.rows(statement).await;
    assert_eq!(parts, [(5_000_000, 15_000_000, 0)]);
    let lapsed = "select cast(sum(amount) as bigint) from ledger_entries
         where to_account = 'expired'";
    let lapsed: Vec<(i64,)> = world.rows(server::db::sql(lapsed)).await;
    assert_eq!(lapsed, [(15_000_000,)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_once_and_every_later_word_is_refused() {
    // D9, I5
    let world = World::with_free(0).await;
    let program = world.program("Ends", 100).await;
    let captured = held(&program, "h1", "text", 10).await;
    let first = capture_of(&program, &captured, "c1", 10).await;
    let again = capture_of(&program, &captured, "c1", 10).await;
    assert!(again.replayed());
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let released = held(&program, "h2", "text", 10).await;
    let first = release(&program, &released, "r1").await;
    assert_eq!(first.body["status"], "released", "{:?}", first.body);
    assert_eq!(first.body["balance"], json!({ "available": "90", "held": "0" }));
    let again = release(&program, &released, "r1").await;
    assert!(again.replayed());
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for hold in [&captured, &released] {
        for answer in [
            capture_of(&program, hold, "late", 1).await,
            capture_of(&program, hold, "late", 0).await,
            release(&program, hold, "late").await,
            extend(&program, hold, "late", 60).await,
        ] {
            assert_eq!(said(&answer), (409, "hold_not_open"), "{:?}", answer.body);
        }
    }
    assert_eq!(program.available().await, "90");
    // Such an answer is not stored: the key may still be used.
    uses(&program, "late", "text", 1).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_and_releases_that_race_have_one_winner() {
    // D9, I5
    let world = World::with_free(0).await;
    let program = world.program("Racers", 1000).await;
    for round in 0..5 {
        let hold = held(&program, &format!("h{round}"), "text", 10).await;
        let tries = (0..12).map(|n| {
            let (program, hold, key) = (&program, hold.as_str(), format!("{round}-{n}"));
            async move {
                match n % 2 {
                    0 => capture_of(program, hold, &key, 10).await,
                    _ => release(program, hold, &key).await,
                }
            }
        });
        let answers = join_all(tries).await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        let lost = answers.iter().filter(|answer| said(answer) == (409, "hold_not_open")).count();
        assert_eq!((won, lost), (1, 11));
    }
    let spent = "select count(*) from holds where status = 'captured'";
    let (spent,) = world.rows::<(i64,)>(server::db::sql(spent)).await[0];
    assert_eq!(standing(&program).await, ((1000 - 10 * spent).to_string(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_hold_that_is_gone_is_refused() {
    // D6
    let world = World::with_free(0).await;
    let program = world.program("Gone", 100).await;
    let body = json!({ "meter": "text", "quantity": 10, "ttl_seconds": 60 });
    let released = id(&hold_with(&program, "released", &body).await);
    let captured = hold_with(&program, "captured", &body).await;
    let expired = id(&hold_with(&program, "expired", &body).await);
    assert_eq!(release(&program, &released, "r").await.status, 200);
    assert_eq!(capture_of(&program, &id(&captured), "c", 10).await.status, 200);
    world.pass(61).await;
    for key in ["released", "expired"] {
        let repeat = hold_with(&program, key, &body).await;
        assert_eq!(said(&repeat), (409, "operation_reversed"), "{key} {:?}", repeat.body);
    }
    assert_eq!(look(&program, &expired).await["status"], "expired");
    // What was captured is answered as it was then.
    let repeat = hold_with(&program, "captured", &body).await;
    assert!(repeat.replayed());
    assert_eq!(repeat.body, captured.body);
    assert_eq!(standing(&program).await, ("90".to_owned(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_of_a_hold_set_credits_aside_once() {
    // D2, D4
    let world = World::with_free(0).await;
    let program = world.program("Twins", 100).await;
    let twins = join_all((0..16).map(|_| hold(&program, "same", "text", 30))).await;
    assert!(twins.iter().all(|twin| twin.status == 200 && twin.body == twins[0].body));
    assert_eq!(twins.iter().filter(|twin| !twin.replayed()).count(), 1);
    assert_eq!(standing(&program).await, ("70".to_owned(), "30".to_owned()));
    let made = id(&twins[0]);
    let twins = join_all((0..16).map(|_| capture_of(&program, &made, "cap", 20))).await;
    assert!(twins.iter().all(|twin| twin.status == 200 && twin.body == twins[0].body));
    assert_eq!(twins.iter().filter(|twin| !twin.replayed()).count(), 1);
    assert_eq!(standing(&program).await, ("80".to_owned(), "0".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_to_hold_the_last_credits_exactly_what_fits_is_held() {
    // D1
    let world = World::with_free(0).await;
    let program = world.program("Race", 5).await;
    let tries = (0..40).map(|n| {
        let program = &program;
        async move {
            let key = format!("k{n}");
            match n % 2 {
                0 => hold(program, &key, "text", 1).await,
                _ => program.consume(&key, "text", 1).await,
            }
        }
    });
    let answers = join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
    let refused = answers.iter().filter(|answer| answer.code() == "insufficient_credits");
    assert_eq!(refused.count(), 35);
    assert_eq!(program.available().await, "0");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_for_another_act_on_a_hold_is_refused() {
    // D3: the path is part of what a key stands for.
    let world = World::with_free(0).await;
    let program = world.program("Acts", 100).await;
    let (one, two) = (held(&program, "h1", "text", 5).await, held(&program, "h2", "text", 5).await);
    assert_eq!(capture_of(&program, &one, "k", 5).await.status, 200);
    for answer in [
        capture_of(&program, &one, "k", 4).await,
        capture_of(&program, &two, "k", 5).await,
        capture(&program, &one, "k", &json!({ "quantity": 5, "over": "debt" })).await,
        release(&program, &two, "k").await,
        extend(&program, &two, "k", 60).await,
        hold(&program, "k", "text", 5).await,
        program.consume("k", "text", 5).await,
    ] {
        assert_eq!(said(&answer), (422, "idempotency_key_reused"), "{:?}", answer.body);
    }
    assert_eq!(standing(&program).await, ("90".to_owned(), "5".to_owned()));
    world.end().await;
}

const CARD: &str = "version = \"bounded\"
[meters.text]\nlabel = \"Text\"\nunit = \"text\"\nrate = \"1\"
[meters.output_tokens]\nlabel = \"Output\"\nunit = \"token\"\nrate = \"0.01\"
default_hold = \"200\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn work_of_unknown_length_holds_a_bounded_estimate() {
    // D12
    let world = World::with(WorldOptions::nothing_free().rates(CARD)).await;
    let program = world.program("Unknown", 1000).await;
    let made = hold_with(&program, "h", &json!({ "meter": "output_tokens" })).await;
    assert_eq!(made.status, 200, "{:?}", made.body);
    assert_eq!((&made.body["quantity"], &made.body["credits"]), (&json!(200), &json!("2")));
    assert_eq!(standing(&program).await, ("998".to_owned(), "2".to_owned()));
    let asked = hold_with(&program, "t", &json!({ "meter": "text" })).await;
    assert_eq!((asked.status.as_u16(), asked.param()), (400, "quantity"));
    // An estimate that is more than there is, is refused like any other.
    let poor = world.program("Poor", 1).await;
    let refused = hold_with(&poor, "h", &json!({ "meter": "output_tokens" })).await;
    assert_eq!(said(&refused), (402, "insufficient_credits"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extended_hold_lives_longer_and_never_shorter() {
    // D11
    let world = World::with_free(0).await;
    let program = world.program("Longer", 100).await;
    let body = json!({ "meter": "text", "quantity": 10, "ttl_seconds": 3600 });
    let made = hold_with(&program, "h", &body).await;
    let hold = id(&made);
    let shorter = extend(&program, &hold, "e1", 60).await;
    assert_eq!(shorter.body["expires_at"], made.body["expires_at"], "{:?}", shorter.body);
    let longer = extend(&program, &hold, "e2", 7200).await;
    let end = |body: &serde_json::Value| body["expires_at"].as_str().map(str::to_owned);
    assert!(end(&longer.body) > end(&made.body));
    assert_eq!(longer.body["status"], "open");
    world.pass(3700).await;
    assert_eq!(look(&program, &hold).await["status"], "open");
    assert_eq!(capture_of(&program, &hold, "c", 10).await.body["late"], false);
    world.end().await;
}
