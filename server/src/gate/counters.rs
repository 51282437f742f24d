//! Uses counted in fixed UTC windows, for the limits a tier sets per minute and per day.
//!
//! Owns `counters`. Exact, because they are read and written under the wallet's lock.

use std::collections::BTreeMap;

use crate::clock::{DAY, MINUTE, Millis, SECOND};
use crate::db::{Arg, Bulk, Reads, Tx, sql};
use crate::error::Result;
use crate::units::Credits;

use super::decide::{Code, Verdict};

/// The limit that counts everything.
const PER_MINUTE: &str = "requests_per_minute";

/// The running windows of one org.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    used: BTreeMap<(String, Millis), i64>,
    changed: Vec<(String, Millis)>,
}

impl Counters {
    /// The first limit that one more use of this meter would break.
    pub fn refuse(
        &self,
        limits: &BTreeMap<String, i64>,
        meter: &str,
        at: Millis,
    ) -> Option<Verdict> {
        if let Some(limit) = limits.get(PER_MINUTE) {
            let window = at - at.rem_euclid(MINUTE);
            if self.used(PER_MINUTE, window) >= *limit {
                let wait = (window + MINUTE - at + SECOND - 1) / SECOND;
                let message = format!("Your plan allows {limit} requests a minute.");
                let verdict = Verdict::deny(Code::RateLimited, Credits::ZERO, message);
                return Some(Verdict { retry_after_seconds: Some(wait), ..verdict });
            }
        }
        let name = format!("{meter}_per_day");
        let limit = limits.get(&name)?;
        let window = at - at.rem_euclid(DAY);
        (self.used(&name, window) >= *limit).then(|| {
            let message = format!("Your plan allows {limit} {meter} a day (UTC).");
            Verdict::deny(Code::LimitReached, Credits::ZERO, message)
        })
    }

    /// Counts one use, in the windows that some limit looks at.
    pub fn count(&mut self, limits: &BTreeMap<String, i64>, meter: &str, at: Millis) {
        let per_day = format!("{meter}_per_day");
        for (name, length) in [(PER_MINUTE, MINUTE), (per_day.as_str(), DAY)] {
            if limits.contains_key(name) {
                let window = (name.to_owned(), at - at.rem_euclid(length));
                *self.used.entry(window.clone()).or_default() += 1;
                self.changed.push(window);
            }
        }
    }

    fn used(&self, name: &str, window: Millis) -> i64 {
        self.used.get(&(name.to_owned(), window)).copied().unwrap_or(0)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    org_id: String,
    name: String,
    window_start: Millis,
    used: i64,
}

/// The windows that run at `at`, of the orgs that have limits.
pub async fn load(
    reads: &mut impl Reads,
    orgs: &[String],
    at: Millis,
) -> Result<BTreeMap<String, Counters>> {
    let mut counters: BTreeMap<String, Counters> = BTreeMap::new();
    if orgs.is_empty() {
        return Ok(counters);
    }
    let any = reads.dialect().any("org_id", 1);
    let text = format!(
        "select org_id, name, window_start, used from counters where {any} and window_start >= $2"
    );
    let since = at - at.rem_euclid(DAY);
    let rows: Vec<Row> = reads.all(sql(text).bind(orgs.to_vec()).bind(since)).await?;
    for row in rows {
        let of_org = counters.entry(row.org_id).or_default();
        of_org.used.insert((row.name, row.window_start), row.used);
    }
    Ok(counters)
}

const COUNTERS: Bulk = Bulk {
    table: "counters",
    columns: &["org_id", "name", "window_start", "used"],
    conflict: " on conflict (org_id, name, window_start) do update set used = excluded.used",
};

/// Writes back what was counted.
pub async fn save(tx: &mut Tx, all: impl Iterator<Item = (&String, &mut Counters)>) -> Result<()> {
    let mut rows: Vec<Vec<Arg>> = Vec::new();
    for (org_id, counters) in all {
        let mut changed = std::mem::take(&mut counters.changed);
        changed.sort();
        changed.dedup();
        for window in changed {
            let used = counters.used.get(&window).copied().unwrap_or(0);
            rows.push(vec![org_id.into(), window.0.into(), window.1.into(), used.into()]);
        }
    }
    tx.insert_many(&COUNTERS, rows).await
}
