//! The comparison of both sides. Pure: what was read goes in, differences come out.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::catalog::Resolved;
use crate::clock::SECOND;
use crate::customers::ORG;
use crate::stripe::shapes::{Invoice, Line, Metadata, Session, Subscription, TAG};

use super::ours::{self, Ours};
use super::plan::{Remedy, Step};
use super::seen::{Back, Seen};

/// Both sides.
pub struct Comparison<'a> {
    /// What Stripe has.
    pub seen: &'a Seen,
    /// What we have.
    pub ours: &'a Ours,
    /// The prices that were seen and are ours.
    pub prices: &'a BTreeMap<String, Resolved>,
    /// Our product's tag.
    pub tag: &'a str,
    /// Orgs by customers that we have not heard of, as their labels say.
    labelled: HashMap<&'a str, &'a String>,
}

/// An object of ours that no list named: it has to be asked for.
pub struct Doubtful {
    /// What it is.
    pub what: Doubt,
    /// What Stripe is asked for.
    pub id: String,
    /// What the finding is about.
    pub subject: String,
    /// Whose.
    pub org_id: String,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A customer that is not deleted.
    Customer,
    /// A subscription that is not over.
    Subscription,
    /// The payment of a pack.
    Payment,
    /// The invoice of an allowance.
    Invoice,
}

impl Doubtful {
    /// The difference, once it is one.
    pub fn step(
        &self,
        kind: &'static str,
        remedy: Option<Remedy>,
        message: &str,
        detail: Value,
    ) -> Step {
        let (subject, message) = (self.subject.clone(), format!("{}: {message}.", self.id));
        let org_id = Some(self.org_id.clone());
        Step { kind, subject, org_id, message, detail, remedy, waiting: false }
    }
}

/// Statuses in which a subscription is over.
const OVER: [&str; 2] = ["canceled", "incomplete_expired"];

impl<'a> Comparison<'a> {
    /// Of these two sides.
    pub fn new(
        seen: &'a Seen,
        ours: &'a Ours,
        prices: &'a BTreeMap<String, Resolved>,
        tag: &'a str,
    ) -> Self {
        let own = seen.customers.iter().filter(|seen| {
            let label = seen.metadata.get(TAG).map(String::as_str);
            label == Some(tag) && !ours.customers.contains_key(&seen.id)
        });
        let of = own.filter_map(|seen| Some((seen.id.as_str(), seen.metadata.get(ORG)?)));
        let labelled = of.filter(|(_, org_id)| ours.unsold.contains(*org_id)).collect();
        Self { seen, ours, prices, tag, labelled }
    }

