//! How fast Stripe may be asked: so many calls at once, so many in any second, and none for a
//! while where it said that this is too many.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::error::{Error, Result};

/// Calls under way at the same time.
const AT_ONCE: usize = 16;
/// A second, and a little more, since calls do not arrive as evenly as they leave.
const WINDOW: Duration = Duration::from_millis(1_100);
/// How long nothing is asked after the first refusal; it doubles with each in a row.
const QUIET: Duration = Duration::from_secs(1);
/// How long at most.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// The queue before Stripe.
#[derive(Debug)]
pub struct Pace {
    places: Semaphore,
    /// The least time between two calls: many at once arrive when they can, and then late ones
    /// share their second with those that follow. Zero is without a limit.
    spacing: Duration,
    /// Held by whoever is next, so that calls leave in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    latest: Option<Instant>,
    quiet_until: Option<Instant>,
    refusals: u32,
}

impl Pace {
    /// A queue that lets so many pass in a second; 0 is without a limit.
    pub fn new(calls_per_second: u32) -> Self {
        let spacing = WINDOW.checked_div(calls_per_second).unwrap_or_default();
        let (places, turn) = (Semaphore::new(AT_ONCE), tokio::sync::Mutex::default());
        Self { places, spacing, turn, past: Mutex::default() }
    }

    /// Waits for a place and for the right moment. The place is given back when dropped.
    pub async fn take(&self) -> Result<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.map_err(|_| Error::Unavailable)?;
        let _turn = self.turn.lock().await;
        while let Err(moment) = self.leave(Instant::now()) {
            tokio::time::sleep_until(moment).await;
        }
        Ok(place)
    }

    /// Stripe said that we ask too fast: everybody waits, longer each time.
    pub fn refused(&self) {
        let pause = self.quieten(Instant::now());
        tracing::warn!(?pause, "Stripe takes fewer calls than we made");
    }

    /// Stripe took a call.
    pub fn accepted(&self) {
        self.past().refusals = 0;
    }

    fn quieten(&self, now: Instant) -> Duration {
        let mut past = self.past();
        // Calls that were under way together are refused together: that counts once.
        if past.quiet_until.is_none_or(|until| until <= now) {
            let pause = QUIET.saturating_mul(1 << past.refusals.min(5)).min(QUIET_MAX);
            past.quiet_until = Some(now + pause);
            past.refusals += 1;
        }
        past.quiet_until.map_or(Duration::ZERO, |until| until - now)
    }

    /// Lets the next call leave, which counts from this moment on; or says when to ask again.
    fn leave(&self, now: Instant) -> Result<(), Instant> {
        let mut past = self.past();
        let spaced = past.latest.map(|latest| latest + self.spacing);
        let due = spaced.max(past.quiet_until);
        if let Some(due) = due.filter(|due| *due > now) {
            return Err(due);
        }
        past.latest = Some(now);
        Ok(())
    }

    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a call leaves that asks from this moment on and is woken so late each time.
    fn left(pace: &Pace, mut now: Instant, late: Duration) -> Instant {
        while let Err(moment) = pace.leave(now) {
            assert!(moment > now, "asked again for nothing");
            now = moment + late;
        }
        now
    }

    #[test]
    fn no_second_has_more_calls_than_the_limit() {
        let (pace, begin) = (Pace::new(25), Instant::now());
        // Some come at once, some in a trickle, some after a rest; some are woken late.
        let (mut asked, mut moments) = (begin, Vec::new());
        for number in 0..300_u64 {
            let part = usize::try_from(number / 75).unwrap_or(0);
            asked += Duration::from_millis([0, 7, 31, 400][part]);
            let late = if number % 40 == 39 { 350 } else { 0 };
            let earliest = moments.last().map_or(asked, |last| asked.max(*last));
            moments.push(left(&pace, earliest, Duration::from_millis(late)));
        }
        for start in &moments {
            let within = |moment: &&Instant| {
                **moment >= *start && **moment < *start + Duration::from_secs(1)
            };
            assert!(moments.iter().filter(within).count() <= 25);
        }
        assert_eq!(moments[0], begin, "whoever comes first does not wait");
        assert_eq!(moments[25], begin + WINDOW, "as many as may leave do");
        assert!(moments.windows(2).all(|two| two[1] - two[0] >= WINDOW / 25), "evenly");
    }

    #[test]
    fn refusals_hold_everybody_back_longer_each_time() {
        let (pace, begin) = (Pace::new(0), Instant::now());
        assert_eq!((pace.leave(begin), pace.leave(begin)), (Ok(()), Ok(())), "without a limit");
        assert_eq!(pace.quieten(begin), QUIET);
        assert_eq!(pace.quieten(begin), QUIET, "refused together counts once");
        assert_eq!(pace.leave(begin), Err(begin + QUIET));
        let later = begin + QUIET;
        assert_eq!(pace.leave(later), Ok(()));
        assert_eq!(pace.quieten(later), QUIET * 2);
        let mut now = later;
        for _ in 0..9 {
            now += QUIET_MAX;
            pace.quieten(now);
        }
        assert_eq!(pace.quieten(now), QUIET_MAX);
        pace.accepted();
        assert_eq!(pace.quieten(now + QUIET_MAX), QUIET);
    }
}
