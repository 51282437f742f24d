//! Charging a use now, or one that has happened already.

use crate::clock::Millis;
use crate::credits::{Act, Charged, Kind};
use crate::error::Result;
use crate::ids;
use crate::units::{Credits, Quantity};
use crate::usage::Usage;

use super::batch::{Batch, Outcome, balance};
use super::codes::Code;
use super::counters::When;
use super::decide::{Ask, Cover, decide};
use super::request::{Item, Request, Use};
use super::verdict::Verdict;
use super::views;
use super::watch::Level;

/// Charges a use. (D1, D2)
pub(super) fn consume(
    batch: &mut Batch<'_>,
    request: &Request,
    used: &Use,
    at: Millis,
) -> Result<Outcome> {
    charge(batch, request, used, Cover::Tier, None, at)
}

/// Charges a use that happened already. It belongs to the open period, whenever it was. (D18)
pub(super) fn item(
    batch: &mut Batch<'_>,
    request: &Request,
    item: &Item,
    at: Millis,
) -> Result<Outcome> {
    charge(batch, request, &item.what, item.over.into(), item.at, at)
}

fn charge(
    batch: &mut Batch<'_>,
    request: &Request,
    used: &Use,
    cover: Cover,
    occurred_at: Option<Millis>,
    at: Millis,
) -> Result<Outcome> {
    let rates = batch.desk.rates.clone();
    let account = batch.account_mut(&request.org_id)?;
    let view = account.view(at, &rates, used.member.as_deref());
    let verdict = decide(&view, &ask(used, cover));
    if verdict.code != Code::Allowed {
        return Ok(Outcome::Denied(verdict));
    }
    let before = Level::of(account, at);
    let (member, uncovered) = (used.member.as_deref(), verdict.uncovered());
    let (actor, reason) = (request.caller.actor(), reason(used.quantity, used));
    let act = Act { kind: Kind::Consume, at, actor: &actor, reason: &reason };
    let charged = account.book.consume(&act, verdict.credits, uncovered, member)?;
    let when = When { at, period_start: account.book.wallet.period_start };
    account.counters.count(&account.entitled.limits, &used.meter, when);
    let mut usage = usage(request, used, &verdict, &charged, &rates.version, occurred_at, at);
    let overage = account.entitled.overage.as_ref().filter(|_| usage.overage.is_positive());
    if let Some(tariff) = verdict.in_money.as_deref().or(overage) {
        usage.bill(tariff, when.period_start);
    }
    let crossed = before.crossed(account, at);
    let left = balance(account, at);
    let body = views::usage(std::slice::from_ref(&usage), &charged, &verdict.warnings, left)?;
    let subject = Some(usage.id.clone());
    account.book.usages.push(usage);
    batch.crossings.extend(crossed);
    Ok(Outcome::Done { body, subject })
}

/// What the rule is asked for a use.
pub(super) fn ask(used: &Use, cover: Cover) -> Ask<'_> {
    Ask {
        feature: used.feature.as_deref(),
        model: used.model.as_deref(),
        meter: Some(&used.meter),
        quantity: Some(used.quantity),
        cover,
    }
}

/// The cause on the statement: "3 image, large-1".
pub(super) fn reason(quantity: Quantity, used: &Use) -> String {
    let model = used.model.as_deref().map(|model| format!(", {model}")).unwrap_or_default();
    format!("{quantity} {}{model}", used.meter)
}

fn usage(
    request: &Request,
    used: &Use,
    verdict: &Verdict,
    charged: &Charged,
    rate_card: &str,
    occurred_at: Option<Millis>,
    at: Millis,
) -> Usage {
    Usage {
        id: ids::new("usage", at),
        org_id: request.org_id.clone(),
        seq: charged.seq,
        line: 0,
        hold_id: None,
        key: request.key.clone(),
        meter: used.meter.clone(),
        model: used.model.clone(),
        feature: used.feature.clone(),
        quantity: used.quantity.micros(),
        credits: verdict.credits,
        overage: charged.overage,
        debt: charged.debt,
        billed: 0,
        billed_to: None,
        billed_currency: None,
        billed_from: None,
        run: used.run.clone(),
        member: used.member.clone(),
        api_key_id: request.caller.key_id().map(str::to_owned),
        rate_card: rate_card.to_owned(),
        cost: used.cost,
        metadata: used.metadata.as_ref().map(ToString::to_string),
        at,
        occurred_at,
        late: false,
        reversed_at: None,
    }
}

/// Shares what no grant paid among lines, from the last to the first.
pub(super) fn share_uncovered(lines: &mut [Usage], charged: &Charged) {
    let (mut overage, mut debt) = (charged.overage, charged.debt);
    for line in lines.iter_mut().rev() {
        line.overage = take(&mut overage, line.credits);
        let room = line.credits.less(line.overage);
        line.debt = take(&mut debt, room);
    }
}

fn take(left: &mut Credits, room: Credits) -> Credits {
    let part = room.min(*left);
    *left = left.less(part);
    part
}
