//! The oracle's wallet: grants as a list of pots, holds and uses with the parts they took, and what
//! time does to them. Written to be read, not to be fast; it shares nothing with the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use server::clock;

use super::words::{Balance, TICK, Tick};

/// One org as the oracle sees it.
#[derive(Clone, Debug)]
pub struct Wallet {
    pub terms: Arc<Terms>,
    pub now: Tick,
    /// The org's first tick: its months are counted from here.
    pub created: Tick,
    /// Which of its months runs.
    pub month: i64,
    /// In the order in which they are spent.
    pub grants: Vec<Grant>,
    pub holds: Vec<Hold>,
    pub uses: Vec<Use>,
    pub keys: BTreeMap<String, Kept>,
    /// The sources that have granted.
    pub sources: BTreeSet<(&'static str, String)>,
    /// The workflows that anything was done for.
    pub runs: BTreeSet<String>,
    pub debt: i64,
    /// Used in this month, whatever paid for it.
    pub used: i64,
    /// Of that, what is billed as overage.
    pub overage: i64,
    /// The ceiling that the org set, and whether it refuses.
    pub cap: Option<(i64, bool)>,
    /// How often something was done, by the limit's name and the window's beginning.
    pub counted: BTreeMap<(String, i64), i64>,
}

/// What the org's tier allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether use past every grant is billed.
    pub overage: bool,
    /// Ceilings by name.
    pub limits: BTreeMap<String, i64>,
}

/// Credits that came in.
#[derive(Clone, Debug)]
pub struct Grant {
    pub id: String,
    pub priority: i64,
    /// It may be spent from the middle of this tick on.
    pub starts: Option<Tick>,
    /// It lapses in the middle of this tick.
    pub expires: Option<Tick>,
    /// What can still be spent of it.
    pub left: i64,
    /// Whether it pays a debt as soon as it may be spent.
    pub waits: bool,
}

/// So much of one grant.
pub type Part = (String, i64);

/// Credits set aside.
#[derive(Clone, Debug)]
pub struct Hold {
    pub id: String,
    pub run: Option<String>,
    pub model: Option<String>,
    /// Millionths of a credit per unit.
    pub rate: i64,
    pub credits: i64,
    /// What it took from which grant, in that order.
    pub parts: Vec<Part>,
    /// What no grant covers.
    pub overage: i64,
    /// Its time is over in the middle of this tick.
    pub expires: Tick,
    /// Whether it is charged then.
    pub charges: bool,
    pub status: &'static str,
    pub captured: i64,
    /// Whether anything was charged for it.
    pub charged: bool,
}

/// A use that was charged.
#[derive(Clone, Debug)]
pub struct Use {
    /// One for each line.
    pub ids: Vec<String>,
    pub credits: i64,
    pub from: Vec<Part>,
    pub overage: i64,
    pub debt: i64,
    pub hold: Option<String>,
    pub late: bool,
    pub at: Tick,
    /// The month it counts in.
    pub month: i64,
    pub reversed: bool,
}

/// What is kept under a key.
#[derive(Clone, Debug)]
pub struct Kept {
    pub fingerprint: String,
    pub status: u16,
    pub body: Arc<str>,
    pub effect: Effect,
}

/// What a key did that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Made the hold at this place.
    Hold(usize),
    /// Charged the use at this place.
    Use(usize),
}

impl Wallet {
    /// An empty one.
    pub fn new(terms: Arc<Terms>, created: Tick) -> Self {
        Self {
            terms,
            now: created,
            created,
            month: 0,
            grants: Vec::new(),
            holds: Vec::new(),
            uses: Vec::new(),
            keys: BTreeMap::new(),
            sources: BTreeSet::new(),
            runs: BTreeSet::new(),
            debt: 0,
            used: 0,
            overage: 0,
            cap: None,
            counted: BTreeMap::new(),
        }
    }

    /// Books what is due, as whoever writes does first: the month turns, debts are paid, holds run
    /// out and are charged in the month of now, grants lapse.
    pub fn settle(&mut self) {
        let now = self.now;
        self.turn_month();
        self.pay_from_begun();
        for place in 0..self.holds.len() {
            let hold = &self.holds[place];
            if hold.status == "open" && hold.expires < now {
                self.run_out(place);
            }
        }
        for grant in &mut self.grants {
            if grant.expires.is_some_and(|expires| expires < now) {
                grant.left = 0;
            }
        }
    }

