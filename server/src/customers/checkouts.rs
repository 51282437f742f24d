//! Checkouts: the payment pages of Stripe that we sent somebody to. Owns `checkouts`.
//!
//! The row comes first and its id is the key, so that a lost answer never opens a second page. What
//! a checkout bought is decided by Stripe's objects alone, never by coming back from the page.

use std::collections::HashMap;

use stripe_checkout::CheckoutSessionMode;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAutomaticTax, CreateCheckoutSessionCustomerUpdate,
    CreateCheckoutSessionCustomerUpdateAddress, CreateCheckoutSessionCustomerUpdateName,
    CreateCheckoutSessionLineItems, CreateCheckoutSessionPaymentIntentData,
    CreateCheckoutSessionPaymentIntentDataSetupFutureUsage, CreateCheckoutSessionSubscriptionData,
    CreateCheckoutSessionTaxIdCollection, RetrieveCheckoutSession,
};

use crate::clock::Millis;
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ids;
use crate::orgs::Who;
use crate::stripe::inbox::Claim;
use crate::stripe::shapes::Session;

use super::{pages, withheld};

/// The metadata key under which our row's id travels.
pub const CHECKOUT: &str = "checkout_id";

/// What is to be paid.
#[derive(Clone, Debug)]
pub enum Purchase {
    /// A tier, with so many days to try it.
    Subscription {
        /// Days; `None` is without a trial.
        trial_days: Option<i64>,
    },
    /// A pack.
    Pack {
        /// Whether what pays for it may be charged later, with nobody present.
        save_card: bool,
    },
}

impl Purchase {
    fn word(&self) -> &'static str {
        match self {
            Self::Subscription { .. } => "subscription",
            Self::Pack { .. } => "pack",
        }
    }
}

/// A checkout that was opened.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Checkout {
    /// Our id.
    pub id: String,
    /// Who pays.
    pub org_id: String,
    /// subscription or pack
    pub kind: String,
    /// What is bought.
    pub price_id: String,
    /// `cs_…`
    pub session_id: Option<String>,
    /// open, complete or expired
    pub status: String,
}

/// Opens a page on which this price can be paid; answers where it is. A customer that was deleted
/// without our having heard of it is looked at, and another one takes its place. (B20)
pub async fn open(
    engine: &Engine,
    who: &Who,
    purchase: &Purchase,
    price_id: &str,
) -> Result<String> {
    match open_once(engine, who, purchase, price_id).await {
        Err(Error::Stripe { code, .. }) if code == "resource_missing" => {
            if let Some(customer) = super::of_org(&engine.db, &who.org_id).await? {
                super::sync(engine, &customer, &Claim::default()).await?;
            }
            open_once(engine, who, purchase, price_id).await
        }
        opened => opened,
    }
}

async fn open_once(
    engine: &Engine,
    who: &Who,
    purchase: &Purchase,
    price_id: &str,
) -> Result<String> {
    let customer = super::ensure(engine, who).await?;
    if let Some(url) = still_open(engine, who, purchase, price_id, &customer).await? {
        return Ok(url);
    }
    let now = engine.clock.now();
    let id = ids::new("checkout", now);
    let mut tx = engine.db.begin().await?;
    let insert = "insert into checkouts (id, org_id, user_id, kind, price_id, status, created_at)
         values ($1, $2, $3, $4, $5, 'open', $6)";
    let row = sql(insert)
        .bind(&id)
        .bind(&who.org_id)
        .bind(&who.user_id)
        .bind(purchase.word())
        .bind(price_id)
        .bind(now);
    tx.execute(row).await?;
    tx.commit().await?;
    let request = request(engine, who, purchase, price_id, &customer, &id);
    let session: Session = engine.stripe.write(&request, &format!("checkout:{id}")).await?;
    let mut tx = engine.db.begin().await?;
    let attach = "update checkouts set session_id = $2 where id = $1";
    tx.execute(sql(attach).bind(&id).bind(&session.id)).await?;
    tx.commit().await?;
    let single = matches!(purchase, Purchase::Subscription { .. });
    if single && !pages::stays(engine, &who.org_id, &id).await? {
        let open = still_open(engine, who, purchase, price_id, &customer).await?;
        return open.ok_or_else(|| {
            let message = "A plan was chosen or paid on another page at the same moment. Look at \
                           your plan, then choose again.";
            Error::Conflict(message.to_owned())
        });
    }
    session.url.ok_or_else(|| Error::internal("Stripe opened a checkout without an address"))
}

