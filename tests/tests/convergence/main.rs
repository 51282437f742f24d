//! Convergence: whatever the order in which Stripe's events come, however often, and whichever are
//! lost until reconciliation finds them, the product ends in the same grants, entitlements and
//! blocks, and its books add up.
//!
//! One life is told to Stripe once. Many copies of the product follow it at the same time, each on
//! a database of its own: the first gets every event at once and in order, the others get them
//! shuffled, twice, late or never, with customers using credits in between. They all must agree.
//! `TURNPIKE_SEED` tells the same shuffles again; `TURNPIKE_LONG=1` has two hundred of them.

mod apart;
mod copy;
mod delivery;
mod follow;
mod ground;

use follow::follow;

/// Shuffles of each life: so many copies follow it besides the first.
fn copies() -> usize {
    if std::env::var("TEST_POSTGRES_URL").is_ok() { 5 } else { 20 }
}

/// How often each life is lived: two hundred shuffles are as many copies as fit beside each other,
/// again and again.
fn rounds() -> usize {
    if long() { 200 / copies() } else { 1 }
}

/// Those of a life that every copy lives for itself.
fn apart() -> usize {
    if long() { 200 } else { 5 }
}

fn long() -> bool {
    std::env::var("TURNPIKE_LONG").is_ok_and(|value| value == "1")
}

fn seed() -> u64 {
    let given = std::env::var("TURNPIKE_SEED").ok();
    given.map_or_else(rand::random, |text| text.parse().expect("TURNPIKE_SEED is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_life_ends_the_same_whatever_the_order_of_its_events() {
    // A2, A3, A14, A15, A16, B2, E10
    let only = std::env::var("TURNPIKE_LIFE").ok();
    let seed = seed();
    let mut failed = Vec::new();
    for life in tests::lives::all() {
        if only.as_deref().is_some_and(|only| !life.name.contains(only)) {
            continue;
        }
        let begun = std::time::Instant::now();
        for round in 0..rounds() {
            let seed = seed.wrapping_add(round as u64);
            failed.extend(follow(&life, copies(), seed).await);
        }
        let took = begun.elapsed().as_secs_f32();
        let shuffles = copies() * rounds();
        eprintln!("{}: {shuffles} shuffles, seed {seed}, {took:.1} s", life.name);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_recharge_declined_then_paid_buys_one_pack_whatever_the_order() {
    // E1, E2, E4
    let seed = seed();
    let begun = std::time::Instant::now();
    let wrong = apart::recharge(apart(), seed).await;
    let took = begun.elapsed().as_secs_f32();
    eprintln!("auto-recharge: {} times, seed {seed}, {took:.1} s", apart());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
