//! From paid invoice lines to allowances: at once for a month, month by month for longer periods.
//!
//! Writes `paid_lines` and `allowance_schedules`. Repeated, late or out of order, the same lines
//! lead to the same credits.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{self, Resolved, Version};
use crate::clock::{DAY, Millis, SECOND, add_months, date_time};
use crate::credits::{self, Allowance};
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::shapes::{self, Invoice};
use crate::units::Credits;

use super::targets::{Line, Target, targets};

/// Keeps the lines of a paid invoice that include credits; answers the items they are of.
pub async fn keep_lines(
    tx: &mut Tx,
    invoice: &Invoice,
    lines: &[shapes::Line],
    org_id: &str,
) -> Result<BTreeSet<String>> {
    let ids: Vec<String> =
        lines.iter().filter_map(|line| line.price()).map(str::to_owned).collect();
    let prices = catalog::resolve(tx, &ids).await?;
    let mut items = BTreeSet::new();
    for line in lines {
        let price = line.price().and_then(|id| prices.get(id));
        let (Some(item), Some(price)) = (line.item(), price) else { continue };
        let Some(version_id) = &price.version_id else { continue };
        // A line of nothing for something that costs is a trial: it includes nothing yet. (B4)
        if line.amount == 0 && price.amount > 0 {
            continue;
        }
        let quantity = line.quantity.unwrap_or(1);
        let quantity = if line.amount < 0 { -quantity.abs() } else { quantity };
        let text = "insert into paid_lines (line_id, invoice_id, org_id, subscription_id, \
                 item_id, price_id, version_id, quantity, proration, period_start, period_end)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             on conflict (line_id) do nothing";
        let row = sql(text)
            .bind(&line.id)
            .bind(&invoice.id)
            .bind(org_id)
            .bind(invoice.subscription().unwrap_or_default())
            .bind(item)
            .bind(&price.price_id)
            .bind(version_id)
            .bind(quantity)
            .bind(line.is_proration())
            .bind(line.period.start * SECOND)
            .bind(line.period.end * SECOND);
        tx.execute(row).await?;
        items.insert(item.to_owned());
    }
    Ok(items)
}

#[derive(sqlx::FromRow)]
struct StoredLine {
    invoice_id: String,
    org_id: String,
    subscription_id: String,
    price_id: String,
    version_id: String,
    quantity: i64,
    proration: bool,
    period_start: Millis,
    period_end: Millis,
}

/// Brings the allowance of an item's latest period up to what was paid for it.
pub async fn set(tx: &mut Tx, item_id: &str, now: Millis) -> Result<()> {
    let text = "select invoice_id, org_id, subscription_id, price_id, version_id, quantity, \
             proration, period_start, period_end
         from paid_lines where item_id = $1 order by period_start, line_id";
    let rows: Vec<StoredLine> = tx.all(sql(text).bind(item_id)).await?;
    let Some(newest) = rows.last() else { return Ok(()) };
    let ids: Vec<String> = rows.iter().map(|row| row.version_id.clone()).collect();
    let versions = catalog::versions(tx, &ids).await?;
    let included = |id: &str| versions.get(id).map(|version| version.terms.included);
    let lines: Vec<Line> = rows
        .iter()
        .map(|row| Line {
            invoice_id: row.invoice_id.clone(),
            version_id: row.version_id.clone(),
            included: included(&row.version_id).unwrap_or_default(),
            quantity: row.quantity,
            proration: row.proration,
            period: (row.period_start, row.period_end),
        })
        .collect();
    // Earlier periods are over: only the latest can still be used.
    let Some(target) = targets(&lines).pop() else { return Ok(()) };
    let version = versions
        .get(&target.version_id)
        .ok_or_else(|| Error::internal("a tier version that was just read is missing"))?;
    let base = rows.iter().rfind(|row| !row.proration && row.period_start == target.period.0);
    let price_ids: Vec<String> = base.iter().map(|row| row.price_id.clone()).collect();
    let prices: BTreeMap<String, Resolved> = catalog::resolve(tx, &price_ids).await?;
    let months = prices.values().next().and_then(Resolved::months).unwrap_or(1);
    let item = Item { item_id, org_id: &newest.org_id, subscription_id: &newest.subscription_id };
    match months {
        ..=1 => item.open(tx, &target, target.period, target.credits, version, now).await,
        _ => item.schedule(tx, &target, version, now).await,
    }
}

struct Item<'a> {
    item_id: &'a str,
    org_id: &'a str,
    subscription_id: &'a str,
}

