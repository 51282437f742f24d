//! The sweeper: books what is due on wallets that nobody touches, and tidies old windows. A busy
//! wallet books its own.

use std::collections::BTreeSet;

use crate::credits;
use crate::db::sql;
use crate::engine::Engine;
use crate::error::Result;

use super::{account, counters, recharging, watch};

/// How many wallets one call looks after.
const BATCH: i64 = 100;

/// Books what is due on idle wallets. Answers how many it looked after. Safe to run anywhere, any
/// number of times: the wallet's lock decides who books. A lapsed grant that only a hold keeps open
/// waits for that hold. (F9)
pub async fn sweep(engine: &Engine) -> Result<usize> {
    let now = engine.clock.now();
    // A parked wallet waits until its books are mended. Asked for each org that is due, because a
    // join would read every wallet.
    let text = "select org_id from grants
             where ended_at is null and expires_at is not null and expires_at <= $1
                 and (remaining > 0 or held = 0)
                 and (select parked_at from wallets w where w.org_id = grants.org_id) is null
         union select org_id from holds where status = 'open' and expires_at <= $1
                 and (select parked_at from wallets w where w.org_id = holds.org_id) is null
         limit $2";
    let due: Vec<(String,)> = engine.db.all(sql(text).bind(now).bind(BATCH)).await?;
    let mut booked = 0;
    for (org_id,) in &due {
        match book_due(engine, org_id).await {
            Ok(()) => booked += 1,
            // One wallet that cannot be settled keeps nobody else from being.
            Err(error) => tracing::error!(org = org_id, "what is due is not booked: {error}"),
        }
    }
    Ok(booked)
}

/// Books what is due on one wallet, the free month of an org that nobody has used yet among it.
pub async fn book_due(engine: &Engine, org_id: &str) -> Result<()> {
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let orgs: BTreeSet<String> = std::iter::once(org_id.to_owned()).collect();
    let memory = engine.gate.memory();
    let mut accounts = account::lock(&mut tx, memory, &orgs, now).await?;
    let mut crossings = Vec::new();
    for account in accounts.values_mut() {
        let at = account.book.time(now);
        account.book.close_spent(at);
        crossings.append(&mut account.crossings);
    }
    credits::save(&mut tx, accounts.values_mut().map(|account| &mut account.book)).await?;
    let told = watch::raise(&mut tx, &crossings, now).await?;
    let wanted = recharging::ask(&mut tx, accounts.values_mut(), now).await?;
    tx.commit().await?;
    memory.keep(accounts.into_values().map(account::Account::snapshot));
    if told || wanted {
        engine.wake.notify_one();
    }
    Ok(())
}

/// Removes windows that are over.
pub async fn tidy(engine: &Engine) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    let removed = counters::tidy(&mut tx, engine.clock.now()).await?;
    tx.commit().await?;
    tracing::debug!(removed, "windows that were over");
    Ok(())
}
