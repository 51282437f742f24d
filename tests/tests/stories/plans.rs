//! How the database goes about the statements of the hot path and of the ledger's pages: they are
//! caught while they run, in a database that has grown, and each of them has to find its rows by
//! an index.

use std::collections::BTreeMap;

use serde_json::json;
use server::api_keys::Scope;
use server::db::sql;
use server::gate;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use tests::{Person, Program, World, WorldOptions};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::calls::{batch, capture_of, extend, held_for, hold_with, id, look, release, reverse};
use crate::caught;

/// Orgs that were here before.
const ORGS: i64 = 5000;
/// What each of them left behind in every table that grows with use.
const EACH: i64 = 8;

/// Tables that grow, in the order in which they can be filled: the rows of each, its columns, and
/// what stands in them for the row `i` of the org `o`.
const GROWING: [(&str, i64, &str, &str); 11] = [
    ("orgs", 1, "id, name, created_at", "o, 'Bulk', i"),
    (
        "wallets",
        1,
        "org_id, seq, available, held, debt, overage, period_start, period_end, period_used,
         free_opened, last_at, created_at",
        "o, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0",
    ),
    (
        "api_keys",
        1,
        "id, org_id, name, secret_hash, hint, scopes, live, created_by, created_at",
        "'bulk' || i, o, 'Bulk', 'bulk' || i, 'bulk', 'use', false, 'system', i",
    ),
    (
        "grants",
        EACH,
        "id, org_id, source_kind, source_ref, priority, amount, remaining, held, consumed, expired,
         clawed_back, debt_paid, effective_at, expires_at, reason, created_at, ended_at",
        "'bulk' || i, o, 'manual', 'bulk' || i, 50, 1, new, 0, 1 - new, 0,
         0, 0, 0, 9000000000000000, 'Bulk', i, case when new = 1 then null else i end",
    ),
    (
        "holds",
        EACH,
        "id, org_id, seq, operation_id, key, meter, quantity, rate, rate_card, credits, overage,
         run, on_expiry, status, captured, created_at, expires_at, ended_at",
        "'bulk' || i, o, i, 'bulk' || i, 'bulk' || i, 'text', 1, 1, 'bulk', 1, 0,
         'bulk' || i, 'release', case when new = 1 then 'open' else 'captured' end, 1, i,
         9000000000000000, case when new = 1 then null else i end",
    ),
    (
        "operations",
        EACH,
        "id, org_id, seq, kind, at, actor_kind, actor_id, reason, available_change,
         available_after, held_after",
        "'bulk' || i, o, i, 'consume', i, 'system', '', 'Bulk', 1, 1, 0",
    ),
    (
        "ledger_entries",
        EACH,
        "operation_id, line, grant_id, from_account, to_account, amount",
        "'bulk' || i, 0, 'bulk' || i, 'available', 'consumed', 1",
    ),
    (
        "usages",
        EACH,
        "id, org_id, seq, line, key, meter, quantity, credits, overage, debt, run, rate_card, at,
         late",
        "'bulk' || i, o, i, 0, 'bulk' || i, 'text', 1, 1, 0, 0, 'bulk' || i, 'bulk', i, false",
    ),
    (
        "decisions",
        EACH,
        "id, org_id, key, fingerprint, status, body, code, at",
        "'bulk' || i, o, 'bulk' || i, 'bulk', 200, '{}', 'allowed', i",
    ),
    ("counters", EACH, "org_id, name, window_start, used", "o, 'requests_per_day', i, 1"),
    (
        "recharge_settings",
        1,
        "org_id, enabled, threshold, price_id, monthly_max, failures, next_at, updated_at,
         updated_by",
        "o, true, 1, (select min(price_id) from catalog_prices), 1, 0, 0, 0, 'bulk'",
    ),
];

