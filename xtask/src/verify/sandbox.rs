//! `cargo verify sandbox`: what must be there before lives are lived at a real Stripe sandbox.
//!
//! Never runs unless it is named, and never with a key that moves money.

use anyhow::{Result, bail};

/// The sandbox's key, as it is given to us.
const KEY: &str = "STRIPE_SECRET_KEY";
/// Tells the test that the key is meant: without it the test is a rehearsal.
pub const MEANT: &str = "TURNPIKE_SANDBOX";

/// Fails unless a sandbox's key is set, saying what to set.
pub fn need_key() -> Result<()> {
    judge(std::env::var(KEY).ok().as_deref())
}

fn judge(key: Option<&str>) -> Result<()> {
    match key.map(str::trim) {
        None | Some("") => bail!(
            "set {KEY} to the secret key of a Stripe sandbox and run it again, such as \
             `{KEY}=sk_test_… cargo verify sandbox` (Stripe dashboard: Sandboxes, Developers, API \
             keys)"
        ),
        Some(key) if key.starts_with("sk_live_") || key.starts_with("rk_live_") => {
            bail!("{KEY} is a live key, which moves money: use that of a sandbox, sk_test_…")
        }
        Some(key) if key.starts_with("sk_test_") || key.starts_with("rk_test_") => Ok(()),
        Some(_) => bail!("{KEY} is no secret key of a Stripe sandbox: it begins with sk_test_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_of_a_sandbox_will_do() {
        let said = |key: Option<&str>| judge(key).expect_err("refused").to_string();
        assert!(said(None).contains("STRIPE_SECRET_KEY=sk_test_"));
        assert!(said(Some(" ")).contains("STRIPE_SECRET_KEY=sk_test_"));
        assert!(said(Some("sk_live_abc")).contains("moves money"));
        assert!(said(Some("rk_live_abc")).contains("moves money"));
        assert!(!said(Some("pk_secret_abc")).contains("pk_secret_abc"));
        assert!(judge(Some("sk_test_abc")).is_ok());
    }
}
