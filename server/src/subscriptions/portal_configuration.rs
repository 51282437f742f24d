//! What the customer portal may do: a configuration of our own, made from the catalog.
//!
//! An account may sell several products, so its default configuration is not ours to rely on: it
//! would offer another product's plans, or none. The configuration is made once for each state of
//! the catalog and remembered by what it says.

use sha2::{Digest as _, Sha256};
use stripe_billing::billing_portal_configuration::{
    CreateBillingPortalConfiguration, CreateBillingPortalConfigurationFeatures as Features,
    CreateBillingPortalConfigurationFeaturesCustomerUpdate as CustomerUpdate,
    CreateBillingPortalConfigurationFeaturesCustomerUpdateAllowedUpdates as Detail,
    CreateBillingPortalConfigurationFeaturesSubscriptionCancel as Cancel,
    CreateBillingPortalConfigurationFeaturesSubscriptionUpdate as Update,
    CreateBillingPortalConfigurationFeaturesSubscriptionUpdateDefaultAllowedUpdates as Change,
    CreateBillingPortalConfigurationFeaturesSubscriptionUpdateProrationBehavior as Proration,
    InvoiceListParam, PaymentMethodUpdateParam, SubscriptionUpdateProductParam,
};

use crate::catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::settings;
use crate::stripe::shapes::Named;

/// Where the configuration in force is remembered: its fingerprint and its id.
const SETTING: &str = "portal_configuration";
/// Stripe lets one switch among at most so many products.
const PRODUCTS_MAX: usize = 10;

/// The id of the configuration for the catalog as it is, made now if the catalog has changed.
pub async fn current(engine: &Engine) -> Result<String> {
    let catalog = catalog::current(&engine.db).await?;
    let paid = catalog.tiers.iter().filter(|tier| !tier.free && !tier.prices.is_empty());
    let products: Vec<(String, Vec<String>)> = paid
        .take(PRODUCTS_MAX)
        .map(|tier| {
            let prices = tier.prices.iter().map(|price| price.id.clone());
            (tier.product_id.clone(), prices.collect())
        })
        .collect();
    let fingerprint = hex::encode(Sha256::digest(format!("{products:?}")));
    let known = settings::read(&engine.db, SETTING).await?;
    let known = known.as_deref().and_then(|known| known.split_once(' '));
    if let Some((of, id)) = known
        && of == fingerprint
    {
        return Ok(id.to_owned());
    }
    let tag = &engine.config.product_tag;
    let request = CreateBillingPortalConfiguration::new(features(products))
        .metadata([("product".to_owned(), tag.clone())]);
    let key = format!("portal-configuration:{tag}:{fingerprint}");
    let made: Named = engine.stripe.write(&request, &key).await?;
    let mut tx = engine.db.begin().await?;
    let value = format!("{fingerprint} {}", made.id);
    settings::write(&mut tx, SETTING, &value, engine.clock.now()).await?;
    tx.commit().await?;
    Ok(made.id)
}

/// Everything a customer expects to do alone: card, details, invoices, cancel, another plan.
fn features(products: Vec<(String, Vec<String>)>) -> Features {
    let details = vec![Detail::Email, Detail::Name, Detail::Address, Detail::TaxId];
    let products: Vec<SubscriptionUpdateProductParam> = products
        .into_iter()
        .map(|(product, prices)| SubscriptionUpdateProductParam::new(prices, product))
        .collect();
    let mut features = Features::new();
    features.customer_update =
        Some(CustomerUpdate { allowed_updates: Some(details), ..CustomerUpdate::new(true) });
    features.invoice_history = Some(InvoiceListParam::new(true));
    features.payment_method_update = Some(PaymentMethodUpdateParam::new(true));
    features.subscription_cancel = Some(Cancel::new(true));
    features.subscription_update = (!products.is_empty()).then(|| Update {
        default_allowed_updates: Some(vec![Change::Price]),
        proration_behavior: Some(Proration::AlwaysInvoice),
        products: Some(products),
        ..Update::new(true)
    });
    features
}
