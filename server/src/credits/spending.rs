//! Credits out and back: spending in burn order, and taking a use back. Pure.

use crate::audit::Actor;
use crate::clock::Millis;
use crate::error::Result;
use crate::units::Credits;

use super::accounts::{Account, Act, Move};
use super::book::Book;
use super::rows::Source;

/// How much was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall(pub Credits);

/// What no grant pays for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uncovered {
    /// Billed, because the tier allows it.
    pub overage: Credits,
    /// Owed, and paid first from the next bought grant.
    pub debt: Credits,
}

impl Uncovered {
    /// Both together.
    pub fn sum(self) -> Credits {
        self.overage.plus(self.debt).unwrap_or(Credits::from_micros(i64::MAX))
    }
}

/// What was charged, and who paid.
#[derive(Clone, Debug, Default)]
pub struct Charged {
    /// The operation's place in the wallet's order.
    pub seq: i64,
    /// Which grants paid, in the order in which they were asked.
    pub from: Vec<(String, Credits)>,
    /// Billed as overage.
    pub overage: Credits,
    /// Became a debt.
    pub debt: Credits,
}

/// One way in which a use was paid: the entries of its operation that end in consumed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Paid {
    /// The grant, where one paid.
    pub grant_id: Option<String>,
    /// From which account.
    pub from_account: String,
    /// How much.
    pub amount: Credits,
}

impl Book {
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
                left = left.less(part);
                parts.push((index, part));
            }
        }
        (parts, Shortfall(left))
    }

    /// Charges `credits` for this member's use, of which `uncovered` is paid by no grant. The
    /// caller has seen that the rest is there.
    pub fn consume(
        &mut self,
        act: &Act<'_>,
        credits: Credits,
        uncovered: Uncovered,
        member: Option<&str>,
    ) -> Result<Charged> {
        let mut moves = Vec::new();
        let mut charged = Charged::default();
        self.plan_charge(&mut moves, &mut charged, credits, uncovered, act.at);
        self.post(act, &moves)?;
        charged.seq = self.wallet.seq;
        self.count_used(member, credits, charged.overage)?;
        self.settle_claws(act.at)?;
        Ok(charged)
    }

    /// The moves that charge `credits` from what is available, and from nobody what is uncovered.
    pub(super) fn plan_charge(
        &self,
        moves: &mut Vec<Move>,
        charged: &mut Charged,
        credits: Credits,
        uncovered: Uncovered,
        at: Millis,
    ) {
        let covered = credits.less(uncovered.sum());
        for (index, amount) in self.plan_spend(covered, at).0 {
            moves.push(Move::of(index, Account::Available, Account::Consumed, amount));
            charged.add(&self.grants[index].id, amount);
        }
        if uncovered.overage.is_positive() {
            moves.push(Move::free(Account::Overage, Account::Consumed, uncovered.overage));
            charged.overage = charged.overage.plus(uncovered.overage).unwrap_or(charged.overage);
        }
        if uncovered.debt.is_positive() {
            moves.push(Move::free(Account::Debt, Account::Consumed, uncovered.debt));
            charged.debt = charged.debt.plus(uncovered.debt).unwrap_or(charged.debt);
        }
    }

    /// Takes a use back: everything returns to where it came from. What returns to a grant whose
    /// time is over lapses at once; a debt that was paid meanwhile comes back as a grant.
    pub fn reverse(&mut self, act: &Act<'_>, paid: &[Paid]) -> Result<()> {
        let mut moves = Vec::new();
        let mut owed = self.wallet.debt;
        let mut repaid = Credits::ZERO;
        for part in paid {
            let from = part.from_account.as_str();
            if let Some(id) = &part.grant_id {
                moves.push(self.give_back(id, Account::Consumed, part.amount, act.at)?);
            } else if from == Account::Debt.word() {
                let still = part.amount.min(owed);
                owed = owed.less(still);
                let rest = part.amount.less(still);
                if still.is_positive() {
                    moves.push(Move::free(Account::Consumed, Account::Debt, still));
                }
                if rest.is_positive() {
                    moves.push(Move::free(Account::Consumed, Account::Granted, rest));
                    repaid = repaid.plus(rest).unwrap_or(repaid);
                }
            } else {
                moves.push(Move::free(Account::Consumed, Account::Overage, part.amount));
            }
        }
        let operation_id = self.post(act, &moves)?;
        self.claw_returned(&moves, act.at)?;
        if repaid.is_positive() {
            let grant = self.new_grant(Source::Manual, operation_id, repaid, act.at, None);
            self.put_in(grant, &Actor::System, "A use was taken back whose debt was paid")?;
        }
        self.settle_claws(act.at)
    }

    /// The move by which credits return to their grant, or lapse because its time is over. (D7)
    pub(super) fn give_back(
        &mut self,
        grant_id: &str,
        from: Account,
        amount: Credits,
        at: Millis,
    ) -> Result<Move> {
        let index = self.grant_index(grant_id)?;
        let grant = &mut self.grants[index];
        let over = grant.is_over(at);
        if !over && grant.ended_at.is_some() {
            grant.ended_at = None;
            grant.changed = true;
        }
        let to = if over { Account::Expired } else { Account::Available };
        Ok(Move::of(index, from, to, amount))
    }

    /// A correction downwards: what can be spent lapses, in burn order. It is nothing that a refund
    /// has taken back, so it does not count towards one.
    pub fn take_away(&mut self, act: &Act<'_>, credits: Credits) -> Result<Result<(), Shortfall>> {
        let (parts, missing) = self.plan_spend(credits, act.at);
        if missing.0.is_positive() {
            return Ok(Err(missing));
        }
        let moves: Vec<Move> = parts
            .into_iter()
            .map(|(index, part)| Move::of(index, Account::Available, Account::Expired, part))
            .collect();
        self.post(act, &moves)?;
        Ok(Ok(()))
    }
}

impl Charged {
    /// Another part that this grant paid.
    pub fn add(&mut self, grant_id: &str, amount: Credits) {
        match self.from.iter_mut().find(|(id, _)| id == grant_id) {
            Some((_, sum)) => *sum = sum.plus(amount).unwrap_or(*sum),
            None => self.from.push((grant_id.to_owned(), amount)),
        }
    }
}
