//! The account's own balance: one transaction for every movement of money.
//!
//! It owns the kind `balance_transaction`. Transactions are never changed; a reversal is another.

use serde_json::{Value, json};

use super::calendar::DAY;
use crate::ids;
use crate::json::Json;
use crate::spec::{complete, spec};
use crate::world::World;

/// How long money that came in is on its way.
const PENDING_SECONDS: i64 = 2 * DAY;
/// What a chargeback costs, in minor units.
pub const DISPUTE_FEE: i64 = 1500;

/// A movement of money.
pub struct Movement<'a> {
    /// The type as the API names it: charge, refund, refund_failure, adjustment.
    pub kind: &'a str,
    /// What reports count it under: charge, refund, dispute …
    pub category: &'a str,
    /// What moved it: a charge's, refund's or dispute's id.
    pub source: &'a str,
    /// In minor units; negative when it leaves.
    pub amount: i64,
    /// What is kept of it, in minor units; negative when it is given back.
    pub fee: i64,
    /// The currency.
    pub currency: &'a str,
    /// A sentence for people, or nothing.
    pub description: &'a str,
}

/// Writes a movement down; answers the transaction.
pub fn record(world: &mut World, movement: &Movement) -> Value {
    let now = world.now();
    let coming = movement.kind == "charge";
    let fees = match movement.fee {
        0 => json!([]),
        fee => json!([{
            "amount": fee, "application": null, "currency": movement.currency,
            "description": fee_name(movement), "type": "stripe_fee",
        }]),
    };
    let transaction = json!({
        "amount": movement.amount,
        "available_on": if coming { now + PENDING_SECONDS } else { now },
        "balance_type": "payments",
        "currency": movement.currency,
        "description": Some(movement.description).filter(|text| !text.is_empty()),
        "exchange_rate": null,
        "fee": movement.fee,
        "fee_details": fees,
        "net": movement.amount - movement.fee,
        "reporting_category": movement.category,
        "source": movement.source,
        "status": if coming { "pending" } else { "available" },
        "type": movement.kind,
    });
    store(world, "balance_transaction", transaction)
}

fn fee_name(movement: &Movement) -> &'static str {
    match movement.category {
        "charge" => "Stripe processing fees",
        _ => "Dispute fee",
    }
}

/// What is kept of a charge: 2.9 % and 30 minor units.
pub fn charge_fee(amount: i64) -> i64 {
    let share = (i128::from(amount) * 29 + 500) / 1000;
    i64::try_from(share).unwrap_or(0).saturating_add(30).min(amount)
}

/// Stores an object of a kind that has no `livemode`.
pub fn store(world: &mut World, kind: &str, mut object: Value) -> Value {
    if object.opt_text("id").is_none() {
        object["id"] = ids::new(kind).into();
    }
    object["object"] = kind.into();
    object["created"] = world.now().into();
    let object = complete(spec(), kind, object);
    world.store.put(kind, object.text("id"), object.clone());
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_are_rounded_and_never_more_than_the_amount() {
        let table = [(10_000, 320), (2900, 114), (50, 31), (10, 10), (0, 0)];
        for (amount, fee) in table {
            assert_eq!(charge_fee(amount), fee, "{amount}");
        }
    }
}
