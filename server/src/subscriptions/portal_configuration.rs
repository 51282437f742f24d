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
    CreateBillingPortalConfigurationFeaturesSubscriptionUpdateScheduleAtPeriodEnd as AtPeriodEnd,
    CreateBillingPortalConfigurationFeaturesSubscriptionUpdateScheduleAtPeriodEndConditions as If,
    CreateBillingPortalConfigurationFeaturesSubscriptionUpdateTrialUpdateBehavior as InTrial,
    InvoiceListParam, PaymentMethodUpdateParam, SubscriptionUpdateProductAdjustableQuantityParam,
    SubscriptionUpdateProductParam,
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

/// What this program lets one do there, apart from the catalog: changed whenever [`features`] is.
const REVISION: &str = "2";

/// A product that one can switch to: its id, its prices, and whether it is paid by the seat.
#[derive(Debug)]
struct Choice {
    product_id: String,
    prices: Vec<String>,
    per_seat: bool,
}

/// The id of the configuration for the catalog as it is, made now if the catalog has changed.
pub async fn current(engine: &Engine) -> Result<String> {
    let catalog = catalog::all(&engine.db).await?;
    let paid = catalog.tiers.iter().filter(|tier| !tier.free && !tier.prices.is_empty());
    let choices: Vec<Choice> = paid
        .take(PRODUCTS_MAX)
        .map(|tier| Choice {
            product_id: tier.product_id.clone(),
            prices: tier.prices.iter().map(|price| price.id.clone()).collect(),
            per_seat: tier.terms.per_seat,
        })
        .collect();
    let fingerprint = hex::encode(Sha256::digest(format!("{REVISION}\n{choices:?}")));
    let known = settings::read(&engine.db, SETTING).await?;
    let known = known.as_deref().and_then(|known| known.split_once(' '));
    if let Some((of, id)) = known
        && of == fingerprint
    {
        return Ok(id.to_owned());
    }
    let tag = &engine.config.product_tag;
    let request = CreateBillingPortalConfiguration::new(features(choices))
        .metadata([("product".to_owned(), tag.clone())]);
    let key = format!("portal-configuration:{tag}:{fingerprint}");
    let made: Named = engine.stripe.write(&request, &key).await?;
    let mut tx = engine.db.begin().await?;
    let value = format!("{fingerprint} {}", made.id);
    settings::write(&mut tx, SETTING, &value, engine.clock.now()).await?;
    tx.commit().await?;
    Ok(made.id)
}

/// Everything a customer expects to do alone: card, details, invoices, cancel, another plan. Paying
/// less waits for the end of the period, as on our own page.
fn features(choices: Vec<Choice>) -> Features {
    let details = vec![Detail::Email, Detail::Name, Detail::Address, Detail::TaxId];
    let mut features = Features::new();
    features.customer_update =
        Some(CustomerUpdate { allowed_updates: Some(details), ..CustomerUpdate::new(true) });
    features.invoice_history = Some(InvoiceListParam::new(true));
    features.payment_method_update = Some(PaymentMethodUpdateParam::new(true));
    features.subscription_cancel = Some(Cancel::new(true));
    let mut allowed = vec![Change::Price, Change::PromotionCode];
    if choices.iter().any(|choice| choice.per_seat) {
        allowed.push(Change::Quantity);
    }
    let products: Vec<SubscriptionUpdateProductParam> = choices.into_iter().map(product).collect();
    let conditions = ["decreasing_item_amount", "shortening_interval"];
    let conditions = conditions.into_iter().map(condition).collect();
    features.subscription_update = (!products.is_empty()).then(|| Update {
        default_allowed_updates: Some(allowed),
        proration_behavior: Some(Proration::AlwaysInvoice),
        schedule_at_period_end: Some(AtPeriodEnd { conditions: Some(conditions) }),
        trial_update_behavior: Some(InTrial::ContinueTrial),
        products: Some(products),
        ..Update::new(true)
    });
    features
}

fn condition(word: &str) -> If {
    // The library takes every word, so nothing is lost here.
    let Ok(type_) = word.parse();
    If { type_ }
}

fn product(choice: Choice) -> SubscriptionUpdateProductParam {
    let mut product = SubscriptionUpdateProductParam::new(choice.prices, choice.product_id);
    if choice.per_seat {
        let mut seats = SubscriptionUpdateProductAdjustableQuantityParam::new(true);
        seats.minimum = Some(1);
        product.adjustable_quantity = Some(seats);
    }
    product
}
