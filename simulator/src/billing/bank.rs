//! Bank debits: SEPA test accounts, and Checkout payments that arrive, or not, days later.
//!
//! A session paid by debit is complete at once and unpaid until its bank has answered.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::calendar::DAY;
use super::{charge, paying, subscribing};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// How long a bank takes to answer, in simulated seconds.
pub const BANK_TAKES: i64 = 3 * DAY;

/// Stripe's test accounts, and whether a debit arrives.
const ACCOUNTS: [(&str, bool); 14] = [
    ("AT611904300234573201", true),
    ("AT321904300235473204", true),
    ("AT861904300235473202", false),
    ("AT051904300235473203", false),
    ("DE89370400440532013000", true),
    ("DE62370400440532013001", false),
    ("ES0700120345030000067890", true),
    ("ES9121000418450200051332", false),
    ("FR1420041010050500013M02606", true),
    ("FR8420041010050500013M02607", false),
    ("IT40S0542811101000000123456", true),
    ("IT60X0542811101000000123456", false),
    ("NL39RABO0300065264", true),
    ("NL91ABNA0417164300", false),
];

/// An account number as it is stored, if it is one of the test accounts.
pub fn account(iban: &str) -> Option<&'static str> {
    let plain: String = iban.chars().filter(|c| !c.is_whitespace()).collect();
    let wanted = plain.to_uppercase();
    ACCOUNTS.iter().map(|(known, _)| *known).find(|known| *known == wanted)
}

/// Whether a debit from this account arrives in the end.
pub fn arrives(iban: &str) -> bool {
    ACCOUNTS.iter().find(|(known, _)| *known == iban).is_none_or(|(_, good)| *good)
}

/// Makes a payment method of a test account, attached to nobody.
pub fn method(world: &mut World, iban: &'static str, details: Value) -> String {
    let fingerprint = hex::encode(Sha256::digest(iban.as_bytes()))[..16].to_owned();
    let digits = &iban[4..];
    let method = json!({
        "type": "sepa_debit",
        "allow_redisplay": "unspecified",
        "billing_details": details,
        "metadata": {},
        "sepa_debit": {
            "bank_code": &digits[..5], "branch_code": "", "country": &iban[..2],
            "fingerprint": fingerprint, "last4": &iban[iban.len() - 4..],
            "generated_from": {"charge": null, "setup_attempt": null},
        },
        "_sim": {"number": iban, "set_up": true},
    });
    world.create("payment_method", method).text("id").to_owned()
}

/// Whether a payment method is a bank debit.
pub fn is_debit(method: &Value) -> bool {
    method.text("type") == "sepa_debit"
}

/// When the bank behind a waiting session answers.
pub fn answers_at(session: &Value) -> Option<i64> {
    session.opt_int("_sim.settles_at")
}

/// Marks a session as waiting for the bank of a payment method, which takes this many seconds.
pub fn await_bank(world: &mut World, session: &str, method: &str, seconds: i64) {
    let at = world.now() + seconds;
    let number = world.get("payment_method", method).map(|m| m.text("_sim.number").to_owned());
    let good = arrives(&number.unwrap_or_default());
    world.edit("checkout.session", session, |session| {
        session.put("_sim.settles_at", at);
        session.put("_sim.arrives", good);
    });
}

/// The bank answers in its own time, as the account number says.
pub fn answer(world: &mut World, session: &str) -> Answer<()> {
    let good = world.find("checkout.session", session)?.flag("_sim.arrives");
    settle(world, session, good).map(|_| ())
}

/// The bank answers now: the money arrives, or it does not.
pub fn settle(world: &mut World, id: &str, arrives: bool) -> Answer {
    let session = world.find("checkout.session", id)?.clone();
    if answers_at(&session).is_none() {
        return Err(ApiError::invalid("No bank is asked about this Checkout Session."));
    }
    world.edit("checkout.session", id, |session| session.put("_sim.settles_at", Value::Null));
    let intent = intent_of(world, &session);
    let refused = (!arrives).then_some("insufficient_funds");
    if let Err(error) = charge::end_processing(world, &intent, refused) {
        tracing::debug!(session = id, reason = error.message(), "the debit did not arrive");
    }
    if session.text("mode") == "subscription" {
        settle_subscription(world, &session, arrives);
    }
    let (status, event) = match arrives {
        true => ("paid", "checkout.session.async_payment_succeeded"),
        false => ("unpaid", "checkout.session.async_payment_failed"),
    };
    let told = world.edit("checkout.session", id, |session| {
        session["payment_status"] = status.into();
    });
    world.emit(event, &told, None);
    Ok(told)
}

/// The intent a session's money comes by: its own, or that of its first invoice.
fn intent_of(world: &World, session: &Value) -> String {
    let own = session.opt_text("payment_intent").map(str::to_owned);
    own.unwrap_or_else(|| {
        let payment = paying::open_payment(world, session.text("invoice")).unwrap_or_default();
        payment.text("payment.payment_intent").to_owned()
    })
}

fn settle_subscription(world: &mut World, session: &Value, arrives: bool) {
    if arrives {
        paying::mark_paid(world, session.text("invoice"), true);
        return;
    }
    let failed = world.edit("invoice", session.text("invoice"), |invoice| {
        invoice["attempt_count"] = (invoice.int("attempt_count") + 1).into();
        invoice["attempted"] = true.into();
    });
    world.emit("invoice.payment_failed", &failed, None);
    subscribing::set_status(world, session.text("subscription"), "past_due");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_accounts_are_known_with_and_without_spaces() {
        assert_eq!(account("at61 1904 3002 3457 3201"), Some("AT611904300234573201"));
        assert!(account("AT000000000000000000").is_none());
        assert!(arrives("AT611904300234573201") && !arrives("AT861904300235473202"));
    }
}
