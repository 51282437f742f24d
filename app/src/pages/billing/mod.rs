//! `/billing`: the plan and the way to another, packs, the org's own cap, the portal, invoices.

mod backs;
mod billed;
mod cap;
mod card;
mod change;
mod choose;
mod extras;
mod invoices;
mod packs;
mod plan;
mod recharge;

use leptos::prelude::*;
use server::auth::{Permission, Who};
use server::catalog;
use server::engine::Engine;
use server::subscriptions::{self, Current};

use super::dashboard::Standing;
use crate::acts::billing::{BuyPack, SaveCap, Subscribe};
use crate::acts::plan::{SetAddon, SetSeats};
use crate::error::AppError;
use crate::forms;
use crate::layout::{self, Place};
use crate::{format, web};

pub use card::card;
pub use change::change;

/// Invoices shown.
const INVOICES: i64 = 12;

/// `/billing`
pub fn billing() -> AnyView {
    layout::members(Place::Billing, Permission::SeeBilling, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    // Somebody who comes back from the portal may have changed something there: look first.
    if web::query("from").as_deref() == Some("portal")
        && let Err(error) = subscriptions::refresh(&engine, &who).await
    {
        tracing::warn!("after the portal: {error}");
    }
    let currency = match subscriptions::currency(&engine.db, &who.org_id).await? {
        Some(currency) => Some(currency),
        None => asked_currency(&engine).await?,
    };
    let catalog = catalog::current_in(&engine.db, currency.as_deref()).await?;
    let current = subscriptions::current(&engine.db, &who.org_id).await?;
    let standing = Standing::read(&engine, &who.org_id).await?;
    let invoices = subscriptions::invoices(&engine.db, &who.org_id, INVOICES).await?;
    let decisions = plan::Forms::read().await?;
    let seats = forms::state::<SetSeats>().await?;
    let addon = forms::state::<SetAddon>().await?;
    let subscribe = forms::state::<Subscribe>().await?;
    let pack = forms::state::<BuyPack>().await?;
    let cap = forms::state::<SaveCap>().await?;
    let billed = billed::card(&engine, &who.org_id).await?;
    let recharge = recharge::card(&engine, &who, &catalog.packs).await?;
    let backs = backs::card(&engine, &who.org_id).await?;
    let row = &standing.entitled.plan;
    let about = plan::summary(current.as_ref(), row, billed.is_some());
    let to_billed = billed.is_some().then(|| {
        view! { <a class="btn" href="#billed">"What is billed"</a> }
    });
    let actions = view! {
        {to_billed}
        <a class="btn" href="/pricing">"Compare plans"</a>
    };
    // Where a contract stands in the plan's place, what it says comes before what one could buy.
    let (agreed, billed) = match current.is_none() && plan::is_contract(row) {
        true => (billed, None),
        false => (None, billed),
    };
    let bought = format::credits(standing.packs());
    Ok(view! {
        {layout::heading("Billing", about, actions.into_any())}
        {current.as_ref().and_then(Current::message).map(|message| {
            let link = Some(("Update the card".to_owned(), "/billing/card".to_owned()));
            layout::notice("warn", message.to_owned(), link)
        })}
        {agreed}
        {match &current {
            Some(current) => plan::card(current, &decisions),
            None => choose::plans(&catalog, &subscribe, invoices.is_empty()),
        }}
        {current.as_ref().and_then(|current| extras::seats(current, &seats))}
        {current.as_ref().and_then(|current| {
            extras::addons(current, &subscriptions::addons(&catalog, current), &addon)
        })}
        {current.as_ref().map(|current| choose::others(&catalog, current))}
        <div class="halves">
            <div class="stack">
                {packs::card(&catalog.packs, &pack, bought)} {cap::card(&standing, &cap)}
            </div>
            {recharge}
        </div>
        {billed}
        {invoices::card(&invoices, &decisions.portal, current.is_some())}
        {backs}
    }
    .into_any())
}

/// The currency of the price that somebody comes with who may still choose one.
async fn asked_currency(engine: &Engine) -> Result<Option<String>, AppError> {
    let Some(asked) = web::query_text("price") else { return Ok(None) };
    let prices = catalog::resolve(&mut &engine.db, &[asked]).await?;
    Ok(prices.into_values().next().map(|price| price.currency))
}
