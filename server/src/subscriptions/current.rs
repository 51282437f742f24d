//! The subscription that gives an org its plan, as its pages and the changes of it need it. Reads
//! only.

use crate::catalog;
use crate::clock::{Millis, day};
use crate::db::{Db, sql};
use crate::entitlements::access::{Status, judge};
use crate::error::{Error, Result};

use super::items::PlannedItem;
use super::telling;

/// The subscription an org is on, for its pages.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Current {
    /// `sub_…`
    pub subscription_id: String,
    /// `cus_…`
    pub customer_id: String,
    /// Stripe's word.
    pub status: String,
    /// The plan's name.
    pub plan: String,
    /// The plan's line, `si_…`
    pub item_id: String,
    /// `price_…`
    pub price_id: String,
    /// Minor units for each.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// day, week, month or year
    pub per: Option<String>,
    /// Every so many of them.
    pub per_count: i64,
    /// How many.
    pub quantity: i64,
    /// The current period, half open.
    pub period_start: Millis,
    /// Its end.
    pub period_end: Millis,
    /// When it ends, if an end is set.
    pub ends_at: Option<Millis>,
    /// Until when it is tried for free.
    pub trial_end: Option<Millis>,
    /// The schedule that carries out what is planned.
    pub schedule_id: Option<String>,
    /// When it was last looked at.
    pub synced_at: Millis,
    pub(super) next_items: Option<String>,
    pub(super) next_at: Option<Millis>,
    pub(super) version_id: Option<String>,
    /// What happens at the end of the period, where something is planned.
    #[sqlx(skip)]
    pub next: Option<Next>,
    /// Whether it is paid by the seat.
    #[sqlx(skip)]
    pub per_seat: bool,
    /// What is paid besides the plan.
    #[sqlx(skip)]
    pub extras: Vec<Extra>,
}

/// What happens at the end of the period.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Next {
    /// What is paid then: `Pro by the month`.
    pub label: String,
    /// When.
    pub on: Millis,
}

/// A line besides the plan: an add-on.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Extra {
    /// `si_…`
    pub item_id: String,
    /// `price_…`
    pub price_id: String,
    /// `prod_…`
    pub product_id: String,
    /// Its name.
    pub name: String,
    /// Minor units for each.
    pub amount: i64,
    /// How many.
    pub quantity: i64,
}

impl Current {
    /// What the customer should know about its state.
    pub fn message(&self) -> Option<&'static str> {
        judge(Status::parse(&self.status)?, 0, 0, 0).message
    }

    /// Whether nothing was paid yet.
    pub fn is_trial(&self) -> bool {
        self.status == "trialing"
    }

    /// Minor units each period, with everything besides the plan.
    pub fn total(&self) -> i64 {
        let extras = self.extras.iter().map(|extra| extra.amount.saturating_mul(extra.quantity));
        extras.fold(self.amount.saturating_mul(self.quantity), i64::saturating_add)
    }

    /// Every line, as it would be written into a schedule.
    pub(super) fn lines(&self) -> Vec<PlannedItem> {
        let plan = PlannedItem { price_id: self.price_id.clone(), quantity: self.quantity };
        let extras = self.extras.iter().map(|extra| PlannedItem {
            price_id: extra.price_id.clone(),
            quantity: extra.quantity,
        });
        std::iter::once(plan).chain(extras).collect()
    }

    /// Whether what is paid may be changed now; says what has to be done first where not. A
    /// schedule of which nothing follows is in nobody's way: whoever changes something lets go of
    /// it first.
    pub fn may_change(&self) -> Result<()> {
        let message = match (self.status.as_str(), self.ends_at, &self.next) {
            ("active" | "trialing", None, None) => return Ok(()),
            ("active" | "trialing", Some(end), _) => {
                format!("The plan ends on {}. Keep it first, then change it.", day(end))
            }
            ("active" | "trialing", None, Some(next)) => format!(
                "A change to {} on {} is planned. Undo it first, then choose another.",
                next.label,
                day(next.on)
            ),
            ("paused", ..) => "The plan is paused. Resume it first.".to_owned(),
            _ => "Pay the open invoice first, then change the plan.".to_owned(),
        };
        Err(Error::Conflict(message))
    }
}

