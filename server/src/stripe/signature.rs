//! Whether a webhook was signed by somebody who knows a secret of ours, just now. Pure.
//!
//! Done here and not by a library, over the raw bytes and before anything is parsed, so that a new
//! shape of event can never look like a forged one.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::clock::{Millis, SECOND};
use crate::config::Secret;

/// How far the signature's time may be from ours, in either direction.
const TOLERANCE: Millis = 300 * SECOND;

/// Why a delivery was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No secret is set, so that nothing can be checked.
    #[error("this endpoint is off: STRIPE_WEBHOOK_SECRET is not set")]
    Off,
    /// There is no `Stripe-Signature`, or it has no time or no `v1`.
    #[error("the Stripe-Signature header is missing or incomplete")]
    Malformed,
    /// Signed too long ago, or in the future.
    #[error("the signature's time is more than 300 seconds away")]
    Stale,
    /// None of the signatures was made with one of our secrets over this body.
    #[error("no signature matches")]
    Mismatch,
}

/// Checks the header against the raw body: any `v1` by any of the secrets will do, since there are
/// several of both while a secret is being rolled. `now` is the machine's real time.
pub fn verify(
    secrets: &[Secret],
    header: Option<&str>,
    body: &[u8],
    now: Millis,
) -> Result<(), Refusal> {
    let secrets: Vec<&str> =
        secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty()).collect();
    if secrets.is_empty() {
        return Err(Refusal::Off);
    }
    let (time, signatures) = parse(header.unwrap_or_default()).ok_or(Refusal::Malformed)?;
    let genuine = secrets
        .iter()
        .any(|secret| signatures.iter().any(|signature| matches(secret, time, body, signature)));
    if !genuine {
        return Err(Refusal::Mismatch);
    }
    let seconds: i64 = time.parse().map_err(|_| Refusal::Malformed)?;
    let distance = now.checked_sub(seconds.saturating_mul(SECOND)).map(i64::saturating_abs);
    match distance {
        Some(distance) if distance <= TOLERANCE => Ok(()),
        _ => Err(Refusal::Stale),
    }
}

/// The time as it was written, since that text was signed, and every `v1`.
fn parse(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) => signatures.extend(hex::decode(value)),
            _ => {}
        }
    }
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    Some((time.filter(digits)?, signatures)).filter(|(_, signatures)| !signatures.is_empty())
}

/// Compared in constant time, so that nobody can feel their way to a signature.
fn matches(secret: &str, time: &str, body: &[u8], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_790_000_000 * SECOND;
    const BODY: &[u8] = br#"{"id":"evt_1","type":"invoice.paid"}"#;

    fn sign(secret: &str, time: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn secrets(list: &[&str]) -> Vec<Secret> {
        list.iter().map(|secret| Secret::new(*secret)).collect()
    }

    #[test]
    fn only_fresh_signatures_by_our_secrets_pass() {
        // A1
        let t = NOW / SECOND;
        let good = sign("whsec_a", t, BODY);
        let other = sign("whsec_b", t, BODY);
        let v1 = |time: i64| format!("t={time},v1={}", sign("whsec_a", time, BODY));
        let (one, both) = (secrets(&["whsec_a"]), secrets(&["whsec_old", "whsec_a"]));
        use Refusal::*;
        type Case<'a> = (&'a str, &'a [Secret], Option<String>, Result<(), Refusal>);
        let cases: Vec<Case> = vec![
            ("plain", &one, Some(v1(t)), Ok(())),
            ("space after the comma", &one, Some(format!("t={t}, v1={good}")), Ok(())),
            ("upper-case hex", &one, Some(format!("t={t},v1={}", good.to_uppercase())), Ok(())),
            ("second v1 is ours", &one, Some(format!("t={t},v1={other},v1={good}")), Ok(())),
            ("first v1 is ours", &one, Some(format!("t={t},v1={good},v1={other},v0=1")), Ok(())),
            ("second secret", &both, Some(v1(t)), Ok(())),
            ("300 s old", &one, Some(v1(t - 300)), Ok(())),
            ("301 s old", &one, Some(v1(t - 301)), Err(Stale)),
            ("301 s ahead", &one, Some(v1(t + 301)), Err(Stale)),
            ("other secret", &one, Some(format!("t={t},v1={other}")), Err(Mismatch)),
            ("time changed", &one, Some(format!("t={},v1={good}", t + 1)), Err(Mismatch)),
            ("short signature", &one, Some(format!("t={t},v1={}", &good[..10])), Err(Mismatch)),
            ("v0 only", &one, Some(format!("t={t},v0={good}")), Err(Malformed)),
            ("no time", &one, Some(format!("v1={good}")), Err(Malformed)),
            ("time no number", &one, Some(format!("t=now,v1={good}")), Err(Malformed)),
            ("negative time", &one, Some(format!("t=-1,v1={good}")), Err(Malformed)),
            ("no hex", &one, Some(format!("t={t},v1=zz")), Err(Malformed)),
            ("empty", &one, Some(String::new()), Err(Malformed)),
            ("absent", &one, None, Err(Malformed)),
            ("no secret", &[], Some(v1(t)), Err(Off)),
        ];
        for (name, secrets, header, expected) in cases {
            assert_eq!(verify(secrets, header.as_deref(), BODY, NOW), expected, "{name}");
        }
    }

    #[test]
    fn an_empty_secret_turns_the_endpoint_off() {
        // A1: an HMAC with an empty key can be made by anybody.
        let t = NOW / SECOND;
        let header = format!("t={t},v1={}", sign("", t, BODY));
        assert_eq!(verify(&secrets(&[""]), Some(&header), BODY, NOW), Err(Refusal::Off));
    }

    #[test]
    fn another_body_does_not_pass() {
        let t = NOW / SECOND;
        let header = format!("t={t},v1={}", sign("whsec_a", t, BODY));
        let changed = [BODY, b" "].concat();
        let verdict = verify(&secrets(&["whsec_a"]), Some(&header), &changed, NOW);
        assert_eq!(verdict, Err(Refusal::Mismatch));
    }
}