#[tokio::test]
async fn no_statement_of_the_hot_path_or_the_ledger_reads_a_growing_table_from_end_to_end() {
    let registry = tracing_subscriber::registry().with(caught::Catcher);
    tracing::subscriber::set_global_default(registry).expect("nobody else listens");
    let options = WorldOptions::nothing_free().limits("requests_per_day = 1000");
    let world = World::with(options).await;
    let person = world.sign_up("Planner").await;
    let org = world.org_of(&person).await;
    world.give(&org, 1000, "planner").await;
    let secret = world.key(&org, &[Scope::Read, Scope::Use]).await;
    let program = Program::new(&world.url, &secret, &org);
    world.settle().await;
    grow(&world).await;
    // One thread runs the whole world, so that everything is within the span until it is left.
    let within = tracing::debug_span!("plans").entered();
    let usage = spend(&program).await;
    keep(&world, &program).await;
    read(&program, &usage).await;
    visit(&person).await;
    drop(within);
    let caught: Vec<String> = caught::take().into_iter().filter(|text| is_planned(text)).collect();
    for (table, ..) in GROWING {
        let named = caught.iter().any(|text| words(text).any(|word| word == table));
        assert!(named, "no statement about {table} was caught: {caught:#?}");
    }
    let mut planner = Planner::of(&world).await;
    let mut wrong = Vec::new();
    for text in &caught {
        wrong.extend(planner.scans(text).await);
    }
    assert!(wrong.is_empty(), "{} statements:\n{}", caught.len(), wrong.join("\n\n"));
    for scan in ["select id from usages u where cost = $1", "select count(*) from operations"] {
        assert_eq!(planner.scans(scan).await.len(), 1, "{scan} went unnoticed");
    }
    shrink(&world).await;
    world.end().await;
}

/// Uses, denials, repeats, reversals and batches.
async fn spend(program: &Program) -> String {
    let body = json!({ "meter": "text", "quantity": 2, "run": "r1", "member": "ann" });
    let first = id(&program.post("consume", Some("a"), &body).await);
    let second = id(&program.post("consume", Some("b"), &body).await);
    assert!(program.post("consume", Some("a"), &body).await.replayed());
    assert_eq!(reverse(program, &second, "back").await.status, 200);
    let items: Vec<_> = (0..5)
        .map(|n| json!({ "key": format!("i{n}"), "meter": "text", "quantity": 1, "run": "r1" }))
        .collect();
    assert_eq!(batch(program, json!(items)).await.len(), 5);
    let denied = program.consume("much", "image", 1000).await;
    let decision = denied.body["error"]["decision"]["id"].as_str().expect("a decision");
    assert_eq!(program.get(&format!("decisions/{decision}")).await.status, 200);
    first
}

/// Holds and everything that ends them.
async fn keep(world: &World, program: &Program) {
    let body = json!({ "meter": "text", "quantity": 3, "run": "r1", "member": "ann" });
    let captured = id(&hold_with(program, "h1", &body).await);
    assert_eq!(extend(program, &captured, "e1", 7200).await.status, 200);
    assert_eq!(capture_of(program, &captured, "c1", 2).await.status, 200);
    let released = id(&hold_with(program, "h2", &body).await);
    assert_eq!(release(program, &released, "r2").await.status, 200);
    hold_with(program, "h3", &body).await;
    let over = program.post("runs/r1/release", Some("rr"), &json!({})).await;
    assert_eq!(over.body["released"].as_array().map(Vec::len), Some(1), "{:?}", over.body);
    let late = held_for(program, "h4", 2, 60).await;
    world.pass(61).await;
    look(program, &late).await;
    assert_eq!(gate::sweep(&world.engine).await.expect("swept"), 1);
    assert_eq!(capture_of(program, &late, "c4", 1).await.status, 200);
}

