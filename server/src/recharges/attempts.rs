//! The attempts: a row each, before anything is asked of Stripe. At most one of an org is open.

use crate::autorecharge::Setting;
use crate::clock::{DAY, Millis, add_months, date_time, day_start};
use crate::db::{Reads, Tx, sql};
use crate::error::Result;
use crate::units::Credits;

/// Every purchase with nobody present, made or tried.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct Attempt {
    /// `recharge_…`, also the key.
    pub id: String,
    /// Who pays.
    pub org_id: String,
    /// `cus_…`
    pub customer_id: String,
    /// The pack's price.
    pub price_id: String,
    /// `pm_…`
    pub payment_method: String,
    /// What it buys.
    pub credits: Credits,
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// open, processing, requires_action, succeeded, failed or canceled
    pub status: String,
    /// `pi_…`, once it is known.
    pub payment_intent_id: Option<String>,
    /// The bank's reason, or Stripe's code.
    pub code: Option<String>,
    /// For people: why it was not paid.
    pub message: Option<String>,
    /// When it was begun.
    pub created_at: Millis,
    /// When it was decided.
    pub settled_at: Option<Millis>,
}

impl Attempt {
    /// Whether it may still be paid.
    pub fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "open" | "processing" | "requires_action")
    }
}

const SELECT: &str = "select id, org_id, customer_id, price_id, payment_method, credits, amount, \
     currency, status, payment_intent_id, code, message, created_at, settled_at
     from recharge_attempts where ";
const OPEN: &str = "status in ('open', 'processing', 'requires_action')";

/// The attempt of an org that is under way.
pub async fn under_way(reads: &mut impl Reads, org_id: &str) -> Result<Option<Attempt>> {
    let text = format!("{SELECT} org_id = $1 and {OPEN}");
    reads.optional(sql(text).bind(org_id)).await
}

/// The newest attempts of an org.
pub async fn list(reads: &mut impl Reads, org_id: &str, limit: i64) -> Result<Vec<Attempt>> {
    let text = format!("{SELECT} org_id = $1 order by created_at desc, id desc limit $2");
    reads.all(sql(text).bind(org_id).bind(limit.clamp(1, 100))).await
}

/// How many attempts an org ever made, and how many of them are under way.
pub async fn tally(reads: &mut impl Reads, org_id: &str) -> Result<(i64, i64)> {
    let text = format!(
        "select count(*), count(case when {OPEN} then 1 end) from recharge_attempts
         where org_id = $1"
    );
    Ok(reads.optional(sql(text).bind(org_id)).await?.unwrap_or_default())
}

/// The attempts of everybody that are under way and older than this.
pub async fn left_open(reads: &mut impl Reads, before: Millis, limit: i64) -> Result<Vec<Attempt>> {
    let text = format!("{SELECT} {OPEN} and created_at <= $1 order by created_at, id limit $2");
    reads.all(sql(text).bind(before).bind(limit)).await
}

/// The attempt behind a payment: by its id, or by the label that it carries.
pub async fn of_payment(
    reads: &mut impl Reads,
    payment: &str,
    label: Option<&str>,
) -> Result<Option<Attempt>> {
    let text = format!("{SELECT} payment_intent_id = $1");
    let known = reads.optional(sql(text).bind(payment)).await?;
    let (None, Some(id)) = (&known, label) else { return Ok(known) };
    let text = format!("{SELECT} id = $1 and payment_intent_id is null");
    reads.optional(sql(text).bind(id)).await
}

/// What was charged, or may still be, in the calendar month (UTC) of `now`, in minor units.
pub async fn month_sum(reads: &mut impl Reads, org_id: &str, now: Millis) -> Result<i64> {
    let text = format!(
        "select cast(coalesce(sum(amount), 0) as bigint) from recharge_attempts
         where org_id = $1 and created_at >= $2 and (status = 'succeeded' or {OPEN})"
    );
    let row: Option<(i64,)> = reads.optional(sql(text).bind(org_id).bind(month_start(now))).await?;
    Ok(row.map_or(0, |row| row.0))
}

