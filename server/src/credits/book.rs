//! A wallet in memory: locked, with its open grants and holds, and every movement made on it.
//!
//! Pure: it touches no database. [`super::lock`] reads books under their locks and [`super::save`]
//! writes back what happened, many wallets at once. Every movement goes from one account to
//! another, so that an operation always sums to zero.

use std::collections::BTreeMap;

use crate::audit::Actor;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::ids;
use crate::units::Credits;
use crate::usage::Usage;

use super::accounts::{Account, Act, Kind, Move};
use super::rows::{EntryRow, Grant, Hold, OperationRow, Source, Wallet};

/// One wallet under its lock.
#[derive(Clone, Debug)]
pub struct Book {
    /// The projection.
    pub wallet: Wallet,
    /// The grants that have not ended, in the order in which they are spent.
    pub grants: Vec<Grant>,
    /// The holds that are open, and those that ended in this book.
    pub holds: Vec<Hold>,
    /// What was used in this book and is not written yet.
    pub usages: Vec<Usage>,
    /// What was billed and is taken back in this book, which is not written yet.
    pub taken_back: Vec<Usage>,
    /// What members used in this book, in millionths of a credit, and is not written yet; less than
    /// nothing where use was taken back.
    pub by_member: BTreeMap<String, i64>,
    pub(super) operations: Vec<OperationRow>,
    pub(super) entries: Vec<EntryRow>,
    pub(super) changed: bool,
}

impl Book {
    /// Opens a book over rows that were read.
    pub fn new(wallet: Wallet, mut grants: Vec<Grant>, holds: Vec<Hold>) -> Self {
        grants.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
        Self {
            wallet,
            grants,
            holds,
            usages: Vec::new(),
            taken_back: Vec::new(),
            by_member: BTreeMap::new(),
            operations: Vec::new(),
            entries: Vec::new(),
            changed: false,
        }
    }

    /// The time of an operation begun now: never before the last one. (D18)
    pub fn time(&self, now: Millis) -> Millis {
        now.max(self.wallet.last_at)
    }

    /// Books what is due at `at`: the turn of the period, debts that a grant paid when it began,
    /// holds whose time is over, lapsed grants. The period turns first: a hold that is charged now
    /// counts in the period of now, as its usage does. A debt is paid before anything lapses, for
    /// it was paid when the grant began, however long nobody booked that. A parked wallet waits:
    /// what is due is subtracted by reads, and booked once its books are mended. (D11, D16, D17,
    /// F1)
    pub fn settle(&mut self, at: Millis) -> Result<()> {
        let since = self.wallet.last_at;
        self.turn_period(at);
        if self.wallet.parked_at.is_some() {
            return Ok(());
        }
        self.pay_from_begun(since, at)?;
        self.end_holds(at, at)?;
        for index in 0..self.grants.len() {
            if self.grants[index].ended_at.is_none() && self.grants[index].is_due(at) {
                self.expire(index, at, "Expired")?;
            }
        }
        Ok(())
    }

    /// Ends the holds whose time was over by then.
    fn end_holds(&mut self, until: Millis, at: Millis) -> Result<()> {
        for index in 0..self.holds.len() {
            if self.holds[index].is_open() && self.holds[index].expires_at <= until {
                self.expire_hold(index, at)?;
            }
        }
        Ok(())
    }

    /// Pays a debt from what was given ahead and could not be spent before `since`, as it would be
    /// were it given only when it began: what began first pays first, though it be over now. A hold
    /// that ran out before may have left a debt, because a refund waited for it.
    pub(super) fn pay_from_begun(&mut self, since: Millis, at: Millis) -> Result<()> {
        let begun = |grant: &Grant| {
            let ahead = grant.created_at < grant.effective_at;
            ahead && since < grant.effective_at && grant.effective_at <= at
        };
        let pays = |grant: &Grant| {
            Source::pays_debt(&grant.source_kind) && grant.is_spendable(grant.effective_at)
        };
        let all = 0..self.grants.len();
        let mut paying: Vec<usize> =
            all.filter(|index| begun(&self.grants[*index]) && pays(&self.grants[*index])).collect();
        paying.sort_by_key(|index| self.grants[*index].effective_at);
        for index in paying {
            self.end_holds(self.grants[index].effective_at, at)?;
            self.pay_debt(index, at)?;
        }
        Ok(())
    }

