//! Taking things back: a use, or the open holds of a workflow.

use crate::clock::Millis;
use crate::credits::{Act, Kind};
use crate::error::Result;
use crate::units::Credits;

use super::answer;
use super::batch::{Batch, Outcome, balance};
use super::decide::refuse_parked;
use super::request::Request;
use super::verdict::Verdict;
use super::views;

/// Takes a use back, with everything that was charged together with it: the credits return to the
/// grants they came from.
pub(super) fn reverse(
    batch: &mut Batch<'_>,
    request: &Request,
    id: &str,
    why: &str,
    at: Millis,
) -> Result<Outcome> {
    let pair = (request.org_id.clone(), id.to_owned());
    let Some(taken) = batch.taken.get(&pair).cloned() else {
        let refused = answer::refused(404, "not_found", "The usage was not found.")?;
        return Ok(Outcome::Refused(refused));
    };
    let first = &taken.lines[0];
    if first.reversed_at.is_some() || batch.undone.contains(&first.id) {
        let message = "This usage was taken back before.";
        return Ok(Outcome::Refused(answer::refused_key(409, "operation_reversed", message)?));
    }
    let rates = batch.desk.rates.clone();
    let account = batch.account_mut(&request.org_id)?;
    if let Some((code, message)) = refuse_parked(&account.view(at, &rates, None)) {
        return Ok(Outcome::Denied(Verdict::deny(code, Credits::ZERO, message)));
    }
    let actor = request.caller.actor();
    let act = Act { kind: Kind::Reverse, at, actor: &actor, reason: why };
    account.book.reverse(&act, &taken.paid)?;
    let sum = |pick: fn(&crate::usage::Usage) -> Credits| -> Credits {
        taken.lines.iter().map(pick).sum()
    };
    let (credits, overage, debt) = (sum(|u| u.credits), sum(|u| u.overage), sum(|u| u.debt));
    // What an earlier period used stays counted there.
    if first.at >= account.book.counts_since() {
        account.book.uncount_used(first.member.as_deref(), credits, overage);
    }
    let mut lines = taken.lines.clone();
    for line in &mut lines {
        line.reversed_at = Some(at);
        if line.billed_to.is_some() {
            account.book.taken_back.push(line.clone());
        }
    }
    let mut charged = crate::credits::Charged { overage, debt, ..Default::default() };
    for part in &taken.paid {
        if let Some(grant) = &part.grant_id {
            charged.add(grant, part.amount);
        }
    }
    let body = views::usage(&lines, &charged, &[], balance(account, at))?;
    batch.reversals.push((request.org_id.clone(), first.at, first.seq, at));
    batch.undone.extend(taken.lines.iter().map(|line| line.id.clone()));
    Ok(Outcome::Done { body, subject: None })
}

/// Gives back what the open holds of a workflow set aside; what it has used stays. (D27)
pub(super) fn release_run(
    batch: &mut Batch<'_>,
    request: &Request,
    run: &str,
    at: Millis,
) -> Result<Outcome> {
    if !batch.runs.contains(&(request.org_id.clone(), run.to_owned())) {
        let refused = answer::refused(404, "not_found", "The run was not found.")?;
        return Ok(Outcome::Refused(refused));
    }
    let rates = batch.desk.rates.clone();
    let account = batch.account_mut(&request.org_id)?;
    if let Some((code, message)) = refuse_parked(&account.view(at, &rates, None)) {
        return Ok(Outcome::Denied(Verdict::deny(code, Credits::ZERO, message)));
    }
    let (mut released, mut credits) = (Vec::new(), Credits::ZERO);
    let actor = request.caller.actor();
    let reason = format!("The run {run} was released");
    let act = Act { kind: Kind::Release, at, actor: &actor, reason: &reason };
    for index in 0..account.book.holds.len() {
        let hold = &account.book.holds[index];
        if hold.is_open() && hold.run.as_deref() == Some(run) {
            released.push(hold.id.clone());
            credits = credits.plus(hold.credits).unwrap_or(credits);
            account.book.release(&act, index)?;
        }
    }
    let body = views::run_release(run, &released, credits, at, balance(account, at))?;
    Ok(Outcome::Done { body, subject: None })
}
