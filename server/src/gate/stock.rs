//! Holds: credits set aside for a use whose cost is known only afterwards, then captured or given
//! back.

use crate::clock::Millis;
use crate::credits::{Act, Charged, Hold, Kind, OPEN};
use crate::error::Result;
use crate::ids;
use crate::rates::OnExpiry;
use crate::units::{Credits, Quantity, Tariff, price};
use crate::usage::Usage;

use super::account::Account;
use super::answer;
use super::batch::{Batch, Outcome, balance};
use super::ceilings::bear;
use super::codes::Code;
use super::counters::When;
use super::decide::{self, Ask, Cover, decide, decide_capture, refuse_entitlement, refuse_parked};
use super::request::{Capture, Line, NewHold, Request, Used};
use super::spend::{ask, reason, share_uncovered};
use super::verdict::{Verdict, no_price};
use super::views;
use super::watch::Level;

/// Sets credits aside.
pub(super) fn hold(
    batch: &mut Batch<'_>,
    request: &Request,
    new: &NewHold,
    at: Millis,
) -> Result<Outcome> {
    let rates = batch.desk.rates.clone();
    let account = batch.account_mut(&request.org_id)?;
    let used = &new.what;
    let view = account.view(at, &rates, used.member.as_deref());
    let verdict = decide(&view, &ask(used, Cover::Tier));
    if verdict.code != Code::Allowed {
        return Ok(Outcome::Denied(verdict));
    }
    let overage = account.entitled.overage.as_ref().filter(|_| verdict.overage.is_positive());
    let tariff = verdict.in_money.as_deref().or(overage).cloned();
    let on_expiry = rates.meters.get(&used.meter).map_or(OnExpiry::Release, |m| m.on_expiry);
    let hold = Hold {
        id: ids::new("hold", at),
        org_id: request.org_id.clone(),
        seq: 0,
        operation_id: String::new(),
        key: request.key.clone(),
        meter: used.meter.clone(),
        model: used.model.clone(),
        feature: used.feature.clone(),
        quantity: used.quantity.micros(),
        rate: verdict.rate,
        rate_card: rates.version.clone(),
        price: tariff.as_ref().map(|tariff| tariff.price),
        billed_to: tariff.as_ref().map(|tariff| tariff.subject.clone()),
        billed_currency: tariff.map(|tariff| tariff.currency),
        credits: verdict.credits,
        overage: verdict.overage,
        run: used.run.clone(),
        member: used.member.clone(),
        api_key_id: request.caller.key_id().map(str::to_owned),
        metadata: used.metadata.as_ref().map(ToString::to_string),
        on_expiry: on_expiry.word().to_owned(),
        status: OPEN.to_owned(),
        captured: Credits::ZERO,
        usage_id: None,
        created_at: at,
        expires_at: at.saturating_add(new.ttl),
        ended_at: None,
        parts: Vec::new(),
        new: true,
        changed: true,
    };
    let (actor, reason) = (request.caller.actor(), reason(used.quantity, used));
    let act = Act { kind: Kind::Hold, at, actor: &actor, reason: &reason };
    let index = account.book.hold(&act, hold)?;
    let when = When { at, period_start: account.book.wallet.period_start };
    account.counters.count(&account.entitled.limits, &used.meter, when);
    let left = Some(balance(account, at));
    let made = &account.book.holds[index];
    let body = views::hold(made, &verdict.warnings, left)?;
    Ok(Outcome::Done { body, subject: Some(made.id.clone()) })
}

/// Where a hold of this org is in its book.
fn find(account: &Account, id: &str) -> Option<usize> {
    account.book.holds.iter().position(|hold| hold.id == id)
}

pub(super) fn no_such_hold() -> Result<Outcome> {
    Ok(Outcome::Refused(answer::refused(404, "not_found", "The hold was not found.")?))
}

fn not_open(hold: &Hold) -> Result<Outcome> {
    let message = format!("The hold is {}: it can be captured or released only once.", hold.status);
    Ok(Outcome::Refused(answer::refused(409, "hold_not_open", &message)?))
}

/// A line with its price.
struct Priced {
    line: Line,
    credits: Credits,
    /// What it is billed by where it costs no credits but money.
    in_money: Option<Tariff>,
}

