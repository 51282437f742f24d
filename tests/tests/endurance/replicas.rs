//! Two processes on one Postgres: nothing in a process's memory is truth. On SQLite, which serves
//! one process, one tells the same stories.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::{Answer, Program};

use crate::caller::Wallet;
use crate::ground::Ground;
use crate::server::Server;
use crate::{clock, sums};

/// A program at the first server and one at the last; they are the same where there is one.
fn sides(servers: &[Server], wallet: &Wallet) -> [Program; 2] {
    [wallet.at(&servers[0]), wallet.at(&servers[servers.len() - 1])]
}

#[tokio::test(flavor = "multi_thread")]
async fn racers_on_both_processes_for_the_last_credits_sell_exactly_what_fits() {
    // D1
    let ground = Ground::make().await;
    let servers = ground.replicas().await;
    let wallet = ground.wallet("last", 25).await;
    let sides = sides(&servers, &wallet);
    let racers = (0..80).map(|number| {
        let side = &sides[number % 2];
        let path = if number % 4 < 2 { "consume" } else { "holds" };
        async move {
            let body = json!({ "meter": "text", "quantity": 1 });
            side.post(path, Some(&format!("racer-{number}")), &body).await
        }
    });
    let answers = join_all(racers).await;
    let sold = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.code() == "insufficient_credits").count();
    assert_eq!((sold, refused), (25, 55));
    let held = answers.iter().filter(|answer| answer.body["object"] == "hold").count() as i64;
    for side in &sides {
        sums::expect(side, 0, held).await;
    }
    ground.end(servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_sent_to_both_processes_at_once_has_one_effect_and_one_answer() {
    // D4, I7
    let ground = Ground::make().await;
    let servers = ground.replicas().await;
    let wallet = ground.wallet("twins", 60).await;
    let [left, right] = sides(&servers, &wallet);
    for round in 0..40 {
        let (key, body) = (format!("twin-{round}"), json!({ "meter": "text", "quantity": 2 }));
        let twin = |side: &Program| {
            let (side, key, body) = (side.clone(), key.clone(), body.clone());
            async move { side.post("consume", Some(&key), &body).await }
        };
        let (one, other) = tokio::join!(twin(&left), twin(&right));
        // Sixty credits are enough for thirty rounds; the others are refused, once each, too.
        let status = if round < 30 { 200 } else { 402 };
        assert_eq!((one.status.as_u16(), other.status.as_u16()), (status, status));
        assert_eq!(one.body, other.body, "one answer for both");
        assert!(one.replayed() != other.replayed(), "one was first: {one:?} {other:?}");
    }
    sums::expect(&left, 0, 0).await;
    let usages = left.get("usage?limit=100").await;
    assert_eq!(usages.body["data"].as_array().expect("a list").len(), 30);
    ground.end(servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_with_two_bodies_on_two_processes_has_the_effect_of_one() {
    // D3
    let ground = Ground::make().await;
    let servers = ground.replicas().await;
    let wallet = ground.wallet("bodies", 100).await;
    let [left, right] = sides(&servers, &wallet);
    let mut spent = 0;
    for round in 0..20 {
        let key = format!("key-{round}");
        let (one, other) =
            tokio::join!(left.consume(&key, "text", 1), right.consume(&key, "text", 2),);
        let (winner, loser) = if one.status == 200 { (one, other) } else { (other, one) };
        assert_eq!((loser.status.as_u16(), loser.code()), (422, "idempotency_key_reused"));
        spent += sums::whole(&winner.body["credits"]);
    }
    sums::expect(&right, 100 - spent, 0).await;
    ground.end(servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_writes_the_others_know_at_once() {
    // D5: what a process remembers of a wallet is never taken for the wallet.
    let ground = Ground::make().await;
    let servers = ground.replicas().await;
    let mut wallet = ground.wallet("known", 10).await;
    let [left, right] = sides(&servers, &wallet);
    for round in 0..4 {
        for (side, name) in [(&left, "left"), (&right, "right")] {
            let sold = side.consume(&format!("{name}-{round}"), "text", 5).await;
            assert_eq!(sold.status, 200, "{:?}", sold.body);
        }
        for (side, name) in [(&left, "left"), (&right, "right")] {
            let asked = side.post("authorize", None, &json!({ "meter": "text" })).await;
            assert_eq!(asked.body["code"], "insufficient_credits", "{:?}", asked.body);
            let denied = side.consume(&format!("no-{name}-{round}"), "text", 1).await;
            assert_eq!(denied.code(), "insufficient_credits", "{:?}", denied.body);
        }
        // The operator's command is a process of its own.
        ground.grant(&mut wallet, 10, &format!("round {round}")).await;
        sums::expect(&left, 10, 0).await;
        let all = json!({ "meter": "text", "quantity": 10 });
        assert_eq!(right.post("authorize", None, &all).await.body["allowed"], true);
    }
    ground.end(servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capture_on_one_process_against_release_on_the_other_has_one_winner() {
    // D9, I5
    let ground = Ground::make().await;
    let servers = ground.replicas().await;
    let wallet = ground.wallet("torn", 200).await;
    let [left, right] = sides(&servers, &wallet);
    let mut captured = 0;
    for round in 0..40 {
        let hold = sums::hold(&left, &format!("hold-{round}"), 3, 600).await;
        let capture = async {
            let path = format!("holds/{hold}/capture");
            left.post(&path, Some(&format!("capture-{round}")), &json!({ "quantity": 2 })).await
        };
        let release = async {
            let path = format!("holds/{hold}/release");
            right.post(&path, Some(&format!("release-{round}")), &json!({})).await
        };
        // Who is polled first changes, so that either may win.
        let (capture, release) = if round % 2 == 0 {
            tokio::join!(capture, release)
        } else {
            let (release, capture) = tokio::join!(release, capture);
            (capture, release)
        };
        captured += i64::from(one_winner(&capture, &release));
        let word = if capture.status == 200 { "captured" } else { "released" };
        let hold = right.get(&format!("holds/{hold}")).await;
        assert_eq!(hold.body["status"], word, "{:?}", hold.body);
    }
    sums::expect(&left, 200 - 2 * captured, 0).await;
    ground.end(servers).await;
}

/// Whether the first of two won; the other must have found the hold closed.
fn one_winner(one: &Answer, other: &Answer) -> bool {
    let (winner, loser) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!(winner.status, 200, "{one:?} {other:?}");
    assert_eq!((loser.status.as_u16(), loser.code()), (409, "hold_not_open"), "{one:?} {other:?}");
    one.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweepers_book_every_expiry_once_while_both_processes_spend() {
    // F9, D11, D17
    const HOLDS: usize = 20;
    const ROUNDS: i64 = 3;
    let ground = Ground::make().await;
    let servers = ground.replicas().await;
    // Nobody touches the idle one: only a sweeper can find out that its holds are over.
    let idle = ground.wallet("idle", 100).await;
    let busy = ground.wallet("busy", 1_000).await;
    let (idle, busy) = (sides(&servers, &idle), sides(&servers, &busy));
    for round in 0..ROUNDS {
        let mut holds = Vec::new();
        for number in 0..HOLDS {
            let key = format!("hold-{round}-{number}");
            holds.push(sums::hold(&idle[0], &key, 2, 55).await);
            sums::hold(&busy[1], &key, 2, 55).await;
        }
        sums::expect(&idle[1], 100 - 2 * HOLDS as i64, 2 * HOLDS as i64).await;
        // A sweep comes once a minute of the clock.
        let spending = (0..HOLDS).map(|number| {
            let side = &busy[number % 2];
            async move { side.consume(&format!("use-{round}-{number}"), "text", 1).await }
        });
        let moving = clock::advance(&servers[0], 61);
        let (answers, ()) = tokio::join!(join_all(spending), moving);
        assert!(answers.iter().all(|answer| answer.status == 200));
        let expired = (round + 1) * HOLDS as i64;
        for side in [&idle[0], &busy[0]] {
            swept(side, expired).await;
        }
        for hold in holds {
            let hold = idle[1].get(&format!("holds/{hold}")).await;
            assert_eq!(hold.body["status"], "expired", "{:?}", hold.body);
        }
        sums::expect(&idle[0], 100, 0).await;
        sums::expect(&busy[1], 1_000 - (round + 1) * HOLDS as i64, 0).await;
        ground.verify().await;
    }
    ground.end(servers).await;
}

/// Waits until the ledger says that so many holds ran out. Reading books nothing. More than that
/// would be a hold that ran out twice.
async fn swept(side: &Program, expected: i64) {
    let mut booked = 0;
    for _ in 0..600 {
        booked = expiries(side).await;
        if booked >= expected {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(booked, expected, "holds that ran out, in the ledger");
}

async fn expiries(side: &Program) -> i64 {
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let after = rows.last().and_then(|row| row["id"].as_str());
        let after = after.map(|id| format!("&starting_after={id}")).unwrap_or_default();
        let page = side.get(&format!("ledger?limit=100{after}")).await.body;
        rows.extend(page["data"].as_array().expect("a list").iter().cloned());
        if page["has_more"] != true {
            break;
        }
    }
    rows.iter().filter(|row| row["kind"] == "expire_hold").count() as i64
}
