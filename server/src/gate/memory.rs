//! What this process remembers of orgs, so that it need not read it again. Never truth: a memory is
//! used only while the wallet, just read or locked, still has the revision that it was made at.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::caps::{Cap, MemberCaps};
use crate::credits::{Grant, Hold};
use crate::entitlements::Own;

use super::recharging::Recharge;

/// Orgs that are remembered; those not seen for longest are forgotten.
const ORGS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What was read of one org.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The wallet's revision at which it was true.
    pub revision: i64,
    /// The grants that had not ended.
    pub grants: Vec<Grant>,
    /// The open holds.
    pub holds: Vec<Hold>,
    /// What it had besides what everybody has.
    pub own: Own,
    /// Its ceiling.
    pub cap: Option<Cap>,
    /// Its members' ceilings.
    pub members: MemberCaps,
    /// When it wants a pack bought by itself, and whether that was left as a job.
    pub recharge: Option<Recharge>,
}

/// The memory, shared by cloning.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<LruCache<String, Arc<Snapshot>>>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(ORGS))))
    }
}

impl Memory {
    /// What is remembered of these orgs at these revisions.
    pub fn recall<'a>(
        &self,
        wallets: impl Iterator<Item = (&'a str, i64)>,
    ) -> BTreeMap<String, Arc<Snapshot>> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = wallets.filter_map(|(org_id, revision)| {
            let found = memory.get(org_id).filter(|known| known.revision == revision)?;
            Some((org_id.to_owned(), found.clone()))
        });
        known.collect()
    }

    /// Remembers what was read or written.
    pub fn keep(&self, snapshots: impl Iterator<Item = (String, Snapshot)>) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (org_id, snapshot) in snapshots {
            let older =
                memory.peek(&org_id).is_none_or(|known| known.revision <= snapshot.revision);
            if older {
                memory.put(org_id, Arc::new(snapshot));
            }
        }
    }
}
