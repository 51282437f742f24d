//! Discounts: coupons and promotion codes redeemed, taken off lines, spent and ended.
//!
//! It owns the kind `discount`. A discount carries its coupon as it was, so that deleting the
//! coupon later changes nothing for those who have it. Amounts are computed on integers.

use serde_json::{Value, json};

use super::calendar;
use crate::errors::{Answer, ApiError};
use crate::ids;
use crate::json::Json;
use crate::spec::{complete, spec};
use crate::world::World;

/// One percent in the scale in which percentages are computed.
const PERCENT: i128 = 1_000_000;

/// A coupon somebody wants to use, checked, with the promotion code it came by.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The coupon.
    pub coupon: Value,
    /// The promotion code's id.
    pub promotion_code: Option<String>,
    /// A discount that exists already and is kept.
    pub kept: Option<String>,
}

/// Whose discount it becomes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Owner<'a> {
    /// The customer's id.
    pub customer: &'a str,
    /// The subscription.
    pub subscription: Option<&'a str>,
    /// The invoice made by hand.
    pub invoice: Option<&'a str>,
    /// The Checkout session it was chosen in.
    pub session: Option<&'a str>,
}

/// An amount a discount may lower: what is left of it, and of which product.
#[derive(Debug, Clone)]
pub struct Part {
    /// In minor units, after the discounts before.
    pub amount: i64,
    /// The product's id, or nothing.
    pub product: String,
    /// Whether discounts apply at all.
    pub discountable: bool,
}

/// The active promotion code that customers type as this, in any case.
pub fn by_code<'a>(world: &'a World, code: &str) -> Option<&'a Value> {
    let wanted = code.trim().to_lowercase();
    let mut active = world.store.newest("promotion_code").filter(|found| found.flag("active"));
    active.find(|found| found.text("code").to_lowercase() == wanted)
}

/// Checks a `discounts` parameter: `[{coupon | promotion_code | discount}]`.
pub fn choose(world: &World, given: &[Value], customer: Option<&str>) -> Answer<Vec<Chosen>> {
    let mut all = Vec::new();
    for (index, entry) in given.iter().enumerate() {
        let param = |name: &str| format!("discounts[{index}][{name}]");
        if let Some(id) = entry.opt_text("discount") {
            let found = world.find_param("discount", id, &param("discount"))?;
            let coupon = found.at("_sim.coupon").clone();
            all.push(Chosen { coupon, promotion_code: None, kept: Some(id.to_owned()) });
        } else if let Some(id) = entry.opt_text("promotion_code") {
            let name = param("promotion_code");
            let code = world.find_param("promotion_code", id, &name)?;
            usable_code(world, code, customer, &name)?;
            let coupon = world.find_param("coupon", code.text("promotion.coupon"), &name)?;
            usable(coupon, world.now(), &name)?;
            let promotion_code = Some(id.to_owned());
            all.push(Chosen { coupon: coupon.clone(), promotion_code, kept: None });
        } else if let Some(id) = entry.opt_text("coupon") {
            let coupon = world.find_param("coupon", id, &param("coupon"))?;
            usable(coupon, world.now(), &param("coupon"))?;
            all.push(Chosen { coupon: coupon.clone(), promotion_code: None, kept: None });
        }
    }
    Ok(all)
}

/// Whether a coupon can still be redeemed.
pub fn is_valid(coupon: &Value, now: i64) -> bool {
    let used_up = coupon.opt_int("max_redemptions");
    let used_up = used_up.is_some_and(|most| coupon.int("times_redeemed") >= most);
    let late = coupon.opt_int("redeem_by").is_some_and(|end| end <= now);
    !used_up && !late
}

fn usable(coupon: &Value, now: i64, param: &str) -> Answer<()> {
    if is_valid(coupon, now) {
        return Ok(());
    }
    let message = format!("Coupon expired: {}", coupon.text("id"));
    Err(ApiError::param("coupon_expired", param, message))
}

fn usable_code(world: &World, code: &Value, customer: Option<&str>, param: &str) -> Answer<()> {
    let refuse = |message: &str| {
        let error = ApiError::invalid(message).with("code", "resource_invalid");
        Err(error.with("param", param))
    };
    let most = code.opt_int("max_redemptions");
    let used_up = most.is_some_and(|most| code.int("times_redeemed") >= most);
    let late = code.opt_int("expires_at").is_some_and(|end| end <= world.now());
    if !code.flag("active") || used_up || late {
        return refuse("This promotion code is expired or inactive.");
    }
    if code.opt_text("customer").is_some_and(|only| customer != Some(only)) {
        return refuse("This promotion code can not be redeemed by this customer.");
    }
    let bought = |customer: &str| {
        let mut mine = world.store.newest_by("invoice", "customer", customer);
        mine.any(|invoice| invoice.int("amount_paid") > 0)
    };
    if code.flag("restrictions.first_time_transaction") && customer.is_some_and(bought) {
        return refuse("This promotion code is for a first purchase only.");
    }
    Ok(())
}

