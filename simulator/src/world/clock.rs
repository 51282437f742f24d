//! The machine's time. Nothing else in the simulator asks for it; simulated time is this plus an
//! offset, which the world keeps.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds of real time since 1970.
pub fn real_ms() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
}
