//! Who pays a line, and whether an invoice of theirs comes anyway.

use crate::clock::Millis;
use crate::customers;
use crate::db::sql;
use crate::engine::Engine;
use crate::entitlements::ContractTerms;
use crate::error::Result;
use crate::orgs::{self, Role, Who};

use super::lines::OpenLine;

/// Who pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payer {
    /// `cus_…`
    pub customer: String,
    /// The subscription whose next invoice comes within a month and can take the line along.
    pub next: Option<String>,
    /// The subscription whose card pays where no other is agreed on.
    pub card_of: Option<String>,
    /// Where it is agreed that invoices are sent instead of charged: the days there are to pay.
    pub days_until_due: Option<u32>,
}

#[derive(sqlx::FromRow)]
struct Live {
    subscription_id: String,
    customer_id: String,
    status: String,
    ends_at: Option<Millis>,
    currency: String,
    per: Option<String>,
    per_count: i64,
}

impl Live {
    /// Whether it is renewed, and so invoiced, at least once a month.
    fn is_invoiced_soon(&self) -> bool {
        let going_on = matches!(self.status.as_str(), "active" | "trialing" | "past_due");
        let monthly = match self.per.as_deref() {
            Some("month") => self.per_count == 1,
            Some("week") => self.per_count <= 4,
            Some("day") => self.per_count <= 31,
            _ => false,
        };
        going_on && monthly && self.ends_at.is_none()
    }
}

/// Who pays this line; a text where nobody can, which says why.
pub async fn of(engine: &Engine, line: &OpenLine) -> Result<Result<Payer, String>> {
    let contract = line.subject.starts_with("contract_");
    let lives = subscriptions(engine, line, contract).await?;
    let in_currency = lives.iter().find(|live| live.currency == line.currency);
    if let (false, Some(other), None) = (contract, lives.first(), in_currency) {
        return Ok(Err(format!(
            "it is billed in {}, but {} is paid in {}",
            line.currency, other.subscription_id, other.currency
        )));
    }
    let days_until_due = if contract { agreed_days(engine, &line.subject).await? } else { None };
    let of_subscription = in_currency.map(|live| live.customer_id.clone());
    let customer = match of_subscription {
        Some(customer) => customer,
        None => match customer_of(engine, &line.org_id).await? {
            Ok(customer) => customer,
            Err(why) => return Ok(Err(why)),
        },
    };
    let gone = "select customer_id from customers
         where customer_id = $1 and deleted_at is not null";
    if engine.db.optional::<(String,)>(sql(gone).bind(&customer)).await?.is_some() {
        return Ok(Err(format!("{customer} was deleted at Stripe")));
    }
    let soon = in_currency.filter(|live| live.is_invoiced_soon() && days_until_due.is_none());
    let next = soon.map(|live| live.subscription_id.clone());
    let card_of = in_currency.map(|live| live.subscription_id.clone());
    Ok(Ok(Payer { customer, next, card_of, days_until_due }))
}

/// The subscription that the line is billed to, or for a contract those that its org pays.
async fn subscriptions(engine: &Engine, line: &OpenLine, contract: bool) -> Result<Vec<Live>> {
    let text = "select s.subscription_id, s.customer_id, s.status, s.ends_at, x.currency, x.per, \
             x.per_count
         from subscriptions s
         join subscription_items i on i.subscription_id = s.subscription_id
         join catalog_prices x on x.price_id = i.price_id
         join catalog_products p on p.product_id = x.product_id
         where s.org_id = $1 and p.kind = 'plan'
         and (s.subscription_id = $2 or $3 and s.status in ('trialing', 'active', 'past_due'))
         order by p.rank desc, s.created_at desc, i.item_id";
    let statement = sql(text).bind(&line.org_id).bind(&line.subject).bind(contract);
    engine.db.all(statement).await
}

async fn agreed_days(engine: &Engine, contract: &str) -> Result<Option<u32>> {
    let text = "select terms from contracts where id = $1";
    let row: Option<(String,)> = engine.db.optional(sql(text).bind(contract)).await?;
    let Some((terms,)) = row else { return Ok(None) };
    let terms: ContractTerms = serde_json::from_str(&terms)?;
    Ok(terms.days_until_due)
}

/// The org's customer, made for its owner where there was never one.
async fn customer_of(engine: &Engine, org_id: &str) -> Result<Result<String, String>> {
    if let Some(customer) = customers::of_org(&engine.db, org_id).await? {
        return Ok(Ok(customer));
    }
    let before = "select customer_id from customers where org_id = $1 limit 1";
    if let Some((id,)) = engine.db.optional::<(String,)>(sql(before).bind(org_id)).await? {
        return Ok(Err(format!("{id} was deleted at Stripe")));
    }
    let org = orgs::find(&engine.db, org_id).await?;
    let members = orgs::members(&engine.db, org_id).await?;
    let Some(owner) = members.into_iter().find(|one| one.role == Role::Owner.as_str()) else {
        return Ok(Err("the organisation has no owner to send an invoice to".to_owned()));
    };
    let who = Who {
        user_id: owner.user_id,
        org_id: org_id.to_owned(),
        role: Role::Owner,
        name: owner.name,
        email: owner.email,
        org_name: org.name,
    };
    Ok(Ok(customers::ensure(engine, &who).await?))
}