/// Somebody who asks twice for the same plan is sent to the same page, so that a double click
/// cannot pay twice. Packs may well be bought twice.
async fn still_open(
    engine: &Engine,
    who: &Who,
    purchase: &Purchase,
    price_id: &str,
    customer: &str,
) -> Result<Option<String>> {
    if !matches!(purchase, Purchase::Subscription { .. }) {
        return Ok(None);
    }
    let since = engine.clock.now() - pages::FRESH;
    let text = "select session_id from checkouts where org_id = $1 and kind = 'subscription'
         and price_id = $2 and status = 'open' and session_id is not null and created_at > $3
         order by created_at desc limit 1";
    let row = sql(text).bind(&who.org_id).bind(price_id).bind(since);
    let Some((session_id,)) = engine.db.optional::<(String,)>(row).await? else { return Ok(None) };
    let request = RetrieveCheckoutSession::new(session_id);
    let session: Option<Session> = engine.stripe.fetch_optional(&request).await?;
    let same = |session: &Session| {
        session.status == "open" && session.customer.as_deref() == Some(customer)
    };
    Ok(session.filter(same).and_then(|session| session.url))
}

fn request(
    engine: &Engine,
    who: &Who,
    purchase: &Purchase,
    price_id: &str,
    customer: &str,
    id: &str,
) -> CreateCheckoutSession {
    let base = &engine.config.base_url;
    let mut label = super::label(engine, &who.org_id);
    label.insert(CHECKOUT.to_owned(), id.to_owned());
    let line = CreateCheckoutSessionLineItems {
        price: Some(price_id.to_owned()),
        quantity: Some(1),
        ..CreateCheckoutSessionLineItems::new()
    };
    let request = CreateCheckoutSession::new()
        .customer(customer)
        .client_reference_id(who.org_id.clone())
        .line_items(vec![line])
        .metadata(label.clone())
        .allow_promotion_codes(true)
        .success_url(format!("{base}/billing/return?session_id={{CHECKOUT_SESSION_ID}}"));
    let request = match purchase {
        Purchase::Subscription { trial_days } => request
            .mode(CheckoutSessionMode::Subscription)
            .cancel_url(format!("{base}/pricing"))
            .subscription_data(subscription_data(label, *trial_days)),
        Purchase::Pack { save_card } => request
            .mode(CheckoutSessionMode::Payment)
            .cancel_url(format!("{base}/billing"))
            .payment_intent_data(CreateCheckoutSessionPaymentIntentData {
                metadata: Some(label),
                setup_future_usage: save_card
                    .then_some(CreateCheckoutSessionPaymentIntentDataSetupFutureUsage::OffSession),
                ..CreateCheckoutSessionPaymentIntentData::new()
            }),
    };
    if !engine.config.stripe_automatic_tax {
        return request;
    }
    request
        .automatic_tax(CreateCheckoutSessionAutomaticTax::new(true))
        .tax_id_collection(CreateCheckoutSessionTaxIdCollection::new(true))
        .customer_update(CreateCheckoutSessionCustomerUpdate {
            address: Some(CreateCheckoutSessionCustomerUpdateAddress::Auto),
            name: Some(CreateCheckoutSessionCustomerUpdateName::Auto),
            ..CreateCheckoutSessionCustomerUpdate::new()
        })
}

fn subscription_data(
    label: HashMap<String, String>,
    trial_days: Option<i64>,
) -> CreateCheckoutSessionSubscriptionData {
    CreateCheckoutSessionSubscriptionData {
        metadata: Some(label),
        trial_period_days: trial_days.and_then(|days| u32::try_from(days).ok()),
        ..CreateCheckoutSessionSubscriptionData::new()
    }
}

/// The checkout behind a session, where this org opened it. Somebody else's is not found.
pub async fn of_session(db: &Db, org_id: &str, session_id: &str) -> Result<Checkout> {
    let text = "select id, org_id, kind, price_id, session_id, status from checkouts
         where session_id = $1 and org_id = $2";
    let found = db.optional(sql(text).bind(session_id).bind(org_id)).await?;
    found.ok_or(Error::NotFound("The checkout"))
}

/// Writes down how a checkout ended, found by its session or, where the answer that named the
/// session was lost, by the id it carries. Somebody is told where it subscribed an org that is
/// closed.
pub async fn close(tx: &mut Tx, session: &Session, now: Millis) -> Result<()> {
    if session.status != "complete" && session.status != "expired" {
        return Ok(());
    }
    let text = "update checkouts set status = $3, session_id = $1, completed_at = $4
         where (session_id = $1 or (session_id is null and id = $2)) and status = 'open'";
    let id = session.metadata.get(CHECKOUT).map_or("", String::as_str);
    let row = sql(text).bind(&session.id).bind(id).bind(&session.status).bind(now);
    tx.execute(row).await?;
    match session.subscription.as_ref().filter(|_| session.status == "complete") {
        Some(subscription) => withheld::goes_on(tx, subscription, now).await,
        None => Ok(()),
    }
}
