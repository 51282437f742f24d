//! How fast Stripe may be asked: so many calls at once, and so many a second.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::error::{Error, Result};

/// Calls under way at the same time.
const AT_ONCE: usize = 8;
/// The space between two calls when they come in a row: 25 a second.
const SPACE: Duration = Duration::from_millis(40);
/// How many may come without any space after a quiet moment.
const BURST: u32 = 20;

/// The queue before Stripe.
#[derive(Debug)]
pub struct Pace {
    places: Semaphore,
    /// The earliest moment at which the next call may start, were there no burst.
    next: Mutex<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE), next: Mutex::new(None) }
    }
}

impl Pace {
    /// Waits for a place and for the right moment. The place is given back when dropped.
    pub async fn take(&self) -> Result<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.map_err(|_| Error::Unavailable)?;
        tokio::time::sleep_until(self.moment(Instant::now())).await;
        Ok(place)
    }

    fn moment(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let earliest = now.checked_sub(SPACE * BURST).unwrap_or(now);
        let moment = next.map_or(earliest, |next| next.max(earliest));
        *next = Some(moment + SPACE);
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_passes_and_what_follows_is_spaced() {
        let pace = Pace::default();
        let now = Instant::now() + Duration::from_secs(60);
        let waits = (0..BURST + 3).map(|_| pace.moment(now).saturating_duration_since(now));
        let waits: Vec<Duration> = waits.collect();
        assert_eq!(waits.iter().filter(|wait| wait.is_zero()).count(), BURST as usize + 1);
        assert_eq!(waits.last(), Some(&(SPACE * 2)));
    }
}
