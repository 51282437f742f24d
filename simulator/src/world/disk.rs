//! The simulator's own SQLite file: it owns the tables `objects` and `meta`, nothing else does.
//!
//! Every acknowledged request is one transaction with full synchronisation, so killing the
//! process loses nothing that was answered.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::store::{Change, Store};

/// The open file.
pub struct Disk {
    pool: SqlitePool,
}

const TABLES: &[&str] = &[
    "create table if not exists objects (
        kind text not null, id text not null, seq bigint not null, json text not null,
        primary key (kind, id)
    )",
    "create table if not exists meta (key text primary key, value text not null)",
];

impl Disk {
    /// Opens the file, making it and its folder where needed.
    pub async fn open(path: &Path) -> Result<Disk> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool = pool.with_context(|| format!("cannot open {}", path.display()))?;
        for table in TABLES {
            sqlx::query(*table).execute(&pool).await?;
        }
        Ok(Disk { pool })
    }

    /// Reads everything into a store, and the settings with it.
    pub async fn load(&self) -> Result<(Store, Value)> {
        let mut store = Store::default();
        let rows = sqlx::query("select kind, id, seq, json from objects order by seq");
        for row in rows.fetch_all(&self.pool).await? {
            let text: String = row.try_get("json")?;
            let json = serde_json::from_str(&text).context("a damaged row in objects")?;
            let (kind, id): (String, String) = (row.try_get("kind")?, row.try_get("id")?);
            store.load(&kind, &id, row.try_get("seq")?, json);
        }
        let meta = sqlx::query("select value from meta where key = 'settings'");
        let settings = match meta.fetch_optional(&self.pool).await? {
            Some(row) => serde_json::from_str(&row.try_get::<String, _>("value")?)?,
            None => Value::Null,
        };
        Ok((store, settings))
    }

    /// Writes the changes of one request, and the settings if they changed.
    pub async fn write(&self, changes: &[Change], settings: Option<&Value>) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        for change in changes {
            let query = match &change.row {
                Some((seq, json)) => sqlx::query(
                    "insert into objects (kind, id, seq, json) values ($1, $2, $3, $4)
                     on conflict (kind, id) do update set seq = excluded.seq, json = excluded.json",
                )
                .bind(&change.kind)
                .bind(&change.id)
                .bind(seq)
                .bind(json),
                None => sqlx::query("delete from objects where kind = $1 and id = $2")
                    .bind(&change.kind)
                    .bind(&change.id),
            };
            query.execute(&mut *tx).await?;
        }
        if let Some(settings) = settings {
            sqlx::query(
                "insert into meta (key, value) values ('settings', $1)
                 on conflict (key) do update set value = excluded.value",
            )
            .bind(settings.to_string())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Forgets everything.
    pub async fn clear(&self) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("delete from objects").execute(&mut *tx).await?;
        sqlx::query("delete from meta").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Closes the file cleanly.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