/// Charges what a hold was for. After its time it is a fresh charge at the pinned rate. (D7–D10)
pub(super) fn capture(
    batch: &mut Batch<'_>,
    request: &Request,
    capture: &Capture,
    at: Millis,
) -> Result<Outcome> {
    let Some(index) = find(batch.account(&request.org_id)?, &capture.hold) else {
        return no_such_hold();
    };
    let hold = batch.account(&request.org_id)?.book.holds[index].clone();
    let late = hold.status == "expired" && !hold.charges() && hold.usage_id.is_none();
    if !hold.is_open() && !late {
        return not_open(&hold);
    }
    let (lines, total) = match price_lines(batch, request, &hold, capture, at)? {
        Ok(priced) => priced,
        Err(verdict) => return Ok(Outcome::Denied(verdict)),
    };
    let rates = batch.desk.rates.clone();
    let account = batch.account_mut(&request.org_id)?;
    let view = account.view(at, &rates, hold.member.as_deref());
    let verdict = match (late, refuse_parked(&view)) {
        (_, Some((code, message))) => Verdict::deny(code, total, message),
        (true, None) => bear(&view, total, total, capture.over.into()),
        (false, None) => decide_capture(&view, total, hold.credits, capture.over),
    };
    if verdict.code != Code::Allowed {
        return Ok(Outcome::Denied(verdict));
    }
    let before = Level::of(account, at);
    let (actor, reason) = (request.caller.actor(), capture_reason(&lines));
    let act = Act { kind: Kind::Capture, at, actor: &actor, reason: &reason };
    let charged = match late {
        true => {
            let member = hold.member.as_deref();
            account.book.consume(&act, total, verdict.uncovered(), member)?
        }
        false => account.book.capture(&act, index, total, verdict.uncovered())?,
    };
    let in_money = lines.iter().map(|priced| priced.in_money.clone()).collect();
    let mut usages = usages(request, capture, &hold, lines, &charged, late, at);
    bill(&mut usages, in_money, &hold, account);
    let made = &mut account.book.holds[index];
    (made.captured, made.usage_id) = (total, Some(usages[0].id.clone()));
    made.changed = true;
    let crossed = before.crossed(account, at);
    let body = views::usage(&usages, &charged, &verdict.warnings, balance(account, at))?;
    let subject = Some(usages[0].id.clone());
    account.book.usages.extend(usages);
    batch.crossings.extend(crossed);
    Ok(Outcome::Done { body, subject })
}

/// Prices what was used by the card that the hold is pinned to. The hold's own meter and model keep
/// their rate and their right; others are looked at. (D15)
fn price_lines(
    batch: &Batch<'_>,
    request: &Request,
    hold: &Hold,
    capture: &Capture,
    at: Millis,
) -> Result<Result<(Vec<Priced>, Credits), Verdict>> {
    let lines = match &capture.used {
        Used::Quantity(quantity) => {
            vec![Line { meter: hold.meter.clone(), quantity: *quantity, model: hold.model.clone() }]
        }
        Used::Lines(lines) => lines.clone(),
    };
    let card = match hold.rate_card == batch.desk.rates.version {
        true => batch.desk.rates.as_ref(),
        false => batch.cards.get(&hold.rate_card).unwrap_or(&batch.desk.rates),
    };
    let account = batch.account(&request.org_id)?;
    let view = account.view(at, card, None);
    let (mut priced, mut total) = (Vec::new(), Credits::ZERO);
    for line in lines {
        let model = line.model.clone().or_else(|| hold.model.clone());
        let own = line.meter == hold.meter && model == hold.model;
        let ask = Ask { meter: Some(&line.meter), model: model.as_deref(), ..Ask::default() };
        if !own && let Some((code, message)) = refuse_entitlement(&view, &ask) {
            return Ok(Err(Verdict::deny(code, Credits::ZERO, message)));
        }
        let in_money = match own {
            true => hold.in_money(),
            false => account.entitled.in_money.get(&line.meter).cloned(),
        };
        if let Some(tariff) = in_money {
            let verdict = decide::in_money(&tariff, &line.meter, line.quantity);
            if verdict.code != Code::Allowed {
                return Ok(Err(verdict));
            }
            let line = Line { model, ..line };
            priced.push(Priced { line, credits: Credits::ZERO, in_money: Some(tariff) });
            continue;
        }
        let meter = card.meters.get(&line.meter);
        let rate = match own {
            true => Some(hold.rate),
            false => meter.and_then(|meter| meter.rate_for(model.as_deref())),
        };
        let Some(rate) = rate else {
            return Ok(Err(no_price(&line.meter, model.as_deref())));
        };
        let credits = price(rate, line.quantity);
        let Some((credits, sum)) = credits.and_then(|c| Some((c, total.plus(c)?))) else {
            let message = "This costs more than a wallet can hold.".to_owned();
            return Ok(Err(Verdict::deny(Code::InsufficientCredits, Credits::ZERO, message)));
        };
        total = sum;
        priced.push(Priced { line: Line { model, ..line }, credits, in_money: None });
    }
    Ok(Ok((priced, total)))
}

