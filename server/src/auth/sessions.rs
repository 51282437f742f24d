//! Sessions: the store behind the cookie, on either engine.
//!
//! Owns `sessions`. Keeps only a hash of the cookie's value. Never writes outside [`Db::begin`], so
//! that on SQLite sessions wait in the same queue as everybody.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error as StoreError, Result as StoreResult};

use super::Identity;
use crate::clock::{Clock, Millis, date_time};
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};

/// Under which name a session keeps its [`Identity`].
pub const IDENTITY: &str = "identity";

/// The session store over our database.
#[derive(Clone, Debug)]
pub struct SessionStore {
    db: Db,
    clock: Clock,
}

impl SessionStore {
    /// A store over `db`.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    async fn write(&self, text: &'static str, record: &Record) -> Result<u64> {
        let mut tx = self.db.begin().await?;
        let data = serde_json::to_string(&record.data)?;
        let statement =
            sql(text).bind(stored_id(record.id)).bind(data).bind(millis(record.expiry_date));
        let changed = tx.execute(statement).await?;
        tx.commit().await?;
        Ok(changed)
    }

    async fn read(&self, id: Id) -> Result<Option<Record>> {
        let text = "select data, expires_at from sessions where id = $1 and expires_at > $2";
        let statement = sql(text).bind(stored_id(id)).bind(machine_time(&self.clock));
        let row: Option<(String, Millis)> = self.db.optional(statement).await?;
        row.map(|(data, expires_at)| {
            let data = serde_json::from_str(&data)?;
            Ok(Record { id, data, expiry_date: date_time(expires_at) })
        })
        .transpose()
    }

    async fn remove(&self, id: Id) -> Result<()> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql("delete from sessions where id = $1").bind(stored_id(id))).await?;
        tx.commit().await
    }
}

#[async_trait]
impl tower_sessions::SessionStore for SessionStore {
    async fn create(&self, record: &mut Record) -> StoreResult<()> {
        let text = "insert into sessions (id, data, expires_at) values ($1, $2, $3)
             on conflict (id) do nothing";
        while self.write(text, record).await.map_err(backend)? == 0 {
            record.id = Id::default();
        }
        Ok(())
    }

    /// Changes what is there only: a request that was still running when its session was ended
    /// must not bring it back.
    async fn save(&self, record: &Record) -> StoreResult<()> {
        let text = "update sessions set data = $2, expires_at = $3 where id = $1";
        self.write(text, record).await.map_err(backend)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> StoreResult<Option<Record>> {
        self.read(*id).await.map_err(backend)
    }

    async fn delete(&self, id: &Id) -> StoreResult<()> {
        self.remove(*id).await.map_err(backend)
    }
}

/// Removes the sessions that are over.
pub async fn delete_expired(tx: &mut Tx, clock: &Clock) -> Result<u64> {
    let text = "delete from sessions where expires_at <= $1";
    tx.execute(sql(text).bind(machine_time(clock))).await
}

/// Who is signed in, if anybody.
pub async fn identity(session: &tower_sessions::Session) -> Result<Option<Identity>> {
    session.get(IDENTITY).await.map_err(|error| Error::internal(format!("session: {error}")))
}

/// Signs in: under a new id, so that an id planted before is worth nothing.
pub async fn begin(session: &tower_sessions::Session, identity: &Identity) -> Result<()> {
    let failed = |error| Error::internal(format!("session: {error}"));
    session.cycle_id().await.map_err(failed)?;
    session.insert(IDENTITY, identity).await.map_err(failed)
}

/// Signs out: nothing of the session stays.
pub async fn end(session: &tower_sessions::Session) -> Result<()> {
    session.flush().await.map_err(|error| Error::internal(format!("session: {error}")))
}

fn stored_id(id: Id) -> String {
    hex::encode(Sha256::digest(id.0.to_be_bytes()))
}

fn millis(at: OffsetDateTime) -> Millis {
    Millis::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(Millis::MAX)
}

/// Sessions live by the machine's time, as their cookies do: moving the development clock a month
/// ahead to see a renewal must not sign everybody out.
fn machine_time(clock: &Clock) -> Millis {
    clock.now() - clock.moved()
}

fn backend(error: Error) -> StoreError {
    StoreError::Backend(error.to_string())
}
