//! How many API calls came in this second, so that too many can be refused.

use std::sync::{Mutex, PoisonError};

/// Counts calls by the second of real time.
#[derive(Default)]
pub struct Pace {
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    second: i64,
    calls: u32,
    refused: u64,
}

impl Pace {
    /// Counts a call at a moment; says whether it is within the limit of its second.
    pub fn admits(&self, limit: u32, now_ms: i64) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let second = now_ms.div_euclid(1000);
        if counted.second != second {
            counted.second = second;
            counted.calls = 0;
        }
        let within = counted.calls < limit;
        match within {
            true => counted.calls += 1,
            false => counted.refused += 1,
        }
        within
    }

    /// How many calls were refused so far.
    pub fn refused(&self) -> u64 {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_count() {
        let pace = Pace::default();
        let at = |moment: i64| pace.admits(2, moment);
        assert_eq!(
            [at(1000), at(1500), at(1999), at(2000), at(2001)],
            [true, true, false, true, true]
        );
        assert_eq!(pace.refused(), 1);
    }
}
