//! Usages and holds as they go over the wire. Holds no rules.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::{Millis, rfc3339};
use crate::credits::{Charged, Hold};
use crate::error::Result;
use crate::units::{Credits, Quantity, decimal};
use crate::usage::Usage;

use super::answer::BalanceView;
use super::verdict::Warning;

#[derive(Serialize)]
struct UsageView<'a> {
    object: &'static str,
    id: &'a str,
    seq: i64,
    key: &'a str,
    hold: Option<&'a str>,
    meter: &'a str,
    model: Option<&'a str>,
    feature: Option<&'a str>,
    quantity: Box<RawValue>,
    credits: Credits,
    from: Vec<Part<'a>>,
    overage: Credits,
    debt: Credits,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed: Option<Billed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<LineView<'a>>,
    run: Option<&'a str>,
    member: Option<&'a str>,
    rate_card: &'a str,
    cost: Option<i64>,
    metadata: Option<Box<RawValue>>,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<String>,
    late: bool,
    reversed_at: Option<String>,
    warnings: &'a [Warning],
    balance: BalanceView,
}

#[derive(Serialize)]
struct Part<'a> {
    grant: &'a str,
    credits: Credits,
}

#[derive(Serialize)]
struct LineView<'a> {
    id: &'a str,
    meter: &'a str,
    model: Option<&'a str>,
    quantity: Box<RawValue>,
    credits: Credits,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed: Option<Billed>,
}

/// What is billed in money, in minor units with at most six decimals; the invoice rounds once.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Billed {
    amount: String,
    currency: String,
}

/// What of these lines is billed; where it is in several currencies, in that of the first line.
pub fn billed(lines: &[Usage]) -> Option<Billed> {
    let currency = lines.iter().find_map(|line| line.billed_currency.clone())?;
    let own = lines.iter().filter(|line| line.billed_currency.as_ref() == Some(&currency));
    let micros = own.fold(0_i64, |sum, line| sum.saturating_add(line.billed));
    Some(Billed { amount: decimal(micros), currency })
}

/// A number, written exactly.
fn number(micros: i64) -> Result<Box<RawValue>> {
    Ok(RawValue::from_string(Quantity::from_micros(micros).to_string())?)
}

fn notes(metadata: Option<&String>) -> Result<Option<Box<RawValue>>> {
    Ok(metadata.map(|text| RawValue::from_string(text.clone())).transpose()?)
}

/// The body of a usage: what it cost, which grants paid, and what is left. Lines that were charged
/// together are one usage, named by the first.
pub fn usage(
    lines: &[Usage],
    charged: &Charged,
    warnings: &[Warning],
    balance: BalanceView,
) -> Result<String> {
    let Some(first) = lines.first() else {
        return Err(crate::error::Error::internal("a usage without lines"));
    };
    let credits = lines.iter().fold(Credits::ZERO, |sum, line| {
        sum.plus(line.credits).unwrap_or(Credits::from_micros(i64::MAX))
    });
    let views = lines.iter().map(|line| {
        Ok(LineView {
            id: &line.id,
            meter: &line.meter,
            model: line.model.as_deref(),
            quantity: number(line.quantity)?,
            credits: line.credits,
            billed: billed(std::slice::from_ref(line)),
        })
    });
    let several = if lines.len() > 1 { views.collect::<Result<_>>()? } else { Vec::new() };
    let from = charged.from.iter();
    Ok(serde_json::to_string(&UsageView {
        object: "usage",
        id: &first.id,
        seq: first.seq,
        key: &first.key,
        hold: first.hold_id.as_deref(),
        meter: &first.meter,
        model: first.model.as_deref(),
        feature: first.feature.as_deref(),
        quantity: number(first.quantity)?,
        credits,
        from: from.map(|(grant, credits)| Part { grant, credits: *credits }).collect(),
        overage: charged.overage,
        debt: charged.debt,
        billed: billed(lines),
        lines: several,
        run: first.run.as_deref(),
        member: first.member.as_deref(),
        rate_card: &first.rate_card,
        cost: first.cost,
        metadata: notes(first.metadata.as_ref())?,
        at: rfc3339(first.at),
        occurred_at: first.occurred_at.map(rfc3339),
        late: first.late,
        reversed_at: first.reversed_at.map(rfc3339),
        warnings,
        balance,
    })?)
}

#[derive(Serialize)]
struct HoldView<'a> {
    object: &'static str,
    id: &'a str,
    seq: i64,
    key: &'a str,
    status: &'a str,
    meter: &'a str,
    model: Option<&'a str>,
    feature: Option<&'a str>,
    quantity: Box<RawValue>,
    credits: Credits,
    captured: Credits,
    overage: Credits,
    usage: Option<&'a str>,
    run: Option<&'a str>,
    member: Option<&'a str>,
    rate_card: &'a str,
    on_expiry: &'a str,
    metadata: Option<Box<RawValue>>,
    created_at: String,
    expires_at: String,
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "<[Warning]>::is_empty")]
    warnings: &'a [Warning],
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<BalanceView>,
}

/// The body of a hold; with the balance where it answers a write.
pub fn hold(hold: &Hold, warnings: &[Warning], balance: Option<BalanceView>) -> Result<String> {
    Ok(serde_json::to_string(&HoldView {
        object: "hold",
        id: &hold.id,
        seq: hold.seq,
        key: &hold.key,
        status: &hold.status,
        meter: &hold.meter,
        model: hold.model.as_deref(),
        feature: hold.feature.as_deref(),
        quantity: number(hold.quantity)?,
        credits: hold.credits,
        captured: hold.captured,
        overage: hold.overage,
        usage: hold.usage_id.as_deref(),
        run: hold.run.as_deref(),
        member: hold.member.as_deref(),
        rate_card: &hold.rate_card,
        on_expiry: &hold.on_expiry,
        metadata: notes(hold.metadata.as_ref())?,
        created_at: rfc3339(hold.created_at),
        expires_at: rfc3339(hold.expires_at),
        ended_at: hold.ended_at.map(rfc3339),
        warnings,
        balance,
    })?)
}

#[derive(Serialize)]
struct RunReleaseView<'a> {
    object: &'static str,
    run: &'a str,
    released: &'a [String],
    credits: Credits,
    at: String,
    balance: BalanceView,
}

/// The body of a workflow's release: which holds, and how much they gave back.
pub fn run_release(
    run: &str,
    released: &[String],
    credits: Credits,
    at: Millis,
    balance: BalanceView,
) -> Result<String> {
    let object = "run_release";
    let at = rfc3339(at);
    Ok(serde_json::to_string(&RunReleaseView { object, run, released, credits, at, balance })?)
}
