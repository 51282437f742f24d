//! From paid invoice lines to allowances: at once for a month, month by month for longer periods.
//!
//! Writes `paid_lines` and (with [`super::months`]) `allowance_schedules`. Repeated, late or out of
//! order, the same lines lead to the same credits. What a plan includes is counted for the
//! subscription as a whole, so that it does not matter whether a change kept the item or replaced
//! it; each add-on counts for itself.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::{self, Resolved, Version};
use crate::clock::{DAY, Millis, SECOND, date_time};
use crate::credits::{self, Allowance, Source};
use crate::db::{Reads, Tx, sql};
use crate::error::{Error, Result};
use crate::refunds;
use crate::stripe::shapes::{self, Invoice};
use crate::units::Credits;

use super::targets::{Line, Target, periods, targets};
use super::{items, months};

/// Keeps the lines of a paid invoice that include credits; answers whether there are any.
pub async fn keep_lines(
    tx: &mut Tx,
    invoice: &Invoice,
    lines: &[shapes::Line],
    org_id: &str,
) -> Result<bool> {
    let ids: Vec<String> =
        lines.iter().filter_map(|line| line.price()).map(str::to_owned).collect();
    let prices = catalog::resolve(tx, &ids).await?;
    let mut any = false;
    for line in lines {
        let Some(paid) = Paid::read(line, &prices) else { continue };
        let text = "insert into paid_lines (line_id, invoice_id, org_id, subscription_id, \
                 item_id, price_id, version_id, quantity, proration, period_start, period_end)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             on conflict (line_id) do nothing";
        let row = sql(text)
            .bind(&line.id)
            .bind(&invoice.id)
            .bind(org_id)
            .bind(invoice.subscription().unwrap_or_default())
            .bind(&paid.item_id)
            .bind(&paid.price_id)
            .bind(&paid.version_id)
            .bind(paid.quantity)
            .bind(paid.proration)
            .bind(paid.period_start)
            .bind(paid.period_end);
        tx.execute(row).await?;
        any = true;
    }
    Ok(any)
}

/// A line that includes credits.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Paid {
    invoice_id: String,
    item_id: String,
    price_id: String,
    version_id: String,
    quantity: i64,
    proration: bool,
    period_start: Millis,
    period_end: Millis,
}

impl Paid {
    fn read(line: &shapes::Line, prices: &BTreeMap<String, Resolved>) -> Option<Self> {
        let price = prices.get(line.price()?)?;
        // A line of nothing for something that costs is a trial: it includes nothing yet. (B4)
        if line.amount == 0 && price.amount > 0 {
            return None;
        }
        let quantity = line.quantity.unwrap_or(1);
        Some(Self {
            invoice_id: String::new(),
            item_id: line.item()?.to_owned(),
            price_id: price.price_id.clone(),
            version_id: price.version_id.clone()?,
            quantity: if line.amount < 0 { -quantity.abs() } else { quantity },
            proration: line.is_proration(),
            period_start: line.period.start * SECOND,
            period_end: line.period.end * SECOND,
        })
    }
}

/// What of one subscription counts together: its plan, or one add-on.
struct Series {
    /// The subscription's id for the plan, the item's for an add-on.
    subject: String,
    lines: Vec<Line>,
}

/// All that was paid for a subscription, and what is needed to understand it.
struct Ledger {
    series: Vec<Series>,
    known: BTreeMap<Millis, Millis>,
    prices: BTreeMap<String, Resolved>,
    versions: HashMap<String, Version>,
}

impl Ledger {
    /// From what is stored, and what would be added.
    async fn read(reads: &mut impl Reads, id: &str, more: Vec<Paid>) -> Result<Self> {
        let text = "select invoice_id, item_id, price_id, version_id, quantity, proration, \
                 period_start, period_end
             from paid_lines where subscription_id = $1 order by period_start, line_id";
        let mut rows: Vec<Paid> = reads.all(sql(text).bind(id)).await?;
        rows.extend(more);
        let ids = |of: fn(&Paid) -> &String| rows.iter().map(of).cloned().collect::<Vec<_>>();
        let prices = catalog::resolve(reads, &ids(|row| &row.price_id)).await?;
        let versions = catalog::versions(reads, &ids(|row| &row.version_id)).await?;
        let mut by_subject: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        for row in rows {
            let Some(price) = prices.get(&row.price_id) else { continue };
            let subject = if price.kind == "plan" { id } else { row.item_id.as_str() };
            let version = versions.get(&row.version_id);
            let line = Line {
                included: version.map(|version| version.terms.included).unwrap_or_default(),
                invoice_id: row.invoice_id,
                version_id: row.version_id,
                price_id: row.price_id,
                quantity: row.quantity,
                proration: row.proration,
                period: (row.period_start, row.period_end),
            };
            by_subject.entry(subject.to_owned()).or_default().push(line);
        }
        let known = periods(by_subject.values().flatten());
        // What was taken off gives nothing any more, whatever is paid for the rest.
        let ended = items::ended(reads, id).await?;
        by_subject.retain(|subject, _| !ended.contains(subject));
        let series = by_subject.into_iter().map(|(subject, lines)| Series { subject, lines });
        Ok(Self { series: series.collect(), known, prices, versions })
    }

    /// The latest target of everything. Earlier periods are over: only the latest can be used.
    fn latest(&self) -> impl Iterator<Item = (&str, Target)> {
        self.series.iter().filter_map(|series| {
            Some((series.subject.as_str(), targets(&series.lines, &self.known).pop()?))
        })
    }