/// Whether the amount reaches what a promotion code asks for.
pub fn reaches_minimum(code: &Value, amount: i64, currency: &str) -> bool {
    let least = code.opt_int("restrictions.minimum_amount");
    let same = code.text("restrictions.minimum_amount_currency") == currency;
    least.is_none_or(|least| same && amount >= least)
}

/// Makes the discounts of chosen coupons and counts the redemptions; answers their ids.
pub fn redeem(world: &mut World, chosen: &[Chosen], owner: Owner) -> Vec<Value> {
    let mut ids = Vec::new();
    for choice in chosen {
        if let Some(kept) = &choice.kept {
            ids.push(json!(kept));
            continue;
        }
        let coupon = &choice.coupon;
        count(world, coupon.text("id"), choice.promotion_code.as_deref());
        let start = world.now_for(owner.customer);
        let months = coupon.opt_int("duration_in_months");
        let months = months.filter(|_| coupon.text("duration") == "repeating");
        let discount = json!({
            "checkout_session": owner.session,
            "customer": owner.customer,
            "end": months.map(|months| calendar::add(start, "month", months)),
            "invoice": owner.invoice,
            "promotion_code": choice.promotion_code,
            "source": {"coupon": coupon["id"], "type": "coupon"},
            "start": start,
            "subscription": owner.subscription,
            "_sim": {"coupon": coupon},
        });
        let discount = store(world, discount);
        if owner.invoice.is_none() {
            world.emit("customer.discount.created", &discount, None);
        }
        ids.push(discount["id"].clone());
    }
    ids
}

/// Stores a discount, which unlike other objects has no `created` of its own.
fn store(world: &mut World, mut discount: Value) -> Value {
    let id = ids::new("discount");
    discount["id"] = id.as_str().into();
    let discount = complete(spec(), "discount", discount);
    world.store.put("discount", &id, discount.clone());
    discount
}

fn count(world: &mut World, coupon: &str, code: Option<&str>) {
    let now = world.now();
    world.edit_and_tell("coupon", coupon, "coupon.updated", |coupon| {
        coupon["times_redeemed"] = (coupon.int("times_redeemed") + 1).into();
        coupon["valid"] = is_valid(coupon, now).into();
    });
    let Some(code) = code else {
        return;
    };
    world.edit_and_tell("promotion_code", code, "promotion_code.updated", |code| {
        let times = code.int("times_redeemed") + 1;
        code["times_redeemed"] = times.into();
        if code.opt_int("max_redemptions").is_some_and(|most| times >= most) {
            code["active"] = false.into();
        }
    });
}

/// The discounts that lower what a subscription is billed at this moment.
pub fn in_force(world: &World, sub: &Value, at: i64) -> Vec<Value> {
    let ids = sub.list("discounts").iter().filter_map(Value::as_str);
    let found = ids.filter_map(|id| world.get("discount", id));
    found.filter(|found| found.opt_int("end").is_none_or(|end| at < end)).cloned().collect()
}

/// How much a coupon takes off each part.
pub fn reductions(coupon: &Value, parts: &[Part], currency: &str) -> Vec<i64> {
    let products = coupon.list("applies_to.products");
    let amounts: Vec<i64> = parts
        .iter()
        .map(|part| {
            let named = products.is_empty() || products.iter().any(|id| *id == *part.product);
            let fits = part.discountable && part.amount > 0 && named;
            if fits { part.amount } else { 0 }
        })
        .collect();
    let sum: i128 = amounts.iter().map(|amount| i128::from(*amount)).sum();
    let total = match percent(coupon) {
        Some(percent) => (sum * percent + 50 * PERCENT) / (100 * PERCENT),
        None if coupon.text("currency") == currency => i128::from(coupon.int("amount_off")),
        None => 0,
    };
    spread(total.min(sum), &amounts, sum)
}

/// The coupon's percentage, scaled.
fn percent(coupon: &Value) -> Option<i128> {
    let text = coupon["percent_off"].as_number()?.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(whole.parse::<i128>().ok()? * PERCENT + fraction.parse::<i128>().ok()?)
}

