//! Entitlements: what an org may use, and because of what. Owns `org_plans` and `entitlements`.
//!
//! Derived data: [`derive`] computes it from the subscriptions, and nothing else writes it. An org
//! without a paid plan has what the free tier allows, read from the catalog when asked; a contract
//! counts from its first moment to its last, whoever asks. "Why" is
//! always the list of [`SourceLine`]s. Never speaks to Stripe.

pub mod access;
mod contract;
mod derive;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::blocks;
use crate::catalog::{self, FreeTier};
use crate::clock::{self, Millis};
use crate::db::{Db, Reads, sql};
use crate::error::Result;
use crate::units::{Credits, Tariff};

pub use crate::blocks::Block;
pub use contract::{Contract, ContractTerms};
pub use derive::{derive, overdue};

/// Everything an org may use, and what keeps it from using it.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Entitled {
    /// The plan it is on.
    pub plan: PlanRow,
    /// Features by name.
    pub features: BTreeSet<String>,
    /// Models by name or `prefix*`.
    pub models: Vec<String>,
    /// Ceilings by name.
    pub limits: BTreeMap<String, i64>,
    /// Whether use past the allowance is billed.
    pub overage_allowed: bool,
    /// The price of one credit of it, in millionths of a minor unit.
    pub overage_price_micros: Option<i64>,
    /// What it is billed by, and to what; `None` where that is not known.
    pub overage: Option<Tariff>,
    /// Meters that are billed in money instead of credits.
    pub in_money: BTreeMap<String, Tariff>,
    /// Why.
    pub sources: Vec<SourceLine>,
    /// What refuses, now or from a date on.
    pub blocks: Vec<Block>,
}

impl Entitled {
    /// Whether a feature is included.
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.contains(name)
    }

    /// Whether a model is included, by its name or by a `prefix*`.
    pub fn has_model(&self, name: &str) -> bool {
        self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
    }
}

/// The plan an org is on.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct PlanRow {
    /// The tier's word; empty where the catalog has no free tier.
    pub tier: String,
    /// The tier's name.
    pub tier_name: String,
    /// The version in force.
    pub version_id: Option<String>,
    /// Whether a subscription pays for it.
    pub paid: bool,
    /// That subscription.
    pub subscription_id: Option<String>,
    /// The current period, half open; none where nothing is paid.
    pub period_start: Option<Millis>,
    /// Its end.
    pub period_end: Option<Millis>,
    /// When the plan ends, if an end is set.
    pub cancel_at: Option<Millis>,
    /// Stripe's word, or `free`.
    pub status: String,
}

/// One reason for one thing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct SourceLine {
    /// feature, model or limit
    pub kind: String,
    /// Which one.
    pub name: String,
    /// tier, addon or contract
    #[sqlx(rename = "source_kind")]
    pub source: String,
    /// The subscription item, the tier's version or the contract.
    pub source_id: String,
    /// What people call it.
    pub source_name: String,
    /// How much; limits only.
    pub amount: Option<i64>,
    /// Until when.
    #[serde(serialize_with = "clock::serialize_optional")]
    pub expires_at: Option<Millis>,
}

#[derive(sqlx::FromRow)]
struct StoredPlan {
    org_id: String,
    tier: String,
    tier_name: String,
    version_id: String,
    subscription_id: String,
    status: String,
    period_start: Millis,
    period_end: Millis,
    ends_at: Option<Millis>,
    overage_allowed: bool,
    overage_price: Option<i64>,
    currency: Option<String>,
}

#[derive(sqlx::FromRow)]
struct StoredSource {
    org_id: String,
    #[sqlx(flatten)]
    line: SourceLine,
}

/// What every org has that pays for nothing.
#[derive(Clone, Debug)]
pub struct Free {
    /// What it may use, blocked by nothing.
    pub entitled: Arc<Entitled>,
    /// Credits a month; `None` where the catalog has no free tier.
    pub included: Option<Credits>,
}

/// What the free tier allows now.
pub async fn free(reads: &mut impl Reads) -> Result<Free> {
    let tier = catalog::free_tier(reads).await?;
    let included = tier.as_ref().map(|tier| tier.included);
    Ok(Free { entitled: Arc::new(unpaid(tier.as_ref())), included })
}

/// What an org has besides what everybody has.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// What it pays for, blocked by nothing; `None` where it pays for nothing.
    pub paid: Option<Arc<Entitled>>,
    /// Terms that were made for it and have not ended, the earliest first.
    pub contracts: Vec<Contract>,
    /// What refuses, now or from a date on.
    pub blocks: Vec<Block>,
}

impl Own {
    /// All that the org may use at this time, and what keeps it from using it.
    pub fn with(&self, free: &Free, at: Millis) -> Arc<Entitled> {
        let base = self.paid.as_ref().unwrap_or(&free.entitled);
        let contracts = self.contracts.iter().filter(|contract| contract.in_force(at));
        let contracts: Vec<&Contract> = contracts.collect();
        let entitled = match contracts.is_empty() {
            true if self.blocks.is_empty() => return base.clone(),
            true => Entitled::clone(base),
            false => contract::with(base, &contracts),
        };
        Arc::new(Entitled { blocks: self.blocks.clone(), ..entitled })
    }
}

