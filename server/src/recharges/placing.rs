//! Whether a pack is to be bought now, and the row that says so. Nothing is asked of Stripe here
//! but what card there is.

use crate::autorecharge::{self, Pause, Setting};
use crate::catalog::{self, Resolved};
use crate::clock::Millis;
use crate::credits;
use crate::customers::Card;
use crate::db::Tx;
use crate::engine::Engine;
use crate::error::Result;
use crate::gate;
use crate::ids;
use crate::mail::Money;

use super::attempts::{self, Attempt};
use super::{card_now, currency_of, settling};

/// Everything that an attempt is made of.
struct Order {
    setting: Setting,
    /// How many attempts there were, by which is told that nobody else bought meanwhile.
    before: i64,
    pack: Resolved,
    currency: String,
    card: Card,
}

/// Writes down that a pack is to be bought, where the org wants one, has fewer credits than it
/// wants, and nothing forbids it. Racing with others, one of them makes the row. (E1)
pub async fn place(engine: &Engine, org_id: &str) -> Result<Option<Attempt>> {
    let Some(order) = weigh(engine, org_id).await? else { return Ok(None) };
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    credits::lock_wallet(&mut tx, org_id, now).await?;
    let Some(setting) = autorecharge::of_org(&mut tx, org_id).await? else { return Ok(None) };
    let tally = attempts::tally(&mut tx, org_id).await?;
    let changed = setting != order.setting || tally != (order.before, 0);
    if changed || !attempts::may_try(&setting, now) {
        return Ok(None);
    }
    let month = attempts::month_sum(&mut tx, org_id, now).await?;
    if month.saturating_add(order.pack.amount) > setting.monthly_max {
        tell_capped(&mut tx, &order, now).await?;
        tx.commit().await?;
        engine.wake.notify_one();
        return Ok(None);
    }
    let attempt = of_order(&order, now);
    let placed = attempts::insert(&mut tx, &attempt).await?;
    tx.commit().await?;
    Ok(placed.then_some(attempt))
}

/// What would be bought, if anything. The attempts are counted before the balance is read, and none
/// of them is under way then: whoever buys after that makes another one, which is seen under the
/// lock.
async fn weigh(engine: &Engine, org_id: &str) -> Result<Option<Order>> {
    let mut reads = &engine.db;
    let now = engine.clock.now();
    let setting = autorecharge::of_org(&mut reads, org_id).await?;
    let Some(setting) = setting.filter(|setting| attempts::may_try(setting, now)) else {
        return Ok(None);
    };
    let (before, under_way) = attempts::tally(&mut reads, org_id).await?;
    if under_way > 0 || credits::is_parked(&engine.db, org_id).await? {
        return Ok(None);
    }
    let standing = gate::standing(engine, org_id).await?;
    if standing.available >= setting.threshold {
        return Ok(None);
    }
    let mut prices = catalog::resolve(&mut reads, std::slice::from_ref(&setting.price_id)).await?;
    let offered = |price: &Resolved| {
        price.sold && price.kind == "pack" && price.amount > 0 && price.credits.is_some()
    };
    let Some(pack) = prices.remove(&setting.price_id).filter(offered) else {
        let reason = "The pack is not sold any more. Choose another one.";
        return stop(engine, org_id, Pause::PriceGone, reason).await;
    };
    let Some(card) = card_now(engine, org_id).await? else {
        let reason = "There is no card that could be charged. Add one.";
        return stop(engine, org_id, Pause::NoCard, reason).await;
    };
    let currency = currency_of(&engine.db, &pack.price_id).await?;
    Ok(Some(Order { setting, before, pack, currency, card }))
}

/// Tries nothing any more until somebody did something, and says so.
async fn stop(engine: &Engine, org_id: &str, why: Pause, reason: &str) -> Result<Option<Order>> {
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    if autorecharge::pause(&mut tx, org_id, why, now).await? {
        let letter = Money::RechargePaused { reason: reason.to_owned() };
        settling::tell(&mut tx, org_id, letter, now).await?;
    }
    tx.commit().await?;
    engine.wake.notify_one();
    Ok(None)
}

/// Another pack would be too much for this month: told once. (E4)
async fn tell_capped(tx: &mut Tx, order: &Order, now: Millis) -> Result<()> {
    let org_id = &order.setting.org_id;
    if !autorecharge::tell_capped(tx, org_id, attempts::month_number(now)).await? {
        return Ok(());
    }
    let letter = Money::RechargeCapped {
        most: order.setting.monthly_max,
        currency: order.currency.clone(),
        next_at: attempts::next_month(now),
    };
    settling::tell(tx, org_id, letter, now).await
}

fn of_order(order: &Order, now: Millis) -> Attempt {
    Attempt {
        id: ids::new("recharge", now),
        org_id: order.setting.org_id.clone(),
        customer_id: order.card.customer_id.clone(),
        price_id: order.pack.price_id.clone(),
        payment_method: order.card.payment_method.clone(),
        credits: order.pack.credits.unwrap_or_default(),
        amount: order.pack.amount,
        currency: order.currency.clone(),
        status: "open".to_owned(),
        payment_intent_id: None,
        code: None,
        message: None,
        created_at: now,
        settled_at: None,
    }
}
