//! Seats of a plan that is paid by the seat. More of them are paid and there at once; fewer of them
//! wait for the end of the period that is paid. (B16)

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orgs::{self, Who};

use super::change::{freed, look, note, of, update};
use super::later;
use super::preview::When;
use super::requests::{ItemChange, Update};

/// More than anybody buys by a form.
pub const SEATS_MAX: i64 = 10_000;

/// Sets how many seats are paid; answers when that applies, or none where nothing changes.
pub async fn set_seats(engine: &Engine, who: &Who, seats: i64) -> Result<Option<When>> {
    let current = of(engine, who).await?;
    if !current.per_seat {
        let message = format!("{} is not paid by the seat.", current.plan);
        return Err(Error::Conflict(message));
    }
    let members = orgs::members(&engine.db, &who.org_id).await?.len();
    let members = i64::try_from(members).unwrap_or(i64::MAX).max(1);
    if !(members..=SEATS_MAX).contains(&seats) {
        let message = match seats > SEATS_MAX {
            true => format!("Enter at most {SEATS_MAX} seats, or ask us for more."),
            false => format!("{members} members need {members} seats. Remove a member first."),
        };
        return Err(Error::invalid("seats", message));
    }
    if seats == current.quantity {
        return Ok(None);
    }
    current.may_change()?;
    let current = freed(engine, who, current).await?;
    note(engine, who, "subscriptions.set_seats", &current.subscription_id, &seats.to_string())
        .await?;
    if seats > current.quantity || current.is_trial() {
        let change = ItemChange {
            id: Some(current.item_id.clone()),
            quantity: Some(seats),
            ..ItemChange::default()
        };
        update(engine, &current, Update::now(&current, vec![change]), "seats").await?;
        return Ok(Some(When::Now));
    }
    let mut lines = current.lines();
    lines.iter_mut().filter(|line| line.price_id == current.price_id).for_each(|line| {
        line.quantity = seats;
    });
    later::plan(engine, &current, lines, later::Every::of(&current)).await?;
    look(engine, &current).await?;
    Ok(Some(When::At(current.period_end)))
}
