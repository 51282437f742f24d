//! The lines of a subscription, and what is planned for the end of its period. Writes
//! `subscription_items` and `ended_items`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::catalog::{self, Resolved, Terms};
use crate::clock::{Millis, SECOND};
use crate::db::{Reads, Tx, sql};
use crate::error::{Error, Result};
use crate::stripe::shapes::{Phase, Schedule, Subscription};
use crate::units::Credits;

use super::allowance;

/// A line as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ItemRow {
    /// `si_…`
    pub item_id: String,
    /// `price_…`
    pub price_id: String,
    /// The version in force; none where the price is not ours.
    pub version_id: Option<String>,
    /// How many.
    pub quantity: i64,
    /// Half open.
    pub period_start: Millis,
    /// Its end.
    pub period_end: Millis,
}

/// Writes the lines as they are now, and ends what those gave that are gone; answers them.
pub async fn store(
    tx: &mut Tx,
    seen: &Subscription,
    org_id: &str,
    now: Millis,
) -> Result<Vec<ItemRow>> {
    let select = "select item_id, price_id, version_id, quantity, period_start, period_end
         from subscription_items where subscription_id = $1";
    let known: Vec<ItemRow> = tx.all(sql(select).bind(&seen.id)).await?;
    let ids: Vec<String> = seen.items.data.iter().map(|item| item.price.id.clone()).collect();
    let prices = catalog::resolve(tx, &ids).await?;
    let items = read(seen, &known, &prices)?;
    let delete = "delete from subscription_items where subscription_id = $1";
    tx.execute(sql(delete).bind(&seen.id)).await?;
    for item in &items {
        let text = "insert into subscription_items (item_id, subscription_id, price_id, \
                 version_id, quantity, period_start, period_end)
             values ($1, $2, $3, $4, $5, $6, $7)";
        let row = sql(text)
            .bind(&item.item_id)
            .bind(&seen.id)
            .bind(&item.price_id)
            .bind(item.version_id.as_deref())
            .bind(item.quantity)
            .bind(item.period_start)
            .bind(item.period_end);
        tx.execute(row).await?;
    }
    for gone in gone(tx, &seen.id, &known, &items).await? {
        let text = "insert into ended_items (item_id, subscription_id, ended_at)
             values ($1, $2, $3) on conflict (item_id) do nothing";
        tx.execute(sql(text).bind(&gone).bind(&seen.id).bind(now)).await?;
        allowance::end_item(tx, org_id, &gone, now).await?;
    }
    Ok(items)
}

/// The lines that were there, or were paid for, and are not there any more; each once.
async fn gone(
    tx: &mut Tx,
    subscription_id: &str,
    known: &[ItemRow],
    items: &[ItemRow],
) -> Result<BTreeSet<String>> {
    let text = "select distinct item_id from paid_lines where subscription_id = $1";
    let paid: Vec<(String,)> = tx.all(sql(text).bind(subscription_id)).await?;
    let paid = paid.into_iter().map(|row| row.0);
    let mut gone: BTreeSet<String> =
        known.iter().map(|row| row.item_id.clone()).chain(paid).collect();
    gone.retain(|id| !items.iter().any(|item| item.item_id == *id));
    if !gone.is_empty() {
        let ended = ended(tx, subscription_id).await?;
        gone.retain(|id| !ended.contains(id));
    }
    Ok(gone)
}

