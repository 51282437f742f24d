//! SQLite's write-ahead log, brought into the file beside the writer instead of in its way.
//!
//! A checkpoint that the writer does itself stops everybody who waits for a commit. Here a reading
//! connection copies what is there while the writer goes on; then the writer copies the little that
//! was added meanwhile, so that its log begins anew and stays short. Durability does not depend on
//! it: what was committed is in the log, flushed.

use std::time::Duration;

use sqlx::sqlite::SqlitePool;

use super::statement::{sql, sqlite_rows};

/// How long the log gathers pages: those that change often are copied once. Measured: a fifth of it
/// costs a fifth of the throughput and gains next to nothing on the slowest requests.
const EVERY: Duration = Duration::from_millis(500);
/// Pages in the log that are worth the trouble.
const PAGES: i64 = 1_000;

/// Starts on the current runtime; ends when the connections are closed.
#[expect(clippy::disallowed_methods, reason = "a task of its own, ended with the pool")]
pub(super) fn start(readers: SqlitePool, writer: SqlitePool) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            if readers.is_closed() {
                return;
            }
            match copy(&readers).await {
                Ok(pages) if pages >= PAGES => {
                    if let Err(error) = copy(&writer).await {
                        tracing::debug!(%error, "the writer's part of a checkpoint waits");
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "a checkpoint waits"),
            }
        }
    });
}

/// Copies what nobody reads any more; answers how many pages the log had.
async fn copy(pool: &SqlitePool) -> Result<i64, sqlx::Error> {
    let statement = sql("pragma wal_checkpoint(passive)");
    let row: (i64, i64, i64) = sqlite_rows(statement).fetch_one(pool).await?;
    Ok(row.1)
}
