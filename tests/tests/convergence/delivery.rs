//! In which order, and how often, a copy is told what happened.

use hmac::{Hmac, Mac as _};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::Value;
use sha2::Sha256;

/// Signs a body as Stripe does.
pub fn signed(body: &str) -> String {
    let secret = server::config::SIMULATOR_WEBHOOK_SECRET;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at = since.expect("after 1970").as_secs();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// What is on its way to a copy.
#[derive(Default)]
pub struct Mailbag {
    waiting: Vec<Value>,
    told: Vec<Value>,
}

impl Mailbag {
    /// New events are on their way; some are lost.
    pub fn take(&mut self, events: &[Value], random: &mut StdRng) {
        let kept = events.iter().filter(|_| !random.random_bool(0.15));
        self.waiting.extend(kept.cloned());
    }

    /// What arrives now: in any order, some of it twice, some of it again that came before, and,
    /// unless it is the last chance, not yet all of it.
    pub fn arrives(&mut self, all: bool, random: &mut StdRng) -> Vec<Value> {
        self.waiting.shuffle(random);
        let count = match all {
            true => self.waiting.len(),
            false => random.random_range(0..=self.waiting.len()),
        };
        let mut now: Vec<Value> = self.waiting.drain(..count).collect();
        let again: Vec<Value> =
            now.iter().chain(&self.told).filter(|_| random.random_bool(0.15)).cloned().collect();
        self.told.extend(now.iter().cloned());
        now.extend(again);
        now.shuffle(random);
        now
    }
}
