//! Auto-recharge, as an org wants it: below which credits, which pack, how much a month.
//!
//! Owns `recharge_settings`. The gate reads the threshold with everything else it knows about an
//! org, and leaves a job behind when it is crossed. Never charges anybody: the recharges room does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::audit::{self, Actor};
use crate::clock::{DAY, HOUR, Millis};
use crate::credits;
use crate::db::{Reads, Tx, sql};
use crate::error::{Error, Result};
use crate::jobs;
use crate::units::{Credits, money};

/// The kind of job that buys a pack.
pub const JOB: &str = "recharge";

/// The highest threshold, in credits.
const THRESHOLD_MAX: i64 = 1_000_000_000;
/// The highest monthly maximum, in minor units.
const MONTHLY_MAX: i64 = 10_000_000_000;
/// So many declines in a row pause it.
const DECLINES_MAX: i64 = 3;
/// The longest wait after a decline.
const WAIT_MAX: Millis = DAY;

/// Why nothing is tried, although the org wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The bank declined, too often or for good.
    Declined,
    /// The bank wants the card's holder to confirm.
    Authentication,
    /// A payment is disputed.
    Dispute,
    /// There is no card to charge.
    NoCard,
    /// The pack is not sold any more.
    PriceGone,
}

impl Pause {
    const ALL: [Self; 5] =
        [Self::Declined, Self::Authentication, Self::Dispute, Self::NoCard, Self::PriceGone];

    /// What another card may mend.
    pub const BY_CARD: [Self; 3] = [Self::Declined, Self::Authentication, Self::NoCard];

    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Authentication => "authentication",
            Self::Dispute => "dispute",
            Self::NoCard => "no_card",
            Self::PriceGone => "price_gone",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pause| pause.word() == word)
    }
}

/// What an org wants, and how it went so far.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Setting {
    /// Whose.
    pub org_id: String,
    /// Whether it is wanted.
    pub enabled: bool,
    /// Below this, one pack is bought.
    pub threshold: Credits,
    /// The pack's price.
    pub price_id: String,
    /// Minor units a calendar month, UTC, at most.
    pub monthly_max: i64,
    /// Since when nothing is tried.
    pub paused_at: Option<Millis>,
    pause_reason: Option<String>,
    /// Declines in a row.
    pub failures: i64,
    /// When the next attempt may be made.
    pub next_at: Millis,
    /// The month (year × 12 + month) in which the customer was told that the maximum is reached.
    pub capped_month: Option<i64>,
}

impl Setting {
    /// Whether a pack would be bought.
    pub fn is_armed(&self) -> bool {
        self.enabled && self.paused_at.is_none()
    }

    /// Why nothing is tried, where that is so.
    pub fn pause(&self) -> Option<Pause> {
        self.paused_at.and(self.pause_reason.as_deref()).and_then(Pause::parse)
    }
}

/// What the gate has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Below this, a job is left.
    pub below: Credits,
    /// Not before this.
    pub next_at: Millis,
}

/// The thresholds of those of these orgs that would be sold a pack.
pub async fn load(reads: &mut impl Reads, orgs: &[String]) -> Result<BTreeMap<String, Threshold>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!(
        "select org_id, threshold, next_at from recharge_settings
         where {any} and enabled and paused_at is null"
    );
    let rows: Vec<(String, Credits, Millis)> = reads.all(sql(text).bind(orgs.to_vec())).await?;
    let threshold = |(org_id, below, next_at)| (org_id, Threshold { below, next_at });
    Ok(rows.into_iter().map(threshold).collect())
}

/// What an org wants; `None` where it never said.
pub async fn of_org(reads: &mut impl Reads, org_id: &str) -> Result<Option<Setting>> {
    let text = "select org_id, enabled, threshold, price_id, monthly_max, paused_at, \
             pause_reason, failures, next_at, capped_month
         from recharge_settings where org_id = $1";
    reads.optional(sql(text).bind(org_id)).await
}

/// Armed orgs that have fewer credits than they want and may be sold a pack now, at most so many.
/// What the wallet has is near enough, without what was given ahead or is frozen, and less a debt
/// that a grant given ahead pays as it begins: whoever acts on it looks closely.
pub async fn running_low(reads: &mut impl Reads, now: Millis, limit: i64) -> Result<Vec<String>> {
    let text = "select s.org_id from recharge_settings s join wallets w on w.org_id = s.org_id
         where s.enabled and s.paused_at is null and s.next_at <= $1
             and w.available - (select cast(coalesce(sum(g.remaining), 0) as bigint)
                     from grants g where g.org_id = s.org_id and g.ended_at is null
                         and (g.effective_at > $1 or g.frozen_at is not null))
                 - case when exists (select 1 from grants b where b.org_id = s.org_id
                         and b.ended_at is null and b.effective_at > w.last_at
                         and b.effective_at <= $1) then w.debt else 0 end < s.threshold
         order by s.org_id limit $2";
    let rows: Vec<(String,)> = reads.all(sql(text).bind(now).bind(limit)).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// What an org asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Below this, one pack is bought.
    pub threshold: Credits,
    /// The pack's price.
    pub price_id: String,
    /// Minor units a calendar month.
    pub monthly_max: i64,
}

