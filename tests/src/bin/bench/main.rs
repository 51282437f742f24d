//! The benchmark: the whole product in one process, as it runs in production, under the load of
//! many connections. `cargo xtask bench` builds it for release and runs it on both engines.
//!
//! Durability is as in production: an answer is given when its transaction is on the disk. The load
//! comes from threads of its own in the same process, so on a small machine it takes its share; its
//! processor time is counted apart.

mod bare;
mod connection;
mod copies;
mod cpu;
mod disk;
mod fill;
mod load;
mod memory;
mod outcome;
mod pace;
mod payments;
mod product;
mod program;
mod report;
mod settings;
mod visitor;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use load::Plan;
use outcome::Outcome;
use product::Product;
use report::Report;
use settings::{Row, Settings};
use tokio::runtime::Runtime;
use visitor::Script;

/// Connections that ask for preflight at a steady rate, and how often each does.
const STEADY: (usize, Duration) = (8, Duration::from_millis(10));
/// Connections that deliver webhooks, and how often each does.
const DELIVERIES: (usize, Duration) = (8, Duration::from_millis(40));
/// The ledgers that consume is measured on, besides the one that the wallets' opening leaves.
const LEDGERS: [u64; 2] = [1_000_000, 10_000_000];

fn main() -> ExitCode {
    let settings = match Settings::read(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("error: {message}\n\n{}", settings::USAGE);
            return ExitCode::from(2);
        }
    };
    match measure(settings) {
        Ok((text, Ok(()))) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Ok((text, Err(error))) => {
            println!("{text}");
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was measured, and whether the books add up after it.
fn measure(settings: Settings) -> Result<(String, Result<()>)> {
    let alone = program::resident_when_idle()?;
    let flush = disk::flush()?;
    let runtime = Runtime::new()?;
    let product = runtime.block_on(Product::start(&settings))?;
    let (idle, engine) = (memory::resident("self")?, product.engine_name());
    let mut bench = Bench { settings, runtime, product, outcomes: Vec::new() };
    let measured = bench.rows();
    let Bench { settings, runtime, product, outcomes } = bench;
    let ended = runtime.block_on(product.end());
    measured?;
    let json = settings.json;
    let report = Report { settings, engine, alone, idle, flush, outcomes };
    Ok((if json { report.json() } else { report.table() }, ended))
}

/// Tells whoever waits what is being done.
fn progress(what: &str) {
    eprintln!("    {what}");
}

struct Bench {
    settings: Settings,
    runtime: Runtime,
    product: Product,
    outcomes: Vec<Outcome>,
}

impl Bench {
    fn rows(&mut self) -> Result<()> {
        for row in self.settings.rows.clone() {
            let measured = match row {
                Row::Ledger => self.ledgers()?,
                Row::Webhook => self.webhooks()?,
                Row::Way => vec![self.runtime.block_on(payments::ways(&self.product))?],
                Row::Drain => vec![self.runtime.block_on(payments::backlog(&mut self.product))?],
                Row::Limited => vec![self.runtime.block_on(payments::limited(&mut self.product))?],
                Row::Reconcile => self.runtime.block_on(payments::reconcile(&mut self.product))?,
                Row::Alone | Row::AloneHot | Row::Sql | Row::SqlHot => vec![self.bare(row)?],
                _ => self.over_http(row)?,
            };
            if matches!(row, Row::Way | Row::Drain | Row::Limited | Row::Reconcile) {
                measured.iter().for_each(|outcome| progress(&report::line(outcome)));
                measured.iter().filter_map(report::paced).for_each(|said| progress(&said));
            }
            self.outcomes.extend(measured);
        }
        Ok(())
    }

    fn over_http(&self, row: Row) -> Result<Vec<Outcome>> {
        let (many, one) = (self.product.wallets.as_slice(), &self.product.wallets[..1]);
        let (count, connections) = (many.len(), self.settings.connections);
        let all = |name: String, script| Plan { name, script, connections, every: None };
        let (visitors, pause) = STEADY;
        let rate = visitors as u128 * 1_000 / pause.as_millis();
        let steady = |beside: &str| Plan {
            name: format!("authorize, {rate} a second{beside}"),
            script: Script::Authorize(many),
            connections: visitors,
            every: Some(pause),
        };
        let plans = match row {
            Row::Pricing => vec![all("GET /pricing".to_owned(), Script::Pricing)],
            Row::Authorize => vec![all("authorize".to_owned(), Script::Authorize(many))],
            Row::Preflight => vec![steady("")],
            Row::Hot => vec![all("consume, one hot wallet".to_owned(), Script::Consume(one))],
            Row::Capture => {
                vec![all(format!("hold and capture, {count} wallets"), Script::Capture(many))]
            }
            Row::Beside => vec![
                steady(", beside the next"),
                all(format!("consume, {count} wallets"), Script::Consume(many)),
            ],
            Row::Program if program::binary().is_none() => return Ok(Vec::new()),
            Row::Program => {
                let name = "consume, the program as a process".to_owned();
                vec![all(name, Script::Consume(many))]
            }
            _ => vec![all(format!("consume, {count} wallets"), Script::Consume(many))],
        };
        let program = if row == Row::Program { self.product.program()? } else { None };
        let outcomes = load::run(row, &self.settings, &self.product, program.as_ref(), &plans)?;
        outcomes.iter().for_each(|outcome| progress(&report::line(outcome)));
        Ok(outcomes)
    }

    /// Deliveries at a steady rate, while the worker acts on them.
    fn webhooks(&mut self) -> Result<Vec<Outcome>> {
        let customers = self.runtime.block_on(payments::known_customers(&mut self.product))?;
        let (connections, pause) = DELIVERIES;
        let rate = connections as u128 * 1_000 / pause.as_millis();
        let name = format!("webhooks, {rate} a second");
        let script = Script::Webhook(&customers);
        let plans = [Plan { name, script, connections, every: Some(pause) }];
        let outcomes = load::run(Row::Webhook, &self.settings, &self.product, None, &plans)?;
        outcomes.iter().for_each(|outcome| progress(&report::line(outcome)));
        Ok(outcomes)
    }

    fn bare(&self, row: Row) -> Result<Outcome> {
        let (many, one) = (self.product.wallets.as_slice(), &self.product.wallets[..1]);
        let connections = self.settings.connections;
        // Batches without HTTP get as many tasks as the gate has committers.
        let committers = self.product.committers();
        let (name, wallets, tasks, size) = match row {
            Row::Alone => ("one commit each, many wallets", many, connections, 1),
            Row::AloneHot => ("one commit each, one wallet", one, connections, 1),
            Row::Sql => ("SQL in batches, many wallets", many, committers, self.batch(row)),
            _ => ("SQL in batches, one wallet", one, 1, self.batch(row)),
        };
        let length = Duration::from_secs(self.settings.seconds);
        let plan = bare::Plan { row, name: name.to_owned(), wallets, tasks, size, length };
        let outcome = self.runtime.block_on(bare::run(&self.product, &plan))?;
        progress(&report::line(&outcome));
        Ok(outcome)
    }

    /// The size of the gate's batches in the row over HTTP that this one is compared with; as many
    /// as there are connections where that was not measured.
    fn batch(&self, row: Row) -> usize {
        let compared = if row == Row::SqlHot { Row::Hot } else { Row::Consume };
        let outcome = self.outcomes.iter().find(|outcome| outcome.row == compared);
        let size = outcome.and_then(|outcome| outcome.batch).map(|size| size.round() as usize);
        size.unwrap_or(self.settings.connections).max(1)
    }

    fn ledgers(&mut self) -> Result<Vec<Outcome>> {
        let mut sizes = vec![1];
        sizes.extend(LEDGERS.into_iter().filter(|size| *size < self.settings.ledger));
        sizes.push(self.settings.ledger);
        let mut outcomes = Vec::new();
        for size in sizes {
            let operations = self.runtime.block_on(self.product.fill(size))?;
            let mut measured = self.over_http(Row::Ledger)?;
            for outcome in &mut measured {
                outcome.ledger = Some(operations);
                outcome.name = format!("consume, {operations} operations in the ledger");
            }
            outcomes.extend(measured);
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copies_and_the_filled_ledger_are_what_the_product_would_have_written() {
        let settings = Settings { wallets: 7, ..Settings::default() };
        let runtime = Runtime::new().expect("a runtime");
        let product = runtime.block_on(Product::start(&settings)).expect("started");
        assert_eq!(product.wallets.len(), 7);
        for size in [100, 200] {
            let operations = runtime.block_on(product.fill(size)).expect("filled");
            assert!((size..size + 50).contains(&operations), "{operations}");
        }
        runtime.block_on(product.end()).expect("the books add up");
    }
}
