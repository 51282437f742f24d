//! Real time passing: once a second what has become due happens, and what is old is forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::forget_old_clocks;
use crate::billing::calendar::DAY;
use crate::billing::due::{Scope, run_until};
use crate::json::Json;
use crate::world::{DONE, Origin, Shared, World};

/// How often old events, deliveries and idempotency keys are forgotten, in ticks.
const FORGET_EVERY: u64 = 600;
/// The internal and external kinds that do not stay, the field with their time, and for how long.
const PASSING: [(&str, &str, i64); 3] =
    [("event", "created", 30 * DAY), (DONE, "created", 30 * DAY), ("idempotency", "at", DAY)];

/// Ticks until told to stop.
pub async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    let mut ticks: u64 = 0;
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = beat.tick() => {}
        }
        ticks += 1;
        let forgets = ticks.is_multiple_of(FORGET_EVERY);
        let lived = shared.transact(Origin::default(), |world| {
            if forgets {
                forget(world);
            }
            let now = world.now();
            run_until(world, Scope::Everyone, now)
        });
        if let Err(error) = lived.await {
            tracing::error!(reason = error.message(), "due work failed");
        }
    }
}

/// Removes what is past its time.
fn forget(world: &mut World) {
    let now = world.now();
    for (kind, field, lifetime) in PASSING {
        let old: Vec<String> = world
            .store
            .oldest(kind)
            .take_while(|row| row.int(field) + lifetime < now)
            .map(|row| row.text("id").to_owned())
            .collect();
        old.iter().for_each(|id| world.store.remove(kind, id));
    }
    forget_old_clocks(world);
}
