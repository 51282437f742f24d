//! Idempotency keys: what makes a write repeatable.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::error::Error;

const LENGTH_MAX: usize = 255;

/// An idempotency key: 1 to 255 printable ASCII characters. The same key with the same request is
/// done once, however often it is sent; a new request needs a new key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// A fresh one of 122 random bits. Made in memory, it does not survive a crash of yours: where
    /// a job may run twice, make the key from the job's id.
    pub fn new() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// One of your own.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if printable && (1..=LENGTH_MAX).contains(&text.len()) {
            return Ok(Self(text));
        }
        let message = format!("has 1 to {LENGTH_MAX} printable ASCII characters");
        Err(Error::Invalid { field: "key", message })
    }

    /// A key for a step that follows from this one, always the same: `key:step`. Fails where it
    /// would become too long.
    pub fn derived(&self, step: &str) -> Result<Self, Error> {
        Self::parse(format!("{}:{step}", self.0))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A fresh one.
impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Key {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_bounds() {
        let (long, longest) = ("k".repeat(256), "k".repeat(255));
        for bad in ["", long.as_str(), "a\nb", "ü", "a\u{7f}"] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", " ", "~", "job 4711/step:2", longest.as_str()] {
            assert_eq!(Key::parse(good).expect(good).as_str(), good);
        }
    }

    #[test]
    fn fresh_keys_differ_and_derived_ones_do_not() {
        assert_ne!(Key::new(), Key::new());
        let key = Key::parse("job-1").expect("a key");
        assert_eq!(key.derived("capture").expect("fits").as_str(), "job-1:capture");
        assert!(Key::parse("k".repeat(255)).expect("a key").derived("capture").is_err());
    }
}