/// The lines of a subscription that are gone for good.
pub async fn ended(reads: &mut impl Reads, subscription_id: &str) -> Result<HashSet<String>> {
    let text = "select item_id from ended_items where subscription_id = $1";
    let rows: Vec<(String,)> = reads.all(sql(text).bind(subscription_id)).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// What the plan (or the add-on with this item) of a subscription includes a month as its lines are
/// now, paid or not; none where its lines are not known yet.
pub async fn included(
    tx: &mut Tx,
    subscription_id: &str,
    subject: &str,
) -> Result<Option<Credits>> {
    let text = "select item_id, price_id, version_id, quantity, period_start, period_end
         from subscription_items where subscription_id = $1";
    let items: Vec<ItemRow> = tx.all(sql(text).bind(subscription_id)).await?;
    if items.is_empty() {
        return Ok(None);
    }
    let ids: Vec<String> = items.iter().map(|item| item.price_id.clone()).collect();
    let prices = catalog::resolve(tx, &ids).await?;
    let ids: Vec<String> = items.iter().filter_map(|item| item.version_id.clone()).collect();
    let versions = catalog::versions(tx, &ids).await?;
    let mut micros = 0i64;
    for item in &items {
        let is_plan = prices.get(&item.price_id).is_some_and(|price| price.kind == "plan");
        let own = if is_plan { subject == subscription_id } else { subject == item.item_id };
        let version = item.version_id.as_ref().and_then(|id| versions.get(id));
        if let (true, Some(version)) = (own, version) {
            let whole = version.terms.included.micros().saturating_mul(item.quantity);
            micros = micros.saturating_add(whole);
        }
    }
    Ok(Some(Credits::from_micros(micros)))
}

/// The items as they are now. Each keeps the version of its tier that was in force when its period
/// began, so that an edit in Stripe applies from the next one. (B10, C6)
fn read(
    seen: &Subscription,
    known: &[ItemRow],
    prices: &BTreeMap<String, Resolved>,
) -> Result<Vec<ItemRow>> {
    let mut items = Vec::new();
    for item in &seen.items.data {
        let (start, end) = seen.period(item).ok_or_else(|| {
            // A13: what is required and absent is an error, never skipped.
            Error::internal(format!("{} of {} has no period", item.id, seen.id))
        })?;
        let period_start = start * SECOND;
        let pinned = known.iter().find(|row| {
            row.item_id == item.id
                && row.price_id == item.price.id
                && row.period_start == period_start
        });
        let current = prices.get(&item.price.id).and_then(|price| price.version_id.clone());
        items.push(ItemRow {
            item_id: item.id.clone(),
            price_id: item.price.id.clone(),
            version_id: pinned.and_then(|row| row.version_id.clone()).or(current),
            quantity: item.quantity.unwrap_or(1),
            period_start,
            period_end: end * SECOND,
        });
    }
    Ok(items)
}

/// Whether any of the lines is a plan or an add-on of ours.
pub fn any_known(items: &[ItemRow]) -> bool {
    items.iter().any(|item| item.version_id.is_some())
}

/// The name and terms of the subscription's plan; the usual terms where none of its items is ours.
pub async fn plan(tx: &mut Tx, items: &[ItemRow]) -> Result<(Option<String>, Terms)> {
    let ids: Vec<String> = items.iter().filter_map(|item| item.version_id.clone()).collect();
    let mut versions: HashMap<String, catalog::Version> = catalog::versions(tx, &ids).await?;
    let prices: Vec<String> = items.iter().map(|item| item.price_id.clone()).collect();
    let prices = catalog::resolve(tx, &prices).await?;
    let is_plan = |item: &&ItemRow| prices.get(&item.price_id).is_some_and(|p| p.kind == "plan");
    let plan = items.iter().find(is_plan).or(items.first());
    let version = plan.and_then(|item| versions.remove(item.version_id.as_ref()?));
    Ok(match version {
        Some(version) => (Some(version.name), version.terms),
        None => (None, Terms::default()),
    })
}

/// What will be paid from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From then on.
    pub at: Millis,
    /// The lines then.
    pub items: Vec<PlannedItem>,
}

/// A line that is planned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedItem {
    /// `price_…`
    pub price_id: String,
    /// How many.
    pub quantity: i64,
}

/// The next phase of a schedule that is in force, where it differs from what is paid now.
pub fn planned(seen: &Subscription) -> Option<Planned> {
    let schedule = seen.schedule.as_ref().filter(|found| found.status == "active")?;
    let next = next_phase(schedule)?;
    let mut items: Vec<PlannedItem> = next
        .items
        .iter()
        .filter_map(|item| {
            let price_id = item.price.clone()?;
            Some(PlannedItem { price_id, quantity: item.quantity.unwrap_or(1) })
        })
        .collect();
    items.sort();
    let mut now: Vec<PlannedItem> = seen
        .items
        .data
        .iter()
        .map(|item| PlannedItem {
            price_id: item.price.id.clone(),
            quantity: item.quantity.unwrap_or(1),
        })
        .collect();
    now.sort();
    (items != now).then_some(Planned { at: next.start_date * SECOND, items })
}

/// Whether a schedule in force does nothing: it was begun and never finished, because whoever made
/// it died in between.
pub fn is_idle(schedule: &Schedule) -> bool {
    let active = schedule.status == "active" && schedule.current_phase.is_some();
    active && schedule.end_behavior == "release" && next_phase(schedule).is_none()
}

fn next_phase(schedule: &Schedule) -> Option<&Phase> {
    let until = schedule.current_phase.as_ref()?.end_date;
    let following = schedule.phases.iter().filter(|phase| phase.start_date >= until);
    following.min_by_key(|phase| phase.start_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(schedule: &str) -> Subscription {
        let text = format!(
            r#"{{"id": "sub_1", "customer": "cus_1", "status": "active", "created": 1,
                "items": {{"data": [{{"id": "si_1", "price": {{"id": "price_team"}},
                "quantity": 1, "current_period_start": 1, "current_period_end": 9}}]}},
                "schedule": {schedule}}}"#
        );
        serde_json::from_str(&text).expect("a subscription")
    }

    #[test]
    fn the_next_phase_is_what_is_planned() {
        // B9
        let phases = |next: &str, status: &str| {
            format!(
                r#"{{"id": "sub_sched_1", "status": "{status}",
                    "current_phase": {{"start_date": 1, "end_date": 9}},
                    "phases": [{{"start_date": 9, "end_date": 20,
                                 "items": [{{"price": "{next}", "quantity": 1}}]}},
                               {{"start_date": 1, "end_date": 9,
                                 "items": [{{"price": "price_team", "quantity": 1}}]}}]}}"#
            )
        };
        let item = PlannedItem { price_id: "price_pro".to_owned(), quantity: 1 };
        let expected = Some(Planned { at: 9 * SECOND, items: vec![item] });
        let cases = [
            (phases("price_pro", "active"), expected),
            (phases("price_team", "active"), None),
            (phases("price_pro", "released"), None),
            ("\"sub_sched_1\"".to_owned(), None),
            ("null".to_owned(), None),
        ];
        for (schedule, expected) in cases {
            assert_eq!(planned(&seen(&schedule)), expected, "{schedule}");
        }
    }
}
