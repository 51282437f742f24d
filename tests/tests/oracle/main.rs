//! The oracle: a plain model of wallets, grants, holds and keys, and random stories that are played
//! through the real engine and must end in exactly the same answers and balances.
//!
//! The stories come from a seed that is printed; `ORACLE_SEED` plays them again. What happens at
//! the same time may happen in any order: an order must exist that explains every answer, and in it
//! whatever was made stands by the wallet's `seq`. `ORACLE_OPERATIONS` says how many requests are
//! compared at least; `TURNPIKE_LONG=1` asks for many.

mod ground;
mod order;
mod play;
mod player;
mod rules;
mod story;
mod wallet;
mod words;
mod writes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree};

use ground::Ground;
use play::{Difference, Tally, play};
use story::{Story, WALLETS, runner, story, waits};
use words::{KINDS, Tick};

const OPERATIONS: usize = 100_000;
const OPERATIONS_LONG: usize = 1_000_000;
/// How long a story that shows a difference is made smaller.
const SHRINKING: Duration = Duration::from_secs(90);
/// How often a smaller story is tried before it counts as harmless: chance is in its interleaving.
const TRIES: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_and_the_oracle_agree_on_every_answer_and_every_balance() {
    let seed = number("ORACLE_SEED").unwrap_or_else(chance);
    let long = std::env::var("TURNPIKE_LONG").is_ok_and(|value| value == "1");
    let least = number("ORACLE_OPERATIONS").and_then(|number| usize::try_from(number).ok());
    let least = least.unwrap_or(if long { OPERATIONS_LONG } else { OPERATIONS });
    println!("ORACLE_SEED={seed}");
    let begun = Instant::now();
    let mut ground = Ground::new().await;
    let (mut compared, mut batch) = (Tally::new(), 0);
    while compared.values().sum::<usize>() < least {
        if !ground.has_time() {
            leave(ground).await;
            ground = Ground::new().await;
        }
        let seed = seed.wrapping_add(batch << 16);
        let (waits, stories) = make_up(seed);
        match play(&mut ground, &waits, &stories).await {
            Ok(tally) => {
                for (kind, count) in tally {
                    *compared.entry(kind).or_default() += count;
                }
            }
            Err(difference) => {
                let text = shrink(ground, seed, &waits, difference).await;
                panic!("ORACLE_SEED={seed} shows a difference:\n{text}");
            }
        }
        batch += 1;
    }
    leave(ground).await;
    tell(&compared, begun.elapsed());
}

/// What was compared; enough of it must have been of every kind.
fn tell(compared: &Tally, took: Duration) {
    let sum: usize = compared.values().sum();
    println!("{sum} answers and their balances agree, in {:.0} s:", took.as_secs_f64());
    for (kind, count) in compared {
        println!("  {count:>8} {kind}");
    }
    let missing: Vec<_> = KINDS.iter().filter(|kind| !compared.contains_key(*kind)).collect();
    assert!(sum < OPERATIONS || missing.is_empty(), "no story came to {missing:?}");
}

/// The books must add up when a ground is left.
async fn leave(ground: Ground) {
    let wrong = ground.disagreements().await;
    assert!(wrong.is_empty(), "the books disagree: {}", wrong.join("\n"));
    ground.end().await;
}

/// The stories that a seed makes up, and the time they live through.
fn make_up(seed: u64) -> (Vec<Tick>, Vec<Arc<Story>>) {
    let waits = waits().new_tree(&mut runner(seed)).expect("no story is refused").current();
    let numbers = 1..=u64::try_from(WALLETS).unwrap_or(0);
    let stories = numbers.map(|number| Arc::new(tree(seed + number).current()));
    (waits, stories.collect())
}

/// One story with everything that it can be made smaller to.
fn tree(seed: u64) -> Box<dyn ValueTree<Value = Story>> {
    Box::new(story().new_tree(&mut runner(seed)).expect("no story is refused"))
}

/// Plays the story at fault alone, smaller and smaller, as long as it still shows a difference.
async fn shrink(mut ground: Ground, seed: u64, waits: &[Tick], difference: Difference) -> String {
    let begun = Instant::now();
    let place = u64::try_from(difference.story).unwrap_or(0);
    let mut tree = tree(seed + 1 + place);
    let Some(mut smallest) = fails(&mut ground, waits, tree.current()).await else {
        return format!("(it agrees when it is played alone)\n{}", difference.text);
    };
    let mut shows = true;
    while begun.elapsed() < SHRINKING {
        let smaller = if shows { tree.simplify() } else { tree.complicate() };
        if !smaller {
            break;
        }
        if !ground.has_time() {
            ground.end().await;
            ground = Ground::new().await;
        }
        let found = fails(&mut ground, waits, tree.current()).await;
        shows = found.is_some();
        smallest = found.unwrap_or(smallest);
    }
    ground.end().await;
    smallest
}

async fn fails(ground: &mut Ground, waits: &[Tick], story: Story) -> Option<String> {
    let stories = [Arc::new(story)];
    for _ in 0..TRIES {
        if let Err(difference) = play(ground, waits, &stories).await {
            return Some(difference.text);
        }
    }
    None
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn chance() -> u64 {
    u64::from(rand::random::<u32>())
}
