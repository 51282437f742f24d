//! Every call of the API, one function each.

use std::time::Duration;

use serde_json::json;

use crate::balance::Balance;
use crate::batch::{BatchAnswer, BatchBody, BatchReply, Item};
use crate::builder::Client;
use crate::decision::{Ask, Decision};
use crate::entitlements::Entitlements;
use crate::error::Error;
use crate::holds::{Captured, Hold, NewHold};
use crate::key::Key;
use crate::ledger::Movement;
use crate::pages::Pages;
use crate::runs::{RunRelease, RunReport};
use crate::usage::{GroupBy, Usage, UsageFilter, UsageGroup, Use};

impl Client {
    /// May it run? Nothing is written, so the answer is as of now: what counts is the hold or the
    /// consume that follows. A no is a [`Decision`] here, since it was asked for;
    /// [`Decision::require`] makes it an error.
    pub async fn authorize(&self, ask: &Ask) -> Result<Decision, Error> {
        self.ask(&["authorize"], ask).await
    }

    /// Charges a use now, once per key.
    pub async fn consume(&self, what: &Use, key: &Key) -> Result<Usage, Error> {
        let (usage, replayed) = self.write(&["consume"], key, what).await?;
        Ok(Usage { replayed, ..usage })
    }

    /// Sets credits aside, once per key. [`Client::with_hold`] does the rest as well.
    pub async fn hold(&self, new: &NewHold, key: &Key) -> Result<Hold, Error> {
        let (hold, replayed) = self.write(&["holds"], key, new).await?;
        Ok(Hold { replayed, ..hold })
    }

    /// A hold as it stands.
    pub async fn find_hold(&self, hold: impl AsRef<str>) -> Result<Hold, Error> {
        self.read(&["holds", hold.as_ref()], &[]).await
    }

    /// Gives an open hold this much time from now, in whole seconds.
    pub async fn extend(
        &self,
        hold: impl AsRef<str>,
        ttl: Duration,
        key: &Key,
    ) -> Result<Hold, Error> {
        let body = json!({ "ttl_seconds": ttl.as_secs() });
        let (hold, replayed) =
            self.write::<Hold>(&["holds", hold.as_ref(), "extend"], key, &body).await?;
        Ok(Hold { replayed, ..hold })
    }

    /// Charges what a hold was for; what was held beyond it goes back.
    pub async fn capture(
        &self,
        hold: impl AsRef<str>,
        captured: &Captured,
        key: &Key,
    ) -> Result<Usage, Error> {
        let path = ["holds", hold.as_ref(), "capture"];
        let (usage, replayed) = self.write(&path, key, captured).await?;
        Ok(Usage { replayed, ..usage })
    }

    /// Gives back what a hold set aside.
    pub async fn release(&self, hold: impl AsRef<str>, key: &Key) -> Result<Hold, Error> {
        let path = ["holds", hold.as_ref(), "release"];
        let (hold, replayed) = self.write::<Hold>(&path, key, &json!({})).await?;
        Ok(Hold { replayed, ..hold })
    }

    /// Takes a usage back: its credits return to the grants they came from. `usage` is its id.
    pub async fn reverse(&self, usage: &str, reason: &str, key: &Key) -> Result<Usage, Error> {
        let body = json!({ "reason": reason });
        let (usage, replayed) = self.write(&["usage", usage, "reverse"], key, &body).await?;
        Ok(Usage { replayed, ..usage })
    }

    /// Charges use that has happened already, at most 1000 items, each once per its own key and
    /// with an answer of its own. What got none may be sent again with the same keys.
    pub async fn batch(&self, items: &[Item]) -> Result<BatchAnswer, Error> {
        let reply: BatchReply = self.ask(&["usage", "batch"], &BatchBody { items }).await?;
        reply.of(items)
    }

    /// What the org has.
    pub async fn balance(&self) -> Result<Balance, Error> {
        self.read(&["balance"], &[]).await
    }

    /// What the org may use, and why.
    pub async fn entitlements(&self) -> Result<Entitlements, Error> {
        self.read(&["entitlements"], &[]).await
    }

    /// What was used, line by line, newest first.
    pub fn usage(&self, filter: &UsageFilter) -> Pages<Usage> {
        Pages::new(self.clone(), "usage", filter.query())
    }

    /// What was used, summed up.
    pub fn usage_by(&self, filter: &UsageFilter, by: GroupBy) -> Pages<UsageGroup> {
        let mut query = filter.query();
        query.push(("group_by", by.word().to_owned()));
        Pages::new(self.clone(), "usage", query)
    }

    /// What a run used and still holds.
    pub async fn run(&self, run: &str) -> Result<RunReport, Error> {
        self.read(&["runs", run], &[]).await
    }

    /// Gives back what the open holds of a run set aside.
    pub async fn release_run(&self, run: &str, key: &Key) -> Result<RunRelease, Error> {
        let path = ["runs", run, "release"];
        let (released, replayed) = self.write::<RunRelease>(&path, key, &json!({})).await?;
        Ok(RunRelease { replayed, ..released })
    }

    /// Every movement of the wallet, newest first.
    pub fn ledger(&self) -> Pages<Movement> {
        Pages::new(self.clone(), "ledger", Vec::new())
    }

    /// A decision that was stored, `dec_…`.
    pub async fn decision(&self, id: &str) -> Result<Decision, Error> {
        self.read(&["decisions", id], &[]).await
    }
}
