//! What the people who pay are told of a subscription, once for each change, and what the audit
//! trail keeps of it.

use crate::audit::{self, Actor};
use crate::catalog;
use crate::clock::{DAY, Millis, SECOND};
use crate::db::{Tx, sql};
use crate::entitlements::access::{Standing, Status};
use crate::error::Result;
use crate::mail::{self, Money, Template};
use crate::notices::{self, News};
use crate::orgs;
use crate::stripe::shapes::Subscription;

use super::items::{self, ItemRow, Planned, PlannedItem};

/// How long before its end a trial is announced.
const TRIAL_NOTICE: Millis = 3 * DAY;

/// A subscription as it was last stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Before {
    /// Stripe's word.
    pub status: String,
    /// Since when money is missing.
    pub past_due_at: Option<Millis>,
    /// When it ends, if an end is set.
    pub ends_at: Option<Millis>,
    /// What was planned: JSON of [`PlannedItem`]s.
    pub next_items: Option<String>,
    /// From when on.
    pub next_at: Option<Millis>,
    /// When the end of the trial was announced.
    pub trial_told_at: Option<Millis>,
}

/// What changed, from both sides.
pub struct Change<'a> {
    /// As it is now.
    pub seen: &'a Subscription,
    /// Its lines.
    pub items: &'a [ItemRow],
    /// Whose it is.
    pub org_id: &'a str,
    /// As it was; none where it is new.
    pub before: Option<&'a Before>,
    /// What its state means now.
    pub standing: &'a Standing,
    /// Its own plan, where it is ours.
    pub own_plan: Option<&'a str>,
    /// The plan that the org was on.
    pub plan_before: &'a str,
    /// The plan that the org is on.
    pub plan_after: &'a str,
    /// What is planned for the end of the period.
    pub planned: Option<&'a Planned>,
}

