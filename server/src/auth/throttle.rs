//! Throttles: how often something may be attempted within a window of fixed length.
//!
//! Owns `throttles`. An attempt is counted before it is made, so that many at once cannot slip
//! through together. Never stores what it counts, only a hash of it.

use sha2::{Digest as _, Sha256};

use crate::clock::{MINUTE, Millis, SECOND};
use crate::db::{Tx, sql};
use crate::error::{Error, Result};

/// How many attempts in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// What is counted, such as `sign_in.address`.
    pub name: &'static str,
    /// As many are allowed.
    pub attempts: i64,
    /// In so long.
    pub length: Millis,
}

/// Failed sign-ins for one address, whoever tries.
pub const SIGN_IN_ADDRESS: Window =
    Window { name: "sign_in.address", attempts: 10, length: 15 * MINUTE };
/// Failed sign-ins from one place, whichever address.
pub const SIGN_IN_PLACE: Window =
    Window { name: "sign_in.place", attempts: 50, length: 15 * MINUTE };

impl Window {
    /// The window that `now` falls into, half open.
    pub fn around(&self, now: Millis) -> (Millis, Millis) {
        let start = now - now.rem_euclid(self.length);
        (start, start + self.length)
    }

    /// Judges the number of attempts in this window, the present one included.
    pub fn judge(&self, attempts: i64, now: Millis) -> Result<()> {
        if attempts <= self.attempts {
            return Ok(());
        }
        let left = self.around(now).1 - now;
        Err(Error::TooMany { retry_after_seconds: (left + SECOND - 1) / SECOND })
    }

    fn key(&self, what: &str) -> String {
        hex::encode(Sha256::digest(format!("{}:{what}", self.name)))
    }
}

/// Counts an attempt and judges it. Commit whatever the answer, or the attempt is not counted.
pub async fn count(tx: &mut Tx, window: Window, what: &str, now: Millis) -> Result<Result<()>> {
    let (start, end) = window.around(now);
    let text = "insert into throttles (name, window_started_at, window_ends_at, attempts)
         values ($1, $2, $3, 1)
         on conflict (name) do update set
           attempts = case when throttles.window_started_at = excluded.window_started_at
             then throttles.attempts + 1 else 1 end,
           window_started_at = excluded.window_started_at,
           window_ends_at = excluded.window_ends_at
         returning attempts";
    let (attempts,): (i64,) =
        tx.one(sql(text).bind(window.key(what)).bind(start).bind(end)).await?;
    Ok(window.judge(attempts, now))
}

/// Forgets every attempt: the right one came.
pub async fn clear(tx: &mut Tx, window: Window, what: &str) -> Result<()> {
    tx.execute(sql("delete from throttles where name = $1").bind(window.key(what))).await?;
    Ok(())
}

/// Takes back one attempt, which succeeded.
pub async fn take_back(tx: &mut Tx, window: Window, what: &str) -> Result<()> {
    let text = "update throttles set attempts = attempts - 1 where name = $1 and attempts > 0";
    tx.execute(sql(text).bind(window.key(what))).await?;
    Ok(())
}

/// Removes the counts of windows that are over.
pub async fn delete_ended(tx: &mut Tx, now: Millis) -> Result<u64> {
    tx.execute(sql("delete from throttles where window_ends_at <= $1").bind(now)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_fixed_and_say_how_long_to_wait() {
        let window = Window { name: "test", attempts: 3, length: 10 * SECOND };
        let cases = [
            (1, 0, None),
            (3, 9_999, None),
            (4, 0, Some(10)),
            (4, 1, Some(10)),
            (4, 9_000, Some(1)),
            (40, 9_999, Some(1)),
            (4, 10_000, Some(10)),
        ];
        for (attempts, now, wait) in cases {
            let said = window.judge(attempts, now).err().map(|error| match error {
                Error::TooMany { retry_after_seconds } => retry_after_seconds,
                other => panic!("{other}"),
            });
            assert_eq!(said, wait, "{attempts} at {now}");
        }
        assert_eq!(window.around(19_999), (10_000, 20_000));
        assert_eq!(window.around(20_000), (20_000, 30_000));
    }

    #[test]
    fn what_is_counted_cannot_be_read_from_the_key() {
        let address = SIGN_IN_ADDRESS.key("ada@example.com");
        assert!(!address.contains("ada"));
        assert_ne!(address, SIGN_IN_PLACE.key("ada@example.com"));
    }
}
