//! How an org stands in its period: what it has, what it used of it, and what that will come to.
//! Reads only.

use server::caps::{self, Cap};
use server::clock::Millis;
use server::credits::Balance;
use server::engine::Engine;
use server::entitlements::{self, Entitled};
use server::gate;
use server::rates::RateCard;
use server::units::Credits;
use server::usage::{self, DayMeter, Projection};

use crate::chart::Meter;
use crate::error::AppError;

/// Everything about the current period, as of one moment.
pub struct Standing {
    /// What there is.
    pub balance: Balance,
    /// What is allowed.
    pub entitled: Entitled,
    /// The org's own ceiling.
    pub cap: Option<Cap>,
    /// Use by day and meter.
    pub days: Vec<DayMeter>,
    /// What the period will come to.
    pub projection: Option<Projection>,
    /// The moment.
    pub now: Millis,
}

impl Standing {
    /// Reads it.
    pub async fn read(engine: &Engine, org_id: &str) -> Result<Self, AppError> {
        let now = engine.clock.now();
        let balance = gate::standing(engine, org_id).await?;
        let entitled = entitlements::of(&engine.db, org_id, engine.clock.now()).await?;
        let cap = caps::current(&engine.db, org_id).await?;
        let allowance = &balance.allowance;
        let period = (allowance.period_start, allowance.period_end);
        let days = usage::by_day(&engine.db, org_id, period.0, period.1).await?;
        let projection = usage::project(&days, period, allowance.period_used, now);
        Ok(Self { balance, entitled, cap, days, projection, now })
    }

    /// The period, half open.
    pub fn period(&self) -> (Millis, Millis) {
        (self.balance.allowance.period_start, self.balance.allowance.period_end)
    }

    /// What is left of packs.
    pub fn packs(&self) -> Credits {
        self.left_of(|source| source == "pack")
    }

    /// What can be spent besides what the plan gives: packs, and what was given or agreed. Never
    /// less than nothing.
    pub fn besides(&self) -> Credits {
        let trial = self.left_of(|source| source == "trial");
        self.balance.available.less(self.balance.allowance.remaining).less(trial)
    }

    /// What is left of what the plan gives: the period's allowance, with what was carried over into
    /// it, or the trial's credits. With what is besides it, this is all that can be spent.
    pub fn remaining(&self) -> Credits {
        self.balance.available.less(self.besides())
    }

    /// The plan, in the words for people.
    pub fn plan(&self) -> String {
        let plan = &self.entitled.plan;
        match plan.status.as_str() {
            "contract" => format!("{}, by contract", plan.tier_name),
            _ => format!("{} plan", plan.tier_name),
        }
    }

    fn left_of(&self, wanted: fn(&str) -> bool) -> Credits {
        let grants = self.balance.grants.iter().filter(|grant| wanted(&grant.source));
        grants.map(|grant| grant.remaining).sum()
    }

    /// When the trial ends, while there is one.
    pub fn trial_end(&self) -> Option<Millis> {
        let plan = &self.entitled.plan;
        plan.period_end.filter(|_| plan.status == "trialing")
    }

    /// The bar; none where nothing was granted in this period.
    pub fn meter(&self) -> Option<Meter> {
        let allowance = &self.balance.allowance;
        allowance.granted.is_positive().then(|| Meter {
            allowance: allowance.granted,
            used: allowance.period_used,
            besides: self.besides(),
            overage: self.entitled.overage_allowed,
            cap: self.cap.as_ref().map(|cap| cap.credits),
            projected: self.projection.map(|p| (p.low, p.expected, p.high)),
        })
    }
}

/// Whether this was billed in money, as a contract says, and so cost no credits.
pub fn costs_money(day: &DayMeter, entitled: &Entitled, rates: &RateCard) -> bool {
    let by_contract = rates.meters.get(&day.meter).is_some_and(|meter| meter.by_contract);
    day.credits == Credits::ZERO && (by_contract || entitled.in_money.contains_key(&day.meter))
}
