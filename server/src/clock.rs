//! The one clock. Nothing else asks the time.
//!
//! Time is milliseconds since 1970, UTC. In development the clock can be moved forward; the offset
//! lives in the database (in the `settings` room), so that server, worker and command line agree.
//! On Postgres the clock also carries its distance from the database's, so that replicas agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};
use crate::settings;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// A second in [`Millis`].
pub const SECOND: Millis = 1_000;
/// A minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// An hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// A day of 24 hours in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

const OFFSET: &str = "clock_offset_ms";
/// Ten years: far enough for every story, near enough for month arithmetic.
const OFFSET_MAX: Millis = 3_653 * DAY;

/// The clock, shared by cloning.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Hands>);

#[derive(Debug, Default)]
struct Hands {
    /// How far the development clock was moved, as last read from the database.
    moved: AtomicI64,
    /// The database's clock minus this machine's.
    distance: AtomicI64,
}

impl Clock {
    /// Now.
    pub fn now(&self) -> Millis {
        machine_now()
            + self.0.moved.load(Ordering::Relaxed)
            + self.0.distance.load(Ordering::Relaxed)
    }

    /// Reads the offset, and on Postgres the distance from the database's clock, anew.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let moved = settings::read(db, OFFSET).await?;
        let moved = moved.and_then(|text| text.parse().ok()).unwrap_or(0);
        // The clock only moves forward: a reading from before somebody's commit changes nothing.
        self.0.moved.fetch_max(moved, Ordering::Relaxed);
        self.0.distance.store(distance(db).await?, Ordering::Relaxed);
        Ok(())
    }

    /// Moves the development clock forward by whole seconds, for everybody on this database once
    /// `tx` is committed. Backwards is refused: the ledger's order would break.
    pub async fn advance(&self, tx: &mut Tx, seconds: i64) -> Result<Millis> {
        if !(1..=OFFSET_MAX / SECOND).contains(&seconds) {
            return Err(Error::invalid("seconds", "Move the clock by 1 second to 10 years."));
        }
        let moved = self.0.moved.load(Ordering::Relaxed) + seconds * SECOND;
        if moved > OFFSET_MAX {
            return Err(Error::invalid("seconds", "The clock is already ten years ahead."));
        }
        settings::write(tx, OFFSET, &moved.to_string(), self.now()).await?;
        self.0.moved.store(moved, Ordering::Relaxed);
        Ok(self.now())
    }

    /// A clock of its own that runs this far behind, for making a past to look at.
    pub fn behind(&self, by: Millis) -> Self {
        let moved = AtomicI64::new(self.moved() - by);
        let distance = AtomicI64::new(self.0.distance.load(Ordering::Relaxed));
        Self(Arc::new(Hands { moved, distance }))
    }

    /// How far the development clock was moved, in milliseconds.
    pub fn moved(&self) -> Millis {
        self.0.moved.load(Ordering::Relaxed)
    }
}

/// How far this machine's clock is from the database's, in milliseconds; 0 on SQLite.
pub async fn distance(db: &Db) -> Result<Millis> {
    if !matches!(db, Db::Postgres(_)) {
        return Ok(0);
    }
    let text = "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)";
    let before = machine_now();
    let (theirs,): (Millis,) = db.one(sql(text)).await?;
    let after = machine_now();
    // A difference within the round trip is no difference.
    if (before..=after).contains(&theirs) { Ok(0) } else { Ok(theirs - (before + after) / 2) }
}

/// `2026-10-22T08:15:30Z`
pub fn rfc3339(at: Millis) -> String {
    date_time(at)
        .replace_nanosecond(0)
        .unwrap_or(date_time(at))
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// For serde: a time as programs read it.
pub fn serialize<S: serde::Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

/// For serde: a time as programs read it, or nothing.
pub fn serialize_optional<S: serde::Serializer>(
    at: &Option<Millis>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serialize(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// `1 Nov 2026`, the day in UTC, for people.
pub fn day(at: Millis) -> String {
    let at = date_time(at);
    let month: String = at.month().to_string().chars().take(3).collect();
    format!("{} {month} {}", at.day(), at.year())
}

/// Reads an RFC 3339 time.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Millis::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The calendar's view of a time, UTC.
pub fn date_time(at: Millis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The time `months` months after `anchor`, clamped to the month's end: one month after
/// 31 January is 28 or 29 February, two months after is 31 March.
pub fn add_months(anchor: Millis, months: i64) -> Millis {
    let from = date_time(anchor);
    let index = i64::from(from.year()) * 12 + i64::from(u8::from(from.month())) - 1 + months;
    let year = i32::try_from(index.div_euclid(12)).unwrap_or(from.year());
    let month = u8::try_from(index.rem_euclid(12) + 1).unwrap_or(1);
    let Ok(month) = time::Month::try_from(month) else {
        return anchor;
    };
    let day = from.day().min(month.length(year));
    let Ok(date) = time::Date::from_calendar_date(year, month, day) else {
        return anchor;
    };
    let at = from.replace_date(date);
    Millis::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(anchor)
}

/// Midnight UTC at or before `at`.
pub fn day_start(at: Millis) -> Millis {
    at - at.rem_euclid(DAY)
}

#[expect(clippy::disallowed_methods, reason = "the one door through which time comes in")]
fn machine_now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_clamp_to_their_end_and_keep_the_anchor() {
        // B19
        let jan31 = parse_rfc3339("2027-01-31T10:00:00Z").expect("a time");
        let cases = [(1, "2027-02-28"), (2, "2027-03-31"), (13, "2028-02-29"), (-2, "2026-11-30")];
        for (months, day) in cases {
            assert_eq!(rfc3339(add_months(jan31, months)), format!("{day}T10:00:00Z"));
        }
    }
}
