//! What the control surface can set: clock offset, held webhooks, faults. Kept with the objects.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings that survive a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How far the simulated clock is ahead of the real one.
    pub offset_ms: i64,
    /// Whether webhooks wait instead of being sent.
    pub hold: bool,
    /// Mischief done to webhook deliveries.
    pub faults: Faults,
    /// Mischief done to API answers.
    pub api_fault: Option<ApiFault>,
}

/// Seeded mischief for webhook deliveries; probabilities are in thousandths.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// The seed everything below is drawn from.
    pub seed: u64,
    /// How many draws were made.
    pub drawn: u64,
    /// How often an event is delivered twice.
    pub duplicate: u64,
    /// Whether events are delivered out of order.
    pub shuffle: bool,
    /// How often an event is not delivered until someone asks for it again.
    pub drop: u64,
    /// How long every delivery waits.
    pub delay_ms: i64,
    /// How often the first attempt carries a wrong signature.
    pub bad_signature: u64,
}

/// A number of API calls that fail with a status before anything happens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiFault {
    /// 429 or 500.
    pub status: u16,
    /// How many calls are left to fail.
    pub count: u64,
}

impl Settings {
    /// Reads stored settings; unknown or damaged ones count as the default.
    pub fn read(stored: &Value) -> Settings {
        serde_json::from_value(stored.clone()).unwrap_or_default()
    }

    /// The stored form.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl Faults {
    /// The next number of the seeded sequence.
    pub fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        let step = self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed.wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Whether something of this probability (in thousandths) happens now.
    pub fn happens(&mut self, thousandths: u64) -> bool {
        thousandths > 0 && self.draw() % 1000 < thousandths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let mut one = Faults { seed: 7, ..Faults::default() };
        let mut two = one.clone();
        let first: Vec<u64> = (0..5).map(|_| one.draw()).collect();
        let second: Vec<u64> = (0..5).map(|_| two.draw()).collect();
        assert_eq!(first, second);
        assert!(!one.happens(0));
        assert!(one.happens(1000));
    }
}