    /// What was bought ahead pays a debt when it begins, and what begins first pays first: also
    /// where it is over by the time that anybody books it.
    fn pay_from_begun(&mut self) {
        let now = self.now;
        let begun = self.grants.iter_mut().filter(|grant| grant.has_begun(now));
        let mut begun: Vec<&mut Grant> = begun.filter(|grant| grant.waits).collect();
        begun.sort_by_key(|grant| grant.starts);
        for grant in begun {
            grant.waits = false;
            if grant.expires.is_none_or(|expires| Some(expires) > grant.starts) {
                let paid = self.debt.min(grant.left);
                self.debt -= paid;
                grant.left -= paid;
            }
        }
    }

    fn turn_month(&mut self) {
        let month_ends = |month| {
            let created = self.created * TICK;
            clock::add_months(created, month + 1).div_euclid(TICK)
        };
        let mut month = self.month;
        while month_ends(month) <= self.now {
            month += 1;
        }
        if month != self.month {
            (self.month, self.used, self.overage) = (month, 0, 0);
        }
    }

    /// A hold's time is over: it returns, or is charged where its meter wants that.
    fn run_out(&mut self, place: usize) {
        let Hold { charges, credits, parts, overage, .. } = self.holds[place].clone();
        self.holds[place].status = "expired";
        if !charges {
            return self.give_back(&parts);
        }
        self.holds[place].captured = credits;
        self.holds[place].charged = true;
        self.used += credits;
        self.overage += overage;
    }

    /// Puts a grant into its place in the burn order, and pays a debt from it where it was bought.
    pub fn put_in(&mut self, mut grant: Grant, pays_debt: bool) {
        if pays_debt {
            let paid = self.debt.min(grant.left);
            self.debt -= paid;
            grant.left -= paid;
        }
        self.grants.push(grant);
        self.grants.sort_by_key(|grant| {
            (grant.priority, grant.expires.unwrap_or(Tick::MAX), grant.id.clone())
        });
    }

    /// What can be spent.
    pub fn available(&self) -> i64 {
        let begun = self.grants.iter().filter(|grant| grant.has_begun(self.now));
        begun.map(|grant| grant.left).sum()
    }

    /// What open holds have set aside.
    pub fn held(&self) -> i64 {
        let open = self.holds.iter().filter(|hold| hold.status == "open");
        open.map(|hold| hold.credits).sum()
    }

    /// What an answer says of the balance.
    pub fn balance(&self) -> Balance {
        Balance { available: self.available(), held: self.held() }
    }

    /// Takes credits that are there, in burn order.
    pub fn take(&mut self, credits: i64) -> Vec<Part> {
        let mut left = credits;
        let mut parts = Vec::new();
        let now = self.now;
        for grant in self.grants.iter_mut().filter(|grant| grant.has_begun(now)) {
            let part = grant.left.min(left);
            if part > 0 {
                grant.left -= part;
                left -= part;
                parts.push((grant.id.clone(), part));
            }
        }
        assert_eq!(left, 0, "the oracle spends only what is there");
        parts
    }

    /// Returns parts to their grants; a grant that has lapsed keeps nothing.
    pub fn give_back(&mut self, parts: &[Part]) {
        for (id, credits) in parts {
            let now = self.now;
            let grant = self.grants.iter_mut().find(|grant| grant.id == *id);
            let grant = grant.expect("a part is of a grant");
            if grant.expires.is_none_or(|expires| expires >= now) {
                grant.left += credits;
            }
        }
    }

    /// What each grant has: to be spent, and set aside. Grants that have neither are left out.
    pub fn grants(&self) -> BTreeMap<String, (i64, i64)> {
        let mut all: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for grant in self.grants.iter().filter(|grant| grant.left > 0) {
            all.entry(grant.id.clone()).or_default().0 = grant.left;
        }
        let open = self.holds.iter().filter(|hold| hold.status == "open");
        for (id, credits) in open.flat_map(|hold| &hold.parts) {
            all.entry(id.clone()).or_default().1 += credits;
        }
        all
    }
}

impl Grant {
    /// Whether it may be spent already.
    fn has_begun(&self, now: Tick) -> bool {
        self.starts.is_none_or(|starts| starts < now)
    }
}
