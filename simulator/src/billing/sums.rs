//! What a Checkout session comes to: lines, trial, discounts, quantities changed on the page.

use serde_json::{Value, json};

use super::discounting::{self, Chosen, Part};
use super::proration::price_amount;
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// Whether a session begins with a trial, in which recurring lines cost nothing.
pub fn has_trial(session: &Value) -> bool {
    let data = session.at("_sim.subscription_data");
    data.int("trial_period_days") > 0 || data.opt_int("trial_end").is_some()
}

/// The coupons of a session, checked as of now.
pub fn chosen(world: &World, session: &Value) -> Answer<Vec<Chosen>> {
    discounting::choose(world, session.list("_sim.discounts"), session.opt_text("customer"))
}

/// Computes every line and every sum of a session anew.
pub fn tally(world: &World, session: &mut Value) -> Answer<()> {
    let chosen = chosen(world, session)?;
    let trial = has_trial(session);
    let currency = session.text("currency").to_owned();
    let mut items = session.list("_sim.line_items").to_vec();
    let mut parts = Vec::new();
    for item in &mut items {
        let amount = price_amount(&item["price"], item.opt_int("quantity").unwrap_or(1))?;
        let free = trial && item.at("price.recurring").is_object();
        item["amount_subtotal"] = amount.into();
        item["amount_total"] = amount.into();
        item["amount_discount"] = 0.into();
        let product = item.text("price.product").to_owned();
        parts.push(Part { amount: if free { 0 } else { amount }, product, discountable: true });
    }
    let before: i64 = parts.iter().map(|part| part.amount).fold(0, i64::saturating_add);
    for choice in &chosen {
        let taken = discounting::reductions(&choice.coupon, &parts, &currency);
        for ((part, item), taken) in parts.iter_mut().zip(&mut items).zip(taken) {
            part.amount -= taken;
            item["amount_discount"] = (item.int("amount_discount") + taken).into();
            item["amount_total"] = (item.int("amount_total") - taken).into();
        }
    }
    let total: i64 = parts.iter().map(|part| part.amount).fold(0, i64::saturating_add);
    session["amount_subtotal"] = before.into();
    session["amount_total"] = total.into();
    session.put("total_details.amount_discount", before - total);
    let shown: Vec<Value> = chosen
        .iter()
        .map(|choice| {
            json!({"coupon": choice.coupon["id"], "promotion_code": choice.promotion_code})
        })
        .collect();
    session["discounts"] = shown.into();
    session.put("_sim.line_items", items);
    Ok(())
}

/// Somebody typed a promotion code on the page.
pub fn redeem_code(world: &mut World, id: &str, typed: &str) -> Answer<()> {
    let session = world.find("checkout.session", id)?.clone();
    if !session.flag("allow_promotion_codes") {
        return Err(ApiError::invalid("This session takes no promotion codes."));
    }
    let Some(code) = discounting::by_code(world, typed).cloned() else {
        return Err(ApiError::invalid("This code is invalid."));
    };
    let least = session.int("amount_subtotal");
    if !discounting::reaches_minimum(&code, least, session.text("currency")) {
        return Err(ApiError::invalid("Your order does not reach what this code asks for."));
    }
    change(world, id, |session| {
        session.put("_sim.discounts", json!([{"promotion_code": code["id"]}]));
    })
}

/// The promotion code of a session is taken back.
pub fn drop_code(world: &mut World, id: &str) -> Answer<()> {
    change(world, id, |session| session.put("_sim.discounts", json!([])))
}

/// The quantities the buyer chose, where the merchant leaves the choice.
pub fn set_quantities(world: &mut World, id: &str, wanted: &[(usize, i64)]) -> Answer<()> {
    let session = world.find("checkout.session", id)?.clone();
    let mut items = session.list("_sim.line_items").to_vec();
    for (index, quantity) in wanted {
        let Some(item) = items.get_mut(*index).filter(|i| i.flag("adjustable_quantity.enabled"))
        else {
            continue;
        };
        let least = item.opt_int("adjustable_quantity.minimum").unwrap_or(0).max(1);
        let most = item.opt_int("adjustable_quantity.maximum").unwrap_or(99);
        if !(least..=most).contains(quantity) {
            let message = format!("Choose a quantity between {least} and {most}.");
            return Err(ApiError::invalid(message));
        }
        item["quantity"] = (*quantity).into();
    }
    change(world, id, |session| session.put("_sim.line_items", items))
}

/// Changes an open session and adds it up again.
fn change(world: &mut World, id: &str, edit: impl FnOnce(&mut Value)) -> Answer<()> {
    let mut session = world.find("checkout.session", id)?.clone();
    if session.text("status") != "open" {
        return Err(ApiError::invalid("This Checkout Session is no longer open."));
    }
    edit(&mut session);
    tally(world, &mut session)?;
    world.edit("checkout.session", id, |stored| *stored = session);
    Ok(())
}