/// Questions of a program.
async fn read(program: &Program, usage: &str) {
    let asked = program.post("authorize", None, &json!({ "meter": "text" })).await;
    assert_eq!(asked.body["code"], "allowed", "{:?}", asked.body);
    let ledger = program.get("ledger?limit=2").await;
    let last = ledger.body["data"][1]["id"].as_str().expect("a movement");
    for path in [
        "balance",
        "entitlements",
        "usage",
        "usage?meter=text&member=ann&run=r1&from=2026-01-01T00:00:00Z",
        "usage?key=a",
        "usage?group_by=day",
        "usage?group_by=run&limit=1",
        "runs/r1",
        &format!("usage?limit=1&starting_after={usage}"),
        &format!("ledger?limit=2&starting_after={last}"),
    ] {
        let answer = program.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
    }
}

/// The pages that show them to people.
async fn visit(person: &Person) {
    for path in ["/dashboard", "/usage", "/credits", "/keys"] {
        assert_eq!(person.visit(path).await.status, 200, "{path}");
    }
}

/// Makes the tables as long as they are after a while.
async fn grow(world: &World) {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    for (table, each, columns, values) in GROWING {
        let text = format!(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}),
                 bulk(i, o, new) as (select i, 'bulk' || (i % {ORGS}),
                     case when i <= {ORGS} then 1 else 0 end from n)
             insert into {table} ({columns}) select {values} from bulk",
            each * ORGS
        );
        tx.execute(sql(text)).await.expect("grown");
        // Postgres does so by itself; nobody does it for SQLite, which plans without.
        if world.database.is_postgres() {
            tx.execute(sql(format!("analyze {table}"))).await.expect("analyzed");
        }
    }
    tx.commit().await.expect("committed");
}

/// Takes it away again, because it adds up to nothing.
async fn shrink(world: &World) {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    for (table, _, columns, _) in GROWING.iter().rev() {
        let key = ["org_id", "operation_id", "id"].into_iter().find(|key| columns.contains(key));
        let key = key.expect("a key");
        let text = format!("delete from {table} where {key} like 'bulk%'");
        assert!(tx.execute(sql(text)).await.expect("shrunk") >= ORGS.unsigned_abs(), "{table}");
    }
    tx.commit().await.expect("committed");
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether a statement has a plan.
fn is_planned(text: &str) -> bool {
    let first = words(text).next().unwrap_or_default();
    ["select", "insert", "update", "delete", "with"].contains(&first)
}

fn grows(table: &str) -> bool {
    GROWING.iter().any(|(name, ..)| *name == table)
}

/// Asks the database for its plans, on a connection of its own.
enum Planner {
    Sqlite(SqliteConnection),
    /// With the types of all columns, by table and name.
    Postgres(PgConnection, BTreeMap<(String, String), String>),
}

impl Planner {
    async fn of(world: &World) -> Self {
        let url = &world.database.url;
        if !world.database.is_postgres() {
            return Self::Sqlite(SqliteConnection::connect(url).await.expect("connected"));
        }
        let mut connection = PgConnection::connect(url).await.expect("connected");
        // A plan that was made for any values is the one that a prepared statement ends up with.
        connection.execute("set plan_cache_mode = force_generic_plan").await.expect("set");
        let text = "select table_name::text, column_name::text, data_type::text
             from information_schema.columns where table_schema = 'public'";
        let rows = connection.fetch_all(text).await.expect("read");
        let types = rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
        Self::Postgres(connection, types)
    }

    /// The lines of the statement's plan that read a whole table that grows.
    async fn scans(&mut self, text: &str) -> Vec<String> {
        let (plan, wrong) = match self {
            Self::Sqlite(connection) => {
                let asked = AssertSqlSafe(format!("explain query plan {text}"));
                let rows: Vec<SqliteRow> = connection.fetch_all(asked).await.expect("planned");
                let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
                (plan.join("\n  "), scans_of_sqlite(text, &plan))
            }
            Self::Postgres(connection, types) => {
                let plan = plan_of_postgres(connection, types, text).await;
                (plan.join("\n  "), scans_of_postgres(&plan))
            }
        };
        wrong.iter().map(|line| format!("{line}\nin the plan of {text}\n  {plan}")).collect()
    }
}

/// `SCAN` reads a whole table or a whole index; it names the table as the statement does.
fn scans_of_sqlite(text: &str, plan: &[String]) -> Vec<String> {
    let words: Vec<&str> = words(text).collect();
    let is_wrong = |line: &&String| {
        let Some(name) = line.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()) else {
            return false;
        };
        let renamed = words.windows(3).any(|three| match three {
            [table, "as", alias] | [_, table, alias] => *alias == name && grows(table),
            _ => false,
        });
        grows(name) || renamed
    };
    plan.iter().filter(is_wrong).cloned().collect()
}

