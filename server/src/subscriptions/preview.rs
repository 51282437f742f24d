//! What a change of plan would cost and give, before anybody confirms it.
//!
//! Moves up apply at once and pay for what is left of the period; moves down (a smaller amount, or
//! a shorter interval) wait for its end. The portal's configuration follows the same rule.

use serde::Serialize;
use stripe_shared::Invoice as StripeInvoice;

use crate::catalog::{self, Resolved};
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orgs::{self, Permission, Who};
use crate::stripe::shapes::Invoice;
use crate::units::Credits;

use super::allowance;
use super::current::{Current, current};
use super::items::PlannedItem;
use super::requests::{ItemChange, Post};
use super::telling;

/// When a change applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum When {
    /// At once.
    Now,
    /// At the end of the paid period.
    At(Millis),
}

/// What a change would come to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Preview {
    /// The price that is asked for.
    pub price_id: String,
    /// What is paid now: `Pro by the month`.
    pub from: String,
    /// What is paid then.
    pub to: String,
    /// When that is.
    pub when: When,
    /// Minor units charged now; nothing for a change that waits.
    pub charged_now: i64,
    /// What that is made of, as the invoice says it.
    pub lines: Vec<(String, i64)>,
    /// Credits added now.
    pub credits_now: Credits,
    /// Credits a month, before and then.
    pub included: (Credits, Credits),
    /// Minor units each period from then on, before taxes and discounts.
    pub renews_at: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// How often that is paid: day, week, month or year, and every so many of them.
    pub per: (String, i64),
}

/// A change of plan that is possible.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// What is paid now.
    pub current: Current,
    /// The price that is asked for.
    pub price: Resolved,
    /// When it applies.
    pub when: When,
    /// The lines that change.
    pub changes: Vec<ItemChange>,
    /// All lines then.
    pub lines: Vec<PlannedItem>,
    /// Minor units a period then.
    pub total: i64,
}

#[derive(Serialize)]
struct Ask<'a> {
    customer: &'a str,
    subscription: &'a str,
    subscription_details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    items: &'a [ItemChange],
    proration_behavior: &'static str,
}

/// What it would come to if this org paid that price for its plan.
pub async fn preview(engine: &Engine, who: &Who, price_id: &str) -> Result<Preview> {
    orgs::require(who, Permission::ManageBilling)?;
    let wanted = wanted(engine, who, price_id).await?;
    let (current, price) = (&wanted.current, &wanted.price);
    let mut lines = Vec::new();
    let (mut charged_now, mut credits_now) = (0, Credits::ZERO);
    if wanted.when == When::Now && !current.is_trial() {
        let details = Details { items: &wanted.changes, proration_behavior: "always_invoice" };
        let ask = Ask {
            customer: &current.customer_id,
            subscription: &current.subscription_id,
            subscription_details: details,
        };
        let request: Post<_, StripeInvoice> = Post::new("/invoices/create_preview", ask);
        let invoice: Invoice = engine.stripe.fetch(&request).await?;
        charged_now = invoice.amount_due;
        lines = invoice
            .lines
            .data
            .iter()
            .map(|line| (line.description.clone().unwrap_or_default(), line.amount))
            .collect();
        let (id, now) = (&current.subscription_id, engine.clock.now());
        let (before, after) =
            allowance::forecast(&mut &engine.db, id, &invoice.lines.data, now).await?;
        credits_now = after.less(before).max(Credits::ZERO);
    }
    let mut reads = &engine.db;
    Ok(Preview {
        price_id: price.price_id.clone(),
        from: telling::label(&mut reads, &current.lines()).await?,
        to: telling::label(&mut reads, &wanted.lines).await?,
        when: wanted.when,
        charged_now,
        lines,
        credits_now,
        included: (
            included(engine, &current.lines()).await?,
            included(engine, &wanted.lines).await?,
        ),
        renews_at: wanted.total,
        currency: price.currency.clone(),
        per: (price.per.clone().unwrap_or_default(), price.per_count),
    })
}

/// Checks that a change is possible, and works out what it changes.
pub(super) async fn wanted(engine: &Engine, who: &Who, price_id: &str) -> Result<Wanted> {
    let current = current(&engine.db, &who.org_id).await?;
    let current = current.ok_or_else(|| {
        Error::Conflict("There is no plan to change. Choose one first.".to_owned())
    })?;
    current.may_change()?;
    let prices = catalog::resolve(&mut &engine.db, &[price_id.to_owned()]).await?;
    let offered = |price: &&Resolved| {
        price.sold && price.kind == "plan" && price.amount > 0 && price.per.is_some()
    };
    let Some(price) = prices.get(price_id).filter(offered).cloned() else {
        let message = "This price is not offered any more. Choose one from the pricing page.";
        return Err(Error::invalid("price", message));
    };
    if price.price_id == current.price_id {
        return Err(Error::invalid("price", "This is the plan you have."));
    }
    if price.currency != current.currency {
        let message = "A plan stays in the currency it was first paid in. Choose one of those.";
        return Err(Error::invalid("price", message));
    }
    let quantity = quantity(engine, who, &current, &price).await?;
    let mut changes = vec![ItemChange {
        id: Some(current.item_id.clone()),
        price: Some(price.price_id.clone()),
        quantity: Some(quantity),
        deleted: None,
    }];
    let mut lines = vec![PlannedItem { price_id: price.price_id.clone(), quantity }];
    let mut total = price.amount.saturating_mul(quantity);
    for extra in extras(engine, &current, &price).await? {
        if extra.from != extra.to.price_id {
            changes.push(ItemChange {
                id: Some(extra.item_id),
                price: Some(extra.to.price_id.clone()),
                quantity: Some(extra.quantity),
                deleted: None,
            });
        }
        total = total.saturating_add(extra.to.amount.saturating_mul(extra.quantity));
        lines.push(PlannedItem { price_id: extra.to.price_id, quantity: extra.quantity });
    }
    let when = when(&current, &price, quantity);
    Ok(Wanted { current, price, when, changes, lines, total })
}

