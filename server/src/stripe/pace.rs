//! How fast Stripe may be asked: so many calls at once, so many in any second, and none for a
//! while where it said that this is too many.

use std::collections::VecDeque;
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
    /// Calls in any window; 0 is without a limit.
    limit: usize,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// When the latest calls were to start, as many as one window takes.
    starts: VecDeque<Instant>,
    quiet_until: Option<Instant>,
    refusals: u32,
}

impl Pace {
    /// A queue that lets so many pass in a second; 0 is without a limit.
    pub fn new(calls_per_second: u32) -> Self {
        let limit = usize::try_from(calls_per_second).unwrap_or(usize::MAX);
        Self { places: Semaphore::new(AT_ONCE), limit, past: Mutex::default() }
    }

    /// Waits for a place and for the right moment. The place is given back when dropped.
    pub async fn take(&self) -> Result<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.map_err(|_| Error::Unavailable)?;
        tokio::time::sleep_until(self.moment(Instant::now())).await;
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

    /// When the next call may start; it counts from then on.
    fn moment(&self, now: Instant) -> Instant {
        let mut past = self.past();
        let mut moment = past.quiet_until.map_or(now, |until| until.max(now));
        if self.limit == 0 {
            return moment;
        }
        if past.starts.len() >= self.limit
            && let Some(oldest) = past.starts.pop_front()
        {
            moment = moment.max(oldest + WINDOW);
        }
        past.starts.push_back(moment);
        moment
    }

    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_calls_than_the_limit() {
        let (pace, begin) = (Pace::new(25), Instant::now());
        // Some come at once, some in a trickle, some after a rest.
        let mut now = begin;
        let mut moments = Vec::new();
        for number in 0..300_u64 {
            now +=
                Duration::from_millis([0, 7, 31, 400][usize::try_from(number / 75).unwrap_or(0)]);
            moments.push(pace.moment(now).max(now));
        }
        for start in &moments {
            let within = |moment: &&Instant| {
                **moment >= *start && **moment < *start + Duration::from_secs(1)
            };
            assert!(moments.iter().filter(within).count() <= 25);
        }
        let first: Vec<_> = moments.iter().take(25).collect();
        assert!(first.iter().all(|moment| **moment == begin), "a burst passes at once");
    }

    #[test]
    fn refusals_hold_everybody_back_longer_each_time() {
        let (pace, begin) = (Pace::new(0), Instant::now());
        assert_eq!(pace.moment(begin), begin);
        assert_eq!(pace.quieten(begin), QUIET);
        assert_eq!(pace.quieten(begin), QUIET, "refused together counts once");
        assert_eq!(pace.moment(begin), begin + QUIET);
        let later = begin + QUIET;
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
