//! The threshold of auto-recharge, seen in the very transaction that falls below it: one job is
//! left there. Orgs without a threshold cost nothing. Never buys anything.

use crate::autorecharge::{self, Threshold};
use crate::clock::Millis;
use crate::db::Tx;
use crate::error::Result;

use super::account::Account;

/// When an org wants a pack bought by itself, and what was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recharge {
    threshold: Threshold,
    /// A job was left since the credits fell below it, so that those who come next need not leave
    /// one each. Forgotten with everything else when somebody else changes the wallet.
    asked: bool,
}

impl From<Threshold> for Recharge {
    fn from(threshold: Threshold) -> Self {
        Self { threshold, asked: false }
    }
}

impl Recharge {
    /// Whether a job is to be left now.
    fn is_due(&self, now: Millis) -> bool {
        !self.asked && self.threshold.next_at <= now
    }
}

/// Leaves a job for every account that is below its threshold, unless one was left already. Whether
/// any was left is the answer. (E1)
pub async fn ask(
    tx: &mut Tx,
    accounts: impl Iterator<Item = &mut Account>,
    now: Millis,
) -> Result<bool> {
    let mut left = false;
    for account in accounts {
        let Some(mut recharge) = account.recharge else { continue };
        let wallet = &account.book.wallet;
        let low = account.book.spendable(account.book.time(now)) < recharge.threshold.below;
        if !low {
            recharge.asked = false;
        } else if recharge.is_due(now) && wallet.parked_at.is_none() {
            recharge.asked = autorecharge::crossed(tx, &wallet.org_id, now).await?;
            left |= recharge.asked;
        }
        account.recharge = Some(recharge);
    }
    Ok(left)
}
