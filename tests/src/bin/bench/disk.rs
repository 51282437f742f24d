//! How fast the disk itself is: every durable commit waits for at least one flush.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How long it is measured.
const LENGTH: Duration = Duration::from_secs(1);
/// About what a small commit writes.
const BLOCK: [u8; 8192] = [7; 8192];
/// Blocks of the file, written over and over.
const BLOCKS: u64 = 64;

/// How long a small write takes until it is on the disk, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    /// Half of them take no longer.
    pub p50: f64,
    /// Nearly all of them take no longer.
    pub p99: f64,
}

/// Writes and flushes for a second, where the temporary files are.
pub fn flush() -> Result<Flush> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("flushed");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    for _ in 0..BLOCKS {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()?;
    let (begun, mut took) = (Instant::now(), Vec::new());
    for block in (0..BLOCKS).cycle() {
        let start = Instant::now();
        if start - begun >= LENGTH {
            break;
        }
        file.seek(SeekFrom::Start(block * BLOCK.len() as u64))?;
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        took.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = took.len().saturating_sub(1) as f64;
        took.get((last * share).round() as usize).copied().unwrap_or_default()
    };
    Ok(Flush { p50: at(0.5), p99: at(0.99) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_takes_time() {
        let flush = flush().expect("flushed");
        assert!(flush.p50 > 0.0 && flush.p50 <= flush.p99, "{flush:?}");
    }
}
