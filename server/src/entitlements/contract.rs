//! What a contract allows, read beside what the tier does: from when to when it is in force, and
//! what an org is entitled to with it. Reads the contracts; never writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::db::{Reads, sql};
use crate::error::Result;
use crate::units::{Credits, Tariff};

use super::{Entitled, PlanRow, SourceLine, unite};

/// What was agreed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContractTerms {
    /// Credits each month.
    pub included: Credits,
    /// Features by name.
    pub features: BTreeSet<String>,
    /// Models by name or `prefix*`.
    pub models: BTreeSet<String>,
    /// Ceilings by name.
    pub limits: BTreeMap<String, i64>,
    /// What a credit past all that are there is billed, in millionths of a minor unit; `None`
    /// leaves that to the tier.
    pub overage_price: Option<i64>,
    /// Meters that are billed in money instead of credits: millionths of a minor unit for one unit.
    pub meters: BTreeMap<String, i64>,
    /// Where invoices are sent instead of charged: how many days there are to pay them.
    pub days_until_due: Option<u32>,
}

/// A contract, as the gate knows it.
#[derive(Clone, Debug)]
pub struct Contract {
    /// `contract_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Three lowercase letters.
    pub currency: String,
    /// What was agreed.
    pub terms: ContractTerms,
    /// Whether it stands instead of what the tier allows.
    pub replaces: bool,
    /// From when on.
    pub starts_at: Millis,
    /// Until when; `None` is open-ended.
    pub ends_at: Option<Millis>,
}

impl Contract {
    /// Whether it counts at this time.
    pub fn in_force(&self, at: Millis) -> bool {
        self.starts_at <= at && self.ends_at.is_none_or(|end| at < end)
    }

    fn lines(&self) -> impl Iterator<Item = SourceLine> {
        let line = |kind: &str, name: &String, amount| SourceLine {
            kind: kind.to_owned(),
            name: name.clone(),
            source: "contract".to_owned(),
            source_id: self.id.clone(),
            source_name: self.name.clone(),
            amount,
            expires_at: self.ends_at,
        };
        let features = self.terms.features.iter().map(move |name| line("feature", name, None));
        let models = self.terms.models.iter().map(move |name| line("model", name, None));
        let limits = self.terms.limits.iter();
        features.chain(models).chain(limits.map(move |(name, n)| line("limit", name, Some(*n))))
    }

    fn tariff(&self, price: i64) -> Tariff {
        Tariff { subject: self.id.clone(), currency: self.currency.clone(), price }
    }

    /// The plan of an org that pays for none, where this stands instead of the free tier.
    fn as_plan(&self) -> PlanRow {
        PlanRow {
            tier: "contract".to_owned(),
            tier_name: self.name.clone(),
            paid: true,
            cancel_at: self.ends_at,
            status: "contract".to_owned(),
            ..PlanRow::default()
        }
    }
}

/// What is allowed with these contracts, all of them in force, the earliest first: beside what
/// there was, or instead of it where one of them replaces it. Of what two contracts price, the
/// later counts.
pub(super) fn with(base: &Entitled, contracts: &[&Contract]) -> Entitled {
    let replacing = contracts.iter().rev().find(|contract| contract.replaces);
    let mut sources = match replacing {
        Some(_) => Vec::new(),
        None => base.sources.clone(),
    };
    sources.extend(contracts.iter().flat_map(|contract| contract.lines()));
    let mut all = unite(sources);
    all.plan = match replacing {
        Some(contract) if !base.plan.paid => contract.as_plan(),
        _ => base.plan.clone(),
    };
    if replacing.is_none() {
        all.overage = base.overage.clone();
        (all.overage_allowed, all.overage_price_micros) =
            (base.overage_allowed, base.overage_price_micros);
    }
    for contract in contracts {
        if let Some(price) = contract.terms.overage_price {
            all.overage = Some(contract.tariff(price));
            (all.overage_allowed, all.overage_price_micros) = (true, Some(price));
        }
        let meters = contract.terms.meters.iter();
        all.in_money.extend(meters.map(|(name, price)| (name.clone(), contract.tariff(*price))));
    }
    all
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    org_id: String,
    name: String,
    currency: String,
    terms: String,
    replaces: bool,
    starts_at: Millis,
    ends_at: Option<Millis>,
}

