//! Which idempotency keys are being worked on right now. Held in memory only: what a crash
//! interrupts was never begun.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The keys in use.
#[derive(Clone, Default)]
pub struct InUse {
    keys: Arc<Mutex<HashSet<String>>>,
}

/// A key that is taken until this is dropped.
pub struct Held {
    of: InUse,
    key: String,
}

impl InUse {
    /// Takes a key, unless somebody has it.
    pub fn take(&self, key: &str) -> Option<Held> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let free = keys.insert(key.to_owned());
        free.then(|| Held { of: self.clone(), key: key.to_owned() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut keys = self.of.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_requests_at_a_time() {
        let keys = InUse::default();
        let held = keys.take("k").expect("free");
        assert!(keys.take("k").is_none() && keys.take("other").is_some());
        drop(held);
        assert!(keys.take("k").is_some());
    }
}
