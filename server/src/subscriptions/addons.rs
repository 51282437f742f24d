//! Add-ons: recurring extras, paid with the plan and as often. More of one is paid and there at
//! once; less of it waits for the end of the period that is paid.

use crate::catalog::{self, Catalog, Price};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orgs::Who;
use crate::units::Credits;

use super::change::{freed, look, note, of, update};
use super::current::Current;
use super::items::PlannedItem;
use super::later;
use super::preview::When;
use super::requests::{ItemChange, Update};

/// As many of one add-on as a form sells.
pub const QUANTITY_MAX: i64 = 100;

/// An add-on that can be had with a plan, or that the org has.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AddonOffer {
    /// `price_…`
    pub price_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Credits each month that one of it includes.
    pub included: Credits,
    /// Minor units for each, as often as the plan is paid.
    pub amount: i64,
    /// How many the org has.
    pub quantity: i64,
    /// Whether more of it can be bought.
    pub sold: bool,
}

/// What can be had beside this plan, and what is had already.
pub fn addons(catalog: &Catalog, current: &Current) -> Vec<AddonOffer> {
    let fits = |price: &&Price| {
        price.currency == current.currency
            && price.interval.map(catalog::Interval::word) == current.per.as_deref()
            && price.interval_count == current.per_count
    };
    let held = |price_id: &str| {
        let own = current.extras.iter().filter(|extra| extra.price_id == price_id);
        own.map(|extra| extra.quantity).sum()
    };
    let mut offers: Vec<AddonOffer> = catalog
        .addons
        .iter()
        .filter_map(|addon| {
            let price = addon.prices.iter().find(fits)?;
            Some(AddonOffer {
                price_id: price.id.clone(),
                name: addon.name.clone(),
                description: addon.description.clone(),
                included: addon.terms.included,
                amount: price.amount,
                quantity: held(&price.id),
                sold: true,
            })
        })
        .collect();
    let known = |price_id: &str| offers.iter().any(|offer| offer.price_id == price_id);
    let kept: Vec<AddonOffer> = current
        .extras
        .iter()
        .filter(|extra| !known(&extra.price_id))
        .map(|extra| AddonOffer {
            price_id: extra.price_id.clone(),
            name: extra.name.clone(),
            description: String::new(),
            included: Credits::ZERO,
            amount: extra.amount,
            quantity: extra.quantity,
            sold: false,
        })
        .collect();
    offers.extend(kept);
    offers
}

/// Sets how many of an add-on are paid; answers when that applies, or none where nothing changes.
pub async fn set_addon(
    engine: &Engine,
    who: &Who,
    price_id: &str,
    quantity: i64,
) -> Result<Option<When>> {
    let current = of(engine, who).await?;
    let catalog = catalog::current_in(&engine.db, Some(&current.currency)).await?;
    let offers = addons(&catalog, &current);
    let Some(offer) = offers.iter().find(|offer| offer.price_id == price_id) else {
        let message = "This add-on cannot be had with your plan.";
        return Err(Error::invalid("addon", message));
    };
    if !(0..=QUANTITY_MAX).contains(&quantity) {
        let message = format!("Enter a number from 0 to {QUANTITY_MAX}.");
        return Err(Error::invalid("quantity", message));
    }
    if quantity == offer.quantity {
        return Ok(None);
    }
    if quantity > offer.quantity && !offer.sold {
        return Err(Error::invalid("addon", format!("{} is not sold any more.", offer.name)));
    }
    current.may_change()?;
    let current = freed(engine, who, current).await?;
    let what = format!("{quantity} × {price_id}");
    note(engine, who, "subscriptions.set_addon", &current.subscription_id, &what).await?;
    if quantity > offer.quantity || current.is_trial() {
        let change = change(&current, price_id, quantity);
        update(engine, &current, Update::now(&current, vec![change]), "quantity").await?;
        return Ok(Some(When::Now));
    }
    let mut lines: Vec<PlannedItem> =
        current.lines().into_iter().filter(|line| line.price_id != price_id).collect();
    if quantity > 0 {
        lines.push(PlannedItem { price_id: price_id.to_owned(), quantity });
    }
    later::plan(engine, &current, lines, later::Every::of(&current)).await?;
    look(engine, &current).await?;
    Ok(Some(When::At(current.period_end)))
}

fn change(current: &Current, price_id: &str, quantity: i64) -> ItemChange {
    match current.extras.iter().find(|extra| extra.price_id == price_id) {
        None => ItemChange {
            price: Some(price_id.to_owned()),
            quantity: Some(quantity),
            ..ItemChange::default()
        },
        Some(extra) if quantity == 0 => ItemChange {
            id: Some(extra.item_id.clone()),
            deleted: Some(true),
            ..ItemChange::default()
        },
        Some(extra) => ItemChange {
            id: Some(extra.item_id.clone()),
            quantity: Some(quantity),
            ..ItemChange::default()
        },
    }
}
