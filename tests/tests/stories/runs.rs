//! Runs: the steps of one workflow, reported together and given up together.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::{Answer, Program, World};

use crate::calls::{batch, capture_of, hold_with, id, look, release, reverse, said, standing};

async fn step(program: &Program, key: &str, meter: &str, quantity: i64) -> Answer {
    let body = json!({ "meter": meter, "quantity": quantity, "run": "r1", "cost": 7 });
    program.post("consume", Some(key), &body).await
}

async fn hold_step(program: &Program, key: &str, quantity: i64) -> String {
    let body = json!({ "meter": "text", "quantity": quantity, "run": "r1" });
    id(&hold_with(program, key, &body).await)
}

async fn report(program: &Program, run: &str) -> Value {
    let answer = program.get(&format!("runs/{run}")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body
}

async fn give_up(program: &Program, run: &str, key: &str) -> Answer {
    program.post(&format!("runs/{run}/release"), Some(key), &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_whose_step_fails_gives_back_what_is_open_and_keeps_what_was_done() {
    // D27
    let world = World::with_free(0).await;
    let program = world.program("Flow", 100).await;
    assert_eq!(step(&program, "s1", "image", 1).await.status, 200);
    let done = hold_step(&program, "s2", 10).await;
    let (open, other) = (hold_step(&program, "s3", 30).await, hold_step(&program, "s4", 5).await);
    let elsewhere = json!({ "meter": "text", "quantity": 8, "run": "r2" });
    let elsewhere = id(&hold_with(&program, "e", &elsewhere).await);
    assert_eq!(capture_of(&program, &done, "c2", 6).await.body["run"], "r1");
    assert_eq!(said(&step(&program, "s5", "image", 9).await), (402, "insufficient_credits"));
    // One step is given up alone, then the rest of the run.
    assert_eq!(release(&program, &other, "r4").await.status, 200);
    let before = report(&program, "r1").await;
    assert_eq!(before["open_holds"], json!({ "count": 1, "credits": "30" }));
    let given_up = give_up(&program, "r1", "g").await;
    assert_eq!(given_up.status, 200, "{:?}", given_up.body);
    assert_eq!(
        (&given_up.body["object"], &given_up.body["run"]),
        (&json!("run_release"), &json!("r1"))
    );
    assert_eq!(
        (&given_up.body["released"], &given_up.body["credits"]),
        (&json!([open]), &json!("30"))
    );
    assert_eq!(given_up.body["balance"], json!({ "available": "66", "held": "8" }));
    let again = give_up(&program, "r1", "g").await;
    assert!(again.replayed());
    assert_eq!(again.body, given_up.body);
    assert_eq!(look(&program, &open).await["status"], "released");
    assert_eq!(look(&program, &elsewhere).await["status"], "open");
    // Nothing is open any more, and saying so again is no mistake.
    let nothing = give_up(&program, "r1", "g2").await;
    assert_eq!((&nothing.body["released"], &nothing.body["credits"]), (&json!([]), &json!("0")));
    assert_eq!(standing(&program).await, ("66".to_owned(), "8".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_reported_as_one() {
    // D27
    let world = World::with_free(0).await;
    let program = world.program("Report", 100).await;
    let first = step(&program, "a", "image", 1).await;
    assert_eq!(step(&program, "b", "text", 4).await.status, 200);
    assert_eq!(step(&program, "c", "text", 6).await.status, 200);
    let item = |key: &str| json!({ "key": key, "meter": "text", "quantity": 80, "run": "r1" });
    batch(&program, json!([item("d")])).await;
    let told = report(&program, "r1").await;
    let expected = [
        ("object", json!("run")),
        ("run", json!("r1")),
        ("credits", json!("110")),
        ("debt", json!("10")),
        ("overage", json!("0")),
        ("cost", json!(21)),
        ("open_holds", json!({ "count": 0, "credits": "0" })),
        ("reversed", json!({ "count": 0, "credits": "0" })),
    ];
    for (name, value) in expected {
        assert_eq!(told[name], value, "{name}: {told}");
    }
    let meter = |name: &str| {
        let meters = told["by_meter"].as_array().expect("meters").iter();
        let found = meters.filter(|one| one["meter"] == name).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{told}");
        (found[0]["credits"].clone(), found[0]["count"].clone())
    };
    assert_eq!(meter("text"), (json!("90"), json!(3)));
    assert_eq!(meter("image"), (json!("20"), json!(1)));
    assert!(told["usage_first_at"].as_str() <= told["usage_last_at"].as_str());
    // What was taken back is told apart.
    assert_eq!(reverse(&program, &id(&first), "r").await.status, 200);
    let told = report(&program, "r1").await;
    assert_eq!(told["credits"], "90");
    assert_eq!(told["reversed"], json!({ "count": 1, "credits": "20" }));
    let listed = program.get("usage?run=r1").await.body;
    assert_eq!(listed["data"].as_array().expect("a list").len(), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_began_or_of_another_org_is_not_found() {
    // D27
    let world = World::with_free(0).await;
    let (ada, bob) = (world.program("Ada", 100).await, world.program("Bob", 100).await);
    let hold = hold_step(&ada, "h", 10).await;
    for (program, run) in [(&ada, "r2"), (&bob, "r1")] {
        assert_eq!(said(&program.get(&format!("runs/{run}")).await), (404, "not_found"));
        assert_eq!(said(&give_up(program, run, "g").await), (404, "not_found"));
    }
    assert_eq!(look(&ada, &hold).await["status"], "open");
    assert_eq!(said(&bob.get(&format!("holds/{hold}")).await), (404, "not_found"));
    for answer in [
        capture_of(&bob, &hold, "k", 1).await,
        release(&bob, &hold, "k").await,
        crate::calls::extend(&bob, &hold, "k", 60).await,
    ] {
        assert_eq!(said(&answer), (404, "not_found"));
    }
    assert_eq!(standing(&ada).await, ("90".to_owned(), "10".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_a_run_while_its_steps_end_leaves_nothing_open() {
    // D27
    let world = World::with_free(0).await;
    let program = world.program("Storm", 1000).await;
    let mut holds = Vec::new();
    for n in 0..12 {
        holds.push(hold_step(&program, &format!("h{n}"), 10).await);
    }
    let captures = holds.iter().enumerate().map(|(n, hold)| {
        let program = &program;
        async move { capture_of(program, hold, &format!("c{n}"), 10).await }
    });
    let releases = (0..3).map(|n| {
        let program = &program;
        async move { give_up(program, "r1", &format!("g{n}")).await }
    });
    let (captured, given_up) = tokio::join!(join_all(captures), join_all(releases));
    let charged = captured.iter().filter(|answer| answer.status == 200).count();
    let released: usize =
        given_up.iter().map(|one| one.body["released"].as_array().expect("a list").len()).sum();
    assert_eq!(charged + released, 12);
    assert_eq!(standing(&program).await, ((1000 - 10 * charged).to_string(), "0".to_owned()));
    world.end().await;
}
