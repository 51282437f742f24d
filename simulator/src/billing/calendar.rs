//! Billing periods: adding days, weeks, months and years to a moment.
//!
//! Months clamp to the month's end but keep the anchor's day, so the 31st of January is followed
//! by the 28th of February and then the 31st of March.

use serde_json::Value;
use time::{Date, Month, OffsetDateTime, util::days_in_month};

use crate::json::Json;

/// Seconds of one day.
pub const DAY: i64 = 86_400;

/// The moment `count` intervals after the anchor.
pub fn add(anchor: i64, interval: &str, count: i64) -> i64 {
    match interval {
        "day" => anchor + count * DAY,
        "week" => anchor + count * 7 * DAY,
        "year" => add_months(anchor, count * 12),
        _ => add_months(anchor, count),
    }
}

/// The first moment after `after` at which a period that began at the anchor turns.
pub fn next_turn(anchor: i64, after: i64, interval: &str, interval_count: i64) -> i64 {
    let every = interval_count.max(1);
    let longest = match interval {
        "day" => DAY,
        "week" => 7 * DAY,
        "year" => 366 * DAY,
        _ => 31 * DAY,
    };
    let mut periods = ((after - anchor) / (longest * every)).max(0);
    while add(anchor, interval, periods * every) <= after {
        periods += 1;
    }
    add(anchor, interval, periods * every)
}

/// The last moment at or before `at` at which a period that began at the anchor turned.
pub fn last_turn(anchor: i64, at: i64, interval: &str, interval_count: i64) -> i64 {
    let every = interval_count.max(1);
    let mut periods = 0;
    while add(anchor, interval, (periods + 1) * every) <= at {
        periods += 1;
    }
    add(anchor, interval, periods * every)
}

/// The interval and interval count of a recurring price.
pub fn interval(price: &Value) -> (&str, i64) {
    (price.text("recurring.interval"), price.int("recurring.interval_count").max(1))
}

fn add_months(anchor: i64, months: i64) -> i64 {
    let Ok(start) = OffsetDateTime::from_unix_timestamp(anchor) else {
        return anchor;
    };
    let index = i64::from(start.year()) * 12 + i64::from(u8::from(start.month())) - 1 + months;
    let year = i32::try_from(index.div_euclid(12)).unwrap_or(start.year());
    let number = u8::try_from(index.rem_euclid(12) + 1).unwrap_or(1);
    let month = Month::try_from(number).unwrap_or(Month::January);
    let day = start.day().min(days_in_month(month, year));
    match Date::from_calendar_date(year, month, day) {
        Ok(date) => start.replace_date(date).unix_timestamp(),
        Err(_) => anchor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn months_clamp_and_keep_the_anchor() {
        let january = datetime!(2026-01-31 10:00 UTC).unix_timestamp();
        let table = [
            (1, datetime!(2026-02-28 10:00 UTC)),
            (2, datetime!(2026-03-31 10:00 UTC)),
            (3, datetime!(2026-04-30 10:00 UTC)),
            (12, datetime!(2027-01-31 10:00 UTC)),
            (25, datetime!(2028-02-29 10:00 UTC)),
        ];
        for (months, expected) in table {
            assert_eq!(add(january, "month", months), expected.unix_timestamp(), "{months}");
        }
        let leap = datetime!(2028-02-29 0:00 UTC).unix_timestamp();
        let next = datetime!(2029-02-28 0:00 UTC).unix_timestamp();
        assert_eq!(add(leap, "year", 1), next);
        assert_eq!(add(leap, "week", 2), leap + 14 * DAY);
    }

    #[test]
    fn the_next_turn_is_after_the_moment() {
        let anchor = datetime!(2026-01-31 10:00 UTC).unix_timestamp();
        let february = datetime!(2026-02-28 10:00 UTC).unix_timestamp();
        assert_eq!(next_turn(anchor, anchor, "month", 1), february);
        assert_eq!(next_turn(anchor, february - 1, "month", 1), february);
        let march = datetime!(2026-03-31 10:00 UTC).unix_timestamp();
        assert_eq!(next_turn(anchor, february, "month", 1), march);
        let year = datetime!(2027-01-31 10:00 UTC).unix_timestamp();
        assert_eq!(next_turn(anchor, february, "year", 1), year);
        assert_eq!(last_turn(anchor, march - 1, "month", 1), february);
        assert_eq!(last_turn(anchor, march, "month", 1), march);
        assert_eq!(last_turn(anchor, march, "year", 1), anchor);
    }
}
