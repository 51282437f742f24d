//! Blocks: dated reasons to refuse an org's use. Owns `blocks`.
//!
//! A block may begin in the future, since a missed payment is forgiven for some days; it may end by
//! itself or be lifted. Lifted ones stay. Whoever writes here has locked the org's wallet, because
//! the gate reads it. Never decides what a block refuses: the gate does.

use std::collections::HashMap;

use crate::clock::{self, Millis};
use crate::db::{Reads, Tx, sql};
use crate::error::Result;
use crate::ids;

/// A reason to refuse.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct Block {
    /// past_due, unpaid, paused, dispute, fraud or admin
    pub kind: String,
    /// In force from then on.
    #[serde(serialize_with = "clock::serialize")]
    pub since: Millis,
    /// Until then; `None` is until it is lifted.
    #[serde(serialize_with = "clock::serialize_optional")]
    pub until: Option<Millis>,
    /// Why, for people.
    pub reason: String,
}

/// A block to put.
#[derive(Clone, Debug)]
pub struct NewBlock<'a> {
    /// Whose use is refused.
    pub org_id: &'a str,
    /// One of the kinds.
    pub kind: &'a str,
    /// What it is about; one block per org, kind and subject.
    pub subject: &'a str,
    /// Why, for people.
    pub reason: &'a str,
    /// From when on.
    pub since: Millis,
}

/// Puts a block, or changes the one about the same subject.
pub async fn put(tx: &mut Tx, block: &NewBlock<'_>, now: Millis) -> Result<()> {
    let text = "insert into blocks (id, org_id, kind, subject, reason, since, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (org_id, kind, subject) where lifted_at is null
         do update set since = excluded.since, reason = excluded.reason";
    let row = sql(text)
        .bind(ids::new("block", now))
        .bind(block.org_id)
        .bind(block.kind)
        .bind(block.subject)
        .bind(block.reason)
        .bind(block.since)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

/// Lifts every block about a subject but those of the kind to keep; answers how many.
pub async fn lift_except(
    tx: &mut Tx,
    org_id: &str,
    subject: &str,
    keep: Option<&str>,
    now: Millis,
) -> Result<u64> {
    let text = "update blocks set lifted_at = $4
         where org_id = $1 and subject = $2 and kind <> $3 and lifted_at is null";
    let row = sql(text).bind(org_id).bind(subject).bind(keep.unwrap_or_default()).bind(now);
    tx.execute(row).await
}

#[derive(sqlx::FromRow)]
struct Row {
    org_id: String,
    #[sqlx(flatten)]
    block: Block,
}

/// The blocks that are not lifted, by org, earliest first; some may not have begun.
pub async fn load(reads: &mut impl Reads, orgs: &[String]) -> Result<HashMap<String, Vec<Block>>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!(
        "select org_id, kind, since, until, reason from blocks \
         where {any} and lifted_at is null order by since, id"
    );
    let mut by_org: HashMap<String, Vec<Block>> = HashMap::new();
    for row in reads.all::<Row>(sql(text).bind(orgs.to_vec())).await? {
        by_org.entry(row.org_id).or_default().push(row.block);
    }
    Ok(by_org)
}