/// Divides a total in proportion, so that the shares add up; the largest rests are rounded up.
fn spread(total: i128, amounts: &[i64], sum: i128) -> Vec<i64> {
    if sum <= 0 || total <= 0 {
        return vec![0; amounts.len()];
    }
    let exact: Vec<i128> = amounts.iter().map(|amount| i128::from(*amount) * total).collect();
    let mut shares: Vec<i128> = exact.iter().map(|product| product / sum).collect();
    let mut left = total - shares.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..amounts.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(exact[*index] % sum));
    for index in order {
        if left > 0 && amounts[index] > 0 {
            shares[index] += 1;
            left -= 1;
        }
    }
    // No share is larger than its amount, because the total is at most the sum.
    shares.into_iter().map(|share| i64::try_from(share).unwrap_or(0)).collect()
}

/// What is left of amounts after the lasting discounts of a subscription; a coupon for one
/// invoice is for whole periods only.
pub fn net(world: &World, sub: &Value, parts: &[Part], at: i64) -> Vec<i64> {
    let mut left = parts.to_vec();
    for discount in in_force(world, sub, at) {
        let coupon = discount.at("_sim.coupon");
        if coupon.text("duration") == "once" {
            continue;
        }
        let taken = reductions(coupon, &left, sub.text("currency"));
        left.iter_mut().zip(taken).for_each(|(part, taken)| part.amount -= taken);
    }
    left.into_iter().map(|part| part.amount).collect()
}

/// After a subscription's invoice was drafted: a coupon for one invoice is spent by the first
/// that it lowered.
pub fn spend(world: &mut World, sub: &str, invoice: &Value) {
    let used = invoice.list("total_discount_amounts").iter();
    let used = used.filter(|entry| entry.int("amount") > 0).map(|entry| entry.text("discount"));
    let spent: Vec<String> = used
        .filter(|id| {
            let found = world.get("discount", id);
            found.is_some_and(|found| {
                found.text("_sim.coupon.duration") == "once" && found.text("subscription") == sub
            })
        })
        .map(str::to_owned)
        .collect();
    for id in spent {
        remove(world, sub, &id);
    }
}

/// Takes a discount off its subscription; invoices keep what they had.
pub fn remove(world: &mut World, sub: &str, id: &str) {
    let Some(discount) = world.get("discount", id).cloned() else {
        return;
    };
    world.emit("customer.discount.deleted", &discount, None);
    world.edit_and_tell("subscription", sub, "customer.subscription.updated", |sub| {
        if let Some(all) = sub["discounts"].as_array_mut() {
            all.retain(|known| known != id);
        }
    });
}

/// When the first of a subscription's discounts ends.
pub fn next_end(world: &World, sub: &Value) -> Option<(i64, String)> {
    let ids = sub.list("discounts").iter().filter_map(Value::as_str);
    let ends = ids.filter_map(|id| Some((world.get("discount", id)?.opt_int("end")?, id.into())));
    ends.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(amount: i64, product: &str) -> Part {
        let product = product.to_owned();
        Part { amount, product, discountable: true }
    }

    #[test]
    fn shares_of_a_discount_add_up_to_the_cent() {
        let table = [
            (json!({"percent_off": 10.0}), vec![333, 333, 334], 100),
            (json!({"percent_off": 33.33}), vec![999, 1], 333),
            (json!({"percent_off": 100}), vec![1, 2, 3], 6),
            (json!({"amount_off": 500, "currency": "usd"}), vec![1000, 2000], 500),
            (json!({"amount_off": 500, "currency": "usd"}), vec![100, 200], 300),
            (json!({"amount_off": 500, "currency": "eur"}), vec![100, 200], 0),
        ];
        for (coupon, amounts, expected) in table {
            let parts: Vec<Part> = amounts.iter().map(|amount| part(*amount, "p")).collect();
            let taken = reductions(&coupon, &parts, "usd");
            assert_eq!(taken.iter().sum::<i64>(), expected, "{coupon}");
            assert!(taken.iter().zip(&amounts).all(|(taken, whole)| taken <= whole));
        }
    }

    #[test]
    fn a_coupon_for_one_product_leaves_the_others_alone() {
        let coupon = json!({"percent_off": 50, "applies_to": {"products": ["a"]}});
        let mut fixed = part(300, "a");
        fixed.discountable = false;
        let parts = [part(1000, "a"), part(1000, "b"), fixed];
        assert_eq!(reductions(&coupon, &parts, "usd"), [500, 0, 0]);
    }
}
