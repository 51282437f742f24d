//! Where credits can be, and the kinds of operations that move them. Pure words.

use crate::units::Credits;

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
    /// Credits were set aside.
    Hold,
    /// A hold was charged, and what was left of it returned.
    Capture,
    /// A hold was given back.
    Release,
    /// A hold was given more time.
    Extend,
    /// A hold's time ran out.
    ExpireHold,
    /// A use was taken back.
    Reverse,
    /// A grant's time ran out, or its successor took over.
    Expire,
    /// A debt was paid from a new grant.
    DebtPaid,
    /// Taken back after a refund or a lost dispute.
    ClawBack,
    /// Given back after a claw-back turned out to be too large.
    Reinstate,
    /// A grant may not be spent for a while.
    Freeze,
    /// A frozen grant may be spent again.
    Unfreeze,
    /// A grant ended before its time.
    Void,
    /// Corrected by hand.
    Adjust,
}

impl Kind {
    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Consume => "consume",
            Self::Hold => "hold",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Extend => "extend",
            Self::ExpireHold => "expire_hold",
            Self::Reverse => "reverse",
            Self::Expire => "expire",
            Self::DebtPaid => "debt_paid",
            Self::ClawBack => "claw_back",
            Self::Reinstate => "reinstate",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::Void => "void",
            Self::Adjust => "adjust",
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

impl Move {
    /// Between two accounts of one grant.
    pub fn of(grant: usize, from: Account, to: Account, amount: Credits) -> Self {
        Self { grant: Some(grant), from, to, amount }
    }

    /// Between two accounts of the wallet that concern no grant.
    pub fn free(from: Account, to: Account, amount: Credits) -> Self {
        Self { grant: None, from, to, amount }
    }
}

/// Who does something, when and why: what every operation says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its time.
    pub at: crate::clock::Millis,
    /// Who.
    pub actor: &'a crate::audit::Actor,
    /// Why, for people.
    pub reason: &'a str,
}
