//! Prefixed ids: `org_`, `user_`, `grant_`…, and secrets. Chance comes in by this door only.

use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

/// A new id such as `org_8f3c…`: the prefix, the millisecond in hexadecimal and 80 random bits, so
/// that ids made later sort later, which keeps indexes dense.
pub fn new(prefix: &str, now: crate::clock::Millis) -> String {
    let mut random = [0u8; 10];
    fill(&mut random);
    format!("{prefix}_{now:012x}{}", hex::encode(random))
}

/// An id that is always the same for the same thing, sorted by the time given.
pub fn derived(prefix: &str, at: crate::clock::Millis, thing: &str) -> String {
    let digest = Sha256::digest(thing.as_bytes());
    format!("{prefix}_{at:012x}{}", hex::encode(&digest[..10]))
}

/// A secret of 256 random bits in hexadecimal, for API keys and one-time tokens.
pub fn secret() -> String {
    let mut bytes = [0u8; 32];
    fill(&mut bytes);
    hex::encode(bytes)
}

/// Fills the buffer with bytes from the operating system's generator.
#[expect(clippy::disallowed_methods, reason = "the one door through which chance comes in")]
pub fn fill(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}
