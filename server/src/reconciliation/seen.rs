//! What Stripe has: its lists, a hundred objects a call, never a call for each customer.

use futures::try_join;
use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::clock::{Millis, SECOND};
use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::shapes::{Customer, Identified, Invoice, Metadata, Session, Subscription};

/// Everything that is compared.
pub struct Seen {
    /// Those that are not deleted.
    pub customers: Vec<Customer>,
    /// All of them, whatever their status.
    pub subscriptions: Vec<Subscription>,
    /// Since the day from which on is compared; so are the rest.
    pub invoices: Vec<Invoice>,
    /// Complete ones.
    pub sessions: Vec<Session>,
    /// Payments.
    pub payments: Vec<Payment>,
    /// Refunds.
    pub refunds: Vec<Back>,
    /// Disputes.
    pub disputes: Vec<Back>,
    /// Credit notes.
    pub credit_notes: Vec<Back>,
}

/// `pi_…`
#[derive(Clone, Debug, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: String,
    /// Stripe's word.
    pub status: String,
    /// Our keys.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

impl Payment {
    /// A value of its metadata.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(key).map(String::as_str)
    }
}

/// A refund, a dispute or a credit note.
#[derive(Clone, Debug, Deserialize)]
pub struct Back {
    /// Its id.
    pub id: String,
    /// Stripe's word.
    pub status: Option<String>,
    customer: Option<String>,
    charge: Option<Charge>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Charge {
    Whole {
        customer: Option<String>,
    },
    #[expect(dead_code, reason = "only that it is not the whole charge is read of it")]
    Named(String),
}

impl Back {
    /// Whose money it was.
    pub fn customer(&self) -> Option<&str> {
        match &self.charge {
            Some(Charge::Whole { customer }) => customer.as_deref(),
            _ => self.customer.as_deref(),
        }
    }
}

impl Identified for Payment {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for Back {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default, Serialize)]
struct Page {
    #[serde(skip)]
    path: &'static str,
    limit: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Created>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expand: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_intent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Created {
    gte: i64,
}

impl StripeRequest for Page {
    type Output = miniserde::json::Value;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, self.path).query(self)
    }
}

/// Reads all lists, beside each other; the queue before Stripe keeps its pace.
pub async fn everything(engine: &Engine, since: Millis) -> Result<Seen> {
    let all = |path| Page { path, limit: 100, ..Page::default() };
    let since = Some(Created { gte: since / SECOND });
    let recent = |path| Page { created: since.clone(), ..all(path) };
    let of_charges = |path| Page { expand: vec!["data.charge"], ..recent(path) };
    let subscriptions = Page { status: Some("all"), ..all("/subscriptions") };
    let lines = vec!["data.line_items"];
    let sessions = Page { status: Some("complete"), expand: lines, ..recent("/checkout/sessions") };
    let (customers, subscriptions, invoices, sessions, payments, refunds, disputes, credit_notes) =
        try_join!(
            list(engine, all("/customers")),
            list(engine, subscriptions),
            list(engine, recent("/invoices")),
            list(engine, sessions),
            list(engine, recent("/payment_intents")),
            list(engine, of_charges("/refunds")),
            list(engine, of_charges("/disputes")),
            list(engine, recent("/credit_notes")),
        )?;
    Ok(Seen {
        customers,
        subscriptions,
        invoices,
        sessions,
        payments,
        refunds,
        disputes,
        credit_notes,
    })
}

/// Payments of one customer of which refunds and disputes are listed, at most: two calls each.
const FOLLOWED_MAX: usize = 100;

/// The ids of what Stripe has of one customer, by kind.
#[derive(Debug, Default)]
pub struct OfCustomer {
    /// Whatever their status.
    pub subscriptions: Vec<String>,
    /// Since the day from which on is looked; so are the rest.
    pub invoices: Vec<String>,
    /// Complete ones.
    pub sessions: Vec<String>,
    /// Payments.
    pub payments: Vec<String>,
    /// Refunds of those payments.
    pub refunds: Vec<String>,
    /// Disputes of those payments.
    pub disputes: Vec<String>,
    /// Credit notes.
    pub credit_notes: Vec<String>,
    /// How many payments were too many to list their refunds and disputes.
    pub unfollowed: usize,
}

/// An object of which only the id is read.
#[derive(Clone, Debug, Deserialize)]
struct Named {
    id: String,
}

impl Identified for Named {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Reads the lists of one customer. Refunds and disputes are listed by payment, of the newest of
/// those that went through.
pub async fn of_customer(engine: &Engine, customer: &str, since: Millis) -> Result<OfCustomer> {
    let created = Some(Created { gte: since / SECOND });
    let all =
        |path| Page { path, limit: 100, customer: Some(customer.to_owned()), ..Page::default() };
    let recent = |path| Page { created: created.clone(), ..all(path) };
    let subscriptions = Page { status: Some("all"), ..all("/subscriptions") };
    let sessions = Page { status: Some("complete"), ..recent("/checkout/sessions") };
    let (subscriptions, invoices, sessions, payments, credit_notes) = try_join!(
        ids(engine, subscriptions),
        ids(engine, recent("/invoices")),
        ids(engine, sessions),
        list::<Payment>(engine, recent("/payment_intents")),
        ids(engine, recent("/credit_notes")),
    )?;
    let mut seen =
        OfCustomer { subscriptions, invoices, sessions, credit_notes, ..OfCustomer::default() };
    let mut followed = 0;
    for payment in payments {
        if payment.status == "succeeded" && followed == FOLLOWED_MAX {
            seen.unfollowed += 1;
        } else if payment.status == "succeeded" {
            followed += 1;
            let of = |path| Page {
                path,
                limit: 100,
                payment_intent: Some(payment.id.clone()),
                ..Page::default()
            };
            seen.refunds.extend(ids(engine, of("/refunds")).await?);
            seen.disputes.extend(ids(engine, of("/disputes")).await?);
        }
        seen.payments.push(payment.id);
    }
    Ok(seen)
}

async fn ids(engine: &Engine, page: Page) -> Result<Vec<String>> {
    Ok(list::<Named>(engine, page).await?.into_iter().map(|one| one.id).collect())
}

async fn list<T>(engine: &Engine, page: Page) -> Result<Vec<T>>
where
    T: Identified + serde::de::DeserializeOwned + Send,
{
    engine.stripe.every(|starting_after| Page { starting_after, ..page.clone() }).await
}
