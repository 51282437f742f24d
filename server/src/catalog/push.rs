//! A catalog file into Stripe: only what differs, in an order in which nothing half done is sold.

use stripe_product::price::{
    CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval, UpdatePrice,
};
use stripe_product::product::{CreateProduct, Features, UpdateProduct};
use stripe_types::Currency;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ids;
use crate::stripe::shapes::{Named, TAG};

use super::Interval;
use super::drift::{Change, changes, to_map};
use super::file::CatalogFile;
use super::refresh::{everything, refresh};
use super::wanted::{WantedPrice, WantedProduct};

/// How to push.
#[derive(Clone, Copy, Debug, Default)]
pub struct PushOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Allow a live key: real prices for real customers.
    pub live: bool,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// The changes, in order; none where Stripe was as the file says.
    pub changes: Vec<Change>,
}

/// Makes Stripe as the file says. Repeated, it does nothing.
pub async fn push(engine: &Engine, file: &CatalogFile, options: PushOptions) -> Result<Pushed> {
    if engine.config.live() && !options.live && !options.dry_run {
        let message = "This is a live key: look at the dry run first, then add --live.";
        return Err(Error::Forbidden(message.to_owned()));
    }
    let wanted = file.wanted(&engine.config.product_tag)?;
    let (products, prices) = everything(&engine.stripe).await?;
    let changes = changes(&wanted, &products, &prices);
    if options.dry_run || changes.is_empty() {
        return Ok(Pushed { changes });
    }
    let run = ids::new("push", engine.clock.now());
    for (change, step) in changes.iter().zip(0usize..) {
        apply(engine, change, &format!("{run}:{step}")).await?;
    }
    // A new product was made inactive, so that a plan is never seen before its price and taken for
    // a free one. Now that its prices exist it is put on sale.
    for (change, step) in changes.iter().zip(0usize..) {
        if let Change::CreateProduct(wanted) = change {
            let request = UpdateProduct::new(wanted.id.clone()).active(true);
            let key = format!("{run}:{step}:active");
            engine.stripe.write::<_, Named>(&request, &key).await?;
        }
    }
    refresh(engine).await?;
    Ok(Pushed { changes })
}

async fn apply(engine: &Engine, change: &Change, key: &str) -> Result<()> {
    let stripe = &engine.stripe;
    match change {
        Change::CreateProduct(wanted) => {
            stripe.write::<_, Named>(&create_product(wanted), key).await?;
        }
        Change::UpdateProduct { wanted, .. } => {
            stripe.write::<_, Named>(&update_product(wanted), key).await?;
        }
        Change::CreatePrice { product_id, wanted, .. } => {
            let request = create_price(product_id, wanted, &engine.config.product_tag)?;
            stripe.write::<_, Named>(&request, key).await?;
        }
        Change::ArchivePrice { price_id, .. } => {
            let request = UpdatePrice::new(price_id.clone()).active(false);
            stripe.write::<_, Named>(&request, key).await?;
        }
    }
    Ok(())
}

fn create_product(wanted: &WantedProduct) -> CreateProduct {
    let request = CreateProduct::new(wanted.name.clone())
        .id(wanted.id.clone())
        .active(false)
        .metadata(to_map(&wanted.metadata))
        .marketing_features(features(wanted));
    match wanted.description.is_empty() {
        true => request,
        false => request.description(wanted.description.clone()),
    }
}

fn update_product(wanted: &WantedProduct) -> UpdateProduct {
    UpdateProduct::new(wanted.id.clone())
        .name(wanted.name.clone())
        .active(true)
        .description(wanted.description.clone())
        .metadata(to_map(&wanted.metadata))
        .marketing_features(features(wanted))
}

fn features(wanted: &WantedProduct) -> Vec<Features> {
    wanted.marketing.iter().map(|name| Features::new(name.clone())).collect()
}

fn create_price(product_id: &str, wanted: &WantedPrice, tag: &str) -> Result<CreatePrice> {
    // The library knows no unknown currency and takes every text, so nothing is lost here.
    let Ok(currency) = wanted.currency.parse::<Currency>();
    let tag = (TAG.to_owned(), tag.to_owned());
    let request = CreatePrice::new(currency)
        .product(product_id)
        .unit_amount(wanted.amount)
        .lookup_key(wanted.lookup_key.clone())
        .transfer_lookup_key(true)
        .metadata(std::collections::HashMap::from([tag]));
    Ok(match wanted.interval {
        None => request,
        Some(interval) => request.recurring(CreatePriceRecurring::new(match interval {
            Interval::Day => CreatePriceRecurringInterval::Day,
            Interval::Week => CreatePriceRecurringInterval::Week,
            Interval::Month => CreatePriceRecurringInterval::Month,
            Interval::Year => CreatePriceRecurringInterval::Year,
        })),
    })
}
