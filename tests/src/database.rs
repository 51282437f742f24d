//! A fresh database for one story: a SQLite file, or a database of its own on the Postgres server
//! that `TEST_POSTGRES_URL` names.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// A database that is gone when this is dropped.
pub struct Database {
    /// For `DATABASE_URL`.
    pub url: String,
    server: Option<(String, String)>,
}

impl Database {
    /// Makes one, in `folder` where it is a file.
    pub async fn make(folder: &Path) -> Self {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            let file = folder.join("turnpike.db");
            return Self { url: format!("sqlite://{}", file.display()), server: None };
        };
        let name = format!("story_{}", server::ids::secret().get(..20).expect("long enough"));
        run(&server, &format!("create database {name}")).await;
        let mut url = url::Url::parse(&server).expect("TEST_POSTGRES_URL is a URL");
        url.set_path(&name);
        Self { url: url.to_string(), server: Some((server, name)) }
    }

    /// A copy of it as it is now, in `folder` where it is a file. Nobody may be connected to it.
    pub async fn copy(&self, folder: &Path) -> Self {
        let Some((server, original)) = &self.server else {
            let from = self.url.trim_start_matches("sqlite://");
            let file = folder.join("turnpike.db");
            std::fs::copy(from, &file).expect("copied");
            return Self { url: format!("sqlite://{}", file.display()), server: None };
        };
        let name = format!("story_{}", server::ids::secret().get(..20).expect("long enough"));
        run(server, &format!("create database {name} template {original}")).await;
        let mut url = url::Url::parse(server).expect("TEST_POSTGRES_URL is a URL");
        url.set_path(&name);
        Self { url: url.to_string(), server: Some((server.clone(), name)) }
    }

    /// Whether it is Postgres.
    pub fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    /// Takes the database away, once nobody is connected to it any more.
    pub async fn remove(&self) {
        if let Some((server, name)) = &self.server {
            run(server, &format!("drop database if exists {name} with (force)")).await;
        }
    }
}

async fn run(server: &str, statement: &str) {
    let mut connection = PgConnection::connect(server).await.expect("Postgres answers");
    connection.execute(AssertSqlSafe(statement)).await.expect("the database is made or removed");
    connection.close().await.expect("closed");
}
