//! What the benchmark can be told, and the rows it can measure.

/// How it is used.
pub const USAGE: &str = "usage: bench [options]
  --connections N   open connections, each with one request at a time (64)
  --seconds N       how long each row is measured, after a second to warm up (10)
  --wallets N       wallets that the spread rows use (10000)
  --ledger ROWS     the largest ledger that consume is measured on, at most 10000000 (1000000)
  --only ROW,ROW    these rows alone: pricing, authorize, preflight, consume, alone, sql, hot,
                    alone-hot, sql-hot, capture, beside, program, ledger, webhook, way,
                    drain, limited, reconcile
  --json            the result for programs";

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A page, for comparison.
    Pricing,
    /// Preflight as fast as it goes.
    Authorize,
    /// Preflight at a steady, modest rate.
    Preflight,
    /// Consume over many wallets.
    Consume,
    /// The same engine, one commit for each operation.
    Alone,
    /// The same statements in batches of the gate's size, without HTTP.
    Sql,
    /// Consume on one wallet.
    Hot,
    /// One wallet, one commit for each operation.
    AloneHot,
    /// One wallet, in batches, without HTTP.
    SqlHot,
    /// Hold, then capture.
    Capture,
    /// Preflight while consume runs as fast as it goes.
    Beside,
    /// Consume, answered by the program as a process of its own.
    Program,
    /// Consume on ledgers of several sizes.
    Ledger,
    /// Webhooks at a steady rate, answered when they are on the disk.
    Webhook,
    /// From a subscription at Stripe to its entitlement.
    Way,
    /// A backlog of events.
    Drain,
    /// A backlog at Stripe's pace, in front of somebody who refuses what is faster.
    Limited,
    /// Everything compared with Stripe.
    Reconcile,
}

impl Row {
    /// Every row with its word, in the order in which they are measured. The ledger comes after
    /// what it would slow down, since it leaves a larger one behind, and what has to do with Stripe
    /// last, since it leaves letters to be sent; the very last leaves events that nobody read.
    pub const ALL: [(&'static str, Self); 18] = [
        ("pricing", Self::Pricing),
        ("authorize", Self::Authorize),
        ("preflight", Self::Preflight),
        ("consume", Self::Consume),
        ("alone", Self::Alone),
        ("sql", Self::Sql),
        ("hot", Self::Hot),
        ("alone-hot", Self::AloneHot),
        ("sql-hot", Self::SqlHot),
        ("capture", Self::Capture),
        ("beside", Self::Beside),
        ("program", Self::Program),
        ("ledger", Self::Ledger),
        ("webhook", Self::Webhook),
        ("way", Self::Way),
        ("drain", Self::Drain),
        ("limited", Self::Limited),
        ("reconcile", Self::Reconcile),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, row)| *row == self).map_or("", |(word, _)| word)
    }
}

/// The choices for one run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Open connections.
    pub connections: usize,
    /// Seconds for each row.
    pub seconds: u64,
    /// Wallets to spread requests over.
    pub wallets: usize,
    /// The largest ledger, in operations.
    pub ledger: u64,
    /// What is measured.
    pub rows: Vec<Row>,
    /// Whether the result is JSON.
    pub json: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 64,
            seconds: 10,
            wallets: 10_000,
            ledger: 1_000_000,
            rows: Row::ALL.map(|(_, row)| row).to_vec(),
            json: false,
        }
    }
}

impl Settings {
    /// Reads the arguments.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self::default();
        while let Some(name) = arguments.next() {
            if name == "--json" {
                settings.json = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--connections" => settings.connections = number(&name, &value, 1_000)?,
                "--seconds" => settings.seconds = number(&name, &value, 3_600)?,
                "--wallets" => settings.wallets = number(&name, &value, 100_000)?,
                "--ledger" => settings.ledger = number(&name, &value, 10_000_000)?,
                "--only" => settings.rows = rows(&value)?,
                _ => return Err(format!("{name} is not known")),
            }
        }
        Ok(settings)
    }
}

fn number<N: TryFrom<u32>>(name: &str, value: &str, most: u32) -> Result<N, String> {
    let number: u32 = value.parse().map_err(|_| format!("{name}: {value} is no number"))?;
    let number = (1..=most).contains(&number).then(|| N::try_from(number).ok()).flatten();
    number.ok_or_else(|| format!("{name}: must be 1 to {most}"))
}

/// The rows named, in the order in which they are measured.
fn rows(value: &str) -> Result<Vec<Row>, String> {
    let words: Vec<&str> = value.split(',').collect();
    if let Some(wrong) = words.iter().find(|word| Row::ALL.iter().all(|(known, _)| known != *word))
    {
        return Err(format!("--only: {wrong} is no row"));
    }
    Ok(Row::ALL.iter().filter(|(word, _)| words.contains(word)).map(|(_, row)| *row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_mistakes_are_named() {
        let read = |line: &str| Settings::read(line.split_whitespace().map(str::to_owned));
        let settings = read("--connections 8 --seconds 2 --json --only hot,consume");
        let settings = settings.expect("valid");
        assert_eq!((settings.connections, settings.seconds, settings.json), (8, 2, true));
        assert_eq!(settings.rows, [Row::Consume, Row::Hot]);
        assert_eq!(read("").expect("the usual").rows.len(), Row::ALL.len());
        for (line, mistake) in [
            ("--seconds", "--seconds needs a value"),
            ("--seconds x", "--seconds: x is no number"),
            ("--wallets 0", "--wallets: must be 1 to 100000"),
            ("--ledger 10000001", "--ledger: must be 1 to 10000000"),
            ("--only consume,all", "--only: all is no row"),
            ("--loud 1", "--loud is not known"),
        ] {
            assert_eq!(read(line).expect_err("a mistake"), mistake);
        }
    }

    #[test]
    fn the_usage_names_every_row() {
        for (word, row) in Row::ALL {
            assert!(USAGE.contains(word), "{word}");
            assert_eq!(row.word(), word);
        }
    }
}
