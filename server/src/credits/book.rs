//! A wallet in memory: locked, with its open grants, and every movement made on it.
//!
//! Pure: it touches no database. [`super::lock`] reads books under their locks and [`super::save`]
//! writes back what happened, many wallets at once. Every movement has two sides that sum to zero.

use crate::audit::Actor;
use crate::clock::{self, Millis};
use crate::error::{Error, Result};
use crate::ids;
use crate::units::Credits;

use super::rows::{EntryRow, Grant, OperationRow, Source, Wallet};

/// Where credits can be. All accounts of a wallet together are always zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// What was ever given, counted downwards.
    Granted,
    /// What can be spent.
    Available,
    /// What open holds have set aside.
    Held,
    /// What was used.
    Consumed,
    /// What lapsed unused.
    Expired,
    /// What was taken back.
    ClawedBack,
    /// What is owed by the customer, counted downwards.
    Debt,
    /// What was used past every grant, counted downwards.
    Overage,
}

impl Account {
    /// The word stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Available => "available",
            Self::Held => "held",
            Self::Consumed => "consumed",
            Self::Expired => "expired",
            Self::ClawedBack => "clawed_back",
            Self::Debt => "debt",
            Self::Overage => "overage",
        }
    }
}

/// What kind of operation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Credits came in.
    Grant,
    /// Credits were used.
    Consume,
    /// A grant's time ran out, or its successor took over.
    Expire,
    /// A debt was paid from a new grant.
    DebtPaid,
}

impl Kind {
    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Consume => "consume",
            Self::Expire => "expire",
            Self::DebtPaid => "debt_paid",
        }
    }
}

/// An amount that goes from one account to another, within one grant where it concerns one.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// Which of the book's grants.
    pub grant: Option<usize>,
    /// Where it comes from.
    pub from: Account,
    /// Where it goes.
    pub to: Account,
    /// How much; more than nothing.
    pub amount: Credits,
}

/// How much was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall(pub Credits);

/// One wallet under its lock.
#[derive(Clone, Debug)]
pub struct Book {
    /// The projection.
    pub wallet: Wallet,
    /// The grants that have not ended, in the order in which they are spent.
    pub grants: Vec<Grant>,
    pub(super) operations: Vec<OperationRow>,
    pub(super) entries: Vec<EntryRow>,
    pub(super) changed: bool,
}

impl Book {
    /// Opens a book over rows that were read.
    pub fn new(wallet: Wallet, mut grants: Vec<Grant>) -> Self {
        grants.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
        Self { wallet, grants, operations: Vec::new(), entries: Vec::new(), changed: false }
    }

    /// The time of an operation begun now: never before the last one. (D18)
    pub fn time(&self, now: Millis) -> Millis {
        now.max(self.wallet.last_at)
    }

    /// Books what is due at `at`: lapsed grants, and the turn of the period. (D16, D17)
    pub fn settle(&mut self, at: Millis) -> Result<()> {
        for index in 0..self.grants.len() {
            if self.grants[index].is_due(at) {
                self.expire(index, at, "Expired")?;
            }
        }
        self.turn_period(at);
        Ok(())
    }

    /// Ends a grant: what is left of it lapses.
    pub fn expire(&mut self, index: usize, at: Millis, reason: &str) -> Result<()> {
        let remaining = self.grants[index].remaining;
        if remaining.is_positive() {
            let moves = [Move {
                grant: Some(index),
                from: Account::Available,
                to: Account::Expired,
                amount: remaining,
            }];
            self.post(Kind::Expire, at, &Actor::System, reason, &moves)?;
        }
        let grant = &mut self.grants[index];
        if grant.ended_at.is_none() && !grant.held.is_positive() {
            grant.ended_at = Some(at);
            grant.changed = true;
        }
        Ok(())
    }