/// Writes an attempt down, unless another one is under way.
pub async fn insert(tx: &mut Tx, attempt: &Attempt) -> Result<bool> {
    let text = "insert into recharge_attempts (id, org_id, customer_id, price_id, \
             payment_method, credits, amount, currency, status, payment_intent_id, created_at, \
             settled_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing";
    let row = sql(text)
        .bind(&attempt.id)
        .bind(&attempt.org_id)
        .bind(&attempt.customer_id)
        .bind(&attempt.price_id)
        .bind(&attempt.payment_method)
        .bind(attempt.credits)
        .bind(attempt.amount)
        .bind(&attempt.currency)
        .bind(&attempt.status)
        .bind(attempt.payment_intent_id.as_deref())
        .bind(attempt.created_at)
        .bind(attempt.settled_at);
    Ok(tx.execute(row).await? == 1)
}

/// Remembers which payment an attempt became.
pub async fn attach(tx: &mut Tx, id: &str, payment: &str) -> Result<()> {
    let text = "update recharge_attempts set payment_intent_id = $2
         where id = $1 and payment_intent_id is null";
    tx.execute(sql(text).bind(id).bind(payment)).await.map(drop)
}

/// The money takes days.
pub async fn wait(tx: &mut Tx, id: &str) -> Result<()> {
    let text = "update recharge_attempts set status = 'processing'
         where id = $1 and status in ('open', 'requires_action')";
    tx.execute(sql(text).bind(id)).await.map(drop)
}

/// It was paid, whatever was thought of it before. Whether that is new is the answer.
pub async fn succeed(tx: &mut Tx, id: &str, now: Millis) -> Result<bool> {
    let text = "update recharge_attempts set status = 'succeeded', code = null, message = null,
             settled_at = $2 where id = $1 and status <> 'succeeded'";
    Ok(tx.execute(sql(text).bind(id).bind(now)).await? == 1)
}

/// It will not be paid. Whether that is new is the answer.
pub async fn fail(
    tx: &mut Tx,
    id: &str,
    (status, code, message): (&str, &str, &str),
    now: Millis,
) -> Result<bool> {
    let text = format!(
        "update recharge_attempts set status = $2, code = $3, message = $4, settled_at = $5
         where id = $1 and {OPEN}"
    );
    let row = sql(text).bind(id).bind(status).bind(code).bind(message).bind(now);
    Ok(tx.execute(row).await? == 1)
}

/// Nobody asks Stripe any more for what an org has under way and has no payment yet. One that was
/// made unheard still counts when it is seen.
pub async fn let_go(tx: &mut Tx, org_id: &str, why: (&str, &str), now: Millis) -> Result<()> {
    let text = format!(
        "update recharge_attempts set status = 'canceled', code = $2, message = $3, settled_at = $4
         where org_id = $1 and {OPEN} and payment_intent_id is null"
    );
    let row = sql(text).bind(org_id).bind(why.0).bind(why.1).bind(now);
    tx.execute(row).await.map(drop)
}

/// The first moment of the calendar month, UTC.
pub fn month_start(at: Millis) -> Millis {
    day_start(at) - (i64::from(date_time(at).day()) - 1) * DAY
}

/// The first moment of the next one.
pub fn next_month(at: Millis) -> Millis {
    add_months(month_start(at), 1)
}

/// Year × 12 + month.
pub fn month_number(at: Millis) -> i64 {
    let at = date_time(at);
    i64::from(at.year()) * 12 + i64::from(u8::from(at.month()))
}

/// Why no pack is bought just now, as far as the setting says.
pub fn may_try(setting: &Setting, now: Millis) -> bool {
    setting.is_armed() && setting.next_at <= now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{parse_rfc3339, rfc3339};

    #[test]
    fn a_month_begins_with_its_first_day() {
        let cases = [
            ("2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2027-12-01T00:00:00Z", "2027-12-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ];
        for (at, start, next) in cases {
            let at = parse_rfc3339(at).expect("a time");
            assert_eq!(rfc3339(month_start(at)), start);
            assert_eq!(rfc3339(next_month(at)), next);
        }
    }
}
