//! Kill -9 at random moments under load. Whoever got no answer asks again with the same key.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::books;
use crate::caller::{Caller, Wallet};
use crate::customer::SHORT;
use crate::ground::Ground;
use crate::load::Load;
use crate::server::Server;

/// Customers of each wallet.
const EACH: usize = 6;
/// How many answers come between two kills, at least and at most.
const BETWEEN: std::ops::Range<u64> = 40..260;
/// For all of one kill: the load before it, the start after it.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_every_kill_and_happened_once() {
    // A5, D2, D4, D6, D24, F6
    let ground = Ground::make().await;
    let servers = vec![ground.serve().await];
    live_through(ground, servers, if long() { 40 } else { 6 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_of_two_processes_is_killed_the_other_answers_for_it() {
    // D24: the same key goes to the other process while the first may have committed already.
    let ground = Ground::make().await;
    let servers = ground.replicas().await;
    let kills = if servers.len() < 2 { 1 } else { 4 };
    live_through(ground, servers, if long() { 10 * kills } else { kills }).await;
}

async fn live_through(ground: Ground, servers: Vec<Server>, kills: u32) {
    let seed = seed();
    eprintln!("{kills} kills with TURNPIKE_SEED={seed}");
    let story = lived(ground, servers, kills, seed);
    tokio::time::timeout(PATIENCE * (kills + 2), story).await.expect("done in time");
}

async fn lived(ground: Ground, mut servers: Vec<Server>, kills: u32, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    // One that never runs dry, one that does towards the end, and one that is dry at once.
    let mut wallets = vec![
        ground.wallet("rich", 1_000_000).await,
        ground.wallet("middling", 900).await,
        ground.wallet("poor", 30).await,
    ];
    let mut load = Load::start(&servers, &wallets, EACH, seed);
    for kill in 0..kills {
        load.reach(load.answered() + random.random_range(BETWEEN)).await;
        if servers.len() == 1 {
            load.close();
        }
        let victim = random.random_range(0..servers.len());
        servers[victim].kill().await;
        // With one server nobody can ask anything now: what is there is what was committed.
        ground.verify().await;
        servers[victim].start_again(&ground).await;
        load.open();
        match kill % 3 {
            1 => ground.advance(SHORT + 1).await,
            2 => top_up(&ground, &mut wallets[0], &format!("after kill {kill}")).await,
            _ => {}
        }
    }
    load.reach(load.answered() + BETWEEN.start).await;
    let told = load.finish().await;
    let unanswered = told.iter().filter(|told| told.lost > 0).count();
    eprintln!("{} requests were answered, {unanswered} of them not at first", told.len());
    assert!(unanswered > 0, "the kills came in the middle of something");
    ground.verify().await;
    let (_open, opened) = tokio::sync::watch::channel(true);
    for (number, wallet) in wallets.iter().enumerate() {
        let told: Vec<_> = told.iter().filter(|told| told.wallet == number).collect();
        assert!(!told.is_empty(), "{} had customers", wallet.org);
        let caller = Caller::new(&servers, wallet, opened.clone());
        books::reckon(&caller, wallet, &told).await;
    }
    ground.end(servers).await;
}

/// An operator who clicks twice gives once. (F6)
async fn top_up(ground: &Ground, wallet: &mut Wallet, key: &str) {
    let first = ground.grant(wallet, 5_000, key).await;
    let granted = wallet.granted;
    let second = ground.grant(wallet, 5_000, key).await;
    assert_eq!(first, second, "the same grant");
    wallet.granted = granted;
}

/// `TURNPIKE_SEED`, to live through the same again, or another one every time.
pub fn seed() -> u64 {
    let given = std::env::var("TURNPIKE_SEED").ok();
    given.map_or_else(rand::random, |text| text.parse().expect("TURNPIKE_SEED is a number"))
}

/// Whether `TURNPIKE_LONG` asks for the long run.
fn long() -> bool {
    std::env::var("TURNPIKE_LONG").is_ok_and(|value| value == "1")
}