    /// The month of the org's life that `at` falls into, counted from 0, with its bounds.
    pub fn month_at(&self, at: Millis) -> (i64, Millis, Millis) {
        let anchor = self.wallet.created_at;
        let mut month = ((at - anchor) / (31 * clock::DAY)).max(0);
        while clock::add_months(anchor, month + 1) <= at {
            month += 1;
        }
        (month, clock::add_months(anchor, month), clock::add_months(anchor, month + 1))
    }

    /// Whether the free tier's allowance of the current month was not opened yet.
    pub fn free_is_due(&self, at: Millis) -> bool {
        self.month_at(at).0 >= self.wallet.free_opened
    }

    /// Opens the current month's free allowance, once: leaving and coming back mints nothing.
    pub fn open_free(&mut self, included: Credits, at: Millis) -> Result<()> {
        let (month, start, end) = self.month_at(at);
        if month < self.wallet.free_opened {
            return Ok(());
        }
        self.wallet.free_opened = month + 1;
        self.changed = true;
        if included.is_positive() {
            let source_ref = format!("{}:{month}", self.wallet.org_id);
            let grant = self.new_grant(Source::Free, source_ref, included, at, Some(end));
            // A read that settles in memory must name the grant as the write will.
            let id = ids::derived("grant", start, &grant.source_ref);
            let period = (Some(start), Some(end));
            let grant = Grant { id, period_start: period.0, period_end: period.1, ..grant };
            self.put_in(grant, &Actor::System, "Free allowance of the month")?;
        }
        self.turn_period(at);
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
            frozen_at: None,
            reason: String::new(),
            created_at: at,
            ended_at: None,
            changed: true,
        }
    }

    /// Books a new grant, and pays a debt from it where its source does that.
    pub fn put_in(&mut self, grant: Grant, actor: &Actor, reason: &str) -> Result<String> {
        let (id, at, amount) = (grant.id.clone(), grant.created_at, grant.amount);
        let pays_debt = Source::pays_debt(&grant.source_kind);
        let place = self.grants.partition_point(|g| g.burn_order() < grant.burn_order());
        self.grants.insert(place, Grant { reason: reason.to_owned(), ..grant });
        let enters =
            Move { grant: Some(place), from: Account::Granted, to: Account::Available, amount };
        self.post(Kind::Grant, at, actor, reason, &[enters])?;
        let owed = self.wallet.debt.min(amount);
        if pays_debt && owed.is_positive() {
            let pays = Move {
                grant: Some(place),
                from: Account::Available,
                to: Account::Debt,
                amount: owed,
            };
            self.post(Kind::DebtPaid, at, &Actor::System, "Paid an earlier debt", &[pays])?;
        }
        Ok(id)
    }

    /// What it would take to spend `credits` now: from which grants, in burn order. (I9)
    pub fn plan_spend(&self, credits: Credits, at: Millis) -> (Vec<(usize, Credits)>, Shortfall) {
        let mut left = credits;
        let mut parts = Vec::new();
        for (index, grant) in self.grants.iter().enumerate() {
            if !left.is_positive() {
                break;
            }
            if grant.is_spendable(at) {
                let part = left.min(grant.remaining);
                left = left.minus(part).unwrap_or(Credits::ZERO);
                parts.push((index, part));
            }
        }
        (parts, Shortfall(left))
    }

    /// Books one operation: every move, both sides of each. Answers the operation's id.
    pub fn post(
        &mut self,
        kind: Kind,
        at: Millis,
        actor: &Actor,
        reason: &str,
        moves: &[Move],
    ) -> Result<String> {
        let id = ids::new("op", at);
        let before = self.wallet.available;
        let mut line = 0;
        for step in moves {
            for (account, amount) in
                [(step.from, -step.amount.micros()), (step.to, step.amount.micros())]
            {
                self.shift(account, step.grant, amount)?;
                let grant_id = step.grant.map(|index| self.grants[index].id.clone());
                let operation_id = id.clone();
                let account = account.word();
                self.entries.push(EntryRow { operation_id, line, account, grant_id, amount });
                line += 1;
            }
        }
        self.wallet.seq += 1;
        self.wallet.last_at = at;
        self.changed = true;
        self.operations.push(OperationRow {
            id: id.clone(),
            seq: self.wallet.seq,
            kind: kind.word(),
            at,
            actor_kind: actor.kind(),
            actor_id: actor.id().unwrap_or_default().to_owned(),
            reason: reason.to_owned(),
            available_change: self.wallet.available.micros() - before.micros(),
            available_after: self.wallet.available,
            held_after: self.wallet.held,
        });
        Ok(id)
    }

    /// Counts use in the current period.
    pub fn count_used(&mut self, credits: Credits, overage: Credits) -> Result<()> {
        self.wallet.period_used = add(self.wallet.period_used, credits.micros())?;
        self.wallet.overage = add(self.wallet.overage, overage.micros())?;
        self.changed = true;
        Ok(())
    }

    /// Ends the bought grants that were used up, so that they are not read again.
    pub fn close_spent(&mut self, at: Millis) {
        for grant in &mut self.grants {
            let spent = !grant.remaining.is_positive() && !grant.held.is_positive();
            if spent && grant.ended_at.is_none() && !grant.is_allowance() {
                grant.ended_at = Some(at);
                grant.changed = true;
            }
        }
    }

    /// What the current period's allowance grants gave and how much of it was used; `None` where
    /// nothing was granted.
    pub fn allowance(&self) -> Option<(Credits, Credits)> {
        let current = self.grants.iter().filter(|grant| grant.is_allowance());
        let live: Vec<&Grant> = current.filter(|grant| grant.ended_at.is_none()).collect();
        if live.is_empty() {
            return None;
        }
        let sum = |pick: fn(&Grant) -> Credits| {
            live.iter().fold(Credits::ZERO, |sum, grant| sum.plus(pick(grant)).unwrap_or(sum))
        };
        Some((sum(|grant| grant.amount), sum(|grant| grant.consumed)))
    }

    /// What can be spent at `at`: grants that are due but not booked yet do not count. (I2, D17)
    pub fn spendable(&self, at: Millis) -> Credits {
        let open = self.grants.iter().filter(|grant| grant.is_spendable(at));
        open.fold(Credits::ZERO, |sum, grant| sum.plus(grant.remaining).unwrap_or(sum))
    }

    /// The period of the allowance in force, else the org's own month.
    fn turn_period(&mut self, at: Millis) {
        let open = self.grants.iter().filter(|grant| grant.ended_at.is_none());
        let periods = open.filter_map(|grant| grant.period_start.zip(grant.period_end));
        let (start, end) = periods.max().unwrap_or_else(|| {
            let (_, start, end) = self.month_at(at);
            (start, end)
        });
        if start != self.wallet.period_start {
            self.wallet.period_used = Credits::ZERO;
            self.wallet.overage = Credits::ZERO;
        }
        if (start, end) != (self.wallet.period_start, self.wallet.period_end) {
            (self.wallet.period_start, self.wallet.period_end) = (start, end);
            self.changed = true;
        }
    }

    /// Changes the projections by one side of a move. Amounts that do not fit are refused.
    fn shift(&mut self, account: Account, grant: Option<usize>, amount: i64) -> Result<()> {
        match account {
            Account::Available => self.wallet.available = add(self.wallet.available, amount)?,
            Account::Held => self.wallet.held = add(self.wallet.held, amount)?,
            Account::Debt => self.wallet.debt = add(self.wallet.debt, -amount)?,
            _ => {}
        }
        let Some(index) = grant else { return Ok(()) };
        let grant = &mut self.grants[index];
        grant.changed = true;
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

/// A sum that must fit and must not fall below zero.
fn add(left: Credits, micros: i64) -> Result<Credits> {
    let sum = left.plus(Credits::from_micros(micros));
    sum.filter(|sum| *sum >= Credits::ZERO)
        .ok_or_else(|| Error::invalid("credits", "The wallet cannot hold that many credits."))
}
