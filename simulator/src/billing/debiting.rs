//! Bank debits outside Checkout: an intent is processing until its bank answers, days later.

use serde_json::Value;

use super::bank::{self, BANK_TAKES};
use super::{charge, paying};
use crate::errors::Answer;
use crate::json::Json;
use crate::world::World;

/// Whether this payment method is a bank debit.
pub fn is_debit(world: &World, method: &str) -> bool {
    world.get("payment_method", method).is_some_and(bank::is_debit)
}

/// Sends the debit to the bank.
pub fn begin(world: &mut World, intent: &str, method: &str) {
    charge::begin_processing(world, intent, method);
    let found = world.get("payment_method", method);
    let number = found.map(|found| found.text("_sim.number").to_owned()).unwrap_or_default();
    let arrives = bank::arrives(&number);
    let customer = world.get("payment_intent", intent).map(|pi| pi.text("customer").to_owned());
    let at = world.now_for(&customer.unwrap_or_default()) + BANK_TAKES;
    world.edit("payment_intent", intent, |pi| {
        pi.put("_sim.settles_at", at);
        pi.put("_sim.arrives", arrives);
    });
}

/// When an intent's bank answers.
pub fn due(intent: &Value) -> Option<i64> {
    intent.opt_int("_sim.settles_at")
}

/// The bank answers in its own time, as the account number says.
pub fn answer(world: &mut World, intent: &str) -> Answer<()> {
    let arrives = world.find("payment_intent", intent)?.flag("_sim.arrives");
    settle(world, intent, arrives)
}

/// The bank answers now: the money arrives, or it does not.
pub fn settle(world: &mut World, intent: &str, arrives: bool) -> Answer<()> {
    let refused = (!arrives).then_some("insufficient_funds");
    let ended = charge::end_processing(world, intent, refused);
    world.edit("payment_intent", intent, |pi| pi.put("_sim.settles_at", Value::Null));
    match ended {
        Ok(()) => {
            paying::intent_paid(world, intent);
            Ok(())
        }
        Err(error) if error.keep => {
            paying::intent_refused(world, intent);
            Ok(())
        }
        Err(error) => Err(error),
    }
}