/// What these orgs have of their own; those that have nothing are not in the answer.
pub async fn own(reads: &mut impl Reads, orgs: &[String]) -> Result<HashMap<String, Own>> {
    let mut all: HashMap<String, Own> = HashMap::new();
    if orgs.is_empty() {
        return Ok(all);
    }
    let any = reads.dialect().any("org_id", 1);
    let plans = format!(
        "select org_id, tier, tier_name, version_id, subscription_id, status, period_start, \
             period_end, ends_at, overage_allowed, overage_price, currency
         from org_plans where {any}"
    );
    let plans: Vec<StoredPlan> = reads.all(sql(plans).bind(orgs.to_vec())).await?;
    if !plans.is_empty() {
        let sources = format!(
            "select org_id, kind, name, source_kind, source_id, source_name, amount, expires_at \
             from entitlements where {any} order by kind, name, source_id"
        );
        let mut by_org: HashMap<String, Vec<SourceLine>> = HashMap::new();
        for row in reads.all::<StoredSource>(sql(sources).bind(orgs.to_vec())).await? {
            by_org.entry(row.org_id).or_default().push(row.line);
        }
        for plan in plans {
            let lines = by_org.remove(&plan.org_id).unwrap_or_default();
            let org_id = plan.org_id.clone();
            all.entry(org_id).or_default().paid = Some(Arc::new(paid(plan, lines)));
        }
    }
    for (org_id, contracts) in contract::load(reads, orgs).await? {
        all.entry(org_id).or_default().contracts = contracts;
    }
    for (org_id, blocks) in blocks::load(reads, orgs).await? {
        all.entry(org_id).or_default().blocks = blocks;
    }
    Ok(all)
}

/// What one org is entitled to at this time.
pub async fn of(db: &Db, org_id: &str, now: Millis) -> Result<Entitled> {
    let mut reads = db;
    let own = own(&mut reads, &[org_id.to_owned()]).await?.remove(org_id).unwrap_or_default();
    Ok(Arc::unwrap_or_clone(own.with(&free(&mut reads).await?, now)))
}

fn paid(plan: StoredPlan, sources: Vec<SourceLine>) -> Entitled {
    let price = plan.overage_price.filter(|_| plan.overage_allowed);
    let overage = price.zip(plan.currency).map(|(price, currency)| Tariff {
        subject: plan.subscription_id.clone(),
        currency,
        price,
    });
    let plan_row = PlanRow {
        tier: plan.tier,
        tier_name: plan.tier_name,
        version_id: Some(plan.version_id),
        paid: true,
        subscription_id: Some(plan.subscription_id),
        period_start: Some(plan.period_start),
        period_end: Some(plan.period_end),
        cancel_at: plan.ends_at,
        status: plan.status,
    };
    Entitled {
        plan: plan_row,
        overage_allowed: plan.overage_allowed,
        overage_price_micros: plan.overage_price,
        overage,
        ..unite(sources)
    }
}

/// What an org has without paying.
fn unpaid(free: Option<&FreeTier>) -> Entitled {
    let Some(free) = free else {
        let plan = PlanRow {
            tier_name: "No plan".to_owned(),
            status: "free".to_owned(),
            ..PlanRow::default()
        };
        return Entitled { plan, ..Entitled::default() };
    };
    let plan = PlanRow {
        tier: free.tier.clone(),
        tier_name: free.name.clone(),
        version_id: Some(free.version_id.clone()),
        status: "free".to_owned(),
        ..PlanRow::default()
    };
    let source = derive::Source {
        kind: "tier",
        id: &free.version_id,
        name: &free.name,
        terms: &free.terms,
        quantity: 1,
    };
    Entitled { plan, ..unite(source.lines()) }
}

/// Features and models are united; of the tiers' limits the larger counts, and what add-ons give is
/// added to it.
fn unite(sources: Vec<SourceLine>) -> Entitled {
    let mut entitled = Entitled::default();
    let mut added: BTreeMap<String, i64> = BTreeMap::new();
    for line in &sources {
        let amount = line.amount.unwrap_or(0);
        match line.kind.as_str() {
            "feature" => {
                entitled.features.insert(line.name.clone());
            }
            "model" if !entitled.models.contains(&line.name) => {
                entitled.models.push(line.name.clone());
            }
            "limit" if line.source == "addon" => {
                let sum = added.entry(line.name.clone()).or_default();
                *sum = sum.saturating_add(amount);
            }
            "limit" => {
                let largest = entitled.limits.entry(line.name.clone()).or_default();
                *largest = amount.max(*largest);
            }
            _ => {}
        }
    }
    for (name, amount) in added {
        let limit = entitled.limits.entry(name).or_default();
        *limit = limit.saturating_add(amount);
    }
    Entitled { sources, ..entitled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, name: &str, source: &str, amount: Option<i64>) -> SourceLine {
        SourceLine {
            kind: kind.into(),
            name: name.into(),
            source: source.into(),
            source_id: source.into(),
            source_name: source.into(),
            amount,
            expires_at: None,
        }
    }

    #[test]
    fn sources_are_united() {
        // B15
        let entitled = unite(vec![
            line("feature", "image", "tier", None),
            line("feature", "image", "addon", None),
            line("model", "small-*", "tier", None),
            line("limit", "seats", "tier", Some(5)),
            line("limit", "seats", "tier", Some(3)),
            line("limit", "seats", "addon", Some(2)),
            line("limit", "seats", "addon", Some(2)),
            line("limit", "keys", "addon", Some(1)),
        ]);
        assert!(entitled.has_feature("image") && !entitled.has_feature("video"));
        assert!(entitled.has_model("small-3") && !entitled.has_model("large-1"));
        assert_eq!(entitled.limits.get("seats"), Some(&9));
        assert_eq!(entitled.limits.get("keys"), Some(&1));
        assert_eq!(entitled.sources.len(), 8);
    }
}
