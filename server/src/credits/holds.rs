//! Holds: credits set aside, then charged, given back, or both in parts. Pure.

use crate::audit::Actor;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::ids;
use crate::units::Credits;
use crate::usage::Usage;

use super::accounts::{Account, Act, Kind, Move};
use super::book::Book;
use super::rows::{Grant, Hold};
use super::spending::{Charged, Uncovered};

impl Book {
    /// Sets credits aside for this hold, of which `hold.overage` is covered by no grant. The caller
    /// has seen that the rest is there.
    pub fn hold(&mut self, act: &Act<'_>, hold: Hold) -> Result<usize> {
        let covered = hold.credits.less(hold.overage);
        let mut moves = Vec::new();
        let mut parts = Vec::new();
        for (index, amount) in self.plan_spend(covered, act.at).0 {
            moves.push(Move::of(index, Account::Available, Account::Held, amount));
            parts.push((self.grants[index].id.clone(), amount));
        }
        if hold.overage.is_positive() {
            moves.push(Move::free(Account::Overage, Account::Held, hold.overage));
        }
        let operation_id = self.post(act, &moves)?;
        let seq = self.wallet.seq;
        let made = Hold { operation_id, seq, parts, new: true, changed: true, ..hold };
        self.holds.push(made);
        Ok(self.holds.len() - 1)
    }

    /// Charges an open hold with `credits`: what it set aside first; beyond that what is available,
    /// except what is `uncovered`. What it does not need returns. (D7, D8)
    pub fn capture(
        &mut self,
        act: &Act<'_>,
        index: usize,
        credits: Credits,
        uncovered: Uncovered,
    ) -> Result<Charged> {
        let mut charged = Charged::default();
        let (mut moves, beyond) = self.unwind(index, credits, act.at, &mut charged)?;
        if beyond.is_positive() {
            self.plan_charge(&mut moves, &mut charged, beyond, uncovered, act.at);
        }
        self.post(act, &moves)?;
        charged.seq = self.wallet.seq;
        let member = self.holds[index].member.clone();
        self.count_used(member.as_deref(), credits, charged.overage)?;
        let status = if act.kind == Kind::ExpireHold { "expired" } else { "captured" };
        self.end_hold(index, status, act.at);
        self.holds[index].captured = credits;
        self.settle_claws(act.at)?;
        Ok(charged)
    }

    /// Gives everything back that a hold set aside.
    pub fn release(&mut self, act: &Act<'_>, index: usize) -> Result<()> {
        let (moves, _) = self.unwind(index, Credits::ZERO, act.at, &mut Charged::default())?;
        self.post(act, &moves)?;
        let status = if act.kind == Kind::ExpireHold { "expired" } else { "released" };
        self.end_hold(index, status, act.at);
        self.settle_claws(act.at)
    }

    /// Gives a hold time until `expires_at`, never less than it has.
    pub fn extend(&mut self, act: &Act<'_>, index: usize, expires_at: Millis) -> Result<()> {
        self.post(act, &[])?;
        let hold = &mut self.holds[index];
        hold.expires_at = hold.expires_at.max(expires_at);
        hold.changed = true;
        Ok(())
    }

    /// Books that a hold's time is over: it returns, or is charged where its meter wants that.
    pub(super) fn expire_hold(&mut self, index: usize, at: Millis) -> Result<()> {
        let hold = self.holds[index].clone();
        let reason = format!("The hold for {} ran out", hold.meter);
        let act = Act { kind: Kind::ExpireHold, at, actor: &Actor::System, reason: &reason };
        if !hold.charges() {
            return self.release(&act, index);
        }
        let charged = self.capture(&act, index, hold.credits, Uncovered::default())?;
        // A read that settles in memory must name the use as the write will.
        let id = ids::derived("usage", hold.expires_at, &hold.id);
        let mut usage = Usage { id, ..hold.usage(&charged, at) };
        let in_money = hold.in_money().is_some();
        if let Some(tariff) = hold.tariff().filter(|_| in_money || usage.overage.is_positive()) {
            usage.bill(&tariff, self.wallet.period_start);
        }
        self.holds[index].usage_id = Some(usage.id.clone());
        self.usages.push(usage);
        Ok(())
    }

    /// The moves that charge up to `credits` of what a hold set aside and return the rest; and what
    /// is left to charge beyond it.
    fn unwind(
        &mut self,
        index: usize,
        credits: Credits,
        at: Millis,
        charged: &mut Charged,
    ) -> Result<(Vec<Move>, Credits)> {
        let hold = &self.holds[index];
        if !hold.is_open() {
            return Err(Error::internal(format!("{} is not open", hold.id)));
        }
        let (parts, overage) = (hold.parts.clone(), hold.overage);
        let mut left = credits;
        let mut moves = Vec::new();
        for (grant_id, amount) in parts {
            let (taken, rest) = split(amount, &mut left);
            if taken.is_positive() {
                let grant = self.grant_index(&grant_id)?;
                moves.push(Move::of(grant, Account::Held, Account::Consumed, taken));
                charged.add(&grant_id, taken);
            }
            if rest.is_positive() {
                moves.push(self.give_back(&grant_id, Account::Held, rest, at)?);
            }
        }
        let (taken, rest) = split(overage, &mut left);
        if taken.is_positive() {
            moves.push(Move::free(Account::Held, Account::Consumed, taken));
            charged.overage = taken;
        }
        if rest.is_positive() {
            moves.push(Move::free(Account::Held, Account::Overage, rest));
        }
        Ok((moves, left))
    }

    fn end_hold(&mut self, index: usize, status: &str, at: Millis) {
        let hold = &mut self.holds[index];
        hold.status = status.to_owned();
        // One that ran out ended when its time was over, whenever that is booked.
        hold.ended_at = Some(if status == "expired" { hold.expires_at } else { at });
        hold.changed = true;
    }

    /// Takes grants and holds into the book that are not open any more, because an operation is
    /// about them.
    pub fn remember(&mut self, grants: Vec<Grant>, holds: Vec<Hold>) {
        for grant in grants {
            if self.grants.iter().all(|known| known.id != grant.id) {
                self.grants.push(grant);
            }
        }
        self.grants.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
        for hold in holds {
            if self.holds.iter().all(|known| known.id != hold.id) {
                self.holds.push(hold);
            }
        }
    }
}

impl Hold {
    /// A use that this hold is charged with: one line, named by the hold, that cost all of it.
    pub fn usage(&self, charged: &Charged, at: Millis) -> Usage {
        Usage {
            id: ids::new("usage", at),
            org_id: self.org_id.clone(),
            seq: charged.seq,
            line: 0,
            hold_id: Some(self.id.clone()),
            key: self.key.clone(),
            meter: self.meter.clone(),
            model: self.model.clone(),
            feature: self.feature.clone(),
            quantity: self.quantity,
            credits: self.credits,
            overage: charged.overage,
            debt: charged.debt,
            billed: 0,
            billed_to: None,
            billed_currency: None,
            billed_from: None,
            run: self.run.clone(),
            member: self.member.clone(),
            api_key_id: self.api_key_id.clone(),
            rate_card: self.rate_card.clone(),
            cost: None,
            metadata: self.metadata.clone(),
            at,
            occurred_at: None,
            late: false,
            reversed_at: None,
        }
    }
}

/// Takes from `left` what fits into `amount`: what was taken, and the rest of the amount.
fn split(amount: Credits, left: &mut Credits) -> (Credits, Credits) {
    let taken = amount.min(*left);
    *left = left.less(taken);
    (taken, amount.less(taken))
}