    /// Pays what is owed from a grant, as far as it goes.
    fn pay_debt(&mut self, index: usize, at: Millis) -> Result<()> {
        let owed = self.wallet.debt.min(self.grants[index].remaining);
        if !owed.is_positive() {
            return Ok(());
        }
        let pays = Move::of(index, Account::Available, Account::Debt, owed);
        let reason = "Paid an earlier debt";
        self.post(&Act { kind: Kind::DebtPaid, at, actor: &Actor::System, reason }, &[pays])?;
        Ok(())
    }

    /// Ends a grant: what is left of it lapses, and so will what returns to it.
    pub fn expire(&mut self, index: usize, at: Millis, reason: &str) -> Result<()> {
        let remaining = self.grants[index].remaining;
        if remaining.is_positive() {
            let moves = [Move::of(index, Account::Available, Account::Expired, remaining)];
            let act = Act { kind: Kind::Expire, at, actor: &Actor::System, reason };
            self.post(&act, &moves)?;
        }
        let grant = &mut self.grants[index];
        if !grant.is_due(at) {
            grant.expires_at = Some(at);
            grant.changed = true;
        }
        if grant.ended_at.is_none() && !grant.held.is_positive() {
            grant.ended_at = Some(at);
            grant.changed = true;
        }
        Ok(())
    }

    /// A grant as it is on its first day. Its reason is filled in when it is put in.
    pub fn new_grant(
        &self,
        source: Source,
        source_ref: String,
        amount: Credits,
        at: Millis,
        expires_at: Option<Millis>,
    ) -> Grant {
        Grant {
            id: ids::new("grant", at),
            org_id: self.wallet.org_id.clone(),
            source_kind: source.word().to_owned(),
            source_ref,
            priority: source.priority(),
            amount,
            remaining: Credits::ZERO,
            held: Credits::ZERO,
            consumed: Credits::ZERO,
            expired: Credits::ZERO,
            clawed_back: Credits::ZERO,
            debt_paid: Credits::ZERO,
            effective_at: at,
            expires_at,
            period_start: None,
            period_end: None,
            payment: None,
            claw_target: Credits::ZERO,
            claw_debt: Credits::ZERO,
            frozen_at: None,
            voided_at: None,
            reason: String::new(),
            created_at: at,
            ended_at: None,
            new: true,
            moved: false,
            changed: true,
        }
    }

    /// Books a new grant, and pays a debt from it where its source does that.
    pub fn put_in(&mut self, grant: Grant, actor: &Actor, reason: &str) -> Result<String> {
        let (id, at, amount) = (grant.id.clone(), grant.created_at, grant.amount);
        let pays_debt = Source::pays_debt(&grant.source_kind) && grant.effective_at <= at;
        let place = self.grants.partition_point(|g| g.burn_order() < grant.burn_order());
        self.grants.insert(place, Grant { reason: reason.to_owned(), ..grant });
        let enters = Move::of(place, Account::Granted, Account::Available, amount);
        self.post(&Act { kind: Kind::Grant, at, actor, reason }, &[enters])?;
        if pays_debt {
            self.pay_debt(place, at)?;
        }
        Ok(id)
    }

    /// Books one operation with its moves; an operation that only says something has none. Answers
    /// its id.
    pub fn post(&mut self, act: &Act<'_>, moves: &[Move]) -> Result<String> {
        let id = ids::new("op", act.at);
        let before = self.wallet.available;
        for (line, step) in (0..).zip(moves) {
            self.shift(step.from, step.grant, -step.amount.micros())?;
            self.shift(step.to, step.grant, step.amount.micros())?;
            let grant_id = step.grant.map(|index| self.grants[index].id.clone());
            let (from, to) = (step.from.word(), step.to.word());
            let operation_id = id.clone();
            self.entries.push(EntryRow {
                operation_id,
                line,
                grant_id,
                from,
                to,
                amount: step.amount,
            });
        }
        self.wallet.seq += 1;
        self.wallet.last_at = act.at;
        self.changed = true;
        self.operations.push(OperationRow {
            id: id.clone(),
            seq: self.wallet.seq,
            kind: act.kind.word(),
            at: act.at,
            actor_kind: act.actor.kind(),
            actor_id: act.actor.id().unwrap_or_default().to_owned(),
            reason: act.reason.to_owned(),
            available_change: self.wallet.available.micros() - before.micros(),
            available_after: self.wallet.available,
            held_after: self.wallet.held,
        });
        Ok(id)
    }

