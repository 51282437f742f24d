//! The rows of the ledger as they are read and written. Holds no SQL.

use crate::clock::Millis;
use crate::units::{Credits, Tariff};

/// Where granted credits come from, which decides when they are spent and what may end them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// What a paid tier includes per period.
    Allowance,
    /// What the free tier includes per month.
    Free,
    /// A one-time top-up.
    Pack,
    /// Given for a trial.
    Trial,
    /// Given by a promotion.
    Promo,
    /// From an operator's custom terms.
    Contract,
    /// Given by an operator.
    Manual,
    /// Carried over from the period before.
    Rollover,
}

impl Source {
    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Free => "free",
            Self::Pack => "pack",
            Self::Trial => "trial",
            Self::Promo => "promo",
            Self::Contract => "contract",
            Self::Manual => "manual",
            Self::Rollover => "rollover",
        }
    }

    /// Lower is spent first.
    pub fn priority(self) -> i64 {
        match self {
            Self::Trial | Self::Promo => 10,
            Self::Rollover => 20,
            Self::Allowance | Self::Free => 30,
            Self::Contract => 40,
            Self::Pack | Self::Manual => 50,
        }
    }

    /// Whether a debt is paid from a grant of this kind before anything else: what was bought
    /// pays, what was given does not.
    pub fn pays_debt(word: &str) -> bool {
        [Self::Allowance, Self::Pack, Self::Contract].iter().any(|source| source.word() == word)
    }
}

/// One org's wallet: a projection of its ledger rows.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Wallet {
    /// Whose it is.
    pub org_id: String,
    /// The number of its last operation.
    pub seq: i64,
    /// Raised by everything that changes what the gate reads about the org.
    pub revision: i64,
    /// What can be spent.
    pub available: Credits,
    /// What is set aside by open holds.
    pub held: Credits,
    /// What must be given back from the next bought grant.
    pub debt: Credits,
    /// Used past every grant in the current period.
    pub overage: Credits,
    /// The current period's beginning, inclusive.
    pub period_start: Millis,
    /// The current period's end, exclusive.
    pub period_end: Millis,
    /// Used in the current period, whatever paid for it.
    pub period_used: Credits,
    /// When the current period was turned to: use counts in it since then, though it may have begun
    /// before. 0 where that was never written down.
    pub counts_since: Millis,
    /// How many monthly free allowances were opened since the org's creation.
    pub free_opened: i64,
    /// The time of the last operation.
    pub last_at: Millis,
    /// Since when debits are stopped because the books disagree.
    pub parked_at: Option<Millis>,
    /// The org's creation: the anchor of its free months.
    pub created_at: Millis,
}

/// Credits that came in, and what became of them.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Grant {
    /// `grant_…`
    pub id: String,
    /// Whose it is.
    pub org_id: String,
    /// A [`Source`]'s word.
    pub source_kind: String,
    /// What makes it unique among its kind: a payment, an item and period.
    pub source_ref: String,
    /// Lower is spent first.
    pub priority: i64,
    /// What was granted.
    pub amount: Credits,
    /// What can still be spent.
    pub remaining: Credits,
    /// What open holds have set aside.
    pub held: Credits,
    /// What was used.
    pub consumed: Credits,
    /// What lapsed.
    pub expired: Credits,
    /// What was taken back after a refund or a lost dispute.
    pub clawed_back: Credits,
    /// What paid an earlier debt.
    pub debt_paid: Credits,
    /// From when it may be spent.
    pub effective_at: Millis,
    /// From when it may not be spent any more.
    pub expires_at: Option<Millis>,
    /// The beginning of the period it is the allowance of.
    pub period_start: Option<Millis>,
    /// The end of that period.
    pub period_end: Option<Millis>,
    /// The Stripe object that paid for it.
    pub payment: Option<String>,
    /// What is taken back of it altogether, because its payment was.
    pub claw_target: Credits,
    /// How much of that was spent already and became the wallet's debt.
    pub claw_debt: Credits,
    /// Since when it is kept from being spent: its payment is disputed, or its customer deleted.
    pub frozen_at: Option<Millis>,
    /// Since when nothing may be spent of it and nothing returns to it.
    pub voided_at: Option<Millis>,
    /// Why it was given, for people.
    pub reason: String,
    /// When it was given.
    pub created_at: Millis,
    /// When nothing more can come of it.
    pub ended_at: Option<Millis>,
    /// Whether the database does not have this row yet.
    #[sqlx(skip)]
    pub new: bool,
    /// Whether what can be spent, is held or was used of it must be written back.
    #[sqlx(skip)]
    pub moved: bool,
    /// Whether the whole row must be written back.
    #[sqlx(skip)]
    pub changed: bool,
}

impl Grant {
    /// Whether it may be spent at this time. (I8, D17)
    pub fn is_spendable(&self, at: Millis) -> bool {
        self.ended_at.is_none()
            && self.frozen_at.is_none()
            && self.voided_at.is_none()
            && self.effective_at <= at
            && !self.is_due(at)
            && self.remaining.is_positive()
    }

