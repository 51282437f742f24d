//! Load: many connections, each asking again as soon as it was answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::client::{Connection, Request};

/// What is to be measured.
pub struct Plan {
    /// What it is, for the report.
    pub name: String,
    /// `host:port`
    pub address: String,
    /// How many connections.
    pub connections: usize,
    /// How long requests are made before they count.
    pub warm_up: Duration,
    /// How long they count.
    pub length: Duration,
}

/// What was measured.
pub struct Outcome {
    /// What it is.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// How long each request took, shortest first.
    pub latencies: Vec<Duration>,
    /// Requests that were not answered with success.
    pub failed: usize,
}

impl Outcome {
    /// Puts the latencies in order.
    pub fn new(name: &str, elapsed: Duration, mut latencies: Vec<Duration>, failed: usize) -> Self {
        latencies.sort_unstable();
        Self { name: name.to_owned(), elapsed, latencies, failed }
    }

    /// Successful requests in a second.
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the requests did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// Runs the plan on a thread of its own, so that the product keeps its threads.
pub fn run(plan: &Plan, request: &(dyn Fn(usize, usize) -> Request + Sync)) -> Result<Outcome> {
    let outcome = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(drive(plan, request))
        });
        thread.join().map_err(|_| anyhow!("the load ended with a panic"))?
    });
    outcome.with_context(|| plan.name.clone())
}

async fn drive(plan: &Plan, request: &(dyn Fn(usize, usize) -> Request + Sync)) -> Result<Outcome> {
    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.length;
    let connections =
        (0..plan.connections).map(|connection| keep_asking(plan, request, connection, begin, end));
    let (mut latencies, mut failed) = (Vec::new(), 0);
    for (own, own_failed) in futures::future::try_join_all(connections).await? {
        latencies.extend(own);
        failed += own_failed;
    }
    Ok(Outcome::new(&plan.name, plan.length, latencies, failed))
}

async fn keep_asking(
    plan: &Plan,
    request: &(dyn Fn(usize, usize) -> Request + Sync),
    number: usize,
    begin: Instant,
    end: Instant,
) -> Result<(Vec<Duration>, usize)> {
    let mut connection = Connection::open(&plan.address).await?;
    let (mut latencies, mut failed) = (Vec::new(), 0);
    for round in 0.. {
        let request = request(number, round);
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let status = connection.ask(&request).await?;
        let answered = Instant::now();
        if sent < begin || answered > end {
            continue;
        }
        if status == 200 {
            latencies.push(answered - sent);
        } else {
            failed += 1;
        }
    }
    Ok((latencies, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_ordered_latencies() {
        let milliseconds = (1..=101).rev().map(Duration::from_millis).collect();
        let outcome = Outcome::new("x", Duration::from_secs(2), milliseconds, 0);
        assert_eq!(outcome.percentile(0.5), Duration::from_millis(51));
        assert_eq!(outcome.percentile(0.99), Duration::from_millis(100));
        assert!((outcome.per_second() - 50.5).abs() < 1e-9);
    }
}