impl Change<'_> {
    /// Writes a change into the audit trail and tells those who pay. Seeing the same again is no
    /// change. One that pays for nothing of ours is nobody's plan: of it only the trail tells,
    /// unless the plan of the org has changed by it. (C9)
    pub async fn tell(&self, tx: &mut Tx, now: Millis) -> Result<()> {
        let ours = items::any_known(self.items);
        if ours {
            self.tell_trial(tx, now).await?;
            self.tell_planned(tx, now).await?;
        }
        let ends_at = self.seen.ends_at().map(|at| at * SECOND);
        let status_before = self.before.map(|before| before.status.as_str());
        let ends_before = self.before.and_then(|before| before.ends_at);
        let moved = self.plan_before != self.plan_after;
        if status_before == Some(&self.seen.status) && ends_before == ends_at && !moved {
            return Ok(());
        }
        self.record(tx, status_before, ends_at, now).await?;
        if !ours && !moved {
            return Ok(());
        }
        let was = status_before.and_then(Status::parse);
        let owing = |status: &Status| matches!(status, Status::PastDue | Status::Unpaid);
        let is = Status::parse(&self.seen.status);
        if ours && is.is_some_and(|is| owing(&is)) && !was.is_some_and(|was| owing(&was)) {
            return self.tell_failed(tx, now).await;
        }
        let never = matches!(was, None | Some(Status::Incomplete));
        let over = |status: &Status| matches!(status, Status::Canceled | Status::IncompleteExpired);
        if self.standing.ended {
            if never || was.is_some_and(|was| over(&was)) {
                return Ok(());
            }
            let plan = self.own_plan.unwrap_or(self.plan_before).to_owned();
            let news = Money::Canceled { plan, to: self.plan_after.to_owned() };
            return notices::tell(tx, self.org_id, &News::Money(news), now).await;
        }
        let ends = ends_at.filter(|at| ends_before.is_none() && *at > now);
        if !moved && ends.is_none() {
            return Ok(());
        }
        let letter = Template::PlanChanged {
            from: self.plan_before.to_owned(),
            to: self.plan_after.to_owned(),
            ends_on: ends,
        };
        for to in orgs::owners_and_billing_emails(tx, self.org_id).await? {
            mail::send_later(tx, &to, letter.clone(), now).await?;
        }
        Ok(())
    }

    async fn record(
        &self,
        tx: &mut Tx,
        status_before: Option<&str>,
        ends_at: Option<Millis>,
        now: Millis,
    ) -> Result<()> {
        let detail = serde_json::json!({
            "status": self.seen.status,
            "status_before": status_before,
            "plan": self.plan_after,
            "plan_before": self.plan_before,
            "ends_at": ends_at.map(crate::clock::rfc3339),
        });
        let entry = audit::Entry {
            actor: Actor::Stripe,
            org_id: Some(self.org_id),
            action: "subscriptions.change",
            subject: &self.seen.id,
            reason: None,
            detail: Some(detail),
        };
        audit::record(tx, &entry, now).await
    }

    /// Once for each failure: from paid to not paid.
    async fn tell_failed(&self, tx: &mut Tx, now: Millis) -> Result<()> {
        let grace_until = match self.standing.block {
            Some(("past_due", from)) if from > now => Some(from),
            _ => None,
        };
        let plan = self.own_plan.unwrap_or(self.plan_before).to_owned();
        let news = Money::PaymentFailed { plan, grace_until };
        notices::tell(tx, self.org_id, &News::Money(news), now).await
    }

    /// When at most three days of a trial are left: once, whatever makes us look. (B4)
    async fn tell_trial(&self, tx: &mut Tx, now: Millis) -> Result<()> {
        let told = self.before.is_some_and(|before| before.trial_told_at.is_some());
        let ends_on = self.seen.trial_end.map(|end| end * SECOND);
        let Some(ends_on) = ends_on.filter(|_| self.seen.status == "trialing" && !told) else {
            return Ok(());
        };
        if ends_on - now > TRIAL_NOTICE || self.seen.ends_at().is_some() {
            return Ok(());
        }
        let ids: Vec<String> = self.items.iter().map(|item| item.price_id.clone()).collect();
        let prices = catalog::resolve(tx, &ids).await?;
        let amounts = self
            .items
            .iter()
            .filter_map(|item| prices.get(&item.price_id)?.amount.checked_mul(item.quantity));
        let currency = prices.values().next().map_or("usd", |price| price.currency.as_str());
        let own = self.seen.default_payment_method.is_some();
        let news = Money::TrialEnding {
            plan: self.own_plan.unwrap_or(self.plan_after).to_owned(),
            ends_on,
            amount: amounts.fold(0, i64::saturating_add),
            currency: currency.to_owned(),
            has_card: own || has_card(tx, self.org_id).await?,
        };
        let text = "update subscriptions set trial_told_at = $2 where subscription_id = $1";
        tx.execute(sql(text).bind(&self.seen.id).bind(now)).await?;
        notices::tell(tx, self.org_id, &News::Money(news), now).await
    }

    /// What was planned since it was last seen. (B9)
    async fn tell_planned(&self, tx: &mut Tx, now: Millis) -> Result<()> {
        let Some(planned) = self.planned else { return Ok(()) };
        let known = self.before.and_then(|before| before.next_items.as_deref());
        let known: Option<Vec<PlannedItem>> = known.map(serde_json::from_str).transpose()?;
        let known_at = self.before.and_then(|before| before.next_at);
        if known.as_ref() == Some(&planned.items) && known_at == Some(planned.at) {
            return Ok(());
        }
        let current: Vec<PlannedItem> = self
            .items
            .iter()
            .map(|item| PlannedItem { price_id: item.price_id.clone(), quantity: item.quantity })
            .collect();
        let (from, to) = (label(tx, &current).await?, label(tx, &planned.items).await?);
        let news = Money::PlanScheduled { from, to, on: planned.at };
        notices::tell(tx, self.org_id, &News::Money(news), now).await
    }
}

/// What lines are called all together: `Pro a month, 2 × Boost`.
pub async fn label(reads: &mut impl crate::db::Reads, items: &[PlannedItem]) -> Result<String> {
    let ids: Vec<String> = items.iter().map(|item| item.price_id.clone()).collect();
    let prices = catalog::resolve(reads, &ids).await?;
    let mut named: Vec<(bool, String)> = items
        .iter()
        .filter_map(|item| {
            let price = prices.get(&item.price_id)?;
            let times = match item.quantity {
                1 => String::new(),
                quantity => format!("{quantity} × "),
            };
            let every = match (price.kind.as_str(), price.per.as_deref(), price.per_count) {
                ("plan", Some(per), 1) => format!(" by the {per}"),
                _ => String::new(),
            };
            Some((price.kind != "plan", format!("{times}{}{every}", price.name)))
        })
        .collect();
    named.sort();
    let named: Vec<String> = named.into_iter().map(|(_, name)| name).collect();
    Ok(if named.is_empty() { "another plan".to_owned() } else { named.join(", ") })
}

async fn has_card(tx: &mut Tx, org_id: &str) -> Result<bool> {
    let text = "select customer_id from customers
         where org_id = $1 and deleted_at is null and payment_method is not null";
    Ok(tx.optional::<(String,)>(sql(text).bind(org_id)).await?.is_some())
}
