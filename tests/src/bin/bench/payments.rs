//! What Stripe sends and how fast it is acted on: deliveries answered, news acted on, a backlog
//! drained, and everything compared. What stands in for Stripe works in the same process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use server::audit::Actor;
use server::db::sql;
use server::engine::Engine;
use server::{reconciliation, webhooks};
use tests::Stripe;

use crate::cpu;
use crate::memory;
use crate::outcome::Outcome;
use crate::pace::{Held, STRIPES_PACE};
use crate::product::Product;
use crate::progress;
use crate::settings::Row;

/// Customers that the deliveries are about.
const CUSTOMERS: usize = 100;
/// Subscriptions whose way to the entitlement is measured.
const WAYS: usize = 100;
/// Events that a drained backlog has at least.
const BACKLOG: usize = 10_000;
/// Calls made to what stands in for Stripe at the same time while a row is prepared.
const AT_ONCE: usize = 16;
/// How often a way is looked at for its end.
const LOOK: Duration = Duration::from_millis(2);
/// After this it is not coming.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events that a backlog at Stripe's pace has at least, how long it may take, and how soon what
/// failed is looked for again.
const LIMITED: usize = 1_000;
const PATIENCE_LIMITED: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(500);

/// Stripe, and the orgs that have no customer there yet.
pub struct Payments {
    stripe: Stripe,
    tag: String,
    price: String,
    fresh: Vec<String>,
}

impl Payments {
    /// Looks around.
    pub async fn look(product: &Product) -> Result<Self> {
        let engine = product.engine();
        let stripe = Stripe::at(product.stripe());
        let list = stripe.get("prices?lookup_keys[]=turnpike_pro_month").await;
        let price = id(&list["data"][0])?;
        let known: Vec<(String,)> = engine.db.all(sql("select org_id from customers")).await?;
        let known: std::collections::HashSet<String> = known.into_iter().map(|row| row.0).collect();
        let orgs = product.wallets.iter().map(|wallet| wallet.org_id.clone());
        let fresh = orgs.filter(|org| !known.contains(org)).collect();
        Ok(Self { stripe, tag: engine.config.product_tag.clone(), price, fresh })
    }

    /// Makes so many orgs customers with a card; answers them.
    pub async fn customers(&mut self, count: usize) -> Result<Vec<String>> {
        let orgs = self.take(count)?;
        let (stripe, tag) = (&self.stripe, self.tag.as_str());
        let made = orgs.iter().map(|org| async move {
            let email = format!("{org}@bench.example");
            let fields = [
                ("email", email.as_str()),
                ("payment_method", "pm_card_visa"),
                ("invoice_settings[default_payment_method]", "pm_card_visa"),
                ("metadata[product]", tag),
                ("metadata[org_id]", org),
            ];
            id(&stripe.post("customers", &fields).await)
        });
        stream::iter(made).buffered(AT_ONCE).try_collect().await
    }

    fn take(&mut self, count: usize) -> Result<Vec<String>> {
        ensure!(self.fresh.len() >= count, "needs {count} wallets more than there are left");
        Ok(self.fresh.split_off(self.fresh.len() - count))
    }

    /// Subscribes each of these customers.
    async fn subscribe(&self, customers: &[String]) -> Result<()> {
        let made = customers.iter().map(|customer| self.subscription(customer));
        stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<Vec<String>>().await?;
        Ok(())
    }

    async fn subscription(&self, customer: &str) -> Result<String> {
        let fields = [("customer", customer), ("items[0][price]", self.price.as_str())];
        id(&self.stripe.post("subscriptions", &fields).await)
    }

    /// From now on webhooks arrive, or do not.
    async fn deliver(&self, yes: bool) {
        let drop = if yes { 0.0 } else { 1.0 };
        let faults = serde_json::json!({ "webhooks": { "drop": drop } });
        self.stripe.control("faults", faults).await;
    }
}