/// The subscription that gives an org its plan; none on the free tier.
pub async fn current(db: &Db, org_id: &str) -> Result<Option<Current>> {
    let text = "select s.subscription_id, s.customer_id, s.status, p.name as plan, i.item_id, \
             i.price_id, x.amount, x.currency, x.per, x.per_count, i.quantity, i.period_start, \
             i.period_end, s.ends_at, s.trial_end, s.schedule_id, s.synced_at, s.next_items, \
             s.next_at, i.version_id
         from subscriptions s
         join subscription_items i on i.subscription_id = s.subscription_id
         join catalog_prices x on x.price_id = i.price_id
         join catalog_products p on p.product_id = x.product_id
         where s.org_id = $1 and p.kind = 'plan'
         and s.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused')
         order by p.rank desc, s.created_at desc, i.item_id limit 1";
    let found: Option<Current> = db.optional(sql(text).bind(org_id)).await?;
    let Some(mut current) = found else { return Ok(None) };
    let text = "select i.item_id, i.price_id, x.product_id, p.name, x.amount, i.quantity
         from subscription_items i
         join catalog_prices x on x.price_id = i.price_id
         join catalog_products p on p.product_id = x.product_id
         where i.subscription_id = $1 and i.item_id <> $2 order by p.rank, i.item_id";
    let row = sql(text).bind(&current.subscription_id).bind(&current.item_id);
    current.extras = db.all(row).await?;
    let ids: Vec<String> = current.version_id.iter().cloned().collect();
    let versions = catalog::versions(&mut &*db, &ids).await?;
    current.per_seat = versions.values().any(|version| version.terms.per_seat);
    if let (Some(items), Some(on)) = (&current.next_items, current.next_at) {
        let items: Vec<PlannedItem> = serde_json::from_str(items)?;
        let label = telling::label(&mut &*db, &items).await?;
        current.next = Some(Next { label, on });
    }
    Ok(Some(current))
}

/// The currency an org pays in: Stripe lets a customer have one. None before it first paid.
pub async fn currency(db: &Db, org_id: &str) -> Result<Option<String>> {
    let text = "select x.currency from subscriptions s
         join subscription_items i on i.subscription_id = s.subscription_id
         join catalog_prices x on x.price_id = i.price_id
         where s.org_id = $1 order by s.created_at desc, i.item_id limit 1";
    if let Some((currency,)) = db.optional::<(String,)>(sql(text).bind(org_id)).await? {
        return Ok(Some(currency));
    }
    let text = "select currency from payments where org_id = $1 and currency <> ''
         order by paid_at desc limit 1";
    let row: Option<(String,)> = db.optional(sql(text).bind(org_id)).await?;
    Ok(row.map(|row| row.0))
}

#[cfg(test)]
impl Current {
    /// A plan that is paid like this until then.
    pub fn example(amount: i64, per: &str, quantity: i64, period_end: Millis) -> Self {
        Self {
            subscription_id: "sub_1".to_owned(),
            customer_id: "cus_1".to_owned(),
            status: "active".to_owned(),
            plan: "Pro".to_owned(),
            item_id: "si_1".to_owned(),
            price_id: "price_1".to_owned(),
            amount,
            currency: "usd".to_owned(),
            per: Some(per.to_owned()),
            per_count: 1,
            quantity,
            period_start: 0,
            period_end,
            ends_at: None,
            trial_end: None,
            schedule_id: None,
            synced_at: 0,
            next_items: None,
            next_at: None,
            version_id: None,
            next: None,
            per_seat: false,
            extras: Vec::new(),
        }
    }
}
