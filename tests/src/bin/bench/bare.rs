//! The same writes without HTTP: one commit for each, or in batches of a given size.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use server::engine::Engine;
use server::gate::{Caller, Request};

use crate::copies::request;
use crate::cpu;
use crate::memory;
use crate::outcome::{Cpu, Outcome};
use crate::product::{Product, Wallet};
use crate::settings::Row;

/// What is to be measured.
pub struct Plan<'a> {
    /// Which row it is.
    pub row: Row,
    /// What it is, for the report.
    pub name: String,
    /// Over which wallets.
    pub wallets: &'a [Wallet],
    /// How many transactions at once.
    pub tasks: usize,
    /// How many operations share one.
    pub size: usize,
    /// How long.
    pub length: Duration,
}

/// Runs it on the product's own threads.
pub async fn run(product: &Product, plan: &Plan<'_>) -> Result<Outcome> {
    let watched = memory::Watch::start("self");
    let (before, database) = (cpu::of_process("self")?, product.database.used("self"));
    let end = Instant::now() + plan.length;
    let mut tasks = tokio::task::JoinSet::new();
    let orgs: Vec<String> = plan.wallets.iter().map(|wallet| wallet.org_id.clone()).collect();
    let orgs = Arc::new(orgs);
    for number in 0..plan.tasks {
        let task = Task {
            engine: product.engine().clone(),
            caller: Caller::Key { id: product.key_id.clone() },
            // Each begins elsewhere, so that no two want the same wallet at once.
            next: number * orgs.len() / plan.tasks,
            orgs: Arc::clone(&orgs),
            prefix: format!("{}-{}-{number}", product.run, plan.row.word()),
            size: plan.size,
            end,
        };
        tasks.spawn(task.run());
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done?.with_context(|| plan.name.clone())?);
    }
    let mut server = cpu::of_process("self")? - before;
    let database = product.database.used("self").zip(database);
    let database = database.map(|(after, before)| after - before);
    if product.database.is_inside() {
        server -= database.unwrap_or_default();
    }
    latencies.sort_unstable();
    Ok(Outcome {
        row: plan.row,
        name: plan.name.clone(),
        elapsed: plan.length,
        latencies,
        units_per_turn: plan.size,
        cpu: Some(Cpu { server, load: 0.0, database }),
        memory: watched.end(),
        batch: Some(plan.size as f64),
        ledger: None,
        calls: None,
    })
}

struct Task {
    engine: Engine,
    caller: Caller,
    orgs: Arc<Vec<String>>,
    next: usize,
    prefix: String,
    size: usize,
    end: Instant,
}

impl Task {
    /// One batch after the other. Answers how long each took, in microseconds.
    async fn run(mut self) -> Result<Vec<u32>> {
        let mut latencies = Vec::new();
        loop {
            let begun = Instant::now();
            if begun >= self.end {
                return Ok(latencies);
            }
            let batch = self.batch();
            let borrowed: Vec<&Request> = batch.iter().collect();
            let answers = self.engine.gate.run_now(&borrowed, self.engine.clock.now()).await?;
            if let Some(bad) = answers.iter().find(|answer| answer.status != 200) {
                bail!("not a 200: {} {}", bad.status, bad.body);
            }
            let done = Instant::now();
            if done <= self.end {
                latencies.push(u32::try_from((done - begun).as_micros()).unwrap_or(u32::MAX));
            }
        }
    }

    fn batch(&mut self) -> Vec<Request> {
        let mut batch = Vec::with_capacity(self.size);
        for _ in 0..self.size {
            let org_id = &self.orgs[self.next % self.orgs.len()];
            let key = format!("{}-{}", self.prefix, self.next);
            batch.push(request(org_id, self.caller.clone(), key));
            self.next += 1;
        }
        batch
    }
}
