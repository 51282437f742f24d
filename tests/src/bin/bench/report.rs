//! The result, as a table for people and as JSON for programs.

use serde_json::{Value, json};

use crate::load::Outcome;
use crate::settings::Settings;

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
    /// The most under load.
    pub peak: u64,
    /// The rows.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let Settings { connections, seconds, .. } = self.settings;
        let mut lines = vec![
            format!(
                "{} · {connections} connections · {seconds} s each · {} processors",
                self.engine,
                processors()
            ),
            String::new(),
            format!(
                "{:<42}{:>12}{:>12}{:>12}{:>9}",
                "", "requests/s", "p50 ms", "p99 ms", "failed"
            ),
        ];
        for outcome in &self.outcomes {
            lines.push(format!(
                "{:<42}{:>12.0}{:>12.2}{:>12.2}{:>9}",
                outcome.name,
                outcome.per_second(),
                milliseconds(outcome, 0.5),
                milliseconds(outcome, 0.99),
                outcome.failed
            ));
        }
        lines.push(String::new());
        for (name, ratio) in self.ratios() {
            lines.push(format!("{name:<42}{ratio:>11.1}×"));
        }
        lines.push(String::new());
        if let Some(alone) = self.alone {
            lines.push(format!("{:<42}{:>9} MiB", "memory, the program alone, idle", mib(alone)));
        }
        let idle = "memory, with the load's own part, idle";
        lines.push(format!("{idle:<42}{:>9} MiB", mib(self.idle)));
        lines.push(format!("{:<42}{:>9} MiB", "memory under load, at most", mib(self.peak)));
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> String {
        let rows = self.outcomes.iter().map(|outcome| {
            json!({
                "name": outcome.name,
                "requests_per_second": outcome.per_second(),
                "p50_ms": milliseconds(outcome, 0.5),
                "p99_ms": milliseconds(outcome, 0.99),
                "requests": outcome.latencies.len(),
                "failed": outcome.failed,
            })
        });
        let ratios = self.ratios().into_iter().map(|(name, ratio)| (name, json!(ratio)));
        let report = json!({
            "engine": self.engine,
            "connections": self.settings.connections,
            "seconds": self.settings.seconds,
            "wallets": self.settings.wallets,
            "processors": processors(),
            "rows": rows.collect::<Vec<Value>>(),
            "ratios": ratios.collect::<serde_json::Map<String, Value>>(),
            "memory_bytes": { "alone": self.alone, "idle": self.idle, "peak": self.peak },
        });
        format!("{report:#}")
    }

    /// How much more group commit does: its row against the one after it.
    fn ratios(&self) -> Vec<(String, f64)> {
        let pairs = self.outcomes.windows(2).filter_map(|pair| {
            let [together, alone] = pair else { return None };
            let what = together.name.strip_prefix("gate, group commit, ")?;
            let name = format!("group commit ÷ one commit each, {what}");
            Some((name, together.per_second() / alone.per_second().max(f64::MIN_POSITIVE)))
        });
        pairs.collect()
    }
}

fn milliseconds(outcome: &Outcome, share: f64) -> f64 {
    outcome.percentile(share).as_secs_f64() * 1_000.0
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
    use std::time::Duration;

    fn outcome(name: &str, count: usize) -> Outcome {
        Outcome::new(name, Duration::from_secs(1), vec![Duration::from_millis(2); count], 0)
    }

    #[test]
    fn the_two_ways_are_compared() {
        let settings = Settings::read(std::iter::empty()).expect("the usual");
        let report = Report {
            settings,
            engine: "SQLite",
            alone: None,
            idle: 1 << 20,
            peak: 2 << 20,
            outcomes: vec![
                outcome("gate, group commit, one wallet", 100),
                outcome("gate, one commit each, one wallet", 10),
            ],
        };
        let table = report.table();
        assert!(table.contains("group commit ÷ one commit each, one wallet"), "{table}");
        assert!(table.contains("10.0×"), "{table}");
        let json: Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(json["rows"][0]["requests"], 100);
    }
}
