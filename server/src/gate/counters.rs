//! Uses counted in windows: fixed UTC minutes and days, and the wallet's period.
//!
//! Owns `counters`. Exact, because they are read and written under the wallet's lock.

use std::collections::BTreeMap;

use crate::clock::{DAY, MINUTE, Millis, SECOND};
use crate::db::{Arg, Bulk, Reads, Tx, sql};
use crate::error::Result;
use crate::units::Credits;

use super::codes::Code;
use super::verdict::Verdict;

/// A year and a month: no period is longer.
const LONGEST_PERIOD: Millis = 397 * DAY;
/// What counts every use, whatever its meter.
const REQUESTS: &str = "requests";

/// The running windows of one org.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    used: BTreeMap<(String, Millis), i64>,
    changed: Vec<(String, Millis)>,
}

/// How long a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Minute,
    Day,
    Period,
}

impl Window {
    const ALL: [(&'static str, Self); 3] =
        [("_per_minute", Self::Minute), ("_per_day", Self::Day), ("_per_period", Self::Period)];

    /// When the window began that `at` falls into.
    fn start(self, at: Millis, period_start: Millis) -> Millis {
        match self {
            Self::Minute => at - at.rem_euclid(MINUTE),
            Self::Day => at - at.rem_euclid(DAY),
            Self::Period => period_start,
        }
    }
}

/// Whether a limit is one that counts uses.
pub fn counts(limit: &str) -> bool {
    Window::ALL.iter().any(|(suffix, _)| limit.ends_with(suffix))
}

/// When a use happens, for its windows.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// The operation's time.
    pub at: Millis,
    /// When the wallet's period began.
    pub period_start: Millis,
}

impl Counters {
    /// The first limit that one more use of this meter would break; only those of a minute where
    /// `minutes` says so.
    pub fn refuse(
        &self,
        limits: &BTreeMap<String, i64>,
        meter: &str,
        when: When,
        minutes: bool,
    ) -> Option<Verdict> {
        for (suffix, window) in Window::ALL {
            for what in [REQUESTS, meter] {
                let name = format!("{what}{suffix}");
                let Some(limit) = limits.get(&name) else { continue };
                let skipped = minutes && window != Window::Minute;
                let start = window.start(when.at, when.period_start);
                if !skipped && self.used(&name, start) >= *limit {
                    return Some(refusal(window, what, *limit, start, when.at));
                }
            }
        }
        None
    }

    /// Counts one use, in the windows that some limit looks at.
    pub fn count(&mut self, limits: &BTreeMap<String, i64>, meter: &str, when: When) {
        for (suffix, window) in Window::ALL {
            for what in [REQUESTS, meter] {
                let name = format!("{what}{suffix}");
                if limits.contains_key(&name) {
                    let window = (name, window.start(when.at, when.period_start));
                    *self.used.entry(window.clone()).or_default() += 1;
                    self.changed.push(window);
                }
            }
        }
    }

    fn used(&self, name: &str, window: Millis) -> i64 {
        self.used.get(&(name.to_owned(), window)).copied().unwrap_or(0)
    }
}

fn refusal(window: Window, what: &str, limit: i64, start: Millis, at: Millis) -> Verdict {
    let (code, per) = match window {
        Window::Minute => (Code::RateLimited, "minute"),
        Window::Day => (Code::LimitReached, "day (UTC)"),
        Window::Period => (Code::LimitReached, "period"),
    };
    let what = if what == REQUESTS { "requests".to_owned() } else { format!("uses of {what}") };
    let message = format!("Your plan allows {limit} {what} a {per}.");
    let wait = (start + MINUTE - at + SECOND - 1) / SECOND;
    let retry_after_seconds = (window == Window::Minute).then_some(wait);
    Verdict { retry_after_seconds, ..Verdict::deny(code, Credits::ZERO, message) }
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
        "select org_id, name, window_start, used from counters where {any} \
             and (window_start >= $2 or (window_start >= $3 and name like '%period'))"
    );
    let since = at - at.rem_euclid(DAY);
    let statement = sql(text).bind(orgs.to_vec()).bind(since).bind(at - LONGEST_PERIOD);
    let rows: Vec<Row> = reads.all(statement).await?;
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

/// Removes windows that are over.
pub async fn tidy(tx: &mut Tx, now: Millis) -> Result<u64> {
    let text = "delete from counters where window_start < $1
         and (name not like '%period' or window_start < $2)";
    tx.execute(sql(text).bind(now - 2 * DAY).bind(now - LONGEST_PERIOD)).await
}