/// Why a threshold cannot be kept, for people; `None` where it can.
pub fn threshold_fault(threshold: Credits) -> Option<String> {
    let most = Credits::from_whole(THRESHOLD_MAX).unwrap_or(Credits::ZERO);
    let fits = threshold.is_positive() && threshold <= most;
    let message = "The threshold is more than 0 and at most 1,000,000,000 credits.";
    (!fits).then(|| message.to_owned())
}

/// Why a monthly maximum (minor units) cannot be kept where one pack costs `price`, for people;
/// `None` where it can.
pub fn monthly_fault(monthly_max: i64, price: i64, currency: &str) -> Option<String> {
    if monthly_max < price.max(1) {
        let price = money(price, currency);
        let message = "This is less than one pack costs";
        return Some(format!("{message}, {price}: nothing could ever be bought."));
    }
    let most = money(MONTHLY_MAX, currency);
    (monthly_max > MONTHLY_MAX).then(|| format!("Enter at most {most}."))
}

/// Switches it on, or changes what is wanted; either takes every pause away. Whoever is below the
/// threshold already gets a pack at once.
pub async fn save(tx: &mut Tx, org_id: &str, wish: &Wish, actor: Actor, now: Millis) -> Result<()> {
    if let Some(message) = threshold_fault(wish.threshold) {
        return Err(Error::invalid("threshold", message));
    }
    if !(1..=MONTHLY_MAX).contains(&wish.monthly_max) {
        let message = "The most a month is more than nothing and at most 10,000,000,000 minor \
             units.";
        return Err(Error::invalid("monthly_max", message));
    }
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "insert into recharge_settings (org_id, enabled, threshold, price_id, monthly_max, \
             failures, next_at, updated_at, updated_by)
         values ($1, true, $2, $3, $4, 0, 0, $5, $6)
         on conflict (org_id) do update set enabled = true, threshold = excluded.threshold,
             price_id = excluded.price_id, monthly_max = excluded.monthly_max, paused_at = null,
             pause_reason = null, failures = 0, next_at = 0, capped_month = null,
             updated_at = excluded.updated_at, updated_by = excluded.updated_by";
    let row = sql(text)
        .bind(org_id)
        .bind(wish.threshold)
        .bind(&wish.price_id)
        .bind(wish.monthly_max)
        .bind(now)
        .bind(actor.to_string());
    tx.execute(row).await?;
    let detail = json!({
        "threshold": wish.threshold, "price": wish.price_id, "monthly_max": wish.monthly_max,
    });
    record(tx, org_id, "autorecharge.save", actor, Some(detail), now).await?;
    want(tx, org_id, now, &format!("saved:{now}")).await
}

/// Switches it off. An attempt that is under way ends by itself.
pub async fn stop(tx: &mut Tx, org_id: &str, actor: Actor, now: Millis) -> Result<()> {
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "update recharge_settings set enabled = false, paused_at = null,
             pause_reason = null, updated_at = $2, updated_by = $3
         where org_id = $1 and enabled";
    let row = sql(text).bind(org_id).bind(now).bind(actor.to_string());
    if tx.execute(row).await? == 0 {
        return Ok(());
    }
    record(tx, org_id, "autorecharge.stop", actor, None, now).await
}

/// Lets nothing be tried until somebody did something about it. Whether it was on and not paused
/// is the answer: then it is news.
pub async fn pause(tx: &mut Tx, org_id: &str, why: Pause, now: Millis) -> Result<bool> {
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "update recharge_settings set paused_at = $2, pause_reason = $3
         where org_id = $1 and enabled and paused_at is null";
    if tx.execute(sql(text).bind(org_id).bind(now).bind(why.word())).await? == 0 {
        return Ok(false);
    }
    let detail = Some(json!({ "reason": why.word() }));
    record(tx, org_id, "autorecharge.pause", Actor::System, detail, now).await?;
    Ok(true)
}

/// Goes on where it was paused for one of these reasons, and forgets the wait after a decline.
/// Whether anything changed is the answer.
pub async fn resume(tx: &mut Tx, org_id: &str, from: &[Pause], now: Millis) -> Result<bool> {
    let Some(setting) = of_org(tx, org_id).await?.filter(|setting| setting.enabled) else {
        return Ok(false);
    };
    let waits = setting.failures > 0 || setting.next_at > now;
    let mended = match setting.paused_at {
        Some(_) => setting.pause().is_some_and(|pause| from.contains(&pause)),
        None => waits,
    };
    if !mended {
        return Ok(false);
    }
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "update recharge_settings set paused_at = null, pause_reason = null, failures = 0,
             next_at = 0 where org_id = $1 and enabled";
    tx.execute(sql(text).bind(org_id)).await?;
    record(tx, org_id, "autorecharge.resume", Actor::System, None, now).await?;
    want(tx, org_id, now, &format!("resumed:{now}")).await?;
    Ok(true)
}

