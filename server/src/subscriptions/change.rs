//! What the people of an org decide about their plan: another one, and taking back what was
//! planned, cancelled or paused.
//!
//! A plan alone is changed on Stripe's page, where a bank may ask for a confirmation. With add-ons
//! beside it that page cannot, and in a trial it need not: then it is changed directly. Either way
//! the subscription is looked at afterwards by the same function as ever.

use serde::{Deserialize, Serialize};
use stripe_billing::billing_portal_session::{
    CreateBillingPortalSessionFlowData as FlowData,
    CreateBillingPortalSessionFlowDataAfterCompletion as AfterCompletion,
    CreateBillingPortalSessionFlowDataAfterCompletionRedirect as Redirect,
    CreateBillingPortalSessionFlowDataAfterCompletionType as AfterCompletionType,
    CreateBillingPortalSessionFlowDataSubscriptionUpdateConfirm as Confirm,
    CreateBillingPortalSessionFlowDataSubscriptionUpdateConfirmItems as ConfirmItem,
    CreateBillingPortalSessionFlowDataType as FlowType,
};
use stripe_billing::subscription::RetrieveSubscription;
use stripe_billing::subscription_schedule::RetrieveSubscriptionSchedule;
use stripe_core::customer::RetrieveCustomer;

use crate::audit::{self, Actor};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orgs::{self, Permission, Who};
use crate::stripe::inbox::Claim;
use crate::stripe::shapes::{Named, Schedule, Subscription};

use super::current::{Current, current};
use super::preview::{Wanted, When, wanted};
use super::requests::{Nothing, Post, Update, refused};
use super::{checkout, items, later, sync};

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Stripe's page on which it is confirmed.
    Page(String),
    /// It is done, or planned.
    Done(When),
}

/// Goes on with a change of plan that was previewed.
pub async fn confirm(engine: &Engine, who: &Who, price_id: &str) -> Result<Decided> {
    orgs::require(who, Permission::ManageBilling)?;
    let mut wanted = wanted(engine, who, price_id).await?;
    wanted.current = freed(engine, who, wanted.current).await?;
    let current = &wanted.current;
    note(engine, who, "subscriptions.change_plan", &current.subscription_id, price_id).await?;
    if !current.is_trial() && current.extras.is_empty() {
        return Ok(Decided::Page(page(engine, who, &wanted).await?));
    }
    match wanted.when {
        When::Now => update(engine, current, Update::now(current, wanted.changes), "price").await?,
        When::At(_) => {
            let every = later::Every {
                per: wanted.price.per.clone().unwrap_or_default(),
                count: wanted.price.per_count,
            };
            later::plan(engine, current, wanted.lines, every).await?;
            look(engine, current).await?;
        }
    }
    Ok(Decided::Done(wanted.when))
}

/// The page of Stripe that asks for nothing but a yes.
async fn page(engine: &Engine, who: &Who, wanted: &Wanted) -> Result<String> {
    let current = &wanted.current;
    let mut item = ConfirmItem::new(current.item_id.clone());
    item.price = Some(wanted.price.price_id.clone());
    let quantity = wanted.changes.first().and_then(|change| change.quantity).unwrap_or(1);
    item.quantity = u64::try_from(quantity).ok();
    let back = format!("{}/billing?from=portal", engine.config.base_url);
    let flow = FlowData {
        subscription_update_confirm: Some(Confirm::new(
            vec![item],
            current.subscription_id.clone(),
        )),
        after_completion: Some(AfterCompletion {
            redirect: Some(Redirect::new(back)),
            ..AfterCompletion::new(AfterCompletionType::Redirect)
        }),
        ..FlowData::new(FlowType::SubscriptionUpdateConfirm)
    };
    checkout::open_portal(engine, who, Some(flow)).await
}

/// Changes lines at once, or nothing at all, and looks at what came of it.
pub(super) async fn update(
    engine: &Engine,
    current: &Current,
    change: Update,
    field: &str,
) -> Result<()> {
    let path = format!("/subscriptions/{}", current.subscription_id);
    let request: Post<_, stripe_shared::Subscription> = Post::new(path, change);
    let changed = engine.stripe.write::<_, Subscription>(&request, &request.key(current)).await;
    // Also after a refusal: the next wish shall not be answered with what is known of this one.
    look(engine, current).await?;
    let changed = changed.map_err(|error| refused(error, field))?;
    if let Some(invoice) = &changed.latest_invoice {
        sync::invoice(engine, invoice, &Claim::default()).await?;
    }
    Ok(())
}

/// Takes back what was planned for the end of the period.
pub async fn undo(engine: &Engine, who: &Who) -> Result<()> {
    let current = of(engine, who).await?;
    let Some(schedule) = &current.schedule_id else {
        return Err(Error::Conflict("No change is planned.".to_owned()));
    };
    note(engine, who, "subscriptions.undo_change", &current.subscription_id, schedule).await?;
    later::release(engine, &current, schedule).await?;
    look(engine, &current).await
}

#[derive(Serialize)]
struct CancelAt {
    cancel_at: &'static str,
}