    /// Whether nothing may return to it at this time.
    pub fn is_over(&self, at: Millis) -> bool {
        self.voided_at.is_some() || self.is_due(at)
    }

    /// Whether its time is over.
    pub fn is_due(&self, at: Millis) -> bool {
        self.expires_at.is_some_and(|expires| expires <= at)
    }

    /// Whether its time is now, whatever is left of it.
    pub fn is_live(&self, at: Millis) -> bool {
        self.ended_at.is_none() && self.effective_at <= at && !self.is_over(at)
    }

    /// Whether it is a period's allowance, paid or free, or was carried over into one.
    pub fn is_allowance(&self) -> bool {
        self.period_start.is_some()
    }

    /// The order in which grants are spent: priority, then earliest expiry (never last), then id.
    pub fn burn_order(&self) -> (i64, Millis, &str) {
        (self.priority, self.expires_at.unwrap_or(Millis::MAX), &self.id)
    }
}

/// An operation about to be written.
#[derive(Clone, Debug)]
pub(super) struct OperationRow {
    pub id: String,
    pub seq: i64,
    pub kind: &'static str,
    pub at: Millis,
    pub actor_kind: &'static str,
    pub actor_id: String,
    pub reason: String,
    pub available_change: i64,
    pub available_after: Credits,
    pub held_after: Credits,
}

/// One move of an operation about to be written.
#[derive(Clone, Debug)]
pub(super) struct EntryRow {
    pub operation_id: String,
    pub line: i64,
    pub grant_id: Option<String>,
    pub from: &'static str,
    pub to: &'static str,
    pub amount: Credits,
}

/// Credits set aside for a use whose cost is known only afterwards.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Hold {
    /// `hold_…`
    pub id: String,
    /// Whose.
    pub org_id: String,
    /// The place in the wallet's order of the operation that made it.
    pub seq: i64,
    /// That operation: its entries tell which grants the credits were taken from.
    pub operation_id: String,
    /// The idempotency key it was made with.
    pub key: String,
    /// What is to be used.
    pub meter: String,
    /// Of which model.
    pub model: Option<String>,
    /// The feature it was asked under.
    pub feature: Option<String>,
    /// How much, in millionths of the meter's unit.
    pub quantity: i64,
    /// Credits per unit: pinned.
    pub rate: Credits,
    /// The rate card that the rate is from.
    pub rate_card: String,
    /// What it will be billed by, pinned: millionths of a minor unit for one credit of its overage,
    /// or, where it holds none, for one unit of its meter.
    pub price: Option<i64>,
    /// To what: `sub_…` or `contract_…`.
    pub billed_to: Option<String>,
    /// Three lowercase letters.
    pub billed_currency: Option<String>,
    /// What it set aside, overage included.
    pub credits: Credits,
    /// How much of that no grant covers.
    pub overage: Credits,
    /// The workflow it belongs to.
    pub run: Option<String>,
    /// The member it is for.
    pub member: Option<String>,
    /// The API key that asked.
    pub api_key_id: Option<String>,
    /// The caller's own notes, JSON.
    pub metadata: Option<String>,
    /// release or charge: what happens when its time is over.
    pub on_expiry: String,
    /// open, captured, released or expired
    pub status: String,
    /// What was charged in the end.
    pub captured: Credits,
    /// The usage that charged it.
    pub usage_id: Option<String>,
    /// Since when.
    pub created_at: Millis,
    /// Until when.
    pub expires_at: Millis,
    /// When it was captured, released or expired. (I5)
    pub ended_at: Option<Millis>,
    /// Which grants it was taken from, in that order.
    #[sqlx(skip)]
    pub parts: Vec<(String, Credits)>,
    /// Whether the database does not have this row yet.
    #[sqlx(skip)]
    pub new: bool,
    /// Whether this row must be written back.
    #[sqlx(skip)]
    pub changed: bool,
}

impl Hold {
    /// Whether it still sets credits aside.
    pub fn is_open(&self) -> bool {
        self.status == OPEN
    }

    /// What it will be billed by.
    pub fn tariff(&self) -> Option<Tariff> {
        let (subject, currency) = (self.billed_to.clone()?, self.billed_currency.clone()?);
        Some(Tariff { subject, currency, price: self.price? })
    }

    /// What its own meter is billed by instead of costing credits.
    pub fn in_money(&self) -> Option<Tariff> {
        self.tariff().filter(|_| !self.overage.is_positive())
    }

    /// Whether what it was for is charged when its time is over.
    pub fn charges(&self) -> bool {
        self.on_expiry == CHARGE
    }
}

/// The status of a hold that still sets credits aside.
pub const OPEN: &str = "open";
/// The policy of a hold that is charged when its time is over.
pub const CHARGE: &str = "charge";