/// Customers that webhooks may be about: known on both sides, and told of already.
pub async fn known_customers(product: &mut Product) -> Result<Vec<String>> {
    product.rest().await;
    let mut payments = Payments::look(product).await?;
    payments.deliver(false).await;
    let customers = payments.customers(CUSTOMERS).await?;
    drain(product.engine()).await?;
    payments.deliver(true).await;
    product.work();
    Ok(customers)
}

/// From the moment at which somebody subscribes to the moment at which the plan may be used: the
/// call at Stripe, its webhooks, our look at it, the commit.
pub async fn ways(product: &Product) -> Result<Outcome> {
    let mut payments = Payments::look(product).await?;
    let customers = payments.customers(WAYS).await?;
    let engine = product.engine();
    let watched = memory::Watch::start("self");
    let begin = Instant::now();
    let mut latencies = Vec::with_capacity(WAYS);
    for customer in &customers {
        let sent = Instant::now();
        let subscription = payments.subscription(customer).await?;
        let text = "select org_id from org_plans where subscription_id = $1";
        while engine.db.optional::<(String,)>(sql(text).bind(&subscription)).await?.is_none() {
            ensure!(sent.elapsed() < PATIENCE, "{subscription} never becomes a plan");
            tokio::time::sleep(LOOK).await;
        }
        latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    let elapsed = begin.elapsed();
    latencies.sort_unstable();
    let name = "subscribed at Stripe, until it may be used".to_owned();
    let memory = watched.end();
    Ok(Outcome { latencies, memory, ..outcome(Row::Way, name, elapsed, 1) })
}

/// A backlog of events, as after an outage: kept first, then acted on by one worker with no limit.
pub async fn backlog(product: &mut Product) -> Result<Outcome> {
    product.rest().await;
    let mut payments = Payments::look(product).await?;
    payments.deliver(false).await;
    drain(product.engine()).await?;
    let mut pending = 0;
    while pending < BACKLOG {
        // A subscription is told by eight events that are acted on, and more that are not.
        let customers = payments.customers(((BACKLOG - pending) / 8).max(50)).await?;
        payments.subscribe(&customers).await?;
        reconciliation::poll_events(product.engine()).await?;
        pending = waiting(product.engine()).await?;
        progress(&format!("a backlog of {pending} events"));
    }
    let watched = memory::Watch::start("self");
    let before = cpu::of_process("self")?;
    let begin = Instant::now();
    webhooks::process_due(product.engine(), i64::MAX).await?;
    let elapsed = begin.elapsed();
    progress(&format!("{:.1} s of processor time", cpu::of_process("self")? - before));
    let left = waiting(product.engine()).await?;
    ensure!(left == 0, "{left} events were not dealt with");
    payments.deliver(true).await;
    product.work();
    let name = format!("{pending} stored events acted on");
    let memory = watched.end();
    Ok(Outcome { memory, ..outcome(Row::Drain, name, elapsed, pending) })
}

/// A backlog at Stripe's pace: whatever comes faster is refused, and nothing may be lost.
pub async fn limited(product: &mut Product) -> Result<Outcome> {
    product.rest().await;
    let mut payments = Payments::look(product).await?;
    payments.deliver(false).await;
    drain(product.engine()).await?;
    let mut pending = 0;
    while pending < LIMITED {
        let customers = payments.customers(((LIMITED - pending) / 8).max(25)).await?;
        payments.subscribe(&customers).await?;
        reconciliation::poll_events(product.engine()).await?;
        pending = waiting(product.engine()).await?;
    }
    progress(&format!("a backlog of {pending} events"));
    let held = Held::begin(product).await?;
    let watched = memory::Watch::start("self");
    let begin = Instant::now();
    // What fails for lack of calls is tried again later, as the worker would.
    while begin.elapsed() < PATIENCE_LIMITED && waiting(&held.engine).await? > 0 {
        if webhooks::process_due(&held.engine, i64::MAX).await? == 0 {
            tokio::time::sleep(SOON).await;
        }
    }
    let elapsed = begin.elapsed();
    let calls = Some(held.end(product).await?);
    let (left, lost) = (waiting(product.engine()).await?, lost(product.engine()).await?);
    ensure!(left == 0 && lost == 0, "{left} events were not dealt with, {lost} given up");
    payments.deliver(true).await;
    product.work();
    let name = format!("{pending} events acted on, {STRIPES_PACE} calls a second");
    let memory = watched.end();
    Ok(Outcome { memory, calls, ..outcome(Row::Limited, name, elapsed, pending) })
}

/// Everybody's customers and subscriptions on both sides, compared at Stripe's pace. Comes last:
/// the events of all that was made are left unread.
pub async fn reconcile(product: &mut Product) -> Result<Vec<Outcome>> {
    product.rest().await;
    let mut payments = Payments::look(product).await?;
    payments.deliver(false).await;
    let (count, begin) = (payments.fresh.len(), Instant::now());
    let customers = payments.customers(count).await?;
    payments.subscribe(&customers).await?;
    progress(&format!("{count} more customers subscribed in {:.1?}", begin.elapsed()));
    let mended = mend(product.engine()).await?;
    // The same product, held to Stripe's pace.
    let held = Held::begin(product).await?;
    let watched = memory::Watch::start("self");
    let begin = Instant::now();
    let plan = reconciliation::plan(&held.engine).await?;
    let elapsed = begin.elapsed();
    let calls = Some(held.end(product).await?);
    ensure!(plan.steps.is_empty(), "{} differences, such as {:?}", plan.steps.len(), plan.steps[0]);
    progress(&format!("compared: {:?}", plan.seen));
    let all = plan.seen["our_customers"];
    let name = format!("{all} customers compared, {STRIPES_PACE} calls a second");
    let memory = watched.end();
    let compared = Outcome { memory, calls, ..outcome(Row::Reconcile, name, elapsed, all) };
    Ok(mended.into_iter().chain([compared]).collect())
}

/// Mends until nothing differs; the first round, which mends the most, is measured.
async fn mend(engine: &Engine) -> Result<Option<Outcome>> {
    let mut first = None;
    for _ in 0..4 {
        let begin = Instant::now();
        let plan = reconciliation::plan(engine).await?;
        if plan.steps.is_empty() {
            return Ok(first);
        }
        let applied = reconciliation::apply(engine, &plan, &Actor::System).await?;
        ensure!(applied.failed.is_empty(), "not mended: {:?}", applied.failed);
        let (count, elapsed) = (applied.done.len(), begin.elapsed());
        let name = format!("{count} differences found and mended");
        first = first.or_else(|| Some(outcome(Row::Reconcile, name, elapsed, count)));
    }
    anyhow::bail!("something differs again and again")
}

/// Acts on everything that is known of at Stripe.
async fn drain(engine: &Engine) -> Result<()> {
    reconciliation::poll_events(engine).await?;
    webhooks::process_due(engine, i64::MAX).await?;
    Ok(())
}

async fn waiting(engine: &Engine) -> Result<usize> {
    let text = "select count(*) from stripe_events where status = 'pending'";
    let (count,) = engine.db.one::<(i64,)>(sql(text)).await?;
    Ok(usize::try_from(count)?)
}

/// Events that nobody will deal with any more without being asked to.
async fn lost(engine: &Engine) -> Result<usize> {
    let text = "select count(*) from stripe_events where status in ('dead', 'unmatched')";
    let (count,) = engine.db.one::<(i64,)>(sql(text)).await?;
    Ok(usize::try_from(count)?)
}

fn outcome(row: Row, name: String, elapsed: Duration, units: usize) -> Outcome {
    Outcome {
        row,
        name,
        elapsed,
        latencies: vec![u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX)],
        units_per_turn: units,
        cpu: None,
        memory: 0,
        batch: None,
        ledger: None,
        calls: None,
    }
}

fn id(object: &Value) -> Result<String> {
    object["id"].as_str().map(str::to_owned).with_context(|| format!("no id: {object}"))
}