/// At once where more is paid, and in a trial, in which nothing is paid.
fn when(current: &Current, price: &Resolved, quantity: i64) -> When {
    let before = current.amount.saturating_mul(current.quantity);
    let after = price.amount.saturating_mul(quantity);
    let length = |per: Option<&str>, count: i64| {
        let days = match per {
            Some("day") => 1,
            Some("week") => 7,
            Some("month") => 30,
            _ => 365,
        };
        days * count
    };
    let shorter = length(price.per.as_deref(), price.per_count)
        < length(current.per.as_deref(), current.per_count);
    match !current.is_trial() && (after < before || shorter) {
        true => When::At(current.period_end),
        false => When::Now,
    }
}

/// Seats are kept from one plan that is paid by the seat to another; there is one for each member
/// at least.
async fn quantity(engine: &Engine, who: &Who, current: &Current, price: &Resolved) -> Result<i64> {
    let ids: Vec<String> = price.version_id.iter().cloned().collect();
    let versions = catalog::versions(&mut &engine.db, &ids).await?;
    if !versions.values().any(|version| version.terms.per_seat) {
        return Ok(1);
    }
    let members = orgs::members(&engine.db, &who.org_id).await?.len();
    let members = i64::try_from(members).unwrap_or(i64::MAX).max(1);
    Ok(if current.per_seat { current.quantity.max(members) } else { members })
}

/// An add-on and what it becomes.
struct Moved {
    item_id: String,
    from: String,
    to: Resolved,
    quantity: i64,
}

/// Add-ons are paid as often as the plan: with another interval they move to their own price for
/// it.
async fn extras(engine: &Engine, current: &Current, price: &Resolved) -> Result<Vec<Moved>> {
    let mut moved = Vec::new();
    for extra in &current.extras {
        let ids = [extra.price_id.clone()];
        let found = catalog::resolve(&mut &engine.db, &ids).await?.remove(&extra.price_id);
        let same = |found: &Resolved| found.per == price.per && found.per_count == price.per_count;
        let to = match found {
            Some(found) if same(&found) => Some(found),
            _ => {
                catalog::price_of(
                    &mut &engine.db,
                    &extra.product_id,
                    &price.currency,
                    price.per.as_deref(),
                    price.per_count,
                )
                .await?
            }
        };
        let to = to.ok_or_else(|| {
            let per = price.per.as_deref().unwrap_or("period");
            Error::Conflict(format!(
                "{} cannot be paid by the {per}. Remove it first, then change the plan.",
                extra.name
            ))
        })?;
        let (item_id, from) = (extra.item_id.clone(), extra.price_id.clone());
        moved.push(Moved { item_id, from, to, quantity: extra.quantity });
    }
    Ok(moved)
}

/// Credits a month that lines include.
async fn included(engine: &Engine, lines: &[PlannedItem]) -> Result<Credits> {
    let ids: Vec<String> = lines.iter().map(|line| line.price_id.clone()).collect();
    let prices = catalog::resolve(&mut &engine.db, &ids).await?;
    let of = prices.values().filter_map(|price| price.version_id.clone()).collect::<Vec<_>>();
    let versions = catalog::versions(&mut &engine.db, &of).await?;
    let each = lines.iter().filter_map(|line| {
        let version = versions.get(prices.get(&line.price_id)?.version_id.as_ref()?)?;
        let micros = version.terms.included.micros().checked_mul(line.quantity)?;
        Some(Credits::from_micros(micros))
    });
    Ok(each.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_or_shorter_waits_for_the_end_of_the_period() {
        // B8, B9
        let price = |amount: i64, per: &str| Resolved {
            price_id: "price_2".to_owned(),
            product_id: "prod_2".to_owned(),
            kind: "plan".to_owned(),
            name: "Team".to_owned(),
            version_id: None,
            per: Some(per.to_owned()),
            per_count: 1,
            amount,
            currency: "usd".to_owned(),
            credits: None,
            expires_days: None,
            sold: true,
        };
        let later = When::At(9);
        let cases = [
            (2_900, "month", 1, price(9_900, "month"), 1, When::Now),
            (9_900, "month", 1, price(2_900, "month"), 1, later),
            (2_900, "month", 1, price(29_000, "year"), 1, When::Now),
            (29_000, "year", 1, price(9_900, "month"), 1, later),
            (2_900, "month", 5, price(9_900, "month"), 1, later),
            (2_900, "month", 5, price(3_900, "month"), 5, When::Now),
        ];
        for (amount, per, quantity, to, of, expected) in cases {
            let current = Current::example(amount, per, quantity, 9);
            assert_eq!(when(&current, &to, of), expected, "{amount} {per} → {}", to.amount);
            let trial = Current { status: "trialing".to_owned(), ..current };
            assert_eq!(when(&trial, &to, of), When::Now);
        }
    }
}
