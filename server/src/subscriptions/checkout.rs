//! The ways to Stripe's pages and back: subscribing, the customer portal, and returning.
//!
//! Coming back proves nothing. It is an occasion to look at Stripe at once instead of waiting for
//! the webhook; both do the same.

use stripe_billing::billing_portal_session::{
    CreateBillingPortalSession, CreateBillingPortalSessionFlowData,
    CreateBillingPortalSessionFlowDataSubscriptionCancel,
    CreateBillingPortalSessionFlowDataSubscriptionUpdate, CreateBillingPortalSessionFlowDataType,
};
use stripe_billing::subscription::RetrieveSubscription;

use crate::catalog;
use crate::customers::{self, checkouts, checkouts::Purchase, pages};
use crate::db::sql;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ids;
use crate::orgs::{self, Permission, Who};
use crate::stripe::inbox::Claim;
use crate::stripe::shapes::{Portal, Subscription};

use super::{Current, current, portal_configuration, sync};

/// What the portal is opened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Everything.
    #[default]
    Home,
    /// Another card.
    UpdateCard,
    /// Another plan.
    ChangePlan,
    /// The end of the plan.
    Cancel,
}

/// What came of a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// subscription or pack
    pub kind: String,
    /// open, complete or expired. Complete and not yet granted is a payment that takes some days.
    pub status: String,
}

/// Sends a member to the page where a plan can be paid; answers its address. An org that has a plan
/// is sent where it is changed instead: nobody pays for two.
pub async fn checkout(engine: &Engine, who: &Who, price_id: &str) -> Result<String> {
    orgs::require(who, Permission::ManageBilling)?;
    let prices = catalog::resolve(&mut &engine.db, &[price_id.to_owned()]).await?;
    let offered = |price: &&catalog::Resolved| {
        price.sold && price.kind == "plan" && price.amount > 0 && price.per.is_some()
    };
    let Some(price) = prices.get(price_id).filter(offered) else {
        let message = "This price is not offered any more. Choose one from the pricing page.";
        return Err(Error::invalid("price", message));
    };
    // Whatever was paid on another page is known before this one is opened.
    for paid in pages::close_for(engine, &who.org_id, price_id).await? {
        sync::session(engine, &paid, &Claim::default()).await?;
    }
    if let Some(current) = current(&engine.db, &who.org_id).await? {
        let base = &engine.config.base_url;
        let same = current.price_id == price_id;
        return match current.status.as_str() {
            "active" | "trialing" if same => Ok(format!("{base}/billing")),
            "active" | "trialing" => Ok(format!("{base}/billing/change?price={price_id}")),
            _ => portal_for(engine, who, Flow::Home).await,
        };
    }
    let trial_days = trial_days(engine, who, price).await?;
    checkouts::open(engine, who, &Purchase::Subscription { trial_days }, price_id).await
}

/// A trial is for those who never had a plan.
async fn trial_days(engine: &Engine, who: &Who, price: &catalog::Resolved) -> Result<Option<i64>> {
    let earlier = "select subscription_id from subscriptions where org_id = $1 limit 1";
    let earlier = engine.db.optional::<(String,)>(sql(earlier).bind(&who.org_id)).await?;
    let (Some(version_id), None) = (&price.version_id, earlier) else { return Ok(None) };
    let ids = std::slice::from_ref(version_id);
    let versions = catalog::versions(&mut &engine.db, ids).await?;
    Ok(versions.get(version_id).and_then(|version| version.terms.trial_days))
}

/// Opens the customer portal; answers its address.
pub async fn portal(engine: &Engine, who: &Who) -> Result<String> {
    portal_for(engine, who, Flow::Home).await
}

/// Opens the customer portal at one of its tasks; answers its address.
pub async fn portal_for(engine: &Engine, who: &Who, flow: Flow) -> Result<String> {
    let current = current(&engine.db, &who.org_id).await?;
    open_portal(engine, who, flow_data(flow, current.as_ref())).await
}

/// Opens the customer portal, at a task or without one; answers its address.
pub(super) async fn open_portal(
    engine: &Engine,
    who: &Who,
    flow: Option<CreateBillingPortalSessionFlowData>,
) -> Result<String> {
    orgs::require(who, Permission::ManageBilling)?;
    let customer = customers::ensure(engine, who).await?;
    let base = &engine.config.base_url;
    let mut request = CreateBillingPortalSession::new()
        .customer(customer)
        .configuration(portal_configuration::current(engine).await?)
        .return_url(format!("{base}/billing?from=portal"));
    if let Some(flow) = flow {
        request = request.flow_data(flow);
    }
    // Every opening is a new page: it is used once and lives for minutes.
    let key = ids::new("portal", engine.clock.now());
    let page: Portal = engine.stripe.write(&request, &key).await?;
    Ok(page.url)
}

/// The deep link; without a subscription there is nothing to change or cancel.
fn flow_data(flow: Flow, current: Option<&Current>) -> Option<CreateBillingPortalSessionFlowData> {
    use CreateBillingPortalSessionFlowDataType as Type;
    let id = current.map(|current| current.subscription_id.clone());
    Some(match flow {
        Flow::Home => return None,
        Flow::UpdateCard => CreateBillingPortalSessionFlowData::new(Type::PaymentMethodUpdate),
        Flow::ChangePlan => CreateBillingPortalSessionFlowData {
            subscription_update: Some(CreateBillingPortalSessionFlowDataSubscriptionUpdate::new(
                id?,
            )),
            ..CreateBillingPortalSessionFlowData::new(Type::SubscriptionUpdate)
        },
        Flow::Cancel => CreateBillingPortalSessionFlowData {
            subscription_cancel: Some(CreateBillingPortalSessionFlowDataSubscriptionCancel::new(
                id?,
            )),
            ..CreateBillingPortalSessionFlowData::new(Type::SubscriptionCancel)
        },
    })
}

/// Somebody came back from a checkout: look at it now. Another org's checkout is not found.
pub async fn returned(engine: &Engine, who: &Who, session_id: &str) -> Result<Returned> {
    checkouts::of_session(&engine.db, &who.org_id, session_id).await?;
    sync::session(engine, session_id, &Claim::default()).await?;
    let checkout = checkouts::of_session(&engine.db, &who.org_id, session_id).await?;
    Ok(Returned { kind: checkout.kind, status: checkout.status })
}

/// Somebody came back from the portal: look at the org's subscriptions and what was paid for them.
pub async fn refresh(engine: &Engine, who: &Who) -> Result<()> {
    let text = "select subscription_id from subscriptions
         where org_id = $1 and status not in ('canceled', 'incomplete_expired')
         order by created_at desc limit 10";
    let rows: Vec<(String,)> = engine.db.all(sql(text).bind(&who.org_id)).await?;
    for (id,) in rows {
        sync::subscription(engine, &id, &Claim::default()).await?;
        // What was just paid is there when the page is.
        let request = RetrieveSubscription::new(id);
        let found: Option<Subscription> = engine.stripe.fetch_optional(&request).await?;
        if let Some(invoice) = found.and_then(|found| found.latest_invoice) {
            sync::invoice(engine, &invoice, &Claim::default()).await?;
        }
    }
    Ok(())
}
