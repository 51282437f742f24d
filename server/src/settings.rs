//! Facts about the whole database, one row each: which Stripe mode it serves, how far the
//! development clock was moved. Owns `settings`.

use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::error::Result;

/// The value stored under `name`.
pub async fn read(db: &Db, name: &str) -> Result<Option<String>> {
    let row: Option<(String,)> =
        db.optional(sql("select value from settings where name = $1").bind(name)).await?;
    Ok(row.map(|row| row.0))
}

/// Stores `value` under `name`, in place of what was there.
pub async fn write(tx: &mut Tx, name: &str, value: &str, now: Millis) -> Result<()> {
    let text = "insert into settings (name, value, updated_at) values ($1, $2, $3)
         on conflict (name) do update set value = excluded.value, updated_at = excluded.updated_at";
    tx.execute(sql(text).bind(name).bind(value).bind(now)).await?;
    Ok(())
}

/// Stores `value` under `name` unless something is there; answers what is there afterwards.
pub async fn write_once(tx: &mut Tx, name: &str, value: &str, now: Millis) -> Result<String> {
    let text = "insert into settings (name, value, updated_at) values ($1, $2, $3)
         on conflict (name) do nothing";
    tx.execute(sql(text).bind(name).bind(value).bind(now)).await?;
    let row: (String,) =
        tx.one(sql("select value from settings where name = $1").bind(name)).await?;
    Ok(row.0)
}
