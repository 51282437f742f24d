//! The months of a period that is longer than one: each opens when it begins. Writes
//! `allowance_schedules`. (B17)

use std::collections::HashMap;

use crate::catalog::{self, Version};
use crate::clock::{Millis, add_months};
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::Result;
use crate::units::Credits;

use super::allowance::{Of, version_of};
use super::targets::{Step, Target};

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
    // What came before is over, even where it had months left: this period takes its place.
    let close = "update allowance_schedules set closed_at = $3
         where item_id = $1 and period_start < $2 and closed_at is null";
    tx.execute(sql(close).bind(of.subject).bind(target.period.0).bind(now)).await?;
    let Some(month) = month_of(target.period, now) else { return Ok(()) };
    let begun = target.steps.iter().rposition(|step| step.at <= month.period.0).unwrap_or(0);
    for step in &target.steps[begun..] {
        let version = version_of(versions, &step.version_id)?;
        of.open(tx, step, month.period, step.whole, version, now).await?;
    }
    advance(tx, of.subject, target.period, month.number, now).await
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

#[derive(sqlx::FromRow)]
struct Due {
    item_id: String,
    org_id: String,
    subscription_id: String,
    period_start: Millis,
    period_end: Millis,
    invoice_id: String,
    version_id: String,
    target: Credits,
}

/// Opens the months of yearly plans that have begun; answers how many. Two workers at once open
/// each once: the row is held while it is moved on.
pub async fn open_due(engine: &Engine) -> Result<usize> {
    let text = "select item_id, period_start from allowance_schedules
         where closed_at is null and next_at <= $1 order by next_at, item_id limit 1000";
    let due: Vec<(String, Millis)> = engine.db.all(sql(text).bind(engine.clock.now())).await?;
    let mut opened = 0;
    for (item_id, period_start) in &due {
        match open_one(engine, item_id, *period_start).await {
            Ok(()) => opened += 1,
            // One that fails holds up no other.
            Err(error) => tracing::error!(item_id, "a month was not opened: {error}"),
        }
    }
    Ok(opened)
}

async fn open_one(engine: &Engine, item_id: &str, period_start: Millis) -> Result<()> {
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    let text = format!(
        "select item_id, org_id, subscription_id, period_start, period_end, invoice_id, \
             version_id, target
         from allowance_schedules where item_id = $1 and period_start = $2
         and closed_at is null and next_at <= $3{}",
        tx.dialect().for_update()
    );
    let row = sql(text).bind(item_id).bind(period_start).bind(now);
    let Some(due) = tx.optional::<Due>(row).await? else { return Ok(()) };
    open_month(&mut tx, &due, now).await?;
    tx.commit().await
}

async fn open_month(tx: &mut Tx, due: &Due, now: Millis) -> Result<()> {
    let period = (due.period_start, due.period_end);
    let Some(month) = month_of(period, now) else {
        // The period is over: nothing of it can be opened any more.
        let text = "update allowance_schedules set closed_at = $3
             where item_id = $1 and period_start = $2";
        tx.execute(sql(text).bind(&due.item_id).bind(due.period_start).bind(now)).await?;
        return Ok(());
    };
    let versions = catalog::versions(tx, std::slice::from_ref(&due.version_id)).await?;
    let version = version_of(&versions, &due.version_id)?;
    let of =
        Of { subject: &due.item_id, org_id: &due.org_id, subscription_id: &due.subscription_id };
    let step = Step {
        at: month.period.0,
        credits: due.target,
        whole: due.target,
        invoice_id: due.invoice_id.clone(),
        version_id: due.version_id.clone(),
        price_id: String::new(),
    };
    of.open(tx, &step, month.period, due.target, version, now).await?;
    advance(tx, &due.item_id, period, month.number, now).await
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
