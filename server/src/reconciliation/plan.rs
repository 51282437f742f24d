//! The plan: every difference, with what would mend it. Making it changes nothing.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use stripe_billing::invoice::RetrieveInvoice;
use stripe_billing::subscription::RetrieveSubscription;
use stripe_core::customer::RetrieveCustomer;
use stripe_core::payment_intent::RetrievePaymentIntent;

use crate::catalog;
use crate::clock::{DAY, Millis};
use crate::engine::Engine;
use crate::error::Result;
use crate::stripe::shapes::{Customer, Invoice, Subscription};

use super::compare::{Comparison, Doubt, Doubtful};
use super::ours::{self, Ours};
use super::seen::{self, Payment, Seen};

/// What reconciliation finds, by the kinds of its findings.
pub const KINDS: [&str; 8] = [
    "customer_differs",
    "subscription_missing",
    "subscription_differs",
    "subscription_unknown",
    "invoice_differs",
    "paid_without_grant",
    "grant_without_payment",
    "money_back_missing",
];

/// Objects that Stripe's lists did not name and that are asked for one by one, at most. Lists leave
/// out what belongs to a test clock, and what is older than the days that are compared.
const DOUBTS_MAX: usize = 500;

/// What would mend a difference: looking at the object anew, as its event would have made us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// At the customer.
    Customer,
    /// At the subscription.
    Subscription,
    /// At the invoice.
    Invoice,
    /// At the checkout.
    Session,
    /// At the payment of a recharge.
    Payment,
    /// At the charge of a refund.
    Refund,
    /// At the charge of a dispute.
    Dispute,
    /// At the invoice of a credit note.
    CreditNote,
}

/// A difference.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// The object that differs.
    pub subject: String,
    /// Whose it is, where that is known.
    pub org_id: Option<String>,
    /// What is wrong, and what would mend it.
    pub message: String,
    /// Both sides.
    pub detail: Value,
    /// What would mend it; `None` where a person has to decide.
    pub remedy: Option<Remedy>,
    /// Whether an event about it waits in the inbox, so that it may be on its way.
    pub waiting: bool,
}

/// Every difference that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Payments, invoices and refunds since then were compared.
    pub since: Millis,
    /// How many objects of each kind Stripe has.
    pub seen: BTreeMap<&'static str, usize>,
    /// The differences, in the order in which they are mended.
    pub steps: Vec<Step>,
    /// Objects of ours that Stripe's lists did not name and that were not asked for, since there
    /// were too many of them.
    pub unsure: usize,
}

/// Compares what Stripe has with what we have, in both directions.
pub async fn plan(engine: &Engine) -> Result<Plan> {
    plan_since(engine, super::DAYS).await
}

/// The same, with payments, invoices and refunds of so many days.
pub async fn plan_since(engine: &Engine, days: i64) -> Result<Plan> {
    let since = engine.clock.now() - days.clamp(1, 3_650) * DAY;
    // Stripe first: what is written here meanwhile is newer than what was listed there.
    let seen = seen::everything(engine, since).await?;
    let ours = ours::everything(&engine.db, since).await?;
    let prices = catalog::resolve(&mut &engine.db, &prices_of(&seen)).await?;
    let tag = engine.config.product_tag.as_str();
    let comparison = Comparison::new(&seen, &ours, &prices, tag);
    let mut steps = comparison.steps();
    let mut doubts = comparison.doubts();
    let unsure = doubts.len().saturating_sub(DOUBTS_MAX);
    doubts.truncate(DOUBTS_MAX);
    for doubt in doubts {
        steps.extend(settle(engine, &comparison, doubt).await?);
    }
    for step in &mut steps {
        step.waiting = ours.waiting.contains(&step.subject);
    }
    steps.sort_by(|a, b| (&a.org_id, a.remedy, &a.subject).cmp(&(&b.org_id, b.remedy, &b.subject)));
    Ok(Plan { since, seen: counts(&seen, &ours), steps, unsure })
}

fn prices_of(seen: &Seen) -> Vec<String> {
    let items = seen.subscriptions.iter().flat_map(|one| &one.items.data);
    let items = items.map(|item| item.price.id.clone());
    let lines = seen.invoices.iter().flat_map(|one| &one.lines.data);
    let lines = lines.filter_map(|line| line.price().map(str::to_owned));
    let bought = seen.sessions.iter().filter_map(|one| one.line_items.as_ref());
    let bought = bought.flat_map(|lines| &lines.data);
    let bought = bought.filter_map(|line| Some(line.price.as_ref()?.id.clone()));
    let all: std::collections::BTreeSet<String> = items.chain(lines).chain(bought).collect();
    all.into_iter().collect()
}

fn counts(seen: &Seen, ours: &Ours) -> BTreeMap<&'static str, usize> {
    BTreeMap::from([
        ("customers", seen.customers.len()),
        ("subscriptions", seen.subscriptions.len()),
        ("invoices", seen.invoices.len()),
        ("checkouts", seen.sessions.len()),
        ("payments", seen.payments.len()),
        ("refunds", seen.refunds.len()),
        ("disputes", seen.disputes.len()),
        ("credit_notes", seen.credit_notes.len()),
        ("our_customers", ours.customers.len()),
        ("our_subscriptions", ours.subscriptions.len()),
        ("our_grants", ours.grants.len()),
    ])
}

/// Asks for an object of ours that no list named.
async fn settle(
    engine: &Engine,
    comparison: &Comparison<'_>,
    doubt: Doubtful,
) -> Result<Option<Step>> {
    let id = doubt.id.clone();
    Ok(match doubt.what {
        Doubt::Customer => {
            let request = RetrieveCustomer::new(id);
            let found: Option<Customer> = engine.stripe.fetch_optional(&request).await?;
            let gone = found.is_none_or(|found| found.deleted);
            gone.then(|| doubt.step("customer_differs", Some(Remedy::Customer), GONE, json!({})))
        }
        Doubt::Subscription => {
            let request = RetrieveSubscription::new(id);
            let found: Option<Subscription> = engine.stripe.fetch_optional(&request).await?;
            match found {
                Some(found) => comparison.subscription(&found),
                None => Some(doubt.step("subscription_unknown", None, UNKNOWN, json!({}))),
            }
        }
        Doubt::Payment => {
            let request = RetrievePaymentIntent::new(id);
            let found: Option<Payment> = engine.stripe.fetch_optional(&request).await?;
            let status = found.map(|found| found.status);
            let detail = json!({ "stripe": status });
            (status.as_deref() != Some("succeeded"))
                .then(|| doubt.step("grant_without_payment", None, UNPAID, detail))
        }
        Doubt::Invoice => {
            let found: Option<Invoice> =
                engine.stripe.fetch_optional(&RetrieveInvoice::new(id)).await?;
            let status = found.map(|found| found.status);
            let detail = json!({ "stripe": status });
            // A voided one, or one that was given up, is taken back as a refund is.
            let known = ["paid", "void", "uncollectible"];
            (!status.as_deref().is_some_and(|status| known.contains(&status)))
                .then(|| doubt.step("grant_without_payment", None, UNPAID, detail))
        }
    })
}

const GONE: &str = "the customer was deleted in Stripe; looking at it anew freezes what it paid";
const UNKNOWN: &str = "Stripe knows nothing of this subscription, and we hold it for running. \
     Nothing is changed by itself: check that the key is of the right account";
const UNPAID: &str = "credits were given, but Stripe has no such payment that succeeded. Nothing \
     is taken back by itself: look at the grant, then `adjust`, or dismiss this with a reason";
