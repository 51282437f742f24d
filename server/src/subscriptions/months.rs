//! The months of a period that is longer than one: each opens when it begins. Writes
//! `allowance_schedules`. (B17)

use std::collections::HashMap;

use crate::catalog::Version;
use crate::clock::{Millis, add_months};
use crate::credits;
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::Result;
use crate::units::Credits;

use super::allowance::{self, Of, version_of};
use super::items;
use super::targets::Target;

/// Writes the months of a longer period down and opens the current one.
pub async fn schedule(
    tx: &mut Tx,
    of: &Of<'_>,
    target: &Target,
    versions: &HashMap<String, Version>,
    now: Millis,
) -> Result<()> {
    let Some(latest) = target.steps.last() else { return Ok(()) };
    let text = "insert into allowance_schedules (item_id, period_start, period_end, org_id, \
             subscription_id, invoice_id, version_id, target, next_month, next_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $2)
         on conflict (item_id, period_start) do update set \
             invoice_id = excluded.invoice_id, version_id = excluded.version_id, \
             target = excluded.target";
    let row = sql(text)
        .bind(of.subject)
        .bind(target.period.0)
        .bind(target.period.1)
        .bind(of.org_id)
        .bind(of.subscription_id)
        .bind(&latest.invoice_id)
        .bind(&latest.version_id)
        .bind(latest.whole);
    tx.execute(row).await?;
    let Some(month) = month_of(target.period, now) else { return Ok(()) };
    // The first month is what was just paid. The later ones wait while the subscription rests or
    // owes, and include no more than its lines still do: one that was moved down at once, or lost a
    // line, is given the difference back in money. (B9, B13, B14)
    let mut most = None;
    if month.number > 0 {
        if !goes_on(tx, of.subscription_id).await? {
            return Ok(());
        }
        most = items::included(tx, of.subscription_id, of.subject).await?;
    }
    let at = month.period.0;
    let begun = target.steps.iter().rev().find(|step| step.at <= at).unwrap_or(latest);
    let version = version_of(versions, &begun.version_id)?;
    for layer in target.layers(at, most) {
        of.open(tx, &layer.invoice_id, month.period, layer.up_to, version, now).await?;
    }
    for step in target.steps.iter().filter(|step| step.at > at) {
        let version = version_of(versions, &step.version_id)?;
        of.open(tx, &step.invoice_id, month.period, step.whole, version, now).await?;
    }
    advance(tx, of.subject, target.period, month.number, now).await
}

/// What the month of `now` includes by what was paid.
pub fn included(target: &Target, now: Millis) -> Credits {
    let Some(month) = month_of(target.period, now) else { return Credits::ZERO };
    let at = month.period.0;
    let begun = target.layers(at, None).pop().map(|layer| layer.up_to);
    let within = target.steps.iter().filter(|step| step.at > at).map(|step| step.whole);
    within.chain(begun).max().unwrap_or_default()
}

/// Whether months of a subscription may begin; one that is not known yet owes nothing.
async fn goes_on(tx: &mut Tx, subscription_id: &str) -> Result<bool> {
    let text = "select status from subscriptions where subscription_id = $1";
    let row: Option<(String,)> = tx.optional(sql(text).bind(subscription_id)).await?;
    Ok(row.is_none_or(|(status,)| matches!(status.as_str(), "active" | "trialing")))
}

/// A month of a longer period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Month {
    number: i64,
    period: (Millis, Millis),
}

/// The month that `now` falls into, counted from the period's start; none before and after it.
fn month_of(period: (Millis, Millis), now: Millis) -> Option<Month> {
    if !(period.0..period.1).contains(&now) {
        return None;
    }
    let mut number = 0;
    while add_months(period.0, number + 1) <= now && number < 1_200 {
        number += 1;
    }
    let end = add_months(period.0, number + 1).min(period.1);
    Some(Month { number, period: (add_months(period.0, number), end) })
}

async fn advance(
    tx: &mut Tx,
    subject: &str,
    period: (Millis, Millis),
    opened: i64,
    now: Millis,
) -> Result<()> {
    let next_at = add_months(period.0, opened + 1);
    let text = "update allowance_schedules set next_month = $3, next_at = $4, closed_at = $5
         where item_id = $1 and period_start = $2";
    let closed_at = (next_at >= period.1).then_some(now);
    let row = sql(text).bind(subject).bind(period.0).bind(opened + 1).bind(next_at);
    tx.execute(row.bind(closed_at)).await?;
    Ok(())
}

/// Closes what a subscription that ended had left to open.
pub async fn close(tx: &mut Tx, subscription_id: &str, now: Millis) -> Result<()> {
    let text = "update allowance_schedules set closed_at = $2
         where subscription_id = $1 and closed_at is null";
    tx.execute(sql(text).bind(subscription_id).bind(now)).await?;
    Ok(())
}

