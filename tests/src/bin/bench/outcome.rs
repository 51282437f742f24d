//! What a row measured.

use std::time::Duration;

use crate::settings::Row;

/// Processor time of the measured seconds, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// The product, in this process.
    pub server: f64,
    /// The load's own threads.
    pub load: f64,
    /// The database's processes, where it has any on this machine.
    pub database: Option<f64>,
}

/// Calls made to what stands in for Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Those that were answered.
    pub taken: u64,
    /// Those that were refused, since they came too fast.
    pub refused: u64,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which row it belongs to.
    pub row: Row,
    /// What it is, for people.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// How long each turn took, in microseconds, shortest first.
    pub latencies: Vec<u32>,
    /// What counts as one of the row's units: the operations of one turn.
    pub units_per_turn: usize,
    /// Unknown where two rows were measured at once.
    pub cpu: Option<Cpu>,
    /// The most resident bytes.
    pub memory: u64,
    /// Operations that shared a transaction, on average, where the gate was used.
    pub batch: Option<f64>,
    /// Operations in the ledger when it began, where that is what the row is about.
    pub ledger: Option<u64>,
    /// Calls at Stripe's pace, where the row was held to it.
    pub calls: Option<Calls>,
}

impl Outcome {
    /// Units in a second.
    pub fn per_second(&self) -> f64 {
        self.units() / self.elapsed.as_secs_f64()
    }

    /// Operations of the gate in a second: a hold and its capture are two.
    pub fn operations_per_second(&self) -> f64 {
        let each = if self.row == Row::Capture { 2.0 } else { 1.0 };
        self.per_second() * each
    }

    /// How many units were done.
    pub fn units(&self) -> f64 {
        (self.latencies.len() * self.units_per_turn) as f64
    }

    /// The latency that this share of the turns did not exceed, in milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        f64::from(self.latencies.get(index).copied().unwrap_or_default()) / 1_000.0
    }

    /// Seconds of processor time for 1,000 units: server, load, database.
    pub fn cpu_per_thousand(&self) -> Option<Cpu> {
        let thousands = self.units() / 1_000.0;
        let cpu = self.cpu.filter(|_| thousands > 0.0)?;
        Some(Cpu {
            server: cpu.server / thousands,
            load: cpu.load / thousands,
            database: cpu.database.map(|database| database / thousands),
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An outcome of a second with so many turns of two milliseconds.
    pub fn outcome(row: Row, turns: usize) -> Outcome {
        Outcome {
            row,
            name: row.word().to_owned(),
            elapsed: Duration::from_secs(1),
            latencies: vec![2_000; turns],
            units_per_turn: 1,
            cpu: None,
            memory: 0,
            batch: None,
            ledger: None,
            calls: None,
        }
    }

    #[test]
    fn figures_are_taken_from_the_ordered_latencies() {
        let latencies = (1..=101).map(|milliseconds| milliseconds * 1_000).collect();
        let cpu = Some(Cpu { server: 1.0, load: 0.5, database: None });
        let elapsed = Duration::from_secs(2);
        let outcome = Outcome { latencies, cpu, elapsed, ..outcome(Row::Sql, 0) };
        assert!((outcome.percentile(0.5) - 51.0).abs() < 1e-9);
        assert!((outcome.percentile(0.99) - 100.0).abs() < 1e-9);
        assert!((outcome.per_second() - 50.5).abs() < 1e-9);
        let batches = Outcome { units_per_turn: 10, ..outcome };
        assert!((batches.per_second() - 505.0).abs() < 1e-9);
        let per_thousand = batches.cpu_per_thousand().expect("counted");
        assert!((per_thousand.server - 1.0 / 1.01).abs() < 1e-9);
    }
}
