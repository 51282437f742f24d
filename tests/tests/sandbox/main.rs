//! The simulator held against Stripe: every life that the public API alone can tell is lived at a
//! Stripe sandbox and at the simulator at the same time, act by act, and the product that hears of
//! it (by asking for events, since no webhook reaches this machine) must come to the same at both.
//!
//! `cargo verify sandbox` does it with the key of a sandbox. Without one it is a rehearsal: a
//! second simulator, which is treated no other than Stripe would be, stands in for the sandbox.
//! Lives that fail to pay, or are disputed, depend on the account's settings: what becomes of a
//! subscription when retries are over must be its cancellation, within two weeks, and a dispute
//! must not end it. Everything that is made is deleted or archived at the end; what an interrupted
//! run left behind is cleared by a later one, a day after.

mod facts;
mod place;
mod stage;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt as _;
use tests::lives::{self, Life};

use facts::{Facts, difference};
use place::Place;
use stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn lives_told_by_api_end_the_same_at_stripe_and_at_the_simulator() {
    let (there, here) = (Place::sandbox().await, Place::simulator().await);
    let only = std::env::var("TURNPIKE_LIFE").ok();
    eprintln!("{} as {}", there.stripe.url, there.tag);
    let all = lives::by_api();
    let chosen = all.iter().filter(|life| only.as_deref().is_none_or(|o| life.name.contains(o)));
    let mut failed = Vec::new();
    for life in chosen {
        let begun = Instant::now();
        let lived = AssertUnwindSafe(live(life, &here, &there)).catch_unwind().await;
        let wrong = lived.unwrap_or_else(|panic| vec![format!("{}: {}", life.name, said(panic))]);
        let word = if wrong.is_empty() { "the same" } else { "DIFFERENT" };
        eprintln!("{}: {word}, {:.1} s", life.name, begun.elapsed().as_secs_f32());
        failed.extend(wrong);
    }
    failed.extend(there.end().await);
    failed.extend(here.end().await);
    let hint = "What a life needs of the account's settings is said at the head of this test.";
    assert!(failed.is_empty(), "{}\n\n{hint}", failed.join("\n\n"));
}

/// What somebody panicked with.
fn said(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref().copied()).unwrap_or("it panicked").to_owned()
}

/// Lives a life at both places; whatever happens, both are cleared afterwards.
async fn live(life: &Life, here: &Place, there: &Place) -> Vec<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let begins = i64::try_from(since.as_secs()).expect("before the end of time");
    let mut near = Stage::set(here, begins).await;
    let mut far = Stage::set(there, begins).await;
    let told = AssertUnwindSafe(tell(life, &mut near, &mut far)).catch_unwind().await;
    let mut wrong = told.unwrap_or_else(|panic| vec![said(panic)]);
    for stage in [near, far] {
        let cleared = AssertUnwindSafe(stage.clear()).catch_unwind().await;
        wrong.extend(cleared.unwrap_or_else(|panic| vec![format!("clearing: {}", said(panic))]));
    }
    wrong.iter().map(|line| format!("{}: {line}", life.name)).collect()
}

/// Tells it, act by act; ends at the first act after which the places differ.
async fn tell(life: &Life, near: &mut Stage<'_>, far: &mut Stage<'_>) -> Vec<String> {
    for (act, number) in life.acts.iter().zip(1..) {
        near.does(act).await;
        let expected = near.rests(None).await;
        far.does(act).await;
        let found = far.rests(Some(&expected)).await;
        let wrong = compare(&expected, &found);
        if !wrong.is_empty() {
            return vec![format!("after act {number} {wrong}")];
        }
        let (used, also) = (near.uses().await, far.uses().await);
        let wrong = compare(&near.facts().await, &far.facts().await);
        if used != also || !wrong.is_empty() {
            return vec![format!("a use after act {number}: {used} and {also} {wrong}")];
        }
    }
    let mut wrong = near.wrong().await;
    wrong.extend(far.wrong().await);
    wrong
}

/// What differs; nothing where nothing does.
fn compare(expected: &Facts, found: &Facts) -> String {
    match difference(expected, found) {
        None => String::new(),
        Some(first) => format!(
            "they differ ({first}): at the simulator it is\n{expected}\nbut at Stripe\n{found}"
        ),
    }
}
