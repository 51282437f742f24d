//! Passwords: their rules, and argon2id off the async threads.
//!
//! Owns no tables. Never says whether an account exists: an unknown one costs the same time.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::ids;

/// Memory of one hash, in KiB. With [`PASSES`] and [`LANES`] it is what OWASP names as the least
/// for argon2id; raise it when the machines allow. A stored hash carries its own parameters.
pub const MEMORY_KIB: u32 = 19_456;
/// Passes over that memory.
pub const PASSES: u32 = 2;
/// Threads of one hash.
pub const LANES: u32 = 1;

/// The shortest password, in characters.
pub const CHARS_MIN: usize = 10;
/// The longest password, in characters.
pub const CHARS_MAX: usize = 200;

/// Checks a new password against the rules; `email` is the account's address.
pub fn check(password: &str, email: &str) -> Result<()> {
    let length = password.chars().count();
    let message = if length < CHARS_MIN {
        format!("Use at least {CHARS_MIN} characters; a few words in a row are easy to remember.")
    } else if length > CHARS_MAX {
        format!("Use at most {CHARS_MAX} characters; this has {length}.")
    } else if password.trim().eq_ignore_ascii_case(email) {
        "Use something else than your address.".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::invalid("password", message))
}

/// The hash to store.
pub async fn hash(password: String) -> Result<String> {
    off_thread(move || digest(&password)).await?
}

/// Whether the password belongs to the hash. Without a hash, or with a password longer than any
/// stored one, the answer is no after the same work.
pub async fn verify(password: String, stored: Option<String>) -> Result<bool> {
    off_thread(move || {
        let too_long = password.chars().nth(CHARS_MAX).is_some();
        let password = if too_long { String::new() } else { password };
        let known = stored.is_some() && !too_long;
        let stored = match stored {
            Some(stored) => stored,
            None => nobodys_hash()?.to_owned(),
        };
        let stored = PasswordHash::new(&stored)
            .map_err(|error| Error::internal(format!("a stored password hash: {error}")))?;
        let matches = hasher()?.verify_password(password.as_bytes(), &stored).is_ok();
        Ok(known && matches)
    })
    .await?
}

fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| Error::internal(format!("argon2 parameters: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn digest(password: &str) -> Result<String> {
    let mut salt = [0u8; 16];
    ids::fill(&mut salt);
    let hash = hasher()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| Error::internal(format!("argon2: {error}")))?;
    Ok(hash.to_string())
}

/// A hash that no password belongs to, made once with the same parameters as the real ones.
fn nobodys_hash() -> Result<&'static str> {
    static HASH: OnceLock<String> = OnceLock::new();
    if let Some(hash) = HASH.get() {
        return Ok(hash);
    }
    let made = digest(&ids::secret())?;
    Ok(HASH.get_or_init(|| made))
}

/// Runs the work on a blocking thread, with no more at once than the machine has cores, so that a
/// wave of sign-ins can exhaust neither memory nor the pool of threads.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    static TURNS: OnceLock<Semaphore> = OnceLock::new();
    let turns = TURNS.get_or_init(|| {
        Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
    });
    let turn = turns.acquire().await.map_err(|_| Error::Unavailable)?;
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|error| Error::internal(format!("hashing stopped: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_the_bound() {
        let long = "x".repeat(201);
        let cases = [
            ("ten chars!", None),
            ("ünïcödéßøå", None),
            ("short", Some("at least 10")),
            ("", Some("at least 10")),
            (long.as_str(), Some("at most 200")),
            ("Ada@Example.com", Some("something else")),
        ];
        for (password, said) in cases {
            let answer = check(password, "ada@example.com");
            match said {
                None => assert!(answer.is_ok(), "{password}"),
                Some(said) => {
                    let error = answer.expect_err("refused");
                    assert!(error.to_string().contains(said), "{password}: {error}");
                    assert!(
                        matches!(error, Error::Invalid { ref field, .. } if field == "password")
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_carries_its_parameters() {
        let stored = hash("correct horse".to_owned()).await.expect("hashes");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let again = hash("correct horse".to_owned()).await.expect("hashes");
        assert_ne!(stored, again, "every hash has its own salt");
        let cases = [
            ("correct horse", Some(stored.clone()), true),
            ("wrong horse", Some(stored.clone()), false),
            ("correct horse", None, false),
        ];
        for (password, stored, right) in cases {
            let answer = verify(password.to_owned(), stored).await.expect("verifies");
            assert_eq!(answer, right, "{password}");
        }
        let long = verify("x".repeat(1_000_000), Some(stored)).await.expect("verifies");
        assert!(!long);
    }
}
