//! A customer of the product who buys at Stripe and uses what was bought by API, without pages:
//! what most stories about money begin with.

use serde_json::{Value, json};
use server::api_keys::Scope;
use server::db::sql;

use crate::lives::Scene;
use crate::person::Person;
use crate::program::Program;
use crate::stripe::Stripe;
use crate::world::World;

/// An org that is a customer.
pub struct Shop {
    /// What it does at Stripe.
    pub scene: Scene,
    /// Its program.
    pub program: Program,
    /// The org.
    pub org_id: String,
}

impl Shop {
    /// A customer made without pages, with nothing.
    pub async fn open(world: &World, name: &str) -> Self {
        let program = world.program(name, 0).await;
        Self::with(world, program)
    }

    /// The org of somebody who signed up.
    pub async fn of(world: &World, person: &Person) -> Self {
        let org_id = world.org_of(person).await;
        let secret = world.key(&org_id, &[Scope::Read, Scope::Use]).await;
        Self::with(world, Program::new(&world.url, &secret, &org_id))
    }

    fn with(world: &World, program: Program) -> Self {
        let stripe = Stripe::at(&world.stripe);
        let tag = &world.engine.config.product_tag;
        let scene = Scene::new(&stripe, tag, &program.org_id);
        let org_id = program.org_id.clone();
        Self { scene, program, org_id }
    }

    /// Makes it a customer whose card is this test card: `pm_card_visa`. Answers the customer.
    pub async fn card(&mut self, world: &World, token: &str) -> String {
        self.scene.use_card(token).await;
        world.settle().await;
        self.scene.customer().await
    }

    /// Subscribes on Stripe's page: `turnpike_pro_month`. Answers the first invoice, `in_…`.
    pub async fn subscribe(&mut self, world: &World, lookup: &str) -> String {
        self.scene.subscribe(lookup, &[]).await;
        world.settle().await;
        self.scene.id("first").to_owned()
    }

    /// Buys a pack on Stripe's page: `turnpike_pack_500`. Answers the payment, `pi_…`.
    pub async fn buy_pack(&mut self, world: &World, lookup: &str) -> String {
        self.scene.buy(lookup, "4242424242424242").await;
        world.settle().await;
        self.scene.id("payment").to_owned()
    }

    /// Gives back so many minor units of a payment; answers the refund, `re_…`.
    pub async fn refund(&self, world: &World, payment: &str, amount: i64) -> String {
        let amount = amount.to_string();
        let fields = [("payment_intent", payment), ("amount", &amount)];
        let refund = self.scene.stripe.post("refunds", &fields).await;
        world.settle().await;
        id_of(&refund)
    }

    /// The payment of an invoice, `pi_…`.
    pub async fn payment_of(&self, invoice: &str) -> String {
        let list = self.scene.stripe.get(&format!("invoice_payments?invoice={invoice}")).await;
        let payment = &list["data"][0]["payment"]["payment_intent"];
        payment.as_str().unwrap_or_else(|| panic!("no payment of {invoice}")).to_owned()
    }

    /// The bank takes a payment back, for now; answers the dispute, `du_…`.
    pub async fn dispute(&self, world: &World, payment: &str, more: Value) -> String {
        let mut body = json!({ "payment_intent": payment });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let opened = world.control("disputes", body).await;
        world.settle().await;
        id_of(&opened)
    }

    /// The bank decides a dispute: won, lost or withdrawn.
    pub async fn decide(&self, world: &World, dispute: &str, outcome: &str) {
        let path = format!("disputes/{dispute}/decide");
        world.control(&path, json!({ "outcome": outcome })).await;
        world.settle().await;
    }

    /// What can be spent, and what is owed.
    pub async fn standing(&self) -> (String, String) {
        let balance = self.program.get("balance").await.body;
        let word = |name: &str| balance[name].as_str().expect("credits").to_owned();
        (word("available"), word("debt"))
    }

    /// The kinds of the notices about money so far, oldest first, and what each said.
    pub async fn news(&self, world: &World) -> Vec<(String, String)> {
        let text = "select kind, title || '. ' || detail from notices where org_id = $1
             and kind in ('refunded', 'refund_failed', 'invoice_voided', 'dispute_opened',
                          'dispute_closed')
             order by at, id";
        world.rows(sql(text).bind(&self.org_id)).await
    }
}

/// The id of what Stripe made.
fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id: {object:#}")).to_owned()
}