/// The contracts of these orgs that have not ended, the earliest first.
pub(super) async fn load(
    reads: &mut impl Reads,
    orgs: &[String],
) -> Result<HashMap<String, Vec<Contract>>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!(
        "select id, org_id, name, currency, terms, replaces, starts_at, ends_at from contracts \
         where {any} and ended_at is null order by starts_at, id"
    );
    let mut by_org: HashMap<String, Vec<Contract>> = HashMap::new();
    for row in reads.all::<Row>(sql(text).bind(orgs.to_vec())).await? {
        let Row { id, org_id, name, currency, terms, replaces, starts_at, ends_at } = row;
        let terms = serde_json::from_str(&terms)?;
        let contract = Contract { id, name, currency, terms, replaces, starts_at, ends_at };
        by_org.entry(org_id).or_default().push(contract);
    }
    Ok(by_org)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(id: &str, replaces: bool, terms: ContractTerms) -> Contract {
        Contract {
            id: id.to_owned(),
            name: "Acme".to_owned(),
            currency: "usd".to_owned(),
            terms,
            replaces,
            starts_at: 10,
            ends_at: Some(20),
        }
    }

    fn terms() -> ContractTerms {
        ContractTerms {
            features: ["video".to_owned()].into(),
            limits: [("seats".to_owned(), 3)].into(),
            overage_price: Some(5),
            meters: [("solved".to_owned(), 7)].into(),
            ..ContractTerms::default()
        }
    }

    fn tier() -> Entitled {
        let line = SourceLine {
            kind: "limit".to_owned(),
            name: "seats".to_owned(),
            source: "tier".to_owned(),
            source_id: "v_1".to_owned(),
            source_name: "Free".to_owned(),
            amount: Some(9),
            expires_at: None,
        };
        let feature = SourceLine {
            kind: "feature".to_owned(),
            name: "text".to_owned(),
            amount: None,
            ..line.clone()
        };
        unite(vec![line, feature])
    }

    #[test]
    fn it_is_in_force_from_its_start_until_before_its_end() {
        let one = contract("contract_1", false, terms());
        assert_eq!([9, 10, 19, 20].map(|at| one.in_force(at)), [false, true, true, false]);
    }

    #[test]
    fn it_stands_beside_the_tier_or_instead_of_it() {
        let (beside, instead) =
            (contract("contract_1", false, terms()), contract("contract_2", true, terms()));
        let all = with(&tier(), &[&beside]);
        assert!(all.has_feature("text") && all.has_feature("video") && !all.plan.paid);
        assert_eq!(all.limits["seats"], 9, "the larger counts");
        let only = with(&tier(), &[&instead]);
        assert!(!only.has_feature("text") && only.has_feature("video"));
        assert_eq!((only.limits["seats"], only.plan.paid), (3, true));
        assert_eq!(only.overage.map(|tariff| tariff.subject).as_deref(), Some("contract_2"));
        assert_eq!((all.overage_price_micros, all.in_money["solved"].price), (Some(5), 7));
        assert!(all.sources.iter().any(|line| line.source == "contract"));
    }

    #[test]
    fn of_two_the_later_prices() {
        let later = ContractTerms { meters: [("solved".to_owned(), 8)].into(), ..terms() };
        let (first, second) =
            (contract("contract_1", true, terms()), contract("contract_2", false, later));
        let all = with(&tier(), &[&first, &second]);
        assert_eq!(all.in_money["solved"].subject, "contract_2");
        assert!(!all.has_feature("text"), "one of them replaces the tier");
    }
}