#[derive(Serialize)]
struct CancelAtPeriodEnd {
    cancel_at_period_end: bool,
}

/// Takes a cancellation back that has not happened yet. (B11)
pub async fn keep(engine: &Engine, who: &Who) -> Result<()> {
    let current = of(engine, who).await?;
    if current.ends_at.is_none() {
        return Err(Error::Conflict("The plan goes on already.".to_owned()));
    }
    note(engine, who, "subscriptions.keep", &current.subscription_id, "").await?;
    let id = &current.subscription_id;
    let found: Subscription = engine.stripe.fetch(&RetrieveSubscription::new(id.clone())).await?;
    let path = format!("/subscriptions/{id}");
    // Stripe has two ways of saying when something ends, and takes each back by itself.
    if found.cancel_at_period_end {
        let body = CancelAtPeriodEnd { cancel_at_period_end: false };
        let request: Post<_, stripe_shared::Subscription> = Post::new(path, body);
        engine.stripe.write::<_, Named>(&request, &request.key(&current)).await?;
    } else {
        let request: Post<_, stripe_shared::Subscription> =
            Post::new(path, CancelAt { cancel_at: "" });
        engine.stripe.write::<_, Named>(&request, &request.key(&current)).await?;
    }
    look(engine, &current).await
}

#[derive(Deserialize)]
struct Payer {
    invoice_settings: Option<PayerSettings>,
}

#[derive(Deserialize)]
struct PayerSettings {
    default_payment_method: Option<serde_json::Value>,
}

/// Lets a paused plan go on. Without a card to charge, answers the page where one is added first.
pub async fn resume(engine: &Engine, who: &Who) -> Result<Option<String>> {
    let current = of(engine, who).await?;
    if current.status != "paused" {
        return Err(Error::Conflict("The plan is not paused.".to_owned()));
    }
    let id = &current.subscription_id;
    let found: Subscription = engine.stripe.fetch(&RetrieveSubscription::new(id.clone())).await?;
    let payer = RetrieveCustomer::new(current.customer_id.clone());
    let payer: Payer = engine.stripe.fetch(&payer).await?;
    let card = payer.invoice_settings.and_then(|settings| settings.default_payment_method);
    if found.default_payment_method.is_none() && card.is_none() {
        return checkout::portal_for(engine, who, checkout::Flow::UpdateCard).await.map(Some);
    }
    note(engine, who, "subscriptions.resume", id, "").await?;
    let path = format!("/subscriptions/{id}/resume");
    let request: Post<_, stripe_shared::Subscription> = Post::new(path, Nothing {});
    let resumed = engine.stripe.write::<_, Subscription>(&request, &request.key(&current)).await;
    look(engine, &current).await?;
    let resumed = resumed.map_err(|error| refused(error, ""))?;
    if let Some(invoice) = &resumed.latest_invoice {
        sync::invoice(engine, invoice, &Claim::default()).await?;
    }
    Ok(None)
}

/// The plan that a member with the right to may decide about.
pub(super) async fn of(engine: &Engine, who: &Who) -> Result<Current> {
    orgs::require(who, Permission::ManageBilling)?;
    let current = current(&engine.db, &who.org_id).await?;
    current.ok_or_else(|| Error::Conflict("There is no plan. Choose one first.".to_owned()))
}

/// The plan without a schedule that was begun and never finished: nothing would come of it, but
/// Stripe changes no plan beside it. Refused where the schedule turns out to do something.
pub(super) async fn freed(engine: &Engine, who: &Who, current: Current) -> Result<Current> {
    let Some(id) = &current.schedule_id else { return Ok(current) };
    let request = RetrieveSubscriptionSchedule::new(id.clone());
    let found: Option<Schedule> = engine.stripe.fetch_optional(&request).await?;
    if found.as_ref().is_some_and(items::is_idle) {
        tracing::warn!(id, "a schedule that was never finished is let go of");
        later::release(engine, &current, id).await?;
    }
    look(engine, &current).await?;
    let current = of(engine, who).await?;
    current.may_change()?;
    match &current.schedule_id {
        None => Ok(current),
        Some(_) => {
            let message = "Stripe has something planned for this plan. Ask us to change it.";
            Err(Error::Conflict(message.to_owned()))
        }
    }
}

/// Looks at the subscription now instead of waiting for the webhook.
pub(super) async fn look(engine: &Engine, current: &Current) -> Result<()> {
    sync::subscription(engine, &current.subscription_id, &Claim::default()).await.map(drop)
}

/// Who decided it.
pub(super) async fn note(
    engine: &Engine,
    who: &Who,
    action: &'static str,
    subject: &str,
    what: &str,
) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    let entry = audit::Entry {
        actor: Actor::User(who.user_id.clone()),
        org_id: Some(&who.org_id),
        action,
        subject,
        reason: None,
        detail: (!what.is_empty()).then(|| serde_json::json!({ "wanted": what })),
    };
    audit::record(&mut tx, &entry, engine.clock.now()).await?;
    tx.commit().await
}
