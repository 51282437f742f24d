//! The order to stop, under load: what was begun is finished and answered, and what was answered is
//! in the ledger.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::caller::{Answer, Caller, Lost};
use crate::ground::Ground;

/// Clients that never stop asking.
const CLIENTS: usize = 24;
/// Credits: far more than they can use.
const CREDITS: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_answers_what_it_began_and_keeps_what_it_answered() {
    // D2, D24
    let ground = Ground::make().await;
    let mut servers = vec![ground.serve().await];
    let wallet = ground.wallet("drain", CREDITS).await;
    let (_open, opened) = watch::channel(true);
    let caller = Caller::new(&servers, &wallet, opened);
    let mut used = 0;
    for (round, answers) in [150, 300, 40].into_iter().enumerate() {
        let (count, mut answered) = watch::channel(0);
        let count = Arc::new(count);
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(ask_on(caller.clone(), format!("{round}-{client}"), count.clone()));
        }
        answered.wait_for(|count| *count >= answers).await.expect("clients ask");
        servers[0].terminate().await;
        let status = servers[0].ended().await;
        assert!(status.success(), "it ended by itself: {status}");
        let asked: BTreeMap<_, _> = clients.join_all().await.into_iter().flatten().collect();
        servers[0].start_again(&ground).await;
        ground.verify().await;
        used += check(&caller, &asked).await;
    }
    let balance = caller.get("balance").await;
    assert_eq!(balance["available"], (CREDITS - used).to_string());
    ground.end(servers).await;
}

/// Uses credits, one after the other, until nobody answers.
async fn ask_on(
    caller: Caller,
    name: String,
    count: Arc<watch::Sender<u64>>,
) -> Vec<(String, Result<Answer, Lost>)> {
    let mut asked = Vec::new();
    loop {
        let key = format!("{name}-{}", asked.len());
        let body = json!({ "meter": "text", "quantity": 1 });
        let answer = caller.post("consume", Some(&key), &body).await;
        count.send_modify(|count| *count += 1);
        let over = answer.as_ref().map_or(true, |answer| answer.status != 200);
        asked.push((key, answer));
        if over {
            return asked;
        }
    }
}

/// Every answered use is there, every refused one is not, and of the others each is there once when
/// it is asked for again. Tells how many uses there are.
async fn check(caller: &Caller, asked: &BTreeMap<String, Result<Answer, Lost>>) -> i64 {
    let listed = caller.list("usage").await;
    let found = |key: &str| listed.iter().filter(|usage| usage["key"] == key).count();
    for (key, answer) in asked {
        match answer {
            Ok(answer) if answer.status == 200 => assert_eq!(found(key), 1, "{key} is kept"),
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                assert_eq!(found(key), 0, "{key} was refused: nothing was done");
            }
            Err(Lost::Half) => panic!("the answer to {key} broke off"),
            Err(Lost::Whole) => assert!(found(key) <= 1, "{key} was done twice"),
        }
    }
    for (key, answer) in asked {
        let body = json!({ "meter": "text", "quantity": 1 });
        let (again, _) = caller.insist("consume", Some(key), &body).await;
        assert_eq!(again.status, 200, "{again:?}");
        // Told before, or done without being told: then it is told now, and not done again.
        assert_eq!(again.replayed, found(key) == 1, "{again:?}");
        if let Ok(answer) = answer.as_ref().map_err(|lost| *lost)
            && answer.status == 200
        {
            assert_eq!(again.text, answer.text);
        }
    }
    i64::try_from(asked.len()).expect("not that many")
}