/// What follows from a decline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallout {
    /// It is tried again then; `first` where none before it was declined.
    Again {
        /// At the earliest.
        at: Millis,
        /// Whether it is the first in a row.
        first: bool,
    },
    /// It is not tried any more.
    Paused,
    /// Nobody wants it any more, or it was paused meanwhile.
    Nothing,
}

/// Counts a decline: the next attempt waits, twice as long each time; after a few in a row, or when
/// the bank said never, nothing is tried any more. (E2)
pub async fn declined(tx: &mut Tx, org_id: &str, hard: bool, now: Millis) -> Result<Fallout> {
    credits::lock_wallet(tx, org_id, now).await?;
    let Some(setting) = of_org(tx, org_id).await?.filter(Setting::is_armed) else {
        return Ok(Fallout::Nothing);
    };
    let failures = setting.failures + 1;
    let at = now + wait(failures);
    let text = "update recharge_settings set failures = $2, next_at = $3 where org_id = $1";
    tx.execute(sql(text).bind(org_id).bind(failures).bind(at)).await?;
    if hard || failures >= DECLINES_MAX {
        pause(tx, org_id, Pause::Declined, now).await?;
        return Ok(Fallout::Paused);
    }
    want(tx, org_id, at, &format!("again:{at}")).await?;
    Ok(Fallout::Again { at, first: failures == 1 })
}

/// How long to wait after so many declines in a row.
fn wait(failures: i64) -> Millis {
    let doublings = u32::try_from(failures.clamp(1, 10) - 1).unwrap_or(0);
    (HOUR << doublings).min(WAIT_MAX)
}

/// A pack was bought: the declines before it are forgotten, and if that was not enough, another
/// one follows.
pub async fn succeeded(tx: &mut Tx, org_id: &str, attempt_id: &str, now: Millis) -> Result<()> {
    credits::lock_wallet(tx, org_id, now).await?;
    let text = "update recharge_settings set failures = 0, next_at = 0 where org_id = $1";
    tx.execute(sql(text).bind(org_id)).await?;
    want(tx, org_id, now, attempt_id).await
}

/// Notes that the customer is told in this month (year × 12 + month) that the maximum is reached.
/// Whether nobody told it before is the answer.
pub async fn tell_capped(tx: &mut Tx, org_id: &str, month: i64) -> Result<bool> {
    let text = "update recharge_settings set capped_month = $2
         where org_id = $1 and (capped_month is null or capped_month <> $2)";
    Ok(tx.execute(sql(text).bind(org_id).bind(month)).await? == 1)
}

/// Leaves a job that looks whether a pack is to be bought. `cause` tells jobs apart that must not
/// swallow each other.
pub async fn want(tx: &mut Tx, org_id: &str, at: Millis, cause: &str) -> Result<()> {
    let dedupe = format!("recharge:{org_id}:{cause}");
    jobs::enqueue(tx, JOB, &payload(org_id), at, Some(&dedupe)).await.map(drop)
}

/// Leaves the job of a crossed threshold: one, however many cross it. Whether it was left is the
/// answer; one that waits already will see the same.
pub async fn crossed(tx: &mut Tx, org_id: &str, now: Millis) -> Result<bool> {
    let dedupe = format!("recharge:{org_id}");
    jobs::enqueue(tx, JOB, &payload(org_id), now, Some(&dedupe)).await
}

fn payload(org_id: &str) -> Value {
    json!({ "org_id": org_id })
}

async fn record(
    tx: &mut Tx,
    org_id: &str,
    action: &'static str,
    actor: Actor,
    detail: Option<Value>,
    now: Millis,
) -> Result<()> {
    let (subject, org_id) = (org_id, Some(org_id));
    let entry = audit::Entry { actor, org_id, action, subject, reason: None, detail };
    audit::record(tx, &entry, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_declines_doubles_up_to_a_day() {
        // E2
        for (failures, hours) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (90, 24)] {
            assert_eq!(wait(failures), hours * HOUR, "after {failures}");
        }
    }

    #[test]
    fn a_wish_that_cannot_be_kept_is_told_what_is_wrong_with_it() {
        let micros = Credits::from_micros;
        let most = Credits::from_whole(THRESHOLD_MAX).expect("fits");
        for (threshold, fits) in [
            (micros(0), false),
            (micros(-1), false),
            (micros(1), true),
            (most, true),
            (micros(most.micros() + 1), false),
        ] {
            assert_eq!(threshold_fault(threshold).is_none(), fits, "{threshold}");
        }
        let less = "This is less than one pack costs, $10.00: nothing could ever be bought.";
        let more = "Enter at most $100,000,000.00.";
        for (monthly_max, expected) in [
            (0, Some(less)),
            (999, Some(less)),
            (1_000, None),
            (MONTHLY_MAX, None),
            (MONTHLY_MAX + 1, Some(more)),
        ] {
            let fault = monthly_fault(monthly_max, 1_000, "usd");
            assert_eq!(fault.as_deref(), expected, "{monthly_max}");
        }
    }

    #[test]
    fn every_reason_is_read_as_it_was_stored() {
        for pause in Pause::ALL {
            assert_eq!(Pause::parse(pause.word()), Some(pause));
        }
        assert_eq!(Pause::parse("whim"), None);
    }
}
