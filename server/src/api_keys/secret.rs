//! The secret of an API key: its form, its hash and its hint. Pure but for the making.

use sha2::{Digest as _, Sha256};

use crate::ids;

const TEST_PREFIX: &str = "tp_test_";
const LIVE_PREFIX: &str = "tp_live_";
/// Length of [`ids::secret`].
const SECRET_LENGTH: usize = 64;

/// A new secret of the database's Stripe mode.
pub fn new(live: bool) -> String {
    format!("{}{}", if live { LIVE_PREFIX } else { TEST_PREFIX }, ids::secret())
}

/// Whether it can be a key's secret at all.
pub fn well_formed(presented: &str) -> bool {
    let secret =
        presented.strip_prefix(TEST_PREFIX).or_else(|| presented.strip_prefix(LIVE_PREFIX));
    secret.is_some_and(|secret| {
        secret.len() == SECRET_LENGTH
            && secret.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// What is stored in its place.
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

/// What people tell keys apart by: the prefix and the last four characters.
pub fn hint(secret: &str) -> String {
    let prefix = &secret[..TEST_PREFIX.len()];
    format!("{prefix}…{}", &secret[secret.len() - 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_one_form() {
        let secret = ids::secret();
        let good = [format!("{TEST_PREFIX}{secret}"), format!("{LIVE_PREFIX}{secret}")];
        for key in &good {
            assert!(well_formed(key), "{key}");
            assert_eq!(hint(key), format!("{}…{}", &key[..8], &secret[60..]));
        }
        let bad = [
            String::new(),
            secret.clone(),
            format!("sk_test_{secret}"),
            format!("{TEST_PREFIX}{}", &secret[1..]),
            format!("{TEST_PREFIX}{secret}0"),
            format!("{TEST_PREFIX}{}", secret.replace(|c: char| c.is_ascii_digit(), "G")),
            format!("{TEST_PREFIX}{}é", &secret[2..]),
        ];
        for key in &bad {
            assert!(!well_formed(key), "{key}");
        }
        assert_eq!(hash(&good[0]).len(), 64);
        assert_ne!(hash(&good[0]), hash(&good[1]));
    }
}
