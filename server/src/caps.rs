//! Caps: the ceilings an org sets for itself and for its members, per period. Owns `caps` and
//! `member_caps`.

use std::collections::BTreeMap;

use crate::audit::{self, Actor};
use crate::clock::Millis;
use crate::credits;
use crate::db::{Db, Reads, Tx, sql};
use crate::error::{Error, Result};
use crate::units::Credits;

/// The most a cap can be, in credits.
const CAP_MAX: i64 = 1_000_000_000;
/// The most a cap on overage can be, in minor units.
const OVERAGE_MAX: i64 = 10_000_000_000;

/// An org's own ceiling.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Cap {
    /// Whose.
    pub org_id: String,
    /// Per period, whatever pays for it; zero sets none.
    pub credits: Credits,
    /// The most overage to be billed per period, in minor units; `None` sets none.
    pub overage_money: Option<i64>,
    /// Whether use past it is refused, or only told.
    pub hard: bool,
    /// Raised by every change, so that the alerts are armed anew.
    pub arming: i64,
}

impl Cap {
    /// The ceiling in credits, where one is set.
    pub fn in_credits(&self) -> Option<Credits> {
        self.credits.is_positive().then_some(self.credits)
    }
}

const SELECT: &str = "select org_id, credits, overage_money, hard, arming from caps where ";

/// The caps of these orgs.
pub async fn load(reads: &mut impl Reads, orgs: &[String]) -> Result<BTreeMap<String, Cap>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!("{SELECT}{any} and (credits > 0 or overage_money is not null)");
    let caps: Vec<Cap> = reads.all(sql(text).bind(orgs.to_vec())).await?;
    Ok(caps.into_iter().map(|cap| (cap.org_id.clone(), cap)).collect())
}

/// The cap of one org in credits, where one is set.
pub async fn current(db: &Db, org_id: &str) -> Result<Option<Cap>> {
    let mut reads = db;
    let cap = load(&mut reads, &[org_id.to_owned()]).await?.remove(org_id);
    Ok(cap.filter(|cap| cap.in_credits().is_some()))
}

/// What an org wants of its cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Credits per period; `None` sets none.
    pub credits: Option<Credits>,
    /// Overage per period, in minor units; `None` sets none.
    pub overage_money: Option<i64>,
    /// Whether use past it is refused, or only told.
    pub hard: bool,
}

/// Sets the cap in credits, or takes it away; what it says of overage stays. A change arms its
/// alerts anew.
pub async fn set(
    tx: &mut Tx,
    org_id: &str,
    cap: Option<(Credits, bool)>,
    actor: Actor,
    now: Millis,
) -> Result<()> {
    let mut before = load(tx, &[org_id.to_owned()]).await?;
    let overage_money = before.remove(org_id).and_then(|cap| cap.overage_money);
    let (credits, hard) = match cap {
        Some((credits, hard)) => (Some(credits), hard),
        None => (None, true),
    };
    set_ceiling(tx, org_id, Ceiling { credits, overage_money, hard }, actor, now).await
}

/// Sets both ceilings of an org, or takes them away.
pub async fn set_ceiling(
    tx: &mut Tx,
    org_id: &str,
    ceiling: Ceiling,
    actor: Actor,
    now: Millis,
) -> Result<()> {
    check_credits(ceiling.credits)?;
    if ceiling.overage_money.is_some_and(|money| !(0..=OVERAGE_MAX).contains(&money)) {
        let message = "A cap on overage is from 0 to 10,000,000,000 minor units.";
        return Err(Error::invalid("overage", message));
    }
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "insert into caps (org_id, credits, overage_money, hard, arming, updated_at)
         values ($1, $2, $3, $4, 1, $5)
         on conflict (org_id) do update set credits = excluded.credits,
             overage_money = excluded.overage_money, hard = excluded.hard,
             arming = caps.arming + 1, updated_at = excluded.updated_at";
    let row = sql(text)
        .bind(org_id)
        .bind(ceiling.credits.unwrap_or(Credits::ZERO))
        .bind(ceiling.overage_money)
        .bind(ceiling.hard)
        .bind(now);
    tx.execute(row).await?;
    let Ceiling { credits, overage_money, hard } = ceiling;
    let removed = credits.is_none() && overage_money.is_none();
    let detail = serde_json::json!({
        "credits": credits, "overage_money": overage_money, "hard": hard, "removed": removed,
    });
    record(tx, org_id, "cap.set", org_id, actor, detail, now).await
}

/// Sets the ceiling of one member, or takes it away.
pub async fn set_member(
    tx: &mut Tx,
    org_id: &str,
    member: &str,
    credits: Option<Credits>,
    actor: Actor,
    now: Millis,
) -> Result<()> {
    check_credits(credits)?;
    credits::lock_wallet(tx, org_id, now).await?;
    let statement = match credits {
        None => sql("delete from member_caps where org_id = $1 and member = $2")
            .bind(org_id)
            .bind(member),
        Some(credits) => sql("insert into member_caps (org_id, member, credits, updated_at)
             values ($1, $2, $3, $4) on conflict (org_id, member)
             do update set credits = excluded.credits, updated_at = excluded.updated_at")
        .bind(org_id)
        .bind(member)
        .bind(credits)
        .bind(now),
    };
    tx.execute(statement).await?;
    let detail = serde_json::json!({ "credits": credits, "removed": credits.is_none() });
    record(tx, org_id, "cap.set_member", member, actor, detail, now).await
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    org_id: String,
    member: String,
    credits: Credits,
}

/// The ceilings of the members of these orgs.
pub async fn of_members(
    reads: &mut impl Reads,
    orgs: &[String],
) -> Result<BTreeMap<String, MemberCaps>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!("select org_id, member, credits from member_caps where {any}");
    let mut caps: BTreeMap<String, MemberCaps> = BTreeMap::new();
    for row in reads.all::<MemberRow>(sql(text).bind(orgs.to_vec())).await? {
        caps.entry(row.org_id).or_default().insert(row.member, row.credits);
    }
    Ok(caps)
}

/// Ceilings by member.
pub type MemberCaps = BTreeMap<String, Credits>;

fn check_credits(credits: Option<Credits>) -> Result<()> {
    let most = Credits::from_whole(CAP_MAX).unwrap_or(Credits::ZERO);
    if credits.is_some_and(|credits| !credits.is_positive() || credits > most) {
        let message = "A cap is more than 0 and at most 1,000,000,000 credits.";
        return Err(Error::invalid("credits", message));
    }
    Ok(())
}

async fn record(
    tx: &mut Tx,
    org_id: &str,
    action: &'static str,
    subject: &str,
    actor: Actor,
    detail: serde_json::Value,
    now: Millis,
) -> Result<()> {
    let org_id = Some(org_id);
    let detail = Some(detail);
    let entry = audit::Entry { actor, org_id, action, subject, reason: None, detail };
    audit::record(tx, &entry, now).await
}