impl Item<'_> {
    async fn open(
        &self,
        tx: &mut Tx,
        target: &Target,
        period: (Millis, Millis),
        credits: Credits,
        version: &Version,
        now: Millis,
    ) -> Result<()> {
        if !credits.is_positive() {
            return Ok(());
        }
        let allowance = Allowance {
            org_id: self.org_id.to_owned(),
            item: self.item_id.to_owned(),
            period,
            target: credits,
            rollover_max: version.terms.rollover_max,
            grace_until: period.1 + version.terms.grace_days * DAY,
            invoice: target.invoice_id.clone(),
            reason: format!("{}, {}", version.name, days(period)),
        };
        credits::set_allowance(tx, allowance, now).await
    }

    /// Writes the months of a longer period down and opens the current one. (B17)
    async fn schedule(
        &self,
        tx: &mut Tx,
        target: &Target,
        version: &Version,
        now: Millis,
    ) -> Result<()> {
        let text = "insert into allowance_schedules (item_id, period_start, period_end, org_id, \
                 subscription_id, invoice_id, version_id, target, next_month, next_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $2)
             on conflict (item_id, period_start) do update set \
                 invoice_id = excluded.invoice_id, version_id = excluded.version_id, \
                 target = excluded.target";
        let row = sql(text)
            .bind(self.item_id)
            .bind(target.period.0)
            .bind(target.period.1)
            .bind(self.org_id)
            .bind(self.subscription_id)
            .bind(&target.invoice_id)
            .bind(&version.id)
            .bind(target.monthly);
        tx.execute(row).await?;
        // What came before is over, even where it had months left: this period takes its place.
        let close = "update allowance_schedules set closed_at = $3
             where item_id = $1 and period_start < $2 and closed_at is null";
        tx.execute(sql(close).bind(self.item_id).bind(target.period.0).bind(now)).await?;
        let Some(month) = month_of(target.period, now) else { return Ok(()) };
        self.open(tx, target, month.period, target.monthly, version, now).await?;
        advance(tx, self.item_id, target.period, month.number, now).await
    }
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
    item_id: &str,
    period: (Millis, Millis),
    opened: i64,
    now: Millis,
) -> Result<()> {
    let next_at = add_months(period.0, opened + 1);
    let text = "update allowance_schedules set next_month = $3, next_at = $4, closed_at = $5
         where item_id = $1 and period_start = $2";
    let closed_at = (next_at >= period.1).then_some(now);
    let row = sql(text).bind(item_id).bind(period.0).bind(opened + 1).bind(next_at);
    tx.execute(row.bind(closed_at)).await?;
    Ok(())
}

/// Closes what a subscription that ended had left to open.
pub async fn close_schedules(tx: &mut Tx, subscription_id: &str, now: Millis) -> Result<()> {
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
pub async fn open_due_months(engine: &Engine) -> Result<usize> {
    let mut opened = 0;
    while is_due(&engine.db, engine.clock.now()).await? && opened < 1_000 {
        let now = engine.clock.now();
        let mut tx = engine.db.begin().await?;
        let text = format!(
            "select item_id, org_id, subscription_id, period_start, period_end, invoice_id, \
                 version_id, target
             from allowance_schedules where closed_at is null and next_at <= $1
             order by next_at, item_id limit 1{}",
            tx.dialect().for_update()
        );
        let Some(due) = tx.optional::<Due>(sql(text).bind(now)).await? else { break };
        open_month(&mut tx, &due, now).await?;
        tx.commit().await?;
        opened += 1;
    }
    Ok(opened)
}

async fn is_due(db: &Db, now: Millis) -> Result<bool> {
    let text = "select item_id from allowance_schedules
         where closed_at is null and next_at <= $1 limit 1";
    Ok(db.optional::<(String,)>(sql(text).bind(now)).await?.is_some())
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
    let version = versions
        .get(&due.version_id)
        .ok_or_else(|| Error::internal(format!("tier version {} is missing", due.version_id)))?;
    let (item_id, org_id) = (due.item_id.as_str(), due.org_id.as_str());
    let item = Item { item_id, org_id, subscription_id: &due.subscription_id };
    let target = Target {
        period,
        credits: due.target,
        monthly: due.target,
        invoice_id: due.invoice_id.clone(),
        version_id: due.version_id.clone(),
    };
    item.open(tx, &target, month.period, due.target, version, now).await?;
    advance(tx, item_id, period, month.number, now).await
}

/// `1 October – 1 November`
fn days(period: (Millis, Millis)) -> String {
    let day = |at: Millis| {
        let date = date_time(at);
        format!("{} {}", date.day(), date.month())
    };
    format!("{} – {}", day(period.0), day(period.1))
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
        assert_eq!(days(year), "31 January – 31 January");
    }
}
