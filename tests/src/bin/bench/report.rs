//! The result, as a table for people and as JSON for programs.

use serde_json::{Map, Value, json};

use crate::disk::Flush;
use crate::outcome::{Calls, Outcome};
use crate::settings::{Row, Settings};

/// Everything that was measured in one run.
pub struct Report {
    /// What was asked for.
    pub settings: Settings,
    /// SQLite or Postgres.
    pub engine: &'static str,
    /// Resident bytes of the program alone, idle, where it was at hand.
    pub alone: Option<u64>,
    /// Resident bytes of this process before the load.
    pub idle: u64,
    /// How fast the disk is by itself.
    pub flush: Flush,
    /// The rows.
    pub outcomes: Vec<Outcome>,
}

/// Which rows are compared: the first against the second.
const COMPARED: [(Row, Row, &str); 6] = [
    (Row::Hot, Row::Consume, "one hot wallet ÷ many wallets"),
    (Row::Consume, Row::Alone, "group commit ÷ one commit each, many wallets"),
    (Row::Hot, Row::AloneHot, "group commit ÷ one commit each, one wallet"),
    (Row::Consume, Row::Sql, "with HTTP ÷ the same SQL alone, many wallets"),
    (Row::Hot, Row::SqlHot, "with HTTP ÷ the same SQL alone, one wallet"),
    (Row::Capture, Row::Consume, "pairs of hold and capture ÷ consume"),
];

/// What the columns say.
const LEGEND: [&str; 4] = [
    "hold and capture: pairs, each of two operations",
    "batch: operations in a transaction, on average",
    "server, load, db: seconds of processor time for 1,000; SQLite's threads are db",
    "MiB: the most resident, with the load's own part except where it is another process",
];

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let Settings { connections, seconds, .. } = self.settings;
        let (engine, Flush { p50, p99 }) = (self.engine, self.flush);
        let mut lines = vec![
            format!(
                "{engine} · {connections} connections · {seconds} s each · {} processors",
                processors()
            ),
            format!("the disk alone: 8 KiB flushed in {p50:.2} ms (p50), {p99:.2} ms (p99)"),
            String::new(),
            format!(
                "{:<46}{:>9}{:>9}{:>9}{:>7}{:>9}{:>7}{:>7}{:>7}",
                "", "a second", "p50 ms", "p99 ms", "batch", "server", "load", "db", "MiB"
            ),
        ];
        lines.extend(self.outcomes.iter().map(line));
        lines.push(String::new());
        lines.extend(LEGEND.map(str::to_owned));
        lines.push(String::new());
        lines.extend(self.outcomes.iter().filter_map(paced));
        for (name, ratio) in self.ratios() {
            lines.push(format!("{name:<58}{ratio:>7.2} ×"));
        }
        lines.push(String::new());
        if let Some(alone) = self.alone {
            lines.push(format!("{:<58}{:>7} MiB", "memory, the program alone, idle", mib(alone)));
        }
        let idle = "memory, with the load's own part, idle";
        lines.push(format!("{idle:<58}{:>7} MiB", mib(self.idle)));
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> String {
        let rows = self.outcomes.iter().map(row);
        let ratios = self.ratios().into_iter().map(|(name, ratio)| (name, json!(ratio)));
        let peak = self.outcomes.iter().map(|outcome| outcome.memory).max();
        let report = json!({
            "engine": self.engine,
            "connections": self.settings.connections,
            "seconds": self.settings.seconds,
            "wallets": self.settings.wallets,
            "processors": processors(),
            "flush_ms": { "p50": self.flush.p50, "p99": self.flush.p99 },
            "rows": rows.collect::<Vec<Value>>(),
            "ratios": ratios.collect::<Map<String, Value>>(),
            "memory_bytes": { "alone": self.alone, "idle": self.idle, "peak": peak },
        });
        format!("{report:#}")
    }

    /// What the rows say about each other, where both were measured.
    fn ratios(&self) -> Vec<(String, f64)> {
        let first = |row| self.outcomes.iter().find(|outcome| outcome.row == row);
        let mut ratios = Vec::new();
        for (above, below, name) in COMPARED {
            if let Some((above, below)) = first(above).zip(first(below)) {
                ratios.push((name.to_owned(), ratio(above, below)));
            }
        }
        let mut ledgers = self.outcomes.iter().filter(|outcome| outcome.row == Row::Ledger);
        if let Some(smallest) = ledgers.next() {
            ratios.extend(ledgers.map(|larger| {
                let sizes = larger.ledger.zip(smallest.ledger).unwrap_or_default();
                let name = format!("a ledger of {} ÷ one of {}", sizes.0, sizes.1);
                (name, ratio(larger, smallest))
            }));
        }
        ratios
    }
}