    /// Every difference that both sides show as they are.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        steps.extend(self.seen.customers.iter().filter_map(|seen| {
            let ours = self.ours.customers.get(&seen.id)?;
            let differs = ours.deleted_at.is_none() && ours.email != seen.email;
            let message = format!("{} has another address in Stripe.", seen.id);
            let step = (&seen.id, Some(Remedy::Customer), message);
            differs.then(|| step_of("customer_differs", step, Some(&ours.org_id), json!({})))
        }));
        steps.extend(self.seen.subscriptions.iter().filter_map(|seen| self.subscription(seen)));
        steps.extend(self.seen.invoices.iter().filter_map(|seen| self.invoice(seen)));
        steps.extend(self.seen.sessions.iter().filter_map(|seen| self.session(seen)));
        steps.extend(self.recharges());
        let lists = [
            (&self.seen.refunds, Remedy::Refund),
            (&self.seen.disputes, Remedy::Dispute),
            (&self.seen.credit_notes, Remedy::CreditNote),
        ];
        for (list, remedy) in lists {
            steps.extend(list.iter().filter_map(|seen| self.back(seen, remedy)));
        }
        steps
    }

    /// What a subscription differs in. One that is another product's differs in nothing.
    pub fn subscription(&self, seen: &Subscription) -> Option<Step> {
        let id = &seen.id;
        let theirs = json!({
            "status": seen.status,
            "ends_at": seen.ends_at(),
            "trial_end": seen.trial_end,
            "items": items_seen(seen),
        });
        let Some(ours) = self.ours.subscriptions.get(id) else {
            let sold = seen.items.data.iter().any(|item| self.prices.contains_key(&item.price.id));
            let org_id = self.org(seen.customer.as_deref());
            if org_id.is_none() && !self.is_labelled(&seen.metadata, sold) {
                return None;
            }
            let message = format!("Stripe has {id}, which is {}, and we do not.", seen.status);
            let step = (id, Some(Remedy::Subscription), message);
            return Some(step_of(
                "subscription_missing",
                step,
                org_id,
                json!({ "stripe": theirs }),
            ));
        };
        let seconds = |millis: Option<i64>| millis.map(|millis| millis / SECOND);
        let held = json!({
            "status": ours.status,
            "ends_at": seconds(ours.ends_at),
            "trial_end": seconds(ours.trial_end),
            "items": items_held(self.ours.items.get(id).map_or(&[], Vec::as_slice)),
        });
        if held == theirs {
            return None;
        }
        let message = match ours.status == seen.status {
            true => format!("{id} is otherwise in Stripe than here."),
            false => format!("{id} is {} in Stripe and {} here.", seen.status, ours.status),
        };
        let detail = json!({ "stripe": theirs, "ours": held });
        let step = (id, Some(Remedy::Subscription), message);
        Some(step_of("subscription_differs", step, Some(&ours.org_id), detail))
    }

    fn invoice(&self, seen: &Invoice) -> Option<Step> {
        let (id, draft) = (&seen.id, seen.status.is_empty() || seen.status == "draft");
        let org_id = self.org(seen.customer.as_deref()).filter(|_| !draft)?;
        let ours = self.ours.invoices.get(id);
        let (status, total) = (ours.map(|one| one.status.as_str()), ours.map(|one| one.total));
        let paid = seen.status == "paid" && seen.subscription().is_some();
        let unseen: Vec<&str> = seen
            .lines
            .data
            .iter()
            .filter(|line| self.includes(line))
            .map(|line| line.id.as_str())
            .filter(|line| !self.ours.paid_lines.contains(*line))
            .collect();
        let detail = json!({
            "stripe": { "status": seen.status, "total": seen.total },
            "ours": { "status": status, "total": total },
            "lines": unseen,
        });
        let step = |message| (id, Some(Remedy::Invoice), message);
        if paid && !unseen.is_empty() {
            let message = format!("{id} is paid, and what it includes was not given.");
            return Some(step_of("paid_without_grant", step(message), Some(org_id), detail));
        }
        if status == Some(seen.status.as_str()) && total == Some(seen.total) {
            return None;
        }
        let here = status.unwrap_or("unknown");
        let message = format!("{id} is {} in Stripe and {here} here.", seen.status);
        Some(step_of("invoice_differs", step(message), Some(org_id), detail))
    }

    /// Whether a paid line includes credits. A line of nothing for something that costs is a trial.
    fn includes(&self, line: &Line) -> bool {
        let price = line.price().and_then(|price| self.prices.get(price));
        line.item().is_some()
            && price.is_some_and(|price| {
                price.version_id.is_some() && (line.amount != 0 || price.amount == 0)
            })
    }

    /// A pack that was paid and not granted. (F2)
    fn session(&self, seen: &Session) -> Option<Step> {
        let paid = matches!(seen.payment_status.as_str(), "paid" | "no_payment_required");
        let lines = seen.line_items.iter().flat_map(|lines| &lines.data);
        let mut prices = lines.filter_map(|line| self.prices.get(&line.price.as_ref()?.id));
        let pack = prices.any(|price| price.kind == "pack");
        let complete = seen.status == "complete" && seen.mode == "payment";
        if !paid || !complete || !pack || self.ours.sessions.contains(&seen.id) {
            return None;
        }
        let id = &seen.id;
        let step =
            (id, Some(Remedy::Session), format!("{id} is paid, and its pack was not given."));
        let detail = json!({ "stripe": { "payment": seen.payment_intent } });
        Some(step_of("paid_without_grant", step, self.org(seen.customer.as_deref()), detail))
    }

    /// Payments of recharges that ended otherwise than we know.
    fn recharges(&self) -> impl Iterator<Item = Step> {
        self.seen.payments.iter().filter_map(|seen| {
            let recharge = seen.label(crate::recharges::LABEL)?;
            if seen.label(TAG) != Some(self.tag) {
                return None;
            }
            let ours = self.ours.recharges.get(recharge).map(String::as_str);
            let (kind, differs) = match seen.status.as_str() {
                "succeeded" => ("paid_without_grant", ours != Some("succeeded")),
                "canceled" => {
                    let open = ["open", "processing", "requires_action"];
                    ("invoice_differs", ours.is_some_and(|status| open.contains(&status)))
                }
                _ => return None,
            };
            let here = ours.unwrap_or("unknown");
            let message = format!("{} is {} in Stripe and {here} here.", seen.id, seen.status);
            let step = (&seen.id, Some(Remedy::Payment), message);
            let org_id = seen.label(crate::customers::ORG).map(str::to_owned);
            differs.then(|| step_of(kind, step, org_id.as_ref(), json!({ "recharge": recharge })))
        })
    }

    /// A refund, a dispute or a credit note that we have not, or have otherwise.
    fn back(&self, seen: &Back, remedy: Remedy) -> Option<Step> {
        let org_id = self.org(seen.customer())?;
        let theirs = seen.status.as_deref();
        let ours = self.ours.backs.get(&seen.id).map(String::as_str);
        if ours.is_some() && ours == theirs {
            return None;
        }
        let (id, here) = (&seen.id, ours.unwrap_or("unknown"));
        let message = format!("{id} is {} in Stripe and {here} here.", theirs.unwrap_or("made"));
        let detail = json!({ "stripe": theirs, "ours": ours });
        let step = (id, Some(remedy), message);
        Some(step_of("money_back_missing", step, Some(org_id), detail))
    }

    /// What we have and the lists do not name, or not as paid.
    pub fn doubts(&self) -> Vec<Doubtful> {
        let mut doubts = Vec::new();
        let mut add = |what, id: &str, subject: &str, org_id: &str| {
            let (id, subject, org_id) = (id.to_owned(), subject.to_owned(), org_id.to_owned());
            doubts.push(Doubtful { what, id, subject, org_id });
        };
        let listed: HashSet<&str> =
            self.seen.subscriptions.iter().map(|one| one.id.as_str()).collect();
        for (id, ours) in &self.ours.subscriptions {
            if !OVER.contains(&ours.status.as_str()) && !listed.contains(id.as_str()) {
                add(Doubt::Subscription, id, id, &ours.org_id);
            }
        }
        let listed: HashSet<&str> = self.seen.customers.iter().map(|one| one.id.as_str()).collect();
        for (id, ours) in &self.ours.customers {
            if ours.deleted_at.is_none() && !listed.contains(id.as_str()) {
                add(Doubt::Customer, id, id, &ours.org_id);
            }
        }
        let paid = self.seen.payments.iter().filter(|one| one.status == "succeeded");
        let mut paid: HashSet<&str> = paid.map(|one| one.id.as_str()).collect();
        let backed = ["paid", "void", "uncollectible"];
        let invoices =
            self.seen.invoices.iter().filter(|one| backed.contains(&one.status.as_str()));
        paid.extend(invoices.map(|one| one.id.as_str()));
        for grant in &self.ours.grants {
            // Several lines of one payment are told apart by a number.
            let payment = grant.payment.split(':').next().unwrap_or_default();
            let what = match payment.split('_').next() {
                Some("pi") => Doubt::Payment,
                Some("in") => Doubt::Invoice,
                // Nothing was to be paid: there is no payment to be found.
                _ => continue,
            };
            if !paid.contains(payment) {
                add(what, payment, &grant.id, &grant.org_id);
            }
        }
        doubts
    }

    /// Whose customer it is. One that we have not heard of may have paid, and been given money
    /// back, before it is looked at: all of it is found at once.
    fn org(&self, customer: Option<&str>) -> Option<&String> {
        let known = self.ours.customers.get(customer?).map(|customer| &customer.org_id);
        known.or_else(|| self.labelled.get(customer?).copied())
    }

    /// Whether something of a customer that we do not know is ours all the same: by its tag, or by
    /// our price where it says nothing. (A10, A11)
    fn is_labelled(&self, label: &Metadata, sold: bool) -> bool {
        label.get(TAG).map_or(sold, |tag| tag == self.tag)
    }
}

fn step_of(
    kind: &'static str,
    (subject, remedy, message): (&String, Option<Remedy>, String),
    org_id: Option<&String>,
    detail: Value,
) -> Step {
    let (subject, org_id) = (subject.clone(), org_id.cloned());
    Step { kind, subject, org_id, message, detail, remedy, waiting: false }
}

fn items_seen(seen: &Subscription) -> Vec<Value> {
    let mut items: Vec<_> = seen.items.data.iter().collect();
    items.sort_by(|a, b| a.id.cmp(&b.id));
    let value = |item| {
        let (start, end) = seen.period(item).unwrap_or_default();
        item_value(&item.id, &item.price.id, item.quantity.unwrap_or(1), (start, end))
    };
    items.into_iter().map(value).collect()
}

fn items_held(held: &[ours::Item]) -> Vec<Value> {
    let value = |item: &ours::Item| {
        let period = (item.period_start / SECOND, item.period_end / SECOND);
        item_value(&item.item_id, &item.price_id, item.quantity, period)
    };
    held.iter().map(value).collect()
}

fn item_value(id: &str, price: &str, quantity: i64, (start, end): (i64, i64)) -> Value {
    json!({ "id": id, "price": price, "quantity": quantity, "start": start, "end": end })
}
