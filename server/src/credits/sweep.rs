//! The sweeper: books expiries of wallets that nobody touches. A busy wallet books its own.

use crate::clock::Millis;
use crate::db::{Db, sql};
use crate::error::Result;

use super::store;

/// How many wallets one call looks after.
const BATCH: i64 = 100;

/// Books what is due on idle wallets. Answers how many it looked after. Safe to run anywhere, any
/// number of times: the wallet's lock decides who books. (F9)
pub async fn sweep(db: &Db, now: Millis) -> Result<usize> {
    let text = "select distinct org_id from grants
         where ended_at is null and expires_at is not null and expires_at <= $1
         order by org_id limit $2";
    let due: Vec<(String,)> = db.all(sql(text).bind(now).bind(BATCH)).await?;
    for (org_id,) in &due {
        let mut tx = db.begin().await?;
        let orgs = std::iter::once(org_id.clone()).collect();
        let mut books = store::lock(&mut tx, &orgs, now).await?;
        for book in books.values_mut() {
            let at = book.time(now);
            book.settle(at)?;
        }
        store::save(&mut tx, books.values_mut()).await?;
        tx.commit().await?;
    }
    Ok(due.len())
}
