//! Load: many connections, each asking again as soon as it was answered, on threads of their own,
//! so that the product keeps its threads and the two can be told apart.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use tokio::time::{sleep_until, timeout_at};

use crate::cpu;
use crate::memory;
use crate::outcome::{Cpu, Outcome};
use crate::product::Product;
use crate::program::Program;
use crate::settings::{Row, Settings};
use crate::visitor::{Script, Visitor};

/// How long requests are made before they count.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long after the end the last answers may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be asked, by how many at once.
pub struct Plan<'a> {
    /// What it is, for the report.
    pub name: String,
    /// What is asked.
    pub script: Script<'a>,
    /// How many connections.
    pub connections: usize,
    /// How long a connection waits between the beginnings of two requests at least.
    pub every: Option<Duration>,
}

/// When requests count: sent and answered within.
#[derive(Clone, Copy)]
struct Window {
    begin: Instant,
    end: Instant,
}

/// What one plan's thread measured: latencies in microseconds, and its processor time.
struct Driven {
    latencies: Vec<u32>,
    cpu: f64,
}

/// Runs the plans at once, each on a thread of its own.
pub fn run(
    row: Row,
    settings: &Settings,
    product: &Product,
    program: Option<&Program>,
    plans: &[Plan<'_>],
) -> Result<Vec<Outcome>> {
    let target = Target::of(product, program);
    let length = Duration::from_secs(settings.seconds);
    let begin = Instant::now() + WARM_UP;
    let window = Window { begin, end: begin + length };
    let watched = memory::Watch::start(&target.process);
    let host = target.host.as_str();
    let (driven, before, after) = std::thread::scope(|scope| {
        let threads: Vec<_> = (plans.iter().zip(0..))
            .map(|(plan, place)| {
                scope.spawn(move || {
                    let keys = format!("{}-{}-{place}-{}", product.run, row.word(), marked(begin));
                    let runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = { runtime }.enable_all().build()?;
                    runtime.block_on(drive(plan, host, &keys, window))
                })
            })
            .collect();
        wait_until(window.begin);
        let before = Reading::take(product, &target);
        wait_until(window.end);
        let after = Reading::take(product, &target);
        let joined = threads.into_iter().zip(plans).map(|(thread, plan)| {
            let ended = thread.join().map_err(|_| anyhow!("the load ended with a panic"));
            ended.and_then(std::convert::identity).with_context(|| plan.name.clone())
        });
        (joined.collect::<Result<Vec<Driven>>>(), before, after)
    });
    let (driven, before, after, memory) = (driven?, before?, after?, watched.end());
    let load = driven.iter().map(|one| one.cpu).sum();
    let cpu = (plans.len() == 1).then(|| after.cpu_since(&before, load, &target));
    let batch = after.batch_since(&before);
    let outcomes = driven.into_iter().zip(plans).map(|(one, plan)| {
        let mut latencies = one.latencies;
        latencies.sort_unstable();
        Outcome {
            row,
            name: plan.name.clone(),
            elapsed: length,
            latencies,
            units_per_turn: 1,
            cpu,
            memory,
            batch,
            ledger: None,
            calls: None,
        }
    });
    Ok(outcomes.collect())
}

/// Tells two runs of the same row apart.
fn marked(begin: Instant) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(&begin, &mut hasher);
    format!("{:x}", std::hash::Hasher::finish(&hasher) & 0xff_ffff)
}

fn wait_until(time: Instant) {
    std::thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// What is asked, and which process answers.
struct Target {
    host: String,
    process: String,
    /// Whether the load's own threads are in that process, too.
    with_load: bool,
    /// Whether the database's threads are.
    with_database: bool,
}

impl Target {
    fn of(product: &Product, program: Option<&Program>) -> Self {
        let with_database = product.database.is_inside();
        let (host, process) = match program {
            Some(program) => (program.address.clone(), program.process()),
            None => (product.address.clone(), "self".to_owned()),
        };
        Self { host, process, with_load: program.is_none(), with_database }
    }
}

/// The counters that only grow, at one moment.
struct Reading {
    process: f64,
    database: Option<f64>,
    batches: u64,
    operations: u64,
}

impl Reading {
    fn take(product: &Product, target: &Target) -> Result<Self> {
        let (batches, operations) = product.engine().gate.stats();
        let database = product.database.used(&target.process);
        Ok(Self { process: cpu::of_process(&target.process)?, database, batches, operations })
    }

    fn cpu_since(&self, before: &Self, load: f64, target: &Target) -> Cpu {
        let database = self.database.zip(before.database).map(|(after, before)| after - before);
        let mut server = self.process - before.process;
        if target.with_load {
            server -= load;
        }
        if target.with_database {
            server -= database.unwrap_or_default();
        }
        Cpu { server, load, database }
    }

    fn batch_since(&self, before: &Self) -> Option<f64> {
        let batches = self.batches - before.batches;
        (batches > 0).then(|| (self.operations - before.operations) as f64 / batches as f64)
    }
}

async fn drive(plan: &Plan<'_>, host: &str, keys: &str, window: Window) -> Result<Driven> {
    let of = plan.connections;
    let connections = (0..of).map(|number| async move {
        let visitor = Visitor::come(plan.script, host, keys, number, of).await?;
        keep_asking(visitor, plan.every, window).await
    });
    let measured = async {
        sleep_until(window.begin.into()).await;
        let before = cpu::of_this_thread()?;
        sleep_until(window.end.into()).await;
        anyhow::Ok(cpu::of_this_thread()? - before)
    };
    let answered = timeout_at((window.end + PATIENCE).into(), async {
        futures::future::try_join_all(connections).await
    });
    let all = async { answered.await.context("an answer does not come")? };
    let (latencies, cpu) = futures::future::try_join(all, measured).await?;
    Ok(Driven { latencies: latencies.concat(), cpu })
}

async fn keep_asking(
    mut visitor: Visitor<'_>,
    every: Option<Duration>,
    window: Window,
) -> Result<Vec<u32>> {
    let mut latencies = Vec::new();
    let mut due = Instant::now();
    if let Some(every) = every {
        // So that not all of them ask at the same moment.
        due += every.mul_f64(visitor.number as f64 / visitor.of as f64);
    }
    loop {
        sleep_until(due.into()).await;
        let sent = Instant::now();
        if sent >= window.end {
            return Ok(latencies);
        }
        visitor.turn().await?;
        let answered = Instant::now();
        if sent >= window.begin && answered <= window.end {
            latencies.push(u32::try_from((answered - sent).as_micros()).unwrap_or(u32::MAX));
        }
        due = every.map_or(answered, |every| (due + every).max(answered));
    }
}
