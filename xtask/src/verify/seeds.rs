//! What chance makes up in the tests: the same for the same code, so that a version which passed
//! here passes elsewhere, and other stories for every other version.

use std::path::Path;
use std::process::Command;

use crate::process;

/// Where the tests look for their seeds.
const NAMES: [&str; 2] = ["ORACLE_SEED", "TURNPIKE_SEED"];
/// Of the name of the committed files, in hexadecimal digits.
const DIGITS: usize = 8;

/// Gives the tests their seeds, unless they are given already. Where git knows nothing of these
/// files, every run has others.
pub fn give(root: &Path, tests: &mut Command) {
    let Some(seed) = of_code(root) else { return };
    for name in NAMES.into_iter().filter(|name| std::env::var_os(name).is_none()) {
        tests.env(name, seed.to_string());
    }
}

/// By the files as they were committed, whatever the commit is called.
fn of_code(root: &Path) -> Option<u64> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["rev-parse", "--verify", "--quiet", "HEAD^{tree}"]);
    process::output(&mut git).ok().and_then(|name| of_name(&name))
}

fn of_name(name: &str) -> Option<u64> {
    u64::from_str_radix(name.trim().get(..DIGITS)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::of_name;

    #[test]
    fn a_seed_is_the_beginning_of_the_files_name() {
        assert_eq!(of_name("0000001f22d3cbdc8b7e2d3a\n"), Some(31));
        assert_eq!(of_name("no name"), None);
        assert_eq!(of_name("12"), None);
    }
}
