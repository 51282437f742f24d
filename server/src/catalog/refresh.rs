//! The catalog as it is in Stripe now: read whole, page after page, judged and stored.

use std::collections::HashSet;

use stripe_product::price::ListPrice;
use stripe_product::product::ListProduct;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::Client;
use crate::stripe::shapes::{Price, Product};

use super::judge::judge;
use super::store;

/// What a refresh found.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// Every product of the account that carries our tag.
    pub products: HashSet<String>,
    /// Every price of those products.
    pub prices: HashSet<String>,
    /// How many mistakes there are.
    pub problems: usize,
}

/// How often a view that was overtaken is replaced by a new one.
const LOOKS_MAX: usize = 5;

/// Reads the catalog from Stripe and stores it. Safe to call at any time and at once by several.
pub async fn refresh(engine: &Engine) -> Result<Refreshed> {
    for _ in 0..LOOKS_MAX {
        let mut tx = engine.db.begin().await?;
        let ticket = store::take_ticket(&mut tx).await?;
        tx.commit().await?;
        let (products, prices) = everything(&engine.stripe).await?;
        let of_price: Vec<(String, String)> = prices
            .iter()
            .filter_map(|price| Some((price.product.clone()?, price.id.clone())))
            .collect();
        let judged = judge(products, prices, &engine.config.product_tag);
        let mut tx = engine.db.begin().await?;
        if !store::claim_ticket(&mut tx, ticket).await? {
            continue;
        }
        store::store(&mut tx, &judged, engine.clock.now()).await?;
        tx.commit().await?;
        for problem in &judged.problems {
            let (object, name, message) = (&problem.object_id, &problem.name, &problem.message);
            tracing::warn!(object, name, message, "not sold: a mistake in the catalog");
        }
        let ours = of_price.into_iter().filter(|(product, _)| judged.tagged.contains(product));
        return Ok(Refreshed {
            prices: ours.map(|(_, price)| price).collect(),
            problems: judged.problems.len(),
            products: judged.tagged,
        });
    }
    Err(Error::Unavailable)
}

/// Every product and every price of the account, archived ones too. (C4)
pub async fn everything(client: &Client) -> Result<(Vec<Product>, Vec<Price>)> {
    let products = client.every(|after: Option<String>| {
        let request = ListProduct::new().limit(100);
        match after {
            Some(after) => request.starting_after(after),
            None => request,
        }
    });
    let products = products.await?;
    let mut prices = Vec::new();
    // Without saying which, Stripe lists the active ones only.
    for active in [true, false] {
        let page = |after: Option<String>| {
            let request = ListPrice::new().active(active).limit(100);
            match after {
                Some(after) => request.starting_after(after),
                None => request,
            }
        };
        prices.extend(client.every(page).await?);
    }
    Ok((products, prices))
}
