//! The client for the gate's API, against a server that goes away: it fails closed, and asks again
//! with the same key. (D25)

use std::time::Duration;

use client::{Client, Error, Key, Retry, Use};

use crate::caller::Wallet;
use crate::ground::Ground;
use crate::server::Server;
use crate::sums;

fn client(server: &Server, wallet: &Wallet, retry: Retry) -> Client {
    let builder = Client::builder(&server.url).secret(&wallet.secret).retry(retry).direct();
    builder.build().expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_bears_a_kill_and_is_charged_once_for_each_key() {
    // D25, D2
    const USES: usize = 60;
    let ground = Ground::make().await;
    let mut server = ground.serve().await;
    let wallet = ground.wallet("bears", 100).await;
    let retry = Retry {
        attempts: 1_000,
        deadline: Duration::from_secs(60),
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(200),
        ..Retry::default()
    };
    let gate = client(&server, &wallet, retry);
    let (count, mut done) = tokio::sync::watch::channel(0);
    let uses = tokio::spawn(async move {
        for number in 0..USES {
            let key = Key::parse(format!("use-{number}")).expect("a key");
            let usage = gate.consume(&Use::of("text", 1), &key).await.expect("charged");
            assert_eq!(usage.credits.to_string(), "1");
            count.send_replace(number + 1);
        }
        gate
    });
    for target in [15, 40] {
        done.wait_for(|done| *done >= target).await.expect("uses are made");
        server.kill().await;
        server.start_again(&ground).await;
    }
    uses.await.expect("every use was charged in the end");
    sums::expect(&wallet.at(&server), 100 - USES as i64, 0).await;
    ground.end(vec![server]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_nothing_is_allowed_and_the_key_serves_later() {
    // D25
    let ground = Ground::make().await;
    let mut server = ground.serve().await;
    let wallet = ground.wallet("closed", 100).await;
    let brief = Duration::from_millis(10);
    let retry = Retry { attempts: 3, first_pause: brief, longest_pause: brief, ..Retry::default() };
    let gate = client(&server, &wallet, retry);
    let key = Key::parse("once").expect("a key");
    server.kill().await;
    let closed = gate.consume(&Use::of("text", 1), &key).await;
    assert!(matches!(closed, Err(Error::Unreachable { attempts: 3, .. })), "{closed:?}");
    server.start_again(&ground).await;
    for _ in 0..2 {
        let usage = gate.consume(&Use::of("text", 1), &key).await.expect("charged");
        assert_eq!(usage.credits.to_string(), "1");
    }
    sums::expect(&wallet.at(&server), 99, 0).await;
    ground.end(vec![server]).await;
}
