//! Recharges: packs bought without anybody present. Owns `recharge_attempts`.
//!
//! One attempt an org at a time, its row before the call, its id the key. Nothing is granted before
//! Stripe says that the payment succeeded.

mod asking;
mod attempts;
mod outcome;
mod placing;
mod refused;
mod settling;

use serde_json::Value;
use stripe_core::payment_intent::RetrievePaymentIntent;

use crate::audit::Actor;
use crate::autorecharge::{self, Setting, Wish};
use crate::catalog;
use crate::clock::{HOUR, MINUTE};
use crate::customers::look::{LOOKS_MAX, Look, finish};
use crate::customers::{self, Synced};
use crate::db::{Db, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::jobs::Failure;
use crate::orgs::{self, Permission, Who};
use crate::stripe::KEY_REFUSED;
use crate::stripe::inbox::Claim;
use crate::stripe::shapes::PaymentIntent;

pub use asking::LABEL;
pub use attempts::Attempt;
use outcome::{Outcome, outcome};
pub use refused::let_go;

/// What is told whoever asks for a pack that is not sold.
pub const NO_PACK: &str = "Choose one of the packs that are on sale.";

/// Orgs and attempts that one look at everybody takes care of; the rest comes with the next.
const CHECKED_MAX: i64 = 500;

/// Buys a pack for an org whose credits run low, if it still wants that and nothing forbids it.
pub async fn attempt(engine: &Engine, payload: &Value) -> Result<(), Failure> {
    let Some(org_id) = payload["org_id"].as_str() else {
        return Err(Failure::GiveUp(Error::internal("a recharge for nobody")));
    };
    let done = match buy(engine, org_id).await {
        Err(Error::Stripe { code, message, .. }) if code == KEY_REFUSED => {
            refused::wait(engine, org_id, &message).await
        }
        done => done,
    };
    done.map_err(Failure::from)
}

async fn buy(engine: &Engine, org_id: &str) -> Result<()> {
    let (attempt, fresh) = match attempts::under_way(&mut &engine.db, org_id).await? {
        Some(attempt) => (attempt, false),
        None => match placing::place(engine, org_id).await? {
            Some(attempt) => (attempt, true),
            None => return Ok(()),
        },
    };
    match pursue(engine, &attempt, fresh).await {
        Err(Error::Stripe { code, retryable, message }) if retryable || code == KEY_REFUSED => {
            if !retryable {
                refused::tell(engine, &attempt, &code, &message).await?;
            }
            later(engine, &attempt).await
        }
        done => done,
    }
}

/// Asks Stripe to charge an attempt, or what became of it. Whatever the answer is, the payment
/// itself says how it went: it is looked at as if an event had told of it.
async fn pursue(engine: &Engine, attempt: &Attempt, fresh: bool) -> Result<()> {
    if let Some(payment) = &attempt.payment_intent_id {
        return look_at(engine, attempt, payment).await;
    }
    // An answer that was lost may have been a payment; its key may be forgotten by now.
    if !fresh && let Some(found) = asking::find(engine, attempt).await? {
        return look_at(engine, attempt, &found.id).await;
    }
    // Whoever closed the org meanwhile let go of it.
    let open = attempts::under_way(&mut &engine.db, &attempt.org_id).await?;
    if open.is_none_or(|open| open.id != attempt.id) {
        return Ok(());
    }
    match asking::charge(engine, attempt).await {
        Ok(made) => look_at(engine, attempt, &made.id).await,
        Err(Error::Stripe { code, message, retryable: false }) => {
            match asking::find(engine, attempt).await? {
                Some(declined) => look_at(engine, attempt, &declined.id).await,
                None => never_made(engine, attempt, &code, &message).await,
            }
        }
        Err(error) => Err(error),
    }
}

async fn look_at(engine: &Engine, attempt: &Attempt, payment: &str) -> Result<()> {
    sync_payment(engine, payment, &Claim::default()).await?;
    refused::is_mended(engine, attempt).await
}

/// Stripe took the request for none that could be carried out: there is no payment. Where that is
/// no fault of the card, nothing is counted and nobody who pays is told: the attempt stays open
/// for a while, and an operator sees why.
async fn never_made(engine: &Engine, attempt: &Attempt, code: &str, message: &str) -> Result<()> {
    if !outcome::is_of_card(code) {
        refused::tell(engine, attempt, code, message).await?;
        return match refused::is_hopeless(engine, attempt, code) {
            true => refused::give_up(engine, attempt, code).await,
            false => later(engine, attempt).await,
        };
    }
    let refusal = outcome::by_codes(code, None);
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    settling::refused(&mut tx, attempt, &refusal, now).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(())
}

/// Stripe did not answer, or would not hear of it: the attempt stays open and is asked for again
/// with the same key, less often the longer it lasts. That is no decline. (E2)
async fn later(engine: &Engine, attempt: &Attempt) -> Result<()> {
    let now = engine.clock.now();
    let at = now + ((now - attempt.created_at) / 2).clamp(MINUTE, HOUR);
    let mut tx = engine.db.begin().await?;
    autorecharge::want(&mut tx, &attempt.org_id, at, &format!("{}:{at}", attempt.id)).await?;
    tx.commit().await
}

/// Brings an attempt up to date with its payment; payments that are no recharge change nothing. One
/// that waits for somebody who is not there is given up at Stripe first. (E3)
pub async fn sync_payment(engine: &Engine, id: &str, claim: &Claim) -> Result<Synced> {
    let mut look = Look::of(claim);
    let mut given_up: Option<Outcome> = None;
    for _ in 0..LOOKS_MAX {
        let ticket = look.ticket(engine).await?;
        let request = RetrievePaymentIntent::new(id.to_owned());
        let Some(found) = engine.stripe.fetch_optional::<_, PaymentIntent>(&request).await? else {
            return finish(engine, engine.db.begin().await?, claim).await;
        };
        let customer = found.customer.as_deref();
        if let Some(verdict) = look.belongs(engine, customer, &found.metadata, &[]).await? {
            return Ok(verdict);
        }
        let Some(ticket) = ticket else { continue };
        let seen = outcome(&found);
        if given_up.is_none() && must_cancel(engine, &found, &seen).await? {
            asking::cancel(engine, &found).await?;
            given_up = Some(seen);
            continue;
        }
        let came_to = match (seen, &given_up) {
            // Why it was given up says more than that it was.
            (Outcome::Refused(_), Some(before)) => before.clone(),
            (seen, _) => seen,
        };
        let Some((mut tx, org_id)) = look.write(engine, ticket).await? else { continue };
        settling::apply(&mut tx, &org_id, &found, &came_to, engine.clock.now()).await?;
        return finish(engine, tx, claim).await;
    }
    Err(Error::Unavailable)
}

/// Whether this is the payment of an attempt of ours that could still be paid and should not be:
/// also of one that was let go of before anybody heard of the payment.
async fn must_cancel(engine: &Engine, found: &PaymentIntent, seen: &Outcome) -> Result<bool> {
    if !matches!(seen, Outcome::Refused(_)) || !outcome::is_open(found) {
        return Ok(false);
    }
    let label = found.metadata.get(asking::LABEL).map(String::as_str);
    let attempt = attempts::of_payment(&mut &engine.db, &found.id, label).await?;
    Ok(attempt.is_some_and(|one| one.is_open() || one.payment_intent_id.is_none()))
}

/// Looks for orgs below their threshold that no request has crossed, and for attempts whose answer
/// was lost. Answers how many.
pub async fn check(engine: &Engine) -> Result<usize> {
    let now = engine.clock.now();
    let mut orgs = autorecharge::running_low(&mut &engine.db, now, CHECKED_MAX).await?;
    let open = attempts::left_open(&mut &engine.db, now - 10 * MINUTE, CHECKED_MAX).await?;
    orgs.extend(open.into_iter().map(|attempt| attempt.org_id));
    orgs.sort_unstable();
    orgs.dedup();
    let mut tx = engine.db.begin().await?;
    for org_id in &orgs {
        autorecharge::want(&mut tx, org_id, now, &format!("check:{}", now / HOUR)).await?;
    }
    tx.commit().await?;
    if !orgs.is_empty() {
        engine.wake.notify_one();
    }
    Ok(orgs.len())
}

/// What an org wants and how it goes, for its page.
#[derive(Clone, Debug)]
pub struct Overview {
    /// What it wants; `None` where it never said.
    pub setting: Option<Setting>,
    /// What is charged.
    pub card: Option<customers::Card>,
    /// What was charged this calendar month, or may still be, in minor units.
    pub charged: i64,
    /// The newest attempts.
    pub attempts: Vec<Attempt>,
}

/// What an org wants of auto-recharge and how it goes.
pub async fn overview(engine: &Engine, org_id: &str) -> Result<Overview> {
    let mut reads = &engine.db;
    Ok(Overview {
        setting: autorecharge::of_org(&mut reads, org_id).await?,
        card: customers::card_of(&engine.db, org_id).await?,
        charged: attempts::month_sum(&mut reads, org_id, engine.clock.now()).await?,
        attempts: attempts::list(&mut reads, org_id, 5).await?,
    })
}

/// The pack that is sold at this price, in whatever currency.
pub async fn pack_on_sale(db: &Db, price_id: &str) -> Result<Option<catalog::Resolved>> {
    let mut reads = db;
    let mut prices = catalog::resolve(&mut reads, &[price_id.to_owned()]).await?;
    Ok(prices.remove(price_id).filter(|price| price.sold && price.kind == "pack"))
}

/// Switches auto-recharge on, or changes what is wanted of it.
pub async fn save(engine: &Engine, who: &Who, wish: &Wish) -> Result<()> {
    orgs::require(who, Permission::ManageBilling)?;
    let Some(pack) = pack_on_sale(&engine.db, &wish.price_id).await? else {
        return Err(Error::invalid("pack", NO_PACK));
    };
    let fault = autorecharge::monthly_fault(wish.monthly_max, pack.amount, &pack.currency);
    if let Some(message) = fault {
        return Err(Error::invalid("monthly_max", message));
    }
    if card_now(engine, &who.org_id).await?.is_none() {
        let message = "There is no card to charge yet. Add one first.";
        return Err(Error::invalid("", message));
    }
    let mut tx = engine.db.begin().await?;
    let actor = Actor::User(who.user_id.clone());
    autorecharge::save(&mut tx, &who.org_id, wish, actor, engine.clock.now()).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(())
}

/// Switches auto-recharge off.
pub async fn stop(engine: &Engine, who: &Who) -> Result<()> {
    orgs::require(who, Permission::ManageBilling)?;
    let mut tx = engine.db.begin().await?;
    let actor = Actor::User(who.user_id.clone());
    autorecharge::stop(&mut tx, &who.org_id, actor, engine.clock.now()).await?;
    tx.commit().await
}

/// What an org is charged with, looked at anew: that the customer has put in another card may be
/// told late, or never, and nobody is charged by one that was taken away.
async fn card_now(engine: &Engine, org_id: &str) -> Result<Option<customers::Card>> {
    let Some(customer_id) = customers::of_org(&engine.db, org_id).await? else { return Ok(None) };
    customers::sync(engine, &customer_id, &Claim::default()).await?;
    customers::card_of(&engine.db, org_id).await
}

/// The currency of a price.
async fn currency_of(db: &Db, price_id: &str) -> Result<String> {
    let text = "select currency from catalog_prices where price_id = $1";
    let (currency,): (String,) = db.one(sql(text).bind(price_id)).await?;
    Ok(currency)
}
