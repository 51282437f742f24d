//! Races in one process, over real HTTP: exactly one outcome, whoever is first.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::{Answer, Program};

use crate::ground::Ground;
use crate::{clock, sums};

#[tokio::test(flavor = "multi_thread")]
async fn holds_and_uses_race_for_the_last_credits_and_exactly_what_fits_is_given() {
    // D1, I4
    let ground = Ground::make().await;
    let server = ground.serve().await;
    let wallet = ground.wallet("last", 30).await;
    let program = wallet.at(&server);
    let racers = (0..64).map(|number| {
        let program = program.clone();
        async move {
            let body = json!({ "meter": "text", "quantity": "0.75" });
            let path = if number % 2 == 0 { "holds" } else { "consume" };
            program.post(path, Some(&format!("racer-{number}")), &body).await
        }
    });
    let answers = join_all(racers).await;
    let given: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    let refused = answers.iter().filter(|answer| answer.code() == "insufficient_credits").count();
    assert_eq!((given.len(), refused), (40, 24));
    sums_to_nothing(&program).await;
    // What is given back fits exactly as often again.
    let holds: Vec<&Answer> =
        given.iter().filter(|answer| answer.body["object"] == "hold").copied().collect();
    let releases = holds.iter().map(|hold| {
        let path = format!("holds/{}/release", id(&hold.body));
        let program = program.clone();
        async move { program.post(&path, Some(&format!("for {path}")), &json!({})).await }
    });
    assert!(join_all(releases).await.iter().all(|answer| answer.status == 200));
    let again = (0..holds.len() + 8).map(|number| {
        let (program, body) = (program.clone(), json!({ "meter": "text", "quantity": "0.75" }));
        async move { program.post("consume", Some(&format!("again-{number}")), &body).await }
    });
    let answers = join_all(again).await;
    let sold = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(sold, holds.len());
    sums::expect(&program, 0, 0).await;
    ground.end(vec![server]).await;
}

/// Nothing is available; what is held is a matter of who was first.
async fn sums_to_nothing(program: &Program) {
    assert_eq!(program.available().await, "0");
    let authorize = program.post("authorize", None, &json!({ "meter": "text" })).await;
    assert_eq!(authorize.body["allowed"], false, "{:?}", authorize.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_race_the_clock_and_each_hold_is_charged_once() {
    // D10: before its time is over a capture takes what was held; after it, it is a late use.
    const HOLDS: i64 = 40;
    let ground = Ground::make().await;
    let server = ground.serve().await;
    let wallet = ground.wallet("clock", 1_000).await;
    let program = wallet.at(&server);
    let (mut late, mut spent) = (0, 0);
    for round in 0..3 {
        let mut holds = Vec::new();
        for number in 0..HOLDS {
            holds.push(sums::hold(&program, &format!("hold-{round}-{number}"), 3, 60).await);
        }
        // The clock is asked to move in the middle of the line.
        let (early, rest) = holds.split_at(HOLDS as usize / 2);
        let (first, (), second) = tokio::join!(
            capture_all(&program, early),
            clock::advance(&server, 61),
            capture_all(&program, rest),
        );
        for (hold, answer) in holds.iter().zip(first.iter().chain(&second)) {
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            assert_eq!(answer.body["credits"], "2");
            let was_late = answer.body["late"] == true;
            let hold = program.get(&format!("holds/{hold}")).await.body;
            let expected = if was_late { "expired" } else { "captured" };
            assert_eq!((hold["status"].as_str(), &hold["captured"]), (Some(expected), &json!("2")));
            assert_eq!(hold["usage"], answer.body["id"], "{hold}");
            late += i64::from(was_late);
            spent += 2;
        }
        sums::expect(&program, 1_000 - spent, 0).await;
        // A second capture finds nothing to charge, late or not.
        let other = |hold: &String| format!("second {hold}");
        let seconds = holds.iter().map(|hold| capture(&program, hold, other(hold)));
        for answer in join_all(seconds).await {
            assert_eq!((answer.status.as_u16(), answer.code()), (409, "hold_not_open"));
        }
    }
    eprintln!("{late} of {} captures were late", 3 * HOLDS);
    sums::expect(&program, 1_000 - spent, 0).await;
    ground.end(vec![server]).await;
}

async fn capture_all(program: &Program, holds: &[String]) -> Vec<Answer> {
    join_all(holds.iter().map(|hold| capture(program, hold, format!("first {hold}")))).await
}

async fn capture(program: &Program, hold: &str, key: String) -> Answer {
    let path = format!("holds/{hold}/capture");
    program.post(&path, Some(&key), &json!({ "quantity": 2 })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_end_one_hold_one_wins() {
    // D9, I5: captures, releases and an extension, all at once.
    let ground = Ground::make().await;
    let server = ground.serve().await;
    let wallet = ground.wallet("ends", 500).await;
    let program = wallet.at(&server);
    let mut spent = 0;
    for round in 0..30 {
        let hold = sums::hold(&program, &format!("hold-{round}"), 5, 600).await;
        let asked = (0..6).map(|number| {
            let (verb, body) = match (number + round) % 3 {
                0 => ("capture", json!({ "quantity": 2 })),
                1 => ("release", json!({})),
                _ => ("extend", json!({ "ttl_seconds": 900 })),
            };
            let (program, path) = (program.clone(), format!("holds/{hold}/{verb}"));
            async move {
                let key = format!("{verb}-{round}-{number}");
                (verb, program.post(&path, Some(&key), &body).await)
            }
        });
        let answers = join_all(asked).await;
        let ended = |verb: &str| {
            answers.iter().filter(|(one, answer)| *one == verb && answer.status == 200).count()
        };
        let (captured, released) = (ended("capture"), ended("release"));
        assert_eq!(captured + released, 1, "{answers:?}");
        for (_, answer) in answers.iter().filter(|(_, answer)| answer.status != 200) {
            assert_eq!((answer.status.as_u16(), answer.code()), (409, "hold_not_open"));
        }
        spent += 2 * captured as i64;
        sums::expect(&program, 500 - spent, 0).await;
    }
    ground.end(vec![server]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_a_use_back_one_does() {
    // D6
    let ground = Ground::make().await;
    let server = ground.serve().await;
    let wallet = ground.wallet("back", 40).await;
    let program = wallet.at(&server);
    for round in 0..20 {
        let used = program.consume(&format!("use-{round}"), "image", 1).await;
        assert_eq!(used.status, 200, "{:?}", used.body);
        let path = format!("usage/{}/reverse", id(&used.body));
        let asked = (0..4).map(|number| {
            let (program, path) = (program.clone(), path.clone());
            async move {
                let body = json!({ "reason": "it did not work" });
                program.post(&path, Some(&format!("back-{round}-{number}")), &body).await
            }
        });
        let answers = join_all(asked).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        let closed = answers.iter().filter(|answer| answer.code() == "operation_reversed").count();
        assert_eq!((done, closed), (1, 3), "{answers:?}");
        sums::expect(&program, 40, 0).await;
    }
    ground.end(vec![server]).await;
}

fn id(thing: &Value) -> &str {
    thing["id"].as_str().expect("an id")
}
