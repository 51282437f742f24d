//! What the holder of a card answers on the bank's page, and what follows from it.

use serde_json::Value;

use super::charge::{self, Confirmed};
use super::{paying, setting_up};
use crate::errors::Answer;
use crate::json::Json;
use crate::world::World;

/// The intent behind a page of the bank, if there is one: a payment's or a setup's.
pub fn find<'a>(world: &'a World, id: &str) -> Option<&'a Value> {
    world.get("payment_intent", id).or_else(|| world.get("setup_intent", id))
}

/// Whether the intent waits for its holder.
pub fn waits(intent: &Value) -> bool {
    intent.text("status") == "requires_action"
}

/// The holder agrees or refuses. A refusal, the card's too, leaves its trace and is the error.
pub fn answer(world: &mut World, id: &str, agrees: bool) -> Answer<()> {
    if world.get("setup_intent", id).is_some() {
        return setting_up::authenticate(world, id, agrees);
    }
    let before = world.find("payment_intent", id)?.clone();
    match charge::authenticate(world, id, agrees) {
        Ok(Confirmed::Paid) => {
            paying::intent_paid(world, id);
            charge::aftermath(world, id);
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => {
            if waits(&before) {
                paying::intent_refused(world, id);
            }
            Err(error)
        }
    }
}