/// `Seq Scan` reads a whole table, and any other scan without a condition a whole index.
fn scans_of_postgres(plan: &[String]) -> Vec<String> {
    let after = plan.iter().skip(1).map(String::as_str).chain([""]);
    let is_wrong = |(line, next): &(&String, &str)| {
        let table = line.split(" on ").nth(1).and_then(|rest| rest.split(' ').next());
        let of_index = line.contains("Index Scan") || line.contains("Index Only Scan");
        let whole = of_index && !next.trim_start().starts_with("Index Cond:");
        let is_bitmap = line.contains("Bitmap Index Scan");
        (line.contains("Seq Scan") || whole) && (is_bitmap || table.is_some_and(grows))
    };
    plan.iter().zip(after).filter(is_wrong).map(|(line, _)| line.trim().to_owned()).collect()
}

async fn plan_of_postgres(
    connection: &mut PgConnection,
    types: &BTreeMap<(String, String), String>,
    text: &str,
) -> Vec<String> {
    let mut types = types_of(types, text);
    let list = |parts: &[String]| match parts {
        [] => String::new(),
        parts => format!("({})", parts.join(", ")),
    };
    let missing = "could not determine data type of parameter $";
    loop {
        let prepare = format!("prepare planned{} as {text}", list(&types));
        let Err(error) = connection.execute(AssertSqlSafe(prepare)).await else { break };
        // What may be left out, of whatever type, is a text.
        let error = error.to_string();
        let number = error.split(missing).nth(1).and_then(|rest| words(rest).next()?.parse().ok());
        let number: usize = number.unwrap_or_else(|| panic!("{text}: {error}"));
        "text".clone_into(&mut types[number - 1]);
    }
    let nulls = list(&vec!["null".to_owned(); types.len()]);
    let explain = AssertSqlSafe(format!("explain (costs off) execute planned{nulls}"));
    let rows = connection.fetch_all(explain).await.expect("planned");
    connection.execute("deallocate planned").await.expect("forgotten");
    rows.iter().map(|row| row.get(0)).collect()
}

/// The types of a statement's parameters: Postgres finds them out, but for whole columns.
fn types_of(types: &BTreeMap<(String, String), String>, text: &str) -> Vec<String> {
    let numbers = text.split('$').skip(1);
    let numbers = numbers.filter_map(|rest| words(rest).next()?.parse::<usize>().ok());
    let last = numbers.max().unwrap_or(0);
    let all: Vec<&str> = words(text).collect();
    let table = all.windows(2).find(|two| ["into", "update"].contains(&two[0])).map(|two| two[1]);
    let columns = text.split(['(', ')']).nth(1).unwrap_or_default();
    let whole = text.contains("select * from unnest($1");
    let column = |(number, column): (usize, &str)| {
        let of = (table.unwrap_or_default().to_owned(), column.to_owned());
        match types.get(&of).filter(|_| whole) {
            Some(one) => format!("{one}[]"),
            None if text.contains(&format!("unnest(${number})")) => "text[]".to_owned(),
            None => "unknown".to_owned(),
        }
    };
    let columns = words(columns).chain(std::iter::repeat(""));
    (1..).zip(columns).take(last).map(column).collect()
}