/// Closes what came before a period of a plan or an add-on, even where it had months left: the
/// period takes its place, be it as long or shorter. (B10)
pub async fn close_before(tx: &mut Tx, subject: &str, start: Millis, now: Millis) -> Result<()> {
    let text = "update allowance_schedules set closed_at = $3
         where item_id = $1 and period_start < $2 and closed_at is null";
    tx.execute(sql(text).bind(subject).bind(start).bind(now)).await?;
    Ok(())
}

/// Closes what an add-on that was taken off had left to open.
pub async fn close_item(tx: &mut Tx, item_id: &str, now: Millis) -> Result<()> {
    let text = "update allowance_schedules set closed_at = $2
         where item_id = $1 and closed_at is null";
    tx.execute(sql(text).bind(item_id).bind(now)).await?;
    Ok(())
}

/// Brings the current month up to what a subscription is now, after something of it changed: it
/// goes on after a rest, or has a line again that was paid for. Its state is written already.
pub async fn look_again(
    tx: &mut Tx,
    org_id: &str,
    subscription_id: &str,
    now: Millis,
) -> Result<()> {
    let text = "select item_id from allowance_schedules
         where subscription_id = $1 and period_end > $2 limit 1";
    let row = sql(text).bind(subscription_id).bind(now);
    if tx.optional::<(String,)>(row).await?.is_none() {
        return Ok(());
    }
    allowance::set(tx, org_id, subscription_id, now).await
}

#[derive(sqlx::FromRow)]
struct Due {
    item_id: String,
    org_id: String,
    subscription_id: String,
    period_start: Millis,
    period_end: Millis,
}

/// Opens the months of yearly plans that have begun; answers how many. Those of a subscription that
/// rests or owes wait for it.
pub async fn open_due(engine: &Engine) -> Result<usize> {
    let text = "select a.item_id, a.org_id, a.subscription_id, a.period_start, a.period_end
         from allowance_schedules a
         left join subscriptions s on s.subscription_id = a.subscription_id
         where a.closed_at is null and a.next_at <= $1
         and (s.status is null or s.status in ('active', 'trialing'))
         order by a.next_at, a.item_id limit 1000";
    let due: Vec<Due> = engine.db.all(sql(text).bind(engine.clock.now())).await?;
    let mut opened = 0;
    for due in &due {
        match open_one(engine, due).await {
            Ok(()) => opened += 1,
            // One that fails holds up no other.
            Err(error) => {
                let item_id = &due.item_id;
                tracing::error!(item_id, "a month was not opened: {error}");
            }
        }
    }
    Ok(opened)
}

/// Under the wallet's lock, so that two workers at once open each month once.
async fn open_one(engine: &Engine, due: &Due) -> Result<()> {
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    credits::lock_wallet(&mut tx, &due.org_id, now).await?;
    if is_due(&mut tx, due, now).await? {
        allowance::set(&mut tx, &due.org_id, &due.subscription_id, now).await?;
    }
    if month_of((due.period_start, due.period_end), now).is_none() {
        // The period is over: nothing of it can be opened any more.
        let text = "update allowance_schedules set closed_at = $3
             where item_id = $1 and period_start = $2 and closed_at is null";
        let row = sql(text).bind(&due.item_id).bind(due.period_start);
        tx.execute(row.bind(now)).await?;
    }
    tx.commit().await
}

async fn is_due(tx: &mut Tx, due: &Due, now: Millis) -> Result<bool> {
    let text = "select item_id from allowance_schedules
         where item_id = $1 and period_start = $2 and closed_at is null and next_at <= $3";
    let row = sql(text).bind(&due.item_id).bind(due.period_start).bind(now);
    Ok(tx.optional::<(String,)>(row).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_rfc3339;

    #[test]
    fn months_of_a_year_are_whole_and_meet() {
        // B17, B19
        let at = |text: &str| parse_rfc3339(&format!("{text}T12:00:00Z")).expect("a time");
        let year = (at("2027-01-31"), at("2028-01-31"));
        let cases = [
            ("2027-01-30", None),
            ("2027-01-31", Some((0, "2027-01-31", "2027-02-28"))),
            ("2027-02-27", Some((0, "2027-01-31", "2027-02-28"))),
            ("2027-02-28", Some((1, "2027-02-28", "2027-03-31"))),
            ("2027-12-31", Some((11, "2027-12-31", "2028-01-31"))),
            ("2028-01-31", None),
        ];
        for (now, expected) in cases {
            let month = month_of(year, at(now));
            let expected =
                expected.map(|(number, from, to)| Month { number, period: (at(from), at(to)) });
            assert_eq!(month, expected, "{now}");
        }
    }
}
