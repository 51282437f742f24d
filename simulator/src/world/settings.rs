//! What the control surface can set: clock offset, held webhooks, faults. Kept with the objects.

use std::collections::BTreeMap;

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
    /// What becomes of a subscription when the last retry of a charge was refused.
    pub after_retries: AfterRetries,
    /// Mischief done to webhook deliveries.
    pub faults: Faults,
    /// Mischief done to API answers; the first that fits a call strikes.
    pub api_faults: Vec<ApiFault>,
    /// How long new objects stay hidden from search, in seconds.
    pub search_delay: i64,
    /// How many API calls a second are answered; zero means any number.
    pub rate_limit: u32,
}

/// What becomes of a subscription when the last retry of a charge was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterRetries {
    /// It ends.
    #[default]
    Cancel,
    /// It stays without being charged: new invoices stay drafts.
    Unpaid,
    /// It stays as it is, and renewals are charged as ever.
    PastDue,
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
    /// How often the same fact is told again by another event.
    pub new_id: u64,
    /// How often an event of a type nobody knows comes along.
    pub unknown_type: u64,
    /// Whether events are delivered out of order.
    pub shuffle: bool,
    /// How often an event is not delivered until someone asks for it again.
    pub drop: u64,
    /// How long every delivery waits.
    pub delay_ms: i64,
    /// Whether an API call is only answered when the webhooks it caused were delivered.
    pub before_answer: bool,
    /// How often a delivery is twisted, by the kind of twist.
    pub twists: BTreeMap<String, u64>,
}

/// The ways a delivery can be twisted; all but the last two are only done to a first attempt.
pub const TWISTS: [&str; 6] =
    ["bad_signature", "old_timestamp", "truncated", "huge", "old_version", "thin"];

/// API calls that go wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiFault {
    /// What happens to them.
    pub kind: ApiFaultKind,
    /// The status, where the kind leaves a choice.
    pub status: u16,
    /// How many calls are left to fail.
    pub count: u64,
    /// How often a call that could fail does, in thousandths.
    pub share: u64,
    /// The seed the share is drawn from.
    pub seed: u64,
    /// How many draws were made.
    pub drawn: u64,
    /// Only calls whose path begins so.
    pub path: String,
    /// Only calls of this method, when one is named.
    pub method: String,
    /// How long slow calls take and a call without an answer is kept.
    pub delay_ms: u64,
}

/// What can happen to an API call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiFaultKind {
    /// 429: too many requests.
    RateLimit,
    /// An error on Stripe's side, before anything is done.
    #[default]
    ServerError,
    /// 409: somebody else works on the same object.
    LockTimeout,
    /// Nothing is done, and no answer comes.
    TimeoutBefore,
    /// Everything is done, and no answer comes.
    TimeoutAfter,
    /// Nothing is done, and the connection breaks.
    Reset,
    /// Everything is done, and the connection breaks.
    ResetAfter,
    /// Everything is done and answered, late.
    Slow,
    /// A page of HTML with status 502 instead of an answer.
    Html,
}

impl Default for ApiFault {
    fn default() -> ApiFault {
        ApiFault {
            kind: ApiFaultKind::ServerError,
            status: 500,
            count: 1,
            share: 1000,
            seed: 1,
            drawn: 0,
            path: String::new(),
            method: String::new(),
            delay_ms: 60_000,
        }
    }
}

impl ApiFault {
    /// Whether this call goes wrong; counts it when it does.
    pub fn strikes(&mut self, method: &str, path: &str) -> bool {
        let meant = path.starts_with(&self.path)
            && (self.method.is_empty() || self.method.eq_ignore_ascii_case(method));
        if !meant || self.count == 0 {
            return false;
        }
        self.drawn = self.drawn.wrapping_add(1);
        let hit = drawn(self.seed, self.drawn) % 1000 < self.share;
        self.count -= u64::from(hit);
        hit
    }
}

/// The number at a place of a seeded sequence.
fn drawn(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
        drawn(self.seed, self.drawn)
    }

    /// Whether something of this probability (in thousandths) happens now.
    pub fn happens(&mut self, thousandths: u64) -> bool {
        thousandths > 0 && self.draw() % 1000 < thousandths
    }

    /// How the next delivery is twisted, if it is.
    pub fn twist(&mut self) -> Option<&'static str> {
        TWISTS.into_iter().find(|name| {
            let share = self.twists.get(*name).copied().unwrap_or(0);
            self.happens(share)
        })
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

    #[test]
    fn a_fault_strikes_what_it_means_as_often_as_it_may() {
        let mut fault =
            ApiFault { count: 2, path: "/v1/refunds".to_owned(), ..ApiFault::default() };
        assert!(!fault.strikes("POST", "/v1/charges"));
        assert!(fault.strikes("POST", "/v1/refunds") && fault.strikes("GET", "/v1/refunds/re_1"));
        assert!(!fault.strikes("POST", "/v1/refunds"));
        let mut some = ApiFault { count: 1000, share: 300, ..ApiFault::default() };
        let hits = (0..1000).filter(|_| some.strikes("GET", "/v1/account")).count();
        assert!((200..400).contains(&hits), "{hits}");
    }
}
