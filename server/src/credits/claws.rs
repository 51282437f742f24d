//! Taking back what a refund or a dispute took back of its payment, and keeping grants from being
//! spent. Pure. Everything is set to a target, so that repeats and any order end in the same.

use crate::audit::Actor;
use crate::clock::Millis;
use crate::error::Result;
use crate::units::Credits;

use super::accounts::{Account, Act, Kind, Move};
use super::book::Book;
use super::rows::Source;

impl Book {
    /// Sets how much of a grant is taken back altogether. What was spent already becomes a debt;
    /// what open holds have set aside is taken when it returns. (E7–E10, I10)
    pub fn claw_to(&mut self, index: usize, target: Credits, at: Millis) -> Result<()> {
        let grant = &mut self.grants[index];
        let target = target.min(grant.amount);
        if grant.claw_target == target {
            return Ok(());
        }
        grant.claw_target = target;
        grant.changed = true;
        self.reinstate(index, at)?;
        self.settle_claws(at)
    }

    /// Takes back what the targets still want, as far as it is there.
    pub(super) fn settle_claws(&mut self, at: Millis) -> Result<()> {
        for index in 0..self.grants.len() {
            if self.grants[index].claw_target.is_positive() {
                self.settle_claw(index, at)?;
            }
        }
        Ok(())
    }

    fn settle_claw(&mut self, index: usize, at: Millis) -> Result<()> {
        let grant = &self.grants[index];
        let missing = grant.claw_target.less(grant.clawed_back).less(grant.claw_debt);
        let now = missing.min(grant.remaining);
        // What lapsed did the customer no good: it is taken before anything is owed.
        let lapsed = missing.less(now).min(grant.expired);
        let owed = missing.less(now).less(lapsed).less(grant.held);
        let mut moves = Vec::new();
        if now.is_positive() {
            moves.push(Move::of(index, Account::Available, Account::ClawedBack, now));
        }
        if lapsed.is_positive() {
            moves.push(Move::of(index, Account::Expired, Account::ClawedBack, lapsed));
        }
        if owed.is_positive() {
            moves.push(Move::free(Account::Debt, Account::ClawedBack, owed));
        }
        if moves.is_empty() {
            return Ok(());
        }
        let reason = "Its payment was taken back";
        self.post(&Act { kind: Kind::ClawBack, at, actor: &Actor::System, reason }, &moves)?;
        let grant = &mut self.grants[index];
        grant.claw_debt = grant.claw_debt.plus(owed).unwrap_or(grant.claw_debt);
        grant.changed = true;
        Ok(())
    }

    /// Takes what a reversal has just returned to grants whose payment was taken back, instead of
    /// leaving it owed: as if it had been there before. `returned` says to which grant, to what can
    /// be spent of it or to what lapsed, and how much. A frozen grant keeps everything.
    pub(super) fn claw_returned(&mut self, returned: &[Move], at: Millis) -> Result<()> {
        for step in returned {
            let Some(index) = step.grant else { continue };
            let grant = &self.grants[index];
            let there = match step.to {
                Account::Available => grant.remaining,
                Account::Expired => grant.expired,
                _ => continue,
            };
            let instead = grant.claw_debt.min(self.wallet.debt).min(step.amount).min(there);
            if grant.frozen_at.is_some() || !instead.is_positive() {
                continue;
            }
            let moves = [
                Move::of(index, step.to, Account::ClawedBack, instead),
                Move::free(Account::ClawedBack, Account::Debt, instead),
            ];
            let reason = "Its payment was taken back";
            self.post(&Act { kind: Kind::ClawBack, at, actor: &Actor::System, reason }, &moves)?;
            let grant = &mut self.grants[index];
            grant.claw_debt = grant.claw_debt.less(instead);
            grant.changed = true;
        }
        Ok(())
    }

    /// Gives back what was taken beyond the target: first what is still owed, then credits.
    fn reinstate(&mut self, index: usize, at: Millis) -> Result<()> {
        let grant = &self.grants[index];
        let taken = grant.clawed_back.plus(grant.claw_debt).unwrap_or(grant.clawed_back);
        let surplus = taken.less(grant.claw_target);
        let forgiven = surplus.min(grant.claw_debt).min(self.wallet.debt);
        let returned = surplus.less(forgiven).min(grant.clawed_back);
        let mut moves = Vec::new();
        if forgiven.is_positive() {
            moves.push(Move::free(Account::ClawedBack, Account::Debt, forgiven));
        }
        if returned.is_positive() {
            let id = self.grants[index].id.clone();
            moves.push(self.give_back(&id, Account::ClawedBack, returned, at)?);
        }
        // A debt that another grant has paid meanwhile comes back as credits.
        let repaid = surplus.less(forgiven).less(returned);
        if repaid.is_positive() {
            moves.push(Move::free(Account::ClawedBack, Account::Granted, repaid));
        }
        if moves.is_empty() {
            return Ok(());
        }
        let reason = "What was taken back of its payment was returned";
        let act = Act { kind: Kind::Reinstate, at, actor: &Actor::System, reason };
        let operation_id = self.post(&act, &moves)?;
        let grant = &mut self.grants[index];
        grant.claw_debt = grant.claw_debt.less(forgiven).less(repaid);
        grant.changed = true;
        if repaid.is_positive() {
            let grant = self.new_grant(Source::Manual, operation_id, repaid, at, None);
            self.put_in(grant, &Actor::System, reason)?;
        }
        Ok(())
    }

    /// Keeps a grant from being spent, or lets it be spent again; what it has stays. (E11, E12)
    pub fn set_frozen(&mut self, index: usize, act: &Act<'_>, frozen: bool) -> Result<bool> {
        if self.grants[index].frozen_at.is_some() == frozen {
            return Ok(false);
        }
        self.post(act, &[])?;
        let grant = &mut self.grants[index];
        grant.frozen_at = frozen.then_some(act.at);
        grant.changed = true;
        Ok(true)
    }

    /// Ends a grant before its time: what is left lapses, and so will what returns to it.
    pub fn void(&mut self, index: usize, act: &Act<'_>) -> Result<bool> {
        if self.grants[index].voided_at.is_some() {
            return Ok(false);
        }
        let left = self.grants[index].remaining;
        let moves = match left.is_positive() {
            true => vec![Move::of(index, Account::Available, Account::Expired, left)],
            false => Vec::new(),
        };
        self.post(act, &moves)?;
        let grant = &mut self.grants[index];
        grant.voided_at = Some(act.at);
        grant.changed = true;
        self.close_spent(act.at);
        Ok(true)
    }
}
