//! What the benchmark can be told.

/// How it is used.
pub const USAGE: &str = "usage: bench [--connections N] [--seconds N] [--wallets N] [--json]
  --connections N   open connections, each with one request at a time (32)
  --seconds N       how long each row is measured, after a second to warm up (10)
  --wallets N       wallets that the spread rows use (200)
  --json            the result for programs";

/// The choices for one run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Open connections.
    pub connections: usize,
    /// Seconds for each row.
    pub seconds: u64,
    /// Wallets to spread requests over.
    pub wallets: usize,
    /// Whether the result is JSON.
    pub json: bool,
}

impl Settings {
    /// Reads the arguments.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self { connections: 32, seconds: 10, wallets: 200, json: false };
        while let Some(name) = arguments.next() {
            if name == "--json" {
                settings.json = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?;
            let number: u32 = value.parse().map_err(|_| format!("{name}: {value} is no number"))?;
            if number == 0 || number > 10_000 {
                return Err(format!("{name}: must be 1 to 10000"));
            }
            let size = number as usize;
            match name.as_str() {
                "--connections" => settings.connections = size,
                "--seconds" => settings.seconds = u64::from(number),
                "--wallets" => settings.wallets = size,
                _ => return Err(format!("{name} is not known")),
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_mistakes_are_named() {
        let read = |line: &str| Settings::read(line.split_whitespace().map(str::to_owned));
        let settings = read("--connections 8 --seconds 2 --json").expect("valid");
        assert_eq!((settings.connections, settings.seconds, settings.json), (8, 2, true));
        for (line, mistake) in [
            ("--seconds", "--seconds needs a number"),
            ("--seconds x", "--seconds: x is no number"),
            ("--wallets 0", "--wallets: must be 1 to 10000"),
            ("--loud 1", "--loud is not known"),
        ] {
            assert_eq!(read(line).expect_err("a mistake"), mistake);
        }
    }
}
