//! A statement: one text for both engines, its values, and the few words in which they differ.
//!
//! The only file that hands SQL to the driver.

use std::borrow::Cow;

use sqlx::postgres::PgArguments;
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};

use super::Record;
use crate::units::Credits;

/// A value bound to a statement.
#[derive(Clone, Debug)]
pub enum Arg {
    /// `bigint`
    Int(Option<i64>),
    /// `text`
    Text(Option<String>),
    /// `boolean`
    Bool(bool),
    /// Several texts for [`Dialect::any`].
    List(Vec<String>),
    /// Several pairs of texts for [`Dialect::pairs`].
    Pairs(Vec<(String, String)>),
    /// A whole column of numbers.
    Ints(Vec<Option<i64>>),
    /// A whole column of texts.
    Texts(Vec<Option<String>>),
    /// A whole column of booleans.
    Bools(Vec<bool>),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl From<Credits> for Arg {
    fn from(value: Credits) -> Self {
        Self::Int(Some(value.micros()))
    }
}
impl From<Option<Credits>> for Arg {
    fn from(value: Option<Credits>) -> Self {
        Self::Int(value.map(Credits::micros))
    }
}
impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}
impl From<&String> for Arg {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}
impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}
impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}
impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}
impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<Vec<String>> for Arg {
    fn from(value: Vec<String>) -> Self {
        Self::List(value)
    }
}
impl From<Vec<(String, String)>> for Arg {
    fn from(value: Vec<(String, String)>) -> Self {
        Self::Pairs(value)
    }
}

/// A statement and its values.
#[derive(Clone, Debug)]
#[must_use = "a statement does nothing until it is run on a Db or a Tx"]
pub struct Sql {
    pub(super) text: Cow<'static, str>,
    pub(super) args: Vec<Arg>,
}

/// A statement of the program's own text. Values go in by [`Sql::bind`], never by `format!`.
pub fn sql(text: impl Into<Cow<'static, str>>) -> Sql {
    Sql { text: text.into(), args: Vec::new() }
}

impl Sql {
    /// The next value, `$1` first.
    pub fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }
}

/// The few words in which the engines differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite
    Sqlite,
    /// Postgres
    Postgres,
}

impl Dialect {
    /// `column` is one of the texts bound as an [`Arg::List`] at `position`.
    pub fn any(self, column: &str, position: usize) -> String {
        match self {
            Self::Sqlite => format!("{column} in (select value from json_each(${position}))"),
            Self::Postgres => format!("{column} = any(${position})"),
        }
    }

    /// The two columns are one of the pairs of texts bound as an [`Arg::Pairs`] at `position`.
    pub fn pairs(self, first: &str, second: &str, position: usize) -> String {
        let pairs = self.pair_rows(position);
        format!("({first}, {second}) in ({pairs})")
    }

    /// The pairs of texts bound as an [`Arg::Pairs`] at `position`, as rows of `first`, `second`.
    pub fn pair_rows(self, position: usize) -> String {
        match self {
            Self::Sqlite => format!(
                "select value ->> 0 as first, value ->> 1 as second from json_each(${position})"
            ),
            // An array of small texts, because Postgres expects few rows of an array and many of a
            // document: for many it reads the whole other table.
            Self::Postgres => format!(
                "select cast(e as json) ->> 0 as first, cast(e as json) ->> 1 as second \
                 from unnest(${position}) as e"
            ),
        }
    }

    /// Locks the rows read until the transaction ends. SQLite's writer holds the file already.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update",
        }
    }
}

macro_rules! bind_all {
    ($query:expr, $args:expr, $list:expr, $pairs:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Bool(value) => query.bind(value),
                Arg::List(values) => query.bind($list(values)),
                Arg::Pairs(pairs) => query.bind($pairs(pairs)),
                Arg::Ints(column) => query.bind($list(column)),
                Arg::Texts(column) => query.bind($list(column)),
                Arg::Bools(column) => query.bind($list(column)),
            };
        }
        query
    }};
}

/// SQLite has no arrays: a list goes over as JSON.
fn json_list<T: serde::Serialize>(values: Vec<T>) -> String {
    serde_json::to_string(&values).unwrap_or_default()
}

fn json_pairs(pairs: Vec<(String, String)>) -> Vec<String> {
    pairs.iter().map(|pair| serde_json::to_string(pair).unwrap_or_default()).collect()
}

fn as_array<T>(values: Vec<T>) -> Vec<T> {
    values
}

#[expect(clippy::disallowed_methods, reason = "the one file that speaks SQL")]
pub(super) fn sqlite_query(sql: Sql) -> Query<'static, Sqlite, SqliteArguments> {
    bind_all!(sqlx::query(AssertSqlSafe(sql.text)), sql.args, json_list, json_list)
}

#[expect(clippy::disallowed_methods, reason = "the one file that speaks SQL")]
pub(super) fn postgres_query(sql: Sql) -> Query<'static, Postgres, PgArguments> {
    bind_all!(sqlx::query(AssertSqlSafe(sql.text)), sql.args, as_array, json_pairs)
}

#[expect(clippy::disallowed_methods, reason = "the one file that speaks SQL")]
pub(super) fn sqlite_rows<T: Record>(sql: Sql) -> QueryAs<'static, Sqlite, T, SqliteArguments> {
    bind_all!(sqlx::query_as(AssertSqlSafe(sql.text)), sql.args, json_list, json_list)
}

#[expect(clippy::disallowed_methods, reason = "the one file that speaks SQL")]
pub(super) fn postgres_rows<T: Record>(sql: Sql) -> QueryAs<'static, Postgres, T, PgArguments> {
    bind_all!(sqlx::query_as(AssertSqlSafe(sql.text)), sql.args, as_array, json_pairs)
}
