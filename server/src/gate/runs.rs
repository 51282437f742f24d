//! Looking at holds and at workflows: what the operations with one run in common used and hold.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::credits::{self, Book};
use crate::db::{Reads, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::units::{Credits, MICRO, Quantity};
use crate::usage::{self, RunLine};

use super::{account, views};

/// Whether any operation of this org belongs to the workflow.
pub(super) async fn is_known(reads: &mut impl Reads, org_id: &str, run: &str) -> Result<bool> {
    let text = "select id from holds where org_id = $1 and run = $2
         union all select id from usages where org_id = $1 and run = $2 limit 1";
    Ok(reads.optional::<(String,)>(sql(text).bind(org_id).bind(run)).await?.is_some())
}

/// What a workflow has cost and still holds. (D27)
pub async fn run_report(engine: &Engine, org_id: &str, run: &str) -> Result<Value> {
    let mut reads = &engine.db;
    if !is_known(&mut reads, org_id, run).await? {
        return Err(Error::NotFound("The run"));
    }
    let (account, _) = account::peek_one(engine, org_id).await?;
    let lines = lines_of(engine, &account.book, run).await?;
    let open = account.book.holds.iter().filter(|hold| hold.is_open());
    let open: Vec<_> = open.filter(|hold| hold.run.as_deref() == Some(run)).collect();
    let held = open.iter().map(|hold| hold.credits).sum::<Credits>();
    let sum = |pick: fn(&RunLine) -> Credits| lines.iter().map(pick).sum::<Credits>();
    let by_meter: Result<Vec<Value>> = lines.iter().map(of_meter).collect();
    Ok(json!({
        "object": "run",
        "run": run,
        "operations": lines.iter().map(|line| line.count).sum::<i64>(),
        "credits": sum(|line| line.credits),
        "overage": sum(|line| line.overage),
        "debt": sum(|line| line.debt),
        "cost": lines.iter().map(|line| line.cost).fold(0, i64::saturating_add),
        "open_holds": { "count": open.len(), "credits": held },
        "reversed": {
            "count": lines.iter().map(|line| line.reversed_count).sum::<i64>(),
            "credits": sum(|line| line.reversed_credits),
        },
        "by_meter": by_meter?,
        "usage_first_at": lines.iter().map(|line| line.first_at).min().map(rfc3339),
        "usage_last_at": lines.iter().map(|line| line.last_at).max().map(rfc3339),
    }))
}

/// What a workflow used, with the holds that ran out and are charged, though nobody booked that.
async fn lines_of(engine: &Engine, book: &Book, run: &str) -> Result<Vec<RunLine>> {
    let org_id = &book.wallet.org_id;
    let mut lines = usage::of_run(&engine.db, org_id, run).await?;
    let due = book.usages.iter().filter(|used| used.run.as_deref() == Some(run));
    let ids: Vec<String> = due.clone().map(|used| used.id.clone()).collect();
    if ids.is_empty() {
        return Ok(lines);
    }
    let booked = usage::operations(&mut &engine.db, org_id, &ids).await?;
    if !booked.is_empty() {
        // Somebody booked them since they were looked at.
        lines = usage::of_run(&engine.db, org_id, run).await?;
    }
    for used in due.filter(|used| booked.iter().all(|known| known.id != used.id)) {
        let mut line = RunLine::of(used);
        if let Some(place) = lines.iter().position(|known| known.meter == line.meter) {
            line = line.with(&lines.swap_remove(place));
        }
        lines.push(line);
    }
    lines.sort_by(|a, b| a.meter.cmp(&b.meter));
    Ok(lines)
}

fn of_meter(line: &RunLine) -> Result<Value> {
    let units = line.units.saturating_add(line.rest / MICRO);
    let rest = Quantity::from_micros(line.rest % MICRO).to_string();
    let quantity = format!("{units}{}", rest.trim_start_matches('0'));
    let quantity = serde_json::value::RawValue::from_string(quantity)?;
    Ok(json!({
        "meter": line.meter,
        "quantity": serde_json::to_value(quantity)?,
        "credits": line.credits,
        "count": line.count,
    }))
}

/// A hold as it is now: one whose time is over shows that, even before it is booked.
pub async fn find_hold(engine: &Engine, org_id: &str, id: &str) -> Result<Value> {
    let mut reads = &engine.db;
    let found = credits::holds_by_id(&mut reads, &[id.to_owned()]).await?;
    let stored = found.into_iter().find(|hold| hold.org_id == org_id);
    let stored = stored.ok_or(Error::NotFound("The hold"))?;
    let now = engine.clock.now();
    let hold = match stored.is_open() && stored.expires_at <= now {
        false => stored,
        true => {
            let (account, _) = account::peek_one(engine, org_id).await?;
            account.book.holds.into_iter().find(|hold| hold.id == id).unwrap_or(stored)
        }
    };
    Ok(serde_json::from_str(&views::hold(&hold, &[], None)?)?)
}
