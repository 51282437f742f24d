//! What the developer reads while waiting: the name of each step and how long it took.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs one step, saying its name before and its time after.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let start = Instant::now();
    let outcome = work();
    let mark = if outcome.is_ok() { "done" } else { "failed" };
    println!("    {mark} in {}", spoken(start.elapsed()));
    outcome
}

/// A duration as one says it: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, duration.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken_in_the_unit_that_fits() {
        for (milliseconds, words) in
            [(0, "0.0 s"), (450, "0.4 s"), (59_999, "59 s"), (185_000, "3 min 05 s")]
        {
            assert_eq!(spoken(Duration::from_millis(milliseconds)), words);
        }
    }
}