    /// Counts use in the current period, and as its member's.
    pub fn count_used(
        &mut self,
        member: Option<&str>,
        credits: Credits,
        overage: Credits,
    ) -> Result<()> {
        self.count_member(member, credits.micros());
        self.wallet.period_used = add(self.wallet.period_used, credits.micros())?;
        self.wallet.overage = add(self.wallet.overage, overage.micros())?;
        self.changed = true;
        Ok(())
    }

    /// Takes use of the current period back.
    pub fn uncount_used(&mut self, member: Option<&str>, credits: Credits, overage: Credits) {
        self.count_member(member, -credits.micros());
        self.wallet.period_used = self.wallet.period_used.less(credits);
        self.wallet.overage = self.wallet.overage.less(overage);
        self.changed = true;
    }

    fn count_member(&mut self, member: Option<&str>, credits: i64) {
        if let Some(member) = member {
            let used = self.by_member.entry(member.to_owned()).or_default();
            *used = used.saturating_add(credits);
        }
    }

    /// Ends the grants of which nothing is left and nothing will come, so that they are not read
    /// again. An allowance stays until its time is over: percentages are of it.
    pub fn close_spent(&mut self, at: Millis) {
        for grant in &mut self.grants {
            let spent = !grant.remaining.is_positive() && !grant.held.is_positive();
            let done = grant.is_over(at) || !grant.is_allowance();
            if spent && done && grant.ended_at.is_none() {
                grant.ended_at = Some(at);
                grant.changed = true;
            }
        }
    }

    /// What can be spent at `at`: grants that are due but not booked yet do not count. (I2, D17)
    pub fn spendable(&self, at: Millis) -> Credits {
        let open = self.grants.iter().filter(|grant| grant.is_spendable(at));
        open.map(|grant| grant.remaining).sum()
    }

    /// The place of a grant in this book.
    pub fn grant_index(&self, id: &str) -> Result<usize> {
        let found = self.grants.iter().position(|grant| grant.id == id);
        found.ok_or_else(|| Error::internal(format!("{id} is not in its wallet's book")))
    }

    /// Changes the projections by one side of a move. Amounts that do not fit are refused.
    fn shift(&mut self, account: Account, grant: Option<usize>, amount: i64) -> Result<()> {
        match account {
            Account::Available => self.wallet.available = add(self.wallet.available, amount)?,
            Account::Held => self.wallet.held = add(self.wallet.held, amount)?,
            Account::Debt => self.wallet.debt = add(self.wallet.debt, amount.saturating_neg())?,
            _ => {}
        }
        let Some(index) = grant else { return Ok(()) };
        let grant = &mut self.grants[index];
        match account {
            Account::Available | Account::Held | Account::Consumed => grant.moved = true,
            _ => grant.changed = true,
        }
        let field = match account {
            Account::Available => &mut grant.remaining,
            Account::Held => &mut grant.held,
            Account::Consumed => &mut grant.consumed,
            Account::Expired => &mut grant.expired,
            Account::ClawedBack => &mut grant.clawed_back,
            Account::Debt => &mut grant.debt_paid,
            Account::Granted | Account::Overage => return Ok(()),
        };
        *field = add(*field, amount)?;
        Ok(())
    }
}

/// A sum that must fit; below zero it never falls unless the projection is wrong.
fn add(left: Credits, micros: i64) -> Result<Credits> {
    let sum = left
        .plus(Credits::from_micros(micros))
        .ok_or_else(|| Error::invalid("credits", "The wallet cannot hold that many credits."))?;
    if sum < Credits::ZERO {
        return Err(Error::internal("a balance would fall below zero: its books disagree"));
    }
    Ok(sum)
}
