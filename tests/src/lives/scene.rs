//! What a customer, a bank and an operator can do at Stripe: on its pages, with the simulator's
//! help where a bank is concerned, or by its public API alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::by_api::ByApi;
use crate::person::Person;
use crate::stripe::Stripe;

/// A card that pays.
pub const GOOD: &str = "pm_card_visa";
/// The numbers of the cards that lives begin with, for Stripe's pages.
const NUMBERS: [(&str, &str); 3] = [
    (GOOD, "4242424242424242"),
    ("pm_card_createDispute", "4000000000000259"),
    ("pm_card_refundFail", "4000000000005126"),
];

/// One customer's dealings with Stripe.
pub struct Scene {
    /// Stripe.
    pub stripe: Stripe,
    pub(super) tag: String,
    pub(super) org_id: String,
    customer: Option<String>,
    /// What it takes where there are no pages and nobody helps.
    pub(super) by_api: Option<ByApi>,
    /// What was made, by the name that the life gives it.
    made: BTreeMap<&'static str, String>,
}

impl Scene {
    /// Nothing has happened yet.
    pub fn new(stripe: &Stripe, tag: &str, org_id: &str) -> Self {
        let (tag, org_id) = (tag.to_owned(), org_id.to_owned());
        let (stripe, made) = (stripe.clone(), BTreeMap::new());
        Self { stripe, tag, org_id, customer: None, by_api: None, made }
    }

    /// The id of what was made under this name.
    pub fn id(&self, name: &str) -> &str {
        self.made.get(name).unwrap_or_else(|| panic!("no {name} was made"))
    }

    /// Gives something that was made a name.
    pub fn keep(&mut self, name: &'static str, object: &Value) {
        let id = object["id"].as_str().or(object.as_str());
        self.made.insert(name, id.expect("an id").to_owned());
    }

    /// The customer, made now if there is none.
    pub async fn customer(&mut self) -> String {
        if let Some(customer) = &self.customer {
            return customer.clone();
        }
        let mut label = vec![
            ("email", "ada@example.com"),
            ("metadata[product]", &self.tag),
            ("metadata[org_id]", &self.org_id),
        ];
        if let Some(by_api) = &self.by_api {
            label.push(("test_clock", &by_api.clock));
        }
        let made = self.stripe.post("customers", &label).await;
        let id = made["id"].as_str().expect("an id").to_owned();
        self.customer = Some(id.clone());
        id
    }

    /// Somebody deletes the customer in Stripe's dashboard.
    pub async fn delete_customer(&mut self) {
        let customer = self.customer().await;
        self.stripe.delete(&format!("customers/{customer}"), &[]).await;
    }

    /// Makes this card the one that everything is charged to from now on.
    pub async fn use_card(&mut self, token: &str) {
        let customer = self.customer().await;
        let path = format!("payment_methods/{token}/attach");
        let card = self.stripe.post(&path, &[("customer", &customer)]).await;
        let card = card["id"].as_str().expect("an id");
        let path = format!("customers/{customer}");
        let default = [("invoice_settings[default_payment_method]", card)];
        self.stripe.post(&path, &default).await;
        // What was paid on Stripe's page keeps its own card otherwise.
        let query = format!("subscriptions?customer={customer}&status=all");
        let all = self.stripe.get(&query).await;
        for subscription in all["data"].as_array().expect("a list") {
            let live =
                !matches!(subscription["status"].as_str(), Some("canceled" | "incomplete_expired"));
            if live {
                let path = format!("subscriptions/{}", subscription["id"].as_str().expect("an id"));
                self.stripe.post(&path, &[("default_payment_method", card)]).await;
            }
        }
    }

    /// The price that has this lookup key.
    pub async fn price(&self, lookup: &str) -> String {
        let lookup = &match (&self.by_api, lookup.strip_prefix("turnpike")) {
            // A sandbox has the prices of every run.
            (Some(_), Some(rest)) => format!("{}{rest}", self.tag),
            _ => lookup.to_owned(),
        };
        let list = self.stripe.get(&format!("prices?lookup_keys[]={lookup}")).await;
        list["data"][0]["id"].as_str().unwrap_or_else(|| panic!("no price {lookup}")).to_owned()
    }

    /// Opens Stripe's page for a price, as the product does; answers the session.
    pub async fn checkout(&mut self, mode: &str, lookup: &str, more: &[(&str, &str)]) -> Value {
        let (customer, price) = (self.customer().await, self.price(lookup).await);
        let back = format!("{}/_sim/idle", self.stripe.url);
        let mut fields = vec![
            ("mode", mode),
            ("customer", &customer),
            ("client_reference_id", &self.org_id),
            ("line_items[0][price]", &price),
            ("line_items[0][quantity]", "1"),
            ("metadata[product]", &self.tag),
            ("metadata[org_id]", &self.org_id),
            ("success_url", &back),
            ("cancel_url", &back),
        ];
        fields.extend(more);
        self.stripe.post("checkout/sessions", &fields).await
    }

    /// Fills in Stripe's page with a number: a card's, or a bank account's.
    pub async fn pay(&self, session: &Value, number: &str) {
        let buyer = Person::stranger(&self.stripe.url);
        let page = buyer.visit(session["url"].as_str().expect("an address")).await;
        let card =
            [("number", number), ("expiry", "12 / 34"), ("cvc", "123"), ("name", "Ada Lovelace")];
        let account = [("iban", number), ("name", "Ada Lovelace")];
        let is_card = number.starts_with(|first: char| first.is_ascii_digit());
        let means: &[(&str, &str)] = if is_card { &card } else { &account };
        let paid = buyer.fill(&page, "/c/pay/", means).await;
        assert!(paid.url.path().ends_with("/_sim/idle"), "not paid: {}", paid.text());
    }