fn capture_reason(lines: &[Priced]) -> String {
    let told = lines.iter().take(3).map(|priced| {
        let model = priced.line.model.as_deref();
        let model = model.map(|model| format!(", {model}")).unwrap_or_default();
        format!("{} {}{model}", priced.line.quantity, priced.line.meter)
    });
    let told: Vec<String> = told.collect();
    let more = if lines.len() > 3 { " and more" } else { "" };
    format!("{}{more}", told.join("; "))
}

fn usages(
    request: &Request,
    capture: &Capture,
    hold: &Hold,
    lines: Vec<Priced>,
    charged: &Charged,
    late: bool,
    at: Millis,
) -> Vec<Usage> {
    let usage = |(number, priced): (i64, Priced)| Usage {
        line: number,
        key: request.key.clone(),
        meter: priced.line.meter,
        model: priced.line.model,
        quantity: priced.line.quantity.micros(),
        credits: priced.credits,
        api_key_id: request.caller.key_id().map(str::to_owned),
        cost: capture.cost.filter(|_| number == 0),
        late,
        ..hold.usage(charged, at)
    };
    let mut usages: Vec<Usage> = (0..).zip(lines).map(usage).collect();
    share_uncovered(&mut usages, charged);
    usages
}

/// Writes into the lines what is billed of them: what a contract bills in money, and what went past
/// every credit, by the tariff that the hold is pinned to where it held any such.
fn bill(usages: &mut [Usage], in_money: Vec<Option<Tariff>>, hold: &Hold, account: &Account) {
    let pinned = hold.tariff().filter(|_| hold.overage.is_positive());
    let overage = pinned.or_else(|| account.entitled.overage.clone());
    for (usage, in_money) in usages.iter_mut().zip(in_money) {
        let overage = overage.as_ref().filter(|_| usage.overage.is_positive());
        if let Some(tariff) = in_money.as_ref().or(overage) {
            usage.bill(tariff, account.book.wallet.period_start);
        }
    }
}

/// Gives back what a hold set aside.
pub(super) fn release(
    batch: &mut Batch<'_>,
    request: &Request,
    id: &str,
    at: Millis,
) -> Result<Outcome> {
    change(batch, request, id, at, |account, act, index| {
        account.book.release(&Act { kind: Kind::Release, ..*act }, index)
    })
}

/// Gives a hold more time.
pub(super) fn extend(
    batch: &mut Batch<'_>,
    request: &Request,
    id: &str,
    ttl: Millis,
    at: Millis,
) -> Result<Outcome> {
    change(batch, request, id, at, |account, act, index| {
        let until = at.saturating_add(ttl);
        account.book.extend(&Act { kind: Kind::Extend, ..*act }, index, until)
    })
}

fn change(
    batch: &mut Batch<'_>,
    request: &Request,
    id: &str,
    at: Millis,
    how: impl FnOnce(&mut Account, &Act<'_>, usize) -> Result<()>,
) -> Result<Outcome> {
    let rates = batch.desk.rates.clone();
    let account = batch.account_mut(&request.org_id)?;
    let Some(index) = find(account, id) else { return no_such_hold() };
    if !account.book.holds[index].is_open() {
        return not_open(&account.book.holds[index]);
    }
    if let Some((code, message)) = refuse_parked(&account.view(at, &rates, None)) {
        return Ok(Outcome::Denied(Verdict::deny(code, Credits::ZERO, message)));
    }
    let hold = &account.book.holds[index];
    let quantity = Quantity::from_micros(hold.quantity);
    let (actor, reason) = (request.caller.actor(), format!("{quantity} {}", hold.meter));
    let act = Act { kind: Kind::Release, at, actor: &actor, reason: &reason };
    how(account, &act, index)?;
    let body = views::hold(&account.book.holds[index], &[], Some(balance(account, at)))?;
    Ok(Outcome::Done { body, subject: None })
}