fn ratio(above: &Outcome, below: &Outcome) -> f64 {
    above.per_second() / below.per_second().max(f64::MIN_POSITIVE)
}

/// An outcome as a line of the table.
pub fn line(outcome: &Outcome) -> String {
    let cpu = outcome.cpu_per_thousand();
    let shown = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "–".to_owned(),
    };
    format!(
        "{:<46}{:>9.0}{:>9.2}{:>9.2}{:>7}{:>9}{:>7}{:>7}{:>7}",
        outcome.name,
        outcome.per_second(),
        outcome.percentile(0.5),
        outcome.percentile(0.99),
        shown(outcome.batch, 0),
        shown(cpu.map(|cpu| cpu.server), 3),
        shown(cpu.map(|cpu| cpu.load), 3),
        shown(cpu.and_then(|cpu| cpu.database), 3),
        mib(outcome.memory),
    )
}

/// What is told of a row that was held to Stripe's pace.
pub fn paced(outcome: &Outcome) -> Option<String> {
    let Calls { taken, refused } = outcome.calls?;
    let (name, seconds) = (&outcome.name, outcome.elapsed.as_secs_f64());
    Some(format!("{name}: {seconds:.1} s, {taken} calls, {refused} refused"))
}

fn row(outcome: &Outcome) -> Value {
    let cpu = outcome.cpu_per_thousand();
    json!({
        "row": outcome.row.word(),
        "name": outcome.name,
        "per_second": outcome.per_second(),
        "operations_per_second": outcome.operations_per_second(),
        "p50_ms": outcome.percentile(0.5),
        "p99_ms": outcome.percentile(0.99),
        "p999_ms": outcome.percentile(0.999),
        "units": outcome.units(),
        "batch": outcome.batch,
        "ledger": outcome.ledger,
        "seconds": outcome.elapsed.as_secs_f64(),
        "calls": outcome.calls.map(|calls| json!({
            "taken": calls.taken, "refused": calls.refused,
        })),
        "cpu_seconds_per_1000": cpu.map(|cpu| json!({
            "server": cpu.server, "load": cpu.load, "database": cpu.database,
        })),
        "memory_bytes": outcome.memory,
    })
}

fn mib(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn rows_are_compared_where_both_were_measured() {
        let ledger = |size, turns| Outcome { ledger: Some(size), ..outcome(Row::Ledger, turns) };
        let report = Report {
            settings: Settings::default(),
            engine: "SQLite",
            alone: None,
            idle: 1 << 20,
            flush: Flush { p50: 1.0, p99: 2.0 },
            outcomes: vec![
                outcome(Row::Consume, 50),
                outcome(Row::Hot, 100),
                outcome(Row::AloneHot, 10),
                ledger(10_000, 100),
                ledger(1_000_000, 90),
                Outcome { calls: Some(Calls { taken: 7, refused: 1 }), ..outcome(Row::Limited, 1) },
            ],
        };
        let ratios: Vec<String> =
            report.ratios().iter().map(|(name, ratio)| format!("{name} {ratio:.1}")).collect();
        let expected = [
            "one hot wallet ÷ many wallets 2.0",
            "group commit ÷ one commit each, one wallet 10.0",
            "a ledger of 1000000 ÷ one of 10000 0.9",
        ];
        assert_eq!(ratios, expected);
        assert!(report.table().contains("10.00 ×"), "{}", report.table());
        let json: Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(json["rows"][1]["units"], 100.0);
        assert_eq!(json["rows"][4]["ledger"], 1_000_000);
        assert!(report.table().contains("limited: 1.0 s, 7 calls, 1 refused"), "told in words");
        assert_eq!(json["rows"][5]["calls"]["refused"], 1);
    }
}