    /// Subscribes; the subscription is called `plan`, its first invoice `first`. Whatever else is
    /// said is said as Stripe's page is told.
    pub async fn subscribe(&mut self, lookup: &str, more: &[(&str, &str)]) {
        self.subscribe_with(GOOD, lookup, more).await;
    }

    /// Subscribes with this card.
    pub async fn subscribe_with(&mut self, card: &str, lookup: &str, more: &[(&str, &str)]) {
        if self.by_api.is_some() {
            return self.subscribe_by_api(card, lookup, more).await;
        }
        let number = NUMBERS.iter().find(|(token, _)| *token == card).expect("a known card").1;
        let session = self.checkout("subscription", lookup, more).await;
        self.pay(&session, number).await;
        let id = session["id"].as_str().expect("an id");
        let done = self.stripe.get(&format!("checkout/sessions/{id}")).await;
        self.keep("plan", &done["subscription"]);
        if done["invoice"].is_string() {
            self.keep("first", &done["invoice"]);
        }
    }

    /// Buys a pack on Stripe's page; its payment is called `payment`.
    pub async fn buy(&mut self, lookup: &str, number: &str) {
        let session = self.checkout("payment", lookup, &[]).await;
        self.pay(&session, number).await;
        self.keep("session", &session);
        let id = self.id("session").to_owned();
        let done = self.stripe.get(&format!("checkout/sessions/{id}")).await;
        if done["payment_intent"].is_string() {
            self.keep("payment", &done["payment_intent"]);
        }
    }

    /// Changes the subscription `plan`.
    pub async fn change(&mut self, fields: &[(&str, &str)]) {
        let path = format!("subscriptions/{}", self.id("plan"));
        self.stripe.post(&path, fields).await;
    }

    /// Moves the plan to another price at once, charged or given back at once.
    pub async fn switch(&mut self, lookup: &str) {
        let price = self.price(lookup).await;
        let plan = self.stripe.get(&format!("subscriptions/{}", self.id("plan"))).await;
        let item = plan["items"]["data"][0]["id"].as_str().expect("an item").to_owned();
        let fields = [
            ("items[0][id]", item.as_str()),
            ("items[0][price]", &price),
            ("proration_behavior", "always_invoice"),
        ];
        self.change(&fields).await;
    }

    /// Ends the plan at once.
    pub async fn cancel_now(&mut self) {
        self.stripe.delete(&format!("subscriptions/{}", self.id("plan")), &[]).await;
    }

    /// Pays the invoices that are open.
    pub async fn pay_open(&mut self) {
        let customer = self.customer().await;
        let open = self.stripe.get(&format!("invoices?customer={customer}&status=open")).await;
        for invoice in open["data"].as_array().expect("a list") {
            let id = invoice["id"].as_str().expect("an id");
            self.stripe.post(&format!("invoices/{id}/pay"), &[]).await;
        }
    }

    /// The newest invoice of the customer in this state.
    pub async fn newest_invoice(&mut self, status: &str) -> String {
        let customer = self.customer().await;
        let list = self.stripe.get(&format!("invoices?customer={customer}&status={status}")).await;
        list["data"][0]["id"].as_str().unwrap_or_else(|| panic!("no {status} invoice")).to_owned()
    }

    /// Gives back so many minor units of the payment `payment`.
    pub async fn refund(&mut self, amount: i64) -> Value {
        let (payment, amount) = (self.id("payment").to_owned(), amount.to_string());
        let fields = [("payment_intent", payment.as_str()), ("amount", &amount)];
        self.stripe.post("refunds", &fields).await
    }

    /// The payment of an invoice becomes `payment`.
    pub async fn payment_of(&mut self, invoice: &str) {
        let list = self.stripe.get(&format!("invoice_payments?invoice={invoice}")).await;
        let payment = list["data"][0]["payment"]["payment_intent"].clone();
        self.keep("payment", &payment);
    }

    /// The customer's bank takes the payment `payment` back, for now; it is called `dispute`.
    pub async fn dispute(&mut self) {
        let payment = self.id("payment").to_owned();
        let opened = self.stripe.control("disputes", json!({ "payment_intent": payment })).await;
        self.keep("dispute", &opened);
    }

    /// The customer's bank has taken the payment `payment` back by itself; that is `dispute`.
    pub async fn disputed(&mut self) {
        let path = format!("disputes?payment_intent={}", self.id("payment"));
        let all = self.until(&path, |all| all["data"][0]["id"].is_string()).await;
        self.keep("dispute", &all["data"][0]);
    }

    /// The bank decides: won, lost or withdrawn.
    pub async fn decide(&mut self, outcome: &str) {
        if self.by_api.is_some() {
            return self.convince(outcome).await;
        }
        let path = format!("disputes/{}/decide", self.id("dispute"));
        self.stripe.control(&path, json!({ "outcome": outcome })).await;
    }

    /// What takes days is done: succeeded or failed.
    pub async fn settle(&mut self, outcome: &str) {
        let path = format!("checkouts/{}/settle", self.id("session"));
        self.stripe.control(&path, json!({ "outcome": outcome })).await;
    }
}
