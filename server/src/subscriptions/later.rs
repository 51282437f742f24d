//! Changes that wait for the end of the paid period: Stripe keeps them as a schedule with two
//! phases, and carries them out itself.

use serde::Serialize;
use stripe_shared::SubscriptionSchedule;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::shapes::{Phase, PhaseDiscount, Schedule};

use super::current::Current;
use super::items::PlannedItem;
use super::requests::{Nothing, Post};

#[derive(Serialize)]
struct Create<'a> {
    from_subscription: &'a str,
}

#[derive(Serialize)]
struct Plan {
    end_behavior: &'static str,
    proration_behavior: &'static str,
    phases: Vec<PhaseWish>,
}

#[derive(Serialize)]
struct PhaseWish {
    items: Vec<ItemWish>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discounts: Vec<DiscountWish>,
    proration_behavior: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Duration>,
}

#[derive(Serialize)]
struct ItemWish {
    price: String,
    quantity: i64,
}

#[derive(Clone, Serialize)]
struct DiscountWish {
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    promotion_code: Option<String>,
}

#[derive(Clone, Serialize)]
struct Duration {
    interval: String,
    interval_count: i64,
}

/// How long one period of what comes next is.
#[derive(Clone, Debug)]
pub struct Every {
    /// day, week, month or year
    pub per: String,
    /// Every so many of them.
    pub count: i64,
}

impl Every {
    /// As often as now.
    pub fn of(current: &Current) -> Self {
        Self { per: current.per.clone().unwrap_or_default(), count: current.per_count }
    }
}

/// Plans these lines for the end of the period. What is paid now stays until then.
pub async fn plan(
    engine: &Engine,
    current: &Current,
    items: Vec<PlannedItem>,
    every: Every,
) -> Result<()> {
    let subscription = current.subscription_id.as_str();
    let create: Post<_, SubscriptionSchedule> =
        Post::new("/subscription_schedules", Create { from_subscription: subscription });
    let made: Schedule = engine.stripe.write(&create, &create.key(current)).await?;
    let planned = match wish(&made, current, items, every) {
        Ok(plan) => {
            let path = format!("/subscription_schedules/{}", made.id);
            let update: Post<_, SubscriptionSchedule> = Post::new(path, plan);
            engine.stripe.write::<_, Schedule>(&update, &update.key(current)).await.map(drop)
        }
        Err(error) => Err(error),
    };
    if let Err(error) = planned {
        // A schedule without a second phase would do nothing but keep the plan from being changed.
        release(engine, current, &made.id).await?;
        return Err(error);
    }
    Ok(())
}

fn wish(made: &Schedule, current: &Current, items: Vec<PlannedItem>, every: Every) -> Result<Plan> {
    let first = made
        .phases
        .first()
        .ok_or_else(|| Error::internal(format!("{} was made without a phase", made.id)))?;
    let discounts = discounts(first);
    let now = PhaseWish {
        items: current.lines().into_iter().map(line).collect(),
        discounts: discounts.clone(),
        proration_behavior: "none",
        start_date: Some(first.start_date),
        end_date: Some(current.period_end / crate::clock::SECOND),
        duration: None,
    };
    let then = PhaseWish {
        items: items.into_iter().map(line).collect(),
        discounts,
        proration_behavior: "none",
        start_date: None,
        end_date: None,
        duration: Some(Duration { interval: every.per, interval_count: every.count }),
    };
    Ok(Plan { end_behavior: "release", proration_behavior: "none", phases: vec![now, then] })
}

/// What is taken off now is taken off then.
fn discounts(phase: &Phase) -> Vec<DiscountWish> {
    let wish = |found: &PhaseDiscount| match &found.discount {
        Some(id) => DiscountWish { discount: Some(id.clone()), coupon: None, promotion_code: None },
        None => DiscountWish {
            discount: None,
            coupon: found.coupon.clone().filter(|_| found.promotion_code.is_none()),
            promotion_code: found.promotion_code.clone(),
        },
    };
    phase.discounts.iter().map(wish).collect()
}

fn line(item: PlannedItem) -> ItemWish {
    ItemWish { price: item.price_id, quantity: item.quantity }
}

/// Lets go of what was planned: what is paid now goes on.
pub async fn release(engine: &Engine, current: &Current, schedule_id: &str) -> Result<()> {
    let path = format!("/subscription_schedules/{schedule_id}/release");
    let request: Post<_, SubscriptionSchedule> = Post::new(path, Nothing {});
    engine.stripe.write::<_, Schedule>(&request, &request.key(current)).await.map(drop)
}
