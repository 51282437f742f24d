//! What we have: the rows that are compared, read by SQL and written by nobody here.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::clock::Millis;
use crate::db::{Db, Record, sql};
use crate::error::Result;

/// Everything that is compared.
pub struct Ours {
    /// By `cus_…`.
    pub customers: HashMap<String, Customer>,
    /// Orgs that no customer stands for who is not deleted.
    pub unsold: HashSet<String>,
    /// By `sub_…`.
    pub subscriptions: BTreeMap<String, Subscription>,
    /// By `sub_…`.
    pub items: HashMap<String, Vec<Item>>,
    /// By `in_…`.
    pub invoices: HashMap<String, Invoice>,
    /// The lines of paid invoices that credits were given for.
    pub paid_lines: HashSet<String>,
    /// The sessions whose packs were granted.
    pub sessions: HashSet<String>,
    /// Recharges by our id, with their status.
    pub recharges: HashMap<String, String>,
    /// Refunds, disputes and credit notes with their status.
    pub backs: HashMap<String, String>,
    /// Grants that name a payment.
    pub grants: Vec<Grant>,
    /// Objects that an event is waiting for.
    pub waiting: HashSet<String>,
}

#[derive(sqlx::FromRow)]
pub struct Customer {
    customer_id: String,
    pub org_id: String,
    pub email: String,
    pub deleted_at: Option<Millis>,
}

#[derive(sqlx::FromRow)]
pub struct Subscription {
    pub subscription_id: String,
    pub org_id: String,
    pub status: String,
    pub ends_at: Option<Millis>,
    pub trial_end: Option<Millis>,
}

#[derive(sqlx::FromRow)]
pub struct Item {
    pub item_id: String,
    subscription_id: String,
    pub price_id: String,
    pub quantity: i64,
    pub period_start: Millis,
    pub period_end: Millis,
}

#[derive(sqlx::FromRow)]
pub struct Invoice {
    invoice_id: String,
    pub status: String,
    pub total: i64,
}

#[derive(sqlx::FromRow)]
pub struct Grant {
    pub id: String,
    pub org_id: String,
    pub payment: String,
}

/// Reads everything; money of the time since.
pub async fn everything(db: &Db, since: Millis) -> Result<Ours> {
    let customers = "select customer_id, org_id, email, deleted_at from customers";
    let customers: Vec<Customer> = db.all(sql(customers)).await?;
    let unsold = "select id from orgs o where not exists
             (select 1 from customers c where c.org_id = o.id and c.deleted_at is null)";
    let unsold: Vec<(String,)> = db.all(sql(unsold)).await?;
    let subscriptions = "select subscription_id, org_id, status, ends_at, trial_end
         from subscriptions";
    let subscriptions: Vec<Subscription> = db.all(sql(subscriptions)).await?;
    let items = "select item_id, subscription_id, price_id, quantity, period_start, period_end
         from subscription_items order by item_id";
    let mut by_subscription: HashMap<String, Vec<Item>> = HashMap::new();
    for item in db.all::<Item>(sql(items)).await? {
        by_subscription.entry(item.subscription_id.clone()).or_default().push(item);
    }
    let invoices = "select invoice_id, status, total from invoices where created_at >= $1";
    let invoices: Vec<Invoice> = db.all(sql(invoices).bind(since)).await?;
    let paid_lines = "select l.line_id from paid_lines l
         join invoices i on i.invoice_id = l.invoice_id where i.created_at >= $1";
    // What was paid may be heard of before the day it is compared from, never long before.
    let sessions = "select session_id from payments where paid_at >= $1";
    let recharges = "select id, status from recharge_attempts where created_at >= $1";
    let waiting = "select object_id from stripe_events
         where status = 'pending' and object_id is not null";
    let waiting: Vec<(String,)> = db.all(sql(waiting)).await?;
    let grants = "select id, org_id, payment from grants
         where payment is not null and created_at >= $1 order by id";
    Ok(Ours {
        customers: customers.into_iter().map(|one| (one.customer_id.clone(), one)).collect(),
        unsold: unsold.into_iter().map(|row| row.0).collect(),
        subscriptions: subscriptions
            .into_iter()
            .map(|one| (one.subscription_id.clone(), one))
            .collect(),
        items: by_subscription,
        invoices: invoices.into_iter().map(|one| (one.invoice_id.clone(), one)).collect(),
        paid_lines: ids(db, paid_lines, since).await?,
        sessions: ids(db, sessions, since).await?,
        recharges: pairs(db, recharges, since).await?,
        backs: backs(db, since).await?,
        grants: db.all(sql(grants).bind(since)).await?,
        waiting: waiting.into_iter().map(|row| row.0).collect(),
    })
}

async fn ids(db: &Db, text: &'static str, since: Millis) -> Result<HashSet<String>> {
    let rows: Vec<(String,)> = rows(db, text, since).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

async fn pairs(db: &Db, text: &'static str, since: Millis) -> Result<HashMap<String, String>> {
    Ok(rows::<(String, String)>(db, text, since).await?.into_iter().collect())
}

async fn rows<T: Record>(db: &Db, text: &'static str, since: Millis) -> Result<Vec<T>> {
    db.all(sql(text).bind(since)).await
}

async fn backs(db: &Db, since: Millis) -> Result<HashMap<String, String>> {
    let mut all = HashMap::new();
    for text in [
        "select refund_id, status from refunds where created_at >= $1",
        "select dispute_id, status from disputes where created_at >= $1",
        "select credit_note_id, status from credit_notes where created_at >= $1",
    ] {
        all.extend(pairs(db, text, since).await?);
    }
    Ok(all)
}