    /// How many months a period of this target has; 1 for shorter ones.
    fn months(&self, target: &Target) -> i64 {
        let price = target.steps.last().and_then(|step| self.prices.get(&step.price_id));
        price.and_then(Resolved::months).unwrap_or(1)
    }

    /// What all of it includes in the month of `now`.
    fn included(&self, now: Millis) -> Credits {
        let current = self.latest().filter(|(_, target)| {
            (target.period.0..target.period.1).contains(&now) && !target.steps.is_empty()
        });
        let credits = current.map(|(_, target)| match self.months(&target) {
            ..=1 => target.credits(),
            _ => months::included(&target, now),
        });
        credits.sum()
    }
}

/// Brings the allowances of a subscription's latest period up to what was paid for it.
pub async fn set(tx: &mut Tx, org_id: &str, subscription_id: &str, now: Millis) -> Result<()> {
    let ledger = Ledger::read(tx, subscription_id, Vec::new()).await?;
    for (subject, target) in ledger.latest() {
        let of = Of { subject, org_id, subscription_id };
        months::close_before(tx, subject, target.period.0, now).await?;
        if ledger.months(&target) <= 1 {
            for step in &target.steps {
                let version = version_of(&ledger.versions, &step.version_id)?;
                let invoice = &step.invoice_id;
                of.open(tx, invoice, target.period, step.credits, version, now).await?;
            }
        } else {
            months::schedule(tx, &of, &target, &ledger.versions, now).await?;
        }
        if subject == subscription_id && target.credits().is_positive() {
            // What is paid takes the place of what was tried. (B4)
            let reason = "Followed by what the plan includes";
            credits::end_of(tx, org_id, &[Source::Trial], subject, reason, now).await?;
        }
    }
    Ok(())
}

/// Whether anything was ever paid for the plan of a subscription.
pub async fn is_paid(tx: &mut Tx, subscription_id: &str) -> Result<bool> {
    let text = "select l.line_id from paid_lines l
         join catalog_prices x on x.price_id = l.price_id
         join catalog_products p on p.product_id = x.product_id
         where l.subscription_id = $1 and l.quantity > 0 and p.kind = 'plan' limit 1";
    Ok(tx.optional::<(String,)>(sql(text).bind(subscription_id)).await?.is_some())
}

/// What the current month includes now, and would with these lines of an invoice that is not made.
pub async fn forecast(
    reads: &mut impl Reads,
    subscription_id: &str,
    lines: &[shapes::Line],
    now: Millis,
) -> Result<(Credits, Credits)> {
    let before = Ledger::read(reads, subscription_id, Vec::new()).await?.included(now);
    let ids: Vec<String> =
        lines.iter().filter_map(|line| line.price()).map(str::to_owned).collect();
    let prices = catalog::resolve(reads, &ids).await?;
    let more: Vec<Paid> = lines.iter().filter_map(|line| Paid::read(line, &prices)).collect();
    let after = Ledger::read(reads, subscription_id, more).await?.included(now);
    Ok((before, after))
}

/// Ends everything that a subscription gave, and what it had left to give. (B12)
pub async fn end(tx: &mut Tx, org_id: &str, subscription_id: &str, now: Millis) -> Result<()> {
    months::close(tx, subscription_id, now).await?;
    let text = "select distinct item_id from paid_lines where subscription_id = $1";
    let items: Vec<(String,)> = tx.all(sql(text).bind(subscription_id)).await?;
    let subjects = items.into_iter().map(|row| row.0).chain([subscription_id.to_owned()]);
    for subject in subjects {
        let sources = [Source::Allowance, Source::Rollover, Source::Trial];
        credits::end_of(tx, org_id, &sources, &subject, "the plan ended", now).await?;
    }
    Ok(())
}

/// Ends what an item gave that its subscription has no more, and what it had left to give.
pub async fn end_item(tx: &mut Tx, org_id: &str, item_id: &str, now: Millis) -> Result<()> {
    months::close_item(tx, item_id, now).await?;
    let sources = [Source::Allowance, Source::Rollover];
    credits::end_of(tx, org_id, &sources, item_id, "the add-on ended", now).await
}

/// What an allowance is for, and whose.
pub struct Of<'a> {
    /// The subscription of a plan, or the item of an add-on.
    pub subject: &'a str,
    /// The org.
    pub org_id: &'a str,
    /// The subscription in any case.
    pub subscription_id: &'a str,
}

impl Of<'_> {
    /// Opens a period, or raises it to this many credits, which this invoice paid for.
    pub async fn open(
        &self,
        tx: &mut Tx,
        invoice: &str,
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
            item: self.subject.to_owned(),
            period,
            target: credits,
            rollover_max: version.terms.rollover_max,
            grace_until: period.1 + version.terms.grace_days * DAY,
            invoice: invoice.to_owned(),
            reason: format!("{}, {}", version.name, days(period)),
        };
        credits::set_allowance(tx, allowance, now).await?;
        // Its invoice may have come back before, or have been refunded for months ahead. (E14)
        refunds::apply(tx, self.org_id, invoice, now).await
    }
}

/// A version that was read.
pub fn version_of<'a>(versions: &'a HashMap<String, Version>, id: &str) -> Result<&'a Version> {
    versions.get(id).ok_or_else(|| Error::internal(format!("tier version {id} is missing")))
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
    fn periods_are_named_by_their_days() {
        let at = |text: &str| parse_rfc3339(&format!("{text}T12:00:00Z")).expect("a time");
        assert_eq!(days((at("2027-01-31"), at("2028-01-31"))), "31 January – 31 January");
    }
}
