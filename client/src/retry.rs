//! How often and how long a request is tried. Pure.

use std::time::Duration;

/// Nothing waits longer than this, whatever was set.
const EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The bounds within which a request without an answer is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often it is sent at most, the first time included; at least once.
    pub attempts: u32,
    /// How long all attempts and pauses may take together.
    pub deadline: Duration,
    /// How long one attempt may take. The gate itself lets a twin of a request that is under way
    /// wait for up to ten seconds.
    pub attempt_timeout: Duration,
    /// The pause after the first attempt; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Retry {
    /// Six attempts in thirty seconds, pauses from a fifth of a second to five.
    fn default() -> Self {
        Self {
            attempts: 6,
            deadline: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(15),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
        }
    }
}

impl Retry {
    /// Sent once, with the usual time for it.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// How long all of it may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline.min(EVER)
    }

    /// The pause after this attempt, counted from one: between half and all of the step, by
    /// `chance`, so that callers that failed together do not come back together; never shorter than
    /// what was asked for.
    pub(crate) fn pause(&self, attempt: u32, asked: Option<Duration>, chance: u64) -> Duration {
        let doubled = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let step = self.first_pause.saturating_mul(doubled).min(self.longest_pause).min(EVER);
        let half = step / 2;
        // Below 1024, so it fits.
        let share = u32::try_from(chance % 1024).unwrap_or(0);
        let pause = half + half * share / 1024;
        pause.max(asked.unwrap_or_default().min(EVER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_up_to_the_longest() {
        let retry = Retry {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(350),
            ..Retry::default()
        };
        let millis = |attempt, chance| retry.pause(attempt, None, chance).as_millis();
        assert_eq!((millis(1, 0), millis(1, 512)), (50, 75));
        assert_eq!((millis(2, 0), millis(2, 1024 + 512)), (100, 150));
        assert_eq!(millis(3, 0), 175);
        assert_eq!(millis(40, 0), 175);
        for chance in [1, 700, 1023, u64::MAX] {
            assert!((50..100).contains(&millis(1, chance)), "{chance}");
        }
    }

    #[test]
    fn a_pause_is_never_shorter_than_asked_for() {
        let retry = Retry::default();
        let asked = Some(Duration::from_secs(7));
        assert_eq!(retry.pause(1, asked, 0), Duration::from_secs(7));
        let brief = Some(Duration::ZERO);
        assert_eq!(retry.pause(1, brief, 0), retry.first_pause / 2);
        assert_eq!(retry.pause(1, Some(Duration::MAX), 0), EVER);
        let forever = Retry { first_pause: Duration::MAX, longest_pause: Duration::MAX, ..retry };
        assert!(forever.pause(u32::MAX, None, 1023) <= EVER);
        assert_eq!(Retry { deadline: Duration::MAX, ..retry }.deadline(), EVER);
    }
}
