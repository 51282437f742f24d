//! How many API calls came in the last second, so that too many can be refused.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// A second, in milliseconds.
const SECOND: i64 = 1000;

/// Counts calls by real time. No second, whenever it begins, has more than the limit.
#[derive(Default)]
pub struct Pace {
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// Zero means any number.
    limit: u32,
    /// When the calls of the last second were admitted, where there is a limit.
    latest: VecDeque<i64>,
    admitted: u64,
    refused: u64,
}

impl Pace {
    /// From now on so many calls in a second are within the limit; zero means any number.
    pub fn set(&self, limit: u32) {
        self.counted(|counted| counted.limit = limit);
    }

    /// Counts a call at a moment; says whether it is within the limit of its second.
    pub fn admits(&self, now_ms: i64) -> bool {
        self.counted(|counted| {
            while counted.latest.front().is_some_and(|first| first + SECOND <= now_ms) {
                counted.latest.pop_front();
            }
            let limit = usize::try_from(counted.limit).unwrap_or(usize::MAX);
            let within = limit == 0 || counted.latest.len() < limit;
            match within {
                true => counted.admitted += 1,
                false => counted.refused += 1,
            }
            if within && limit > 0 {
                counted.latest.push_back(now_ms);
            }
            within
        })
    }

    /// How many calls were admitted so far.
    pub fn admitted(&self) -> u64 {
        self.counted(|counted| counted.admitted)
    }

    /// How many calls were refused so far.
    pub fn refused(&self) -> u64 {
        self.counted(|counted| counted.refused)
    }

    fn counted<T>(&self, work: impl FnOnce(&mut Counted) -> T) -> T {
        work(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_the_limit() {
        let pace = Pace::default();
        assert!((0..9).all(|_| pace.admits(900)), "without a limit all are admitted");
        pace.set(2);
        let answers = [1000, 1500, 1999, 2000, 2001, 2499, 2500].map(|at| pace.admits(at));
        assert_eq!(answers, [true, true, false, true, false, false, true]);
        assert_eq!((pace.admitted(), pace.refused()), (13, 3));
        pace.set(0);
        assert!(pace.admits(2501));
    }
}
