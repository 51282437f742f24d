//! Many rows in few statements: inserted, or changed by their key.
//!
//! Postgres takes whole columns as arrays, so that one text serves any number of rows. SQLite takes
//! rows of values, in chunks of a few fixed sizes, so that it sees few different texts and keeps
//! them prepared.

use super::statement::{Arg, Dialect, Sql};

/// Where [`super::Tx::insert_many`] puts its rows.
pub struct Bulk {
    /// The table.
    pub table: &'static str,
    /// Its columns, in the order of each row's values.
    pub columns: &'static [&'static str],
    /// What follows the values: nothing, or an `on conflict` clause.
    pub conflict: &'static str,
}

/// What [`super::Tx::update_many`] changes.
pub struct Change {
    /// The table.
    pub table: &'static str,
    /// The key first, then the columns that change, in the order of each row's values.
    pub columns: &'static [&'static str],
}

/// One row's values.
pub type Row = Vec<Arg>;

/// Numbers of rows that one statement carries on SQLite.
const SIZES: [usize; 20] =
    [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 96, 128];
/// The most rows of one statement on Postgres.
const ROWS_MAX: usize = 1024;

impl Bulk {
    /// The statements that insert these rows.
    pub(super) fn statements(&self, dialect: Dialect, rows: Vec<Row>) -> Vec<Sql> {
        let Self { table, columns, conflict } = self;
        let columns = columns.join(", ");
        chunks(dialect, rows, |values| {
            format!("insert into {table} ({columns}) {values}{conflict}")
        })
    }
}

impl Change {
    /// The statements that change these rows.
    pub(super) fn statements(&self, dialect: Dialect, rows: Vec<Row>) -> Vec<Sql> {
        let Self { table, columns } = self;
        let (key, names) = (columns[0], columns.join(", "));
        let sets: Vec<String> =
            columns[1..].iter().map(|column| format!("{column} = v.{column}")).collect();
        let sets = sets.join(", ");
        chunks(dialect, rows, |values| {
            format!(
                "with v({names}) as ({values}) update {table} set {sets} from v \
                 where {table}.{key} = v.{key}"
            )
        })
    }
}

fn chunks(dialect: Dialect, rows: Vec<Row>, text: impl Fn(&str) -> String) -> Vec<Sql> {
    let mut rows = rows.into_iter();
    let mut statements = Vec::new();
    while rows.len() > 0 {
        statements.push(match dialect {
            Dialect::Sqlite => {
                let fits = SIZES.iter().rev().find(|size| **size <= rows.len());
                let chunk: Vec<Row> = rows.by_ref().take(fits.copied().unwrap_or(1)).collect();
                let width = chunk[0].len();
                let text = text(&values(chunk.len(), width)).into();
                Sql { text, args: chunk.into_iter().flatten().collect() }
            }
            Dialect::Postgres => {
                let chunk: Vec<Row> = rows.by_ref().take(ROWS_MAX).collect();
                let args = columns(chunk);
                let marks: Vec<String> = (1..=args.len()).map(|n| format!("${n}")).collect();
                let text = text(&format!("select * from unnest({})", marks.join(", "))).into();
                Sql { text, args }
            }
        });
    }
    statements
}

/// `values (?, ?), (?, ?)`: without numbers, since SQLite's driver looks every named parameter up
/// by walking through all names, which for a thousand of them takes longer than the insert.
fn values(rows: usize, width: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(", "));
    format!("values {}", vec![row.as_str(); rows].join(", "))
}

/// Rows turned into columns; the first row tells what each column is.
fn columns(rows: Vec<Row>) -> Vec<Arg> {
    let mut columns: Vec<Arg> = rows[0]
        .iter()
        .map(|first| match first {
            Arg::Int(_) => Arg::Ints(Vec::with_capacity(rows.len())),
            Arg::Bool(_) => Arg::Bools(Vec::with_capacity(rows.len())),
            _ => Arg::Texts(Vec::with_capacity(rows.len())),
        })
        .collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            match (column, value) {
                (Arg::Ints(column), Arg::Int(value)) => column.push(value),
                (Arg::Bools(column), Arg::Bool(value)) => column.push(value),
                (Arg::Texts(column), Arg::Text(value)) => column.push(value),
                // Rows of one table have the same types in the same places.
                (column, value) => unreachable!("{value:?} in a column of {column:?}"),
            }
        }
    }
    columns
}
